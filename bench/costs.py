"""Everything about cost: how FLOPs are counted, what a method looked at, what its track allows, what a run cost in all. No torch.

FLOPs are 2 N a token forward and 4 N a token backward (N parameters; 2001.08361, section 2.1). A run's cost is a share of the baseline
sequence's FLOPs: a constant of the suite where it has a base of its own, and else what this run's baseline stages took.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.method import Track

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TRACK_LIMITS: Mapping[Track, float] = {"training-free": 1.01, "light": 1.10, "during": 1.10, "open": 2.00}
"""The most that stages and repair may cost together, as a share of the plain sequence's FLOPs."""


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


@dataclass
class Access:
    """What a method looked at beside the checkpoint it was given: checkpoints (domains, "base"), experts, and the prompts it drew of each
    domain: the most that each verb did (a verb draws the same ones again), added up over the verbs (whose prompts are different ones).
    A stage's prompts of its own domain are everybody's and do not count."""

    checkpoints: set[str] = field(default_factory=set)
    experts: set[str] = field(default_factory=set)
    drawn: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def prompts(self) -> dict[str, int]:
        """Prompts by domain."""
        domains = sorted({domain for _, domain in self.drawn})
        return {domain: sum(count for (_, own), count in self.drawn.items() if own == domain) for domain in domains}

    def drew(self, verb: str, domain: str, count: int) -> None:
        self.drawn[verb, domain] = max(count, self.drawn.get((verb, domain), 0))

    def described(self) -> dict[str, Any]:
        """For results: sorted, plain values."""
        return {
            "checkpoints": sorted(self.checkpoints),
            "experts": sorted(self.experts),
            "prompts": self.prompts,
        }
