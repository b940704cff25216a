"""CPR (2608.18574): replay old prompts, those that the current policy gets right about half the time.

Each later stage gives `share` of its prompts to the earlier domains in equal shares, as `replay` does. Of an earlier domain's prompts,
sampled anew by the current policy at every use, those with a pass rate in [low, high] are replayed, nearest to one half first.

The band and the priority are reported of the paper; share and pool are ours, and so is this: pass rates come from the replayed groups
themselves, at no further cost, so that a prompt is used once before its rate is known and keeps its last rate until it is used again;
where the band holds too few, those nearest to one half fill up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from baselines.replay import Replay
from bench.method import History, Stage, Training


@dataclass
class NearHalf:
    """The first `pool` prompts of each old domain by pass rate; fresh ones of the current domain. state: for the current domain how many
    were drawn, for an old one the last pass rate of each prompt, None before its first use."""

    current: str
    pool: int
    low: float
    high: float
    state: dict[str, Any] = field(default_factory=dict)

    def choose(self, domain: str, count: int, step: int) -> list[int]:
        if domain == self.current:
            start = self.state.get(domain, 0)
            self.state[domain] = start + count
            return list(range(start, start + count))
        if count > self.pool:
            raise ValueError(f"pool={self.pool}: a step replays {count} prompts of {domain}; raise the pool or lower the share")
        rates = self.state.setdefault(domain, [None] * self.pool)

        def priority(index: int) -> tuple[int, float]:
            rate = rates[index]
            if rate is None:
                return 0, 0.0
            return (1 if self.low <= rate <= self.high else 2), abs(rate - 0.5)

        return sorted(range(self.pool), key=priority)[:count]

    def feedback(self, domain: str, indices: Sequence[int], pass_rates: Sequence[float]) -> None:
        if domain != self.current:
            for index, rate in zip(indices, pass_rates, strict=True):
                self.state[domain][index] = rate


class CPR(Replay):
    """share: as in `replay`; pool: prompts of each old domain, the first of its own stage; low, high: the band of pass rates."""

    pool: int = 64
    low: float = 0.24
    high: float = 0.70
    search = {"share": (0.1, 0.2, 0.3, 0.5), "pool": (32, 128)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"low={self.low} high={self.high}: a band of pass rates needs 0 <= low <= high <= 1")
        if self.pool < 1:
            raise ValueError(f"pool={self.pool}: must hold one prompt at least")

    def stage(self, stage: Stage, history: History) -> Training:
        training = super().stage(stage, history)
        return training.but(prompts=NearHalf(stage.domain, self.pool, self.low, self.high)) if stage.earlier else training
