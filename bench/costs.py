"""Everything about cost: how FLOPs are counted, what a method had access to, what its track allows, what a run cost. No torch.

`worker/history.py` charges each call of a method with it.
FLOPs are 2 N a token forward and 4 N a token backward (N parameters; 2001.08361, section 2.1). A run's cost is a share of the baseline
sequence's FLOPs: a constant of the suite where it has a base of its own, and else what this run's baseline stages took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from bench.method import Track

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRACK_LIMITS: Mapping[Track, float] = {"training-free": 1.01, "light": 1.10, "during": 1.10, "open": 2.00}
"""The most that stages and repair may cost together, as a share of the baseline sequence's FLOPs."""
PLAIN_TRACKS: frozenset[Track] = frozenset({"training-free", "light"})
"""Tracks of methods that repair the baseline run's last checkpoint and leave its stages as they are."""


def over_limit(track: Track, cost: float) -> str:
    """That a total cost is over its track's limit, in words; empty where it is not."""
    limit = TRACK_LIMITS.get(track)
    return "" if limit is None or cost <= limit + 1e-9 else f"over its track's {100 * limit:.0f} %"


class Meter:
    """Counts FLOPs of the models it watches: 2 N a token forward, 4 N a token backward (N parameters; 2001.08361, section 2.1)."""

    def __init__(self) -> None:
        self.flops = 0.0

    def watch(self, model: PreTrainedModel) -> PreTrainedModel:
        size = sum(parameter.numel() for parameter in model.parameters())

        def count(module: PreTrainedModel, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
            ids = kwargs["input_ids"] if "input_ids" in kwargs else args[0]
            self.flops += ids.numel() * size * (6 if output.logits.requires_grad else 2)

        model.register_forward_hook(count, with_kwargs=True)
        return model

    def spend(self, tokens: int, size: int) -> None:
        """Count tokens that an engine ran forward through a model of `size` parameters."""
        self.flops += 2 * tokens * size


class AccessRecord(BaseModel):
    """What a method used other than the checkpoint it was given: checkpoints (domains, "base"), experts (domains), prompts by domain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoints: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()
    prompts: dict[str, int] = {}

    def within(self, other: AccessRecord) -> bool:
        """Whether this is equal to or smaller than the other."""
        sets = set(self.checkpoints) <= set(other.checkpoints) and set(self.experts) <= set(other.experts)
        return sets and all(count <= other.prompts.get(domain, 0) for domain, count in self.prompts.items())

    def beside(self, given: str) -> AccessRecord:
        """Without a checkpoint that every method is given: records made before 2026-12 name it where a method asked for it."""
        return self.model_copy(update={"checkpoints": tuple(name for name in self.checkpoints if name != given)})

    @classmethod
    def union(cls, records: Iterable[AccessRecord]) -> AccessRecord:
        """All that several runs took; of each domain's prompts the most that one took."""
        found = list(records)
        prompts: dict[str, int] = {}
        for record in found:
            for domain, count in record.prompts.items():
                prompts[domain] = max(count, prompts.get(domain, 0))
        return cls(
            checkpoints=tuple(sorted({name for record in found for name in record.checkpoints})),
            experts=tuple(sorted({name for record in found for name in record.experts})),
            prompts=dict(sorted(prompts.items())),
        )


class Access(BaseModel):
    """What a method had access to other than the checkpoint it was given: checkpoints (domains, "base"), experts, and prompts by domain.
    Drawing the same prompts again counts once, by the largest count; other prompts are added. Prompts that a hook chooses for a repair
    count as often as they are drawn, since which they were is not known here; those that hooks choose in several stages count as in the
    stage that drew most. A stage's prompts of its own domain do not count: every method has them.

    drawn: which prompts, such as "stage", "score" or "own answers" -> domain -> count.
    """

    model_config = ConfigDict(extra="forbid")

    checkpoints: set[str] = set()
    experts: set[str] = set()
    drawn: dict[str, dict[str, int]] = {}

    @property
    def prompts(self) -> dict[str, int]:
        """Prompts by domain."""
        domains = sorted({domain for counts in self.drawn.values() for domain in counts})
        return {domain: sum(counts.get(domain, 0) for counts in self.drawn.values()) for domain in domains}

    def drew(self, prompts: str, domain: str, count: int) -> None:
        """`count` of these prompts of a domain."""
        counts = self.drawn.setdefault(prompts, {})
        counts[domain] = max(count, counts.get(domain, 0))

    def add(self, other: Access) -> None:
        """Take in what another verb of the same run took."""
        self.checkpoints |= other.checkpoints
        self.experts |= other.experts
        for prompts, counts in other.drawn.items():
            for domain, count in counts.items():
                self.drew(prompts, domain, count)

    def record(self) -> AccessRecord:
        """For results."""
        return AccessRecord(checkpoints=tuple(sorted(self.checkpoints)), experts=tuple(sorted(self.experts)), prompts=self.prompts)


class Cost(BaseModel):
    """What a run cost: FLOPs of its stages and of everything its method requested, as shares of the baseline sequence's, and access."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: float
    repair: float
    access: AccessRecord

    @property
    def total(self) -> float:
        return self.stages + self.repair


@dataclass(frozen=True)
class Spent:
    """What one verb of a method (a stage, a repair) took. training: FLOPs of the stage itself; charged: FLOPs of each distinct computation
    it requested, by cache key."""

    training: float
    charged: Mapping[str, float]
    access: Access


def cost_of(baseline_flops: float, stages: Iterable[Spent], repair: Spent | None, *, own_stages: bool) -> Cost:
    """A run's cost. baseline_flops: of the baseline sequence's stages (> 0); stages: the method's, whose training counts as 1 where it is
    the baseline's. What two verbs request is charged once, and prompts that two of them draw count once."""
    verbs = list(stages)
    trained = sum(spent.training for spent in verbs) / baseline_flops if own_stages else 1.0
    verbs += [repair] if repair is not None else []
    charged: dict[str, float] = {}
    access = Access()
    for spent in verbs:
        for key, flops in spent.charged.items():
            charged[key] = max(flops, charged.get(key, 0.0))
        access.add(spent.access)
    return Cost(stages=trained, repair=sum(charged.values()) / baseline_flops, access=access.record())
