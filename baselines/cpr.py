"""CPR (2608.18574): replay old prompts that the current policy solves about half the time.

Each later stage gives `share` of its prompts to the earlier domains in equal parts, as in `replay`. The policy answers an old prompt anew
every time it is replayed. Prompts with a pass rate in [low, high] come first, those nearest to one half before the others.

The band and the priority are the paper's. The rest is ours: `share`, `pool`, and the source of the pass rates. A rate is that of the
prompt's last replayed group, which costs nothing extra. So every prompt is replayed once before its rate is known. If the band holds too
few prompts, the ones nearest to one half outside it follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from baselines.replay import Replay
from bench.method import History, Stage, Training


@dataclass
class NearHalf:
    """Fresh prompts of the current domain; of each old domain its first `pool` prompts, by pass rate.

    state: for the current domain, how many prompts were drawn; for an old one, each prompt's last pass rate (None before its first use).
    """

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
            raise ValueError(f"pool={self.pool}: a step replays {count} prompts of {domain}; raise pool or lower share")
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
    """share: as in `replay`; pool: how many prompts of each old domain may be replayed, at least 1 (the first ones of its own stage);
    low, high: the band of pass rates, 0 <= low <= high <= 1."""

    pool: int = 64
    low: float = 0.24
    high: float = 0.70
    search = {"share": (0.1, 0.2, 0.3, 0.5), "pool": (32, 128)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"low={self.low} high={self.high}: must satisfy 0 <= low <= high <= 1")
        if self.pool < 1:
            raise ValueError(f"pool={self.pool}: must be at least 1")

    def stage(self, stage: Stage, history: History) -> Training:
        training = super().stage(stage, history)
        return training.but(prompts=NearHalf(stage.domain, self.pool, self.low, self.high)) if stage.earlier else training
