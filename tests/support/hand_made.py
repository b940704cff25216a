"""A run whose models are a few numbers, so that every finding can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from bench.checkpoint import Store, Tensors
from bench.diagnostics.subject import Weights

SIZE = 100


class Numbers(torch.nn.Module):
    """A model of two tensors."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(tensors["one"].clone())
        self.two = torch.nn.Parameter(tensors["two"].clone())

    @property
    def flat(self) -> torch.Tensor:
        return torch.cat([self.one.flatten(), self.two.flatten()])


def tensors(flat: torch.Tensor) -> Weights:
    """`SIZE` numbers as the two tensors of a model: 6 x 10 and 40."""
    return {"one": flat[:60].view(6, 10), "two": flat[60:]}


@dataclass
class HandMade:
    """A subject: domains a, b, c; its checkpoints are stored tensors. after: what a refresh of a domain, or a null refresh, makes of the
    last one."""

    store: Store
    stages: dict[str, Tensors]
    fishers: Weights
    after: dict[str, Tensors] = field(default_factory=dict)
    sequence: tuple[str, ...] = ("a", "b", "c")
    seed: int = 0
    steps: int = 60
    asked: list[Any] = field(default_factory=list)

    def model(self, checkpoint: Tensors) -> Numbers:
        return Numbers({name: checkpoint.tensor(name) for name in checkpoint.names()})

    def fisher(self, checkpoint: Tensors, domain: str, count: int) -> Tensors:
        assert checkpoint == self.stages[domain]
        return self.store.add_tensors(self.fishers.items())

    def refreshed(self, checkpoint: Tensors, domain: str, steps: int, *, null: bool) -> Tensors:
        assert checkpoint == self.stages[self.sequence[-1]]
        self.asked.append((domain, steps))
        return self.after["null" if null else domain]


OWN = torch.zeros(SIZE)
END = torch.full((SIZE,), 0.2)
HARMFUL = torch.zeros(SIZE, dtype=torch.bool)
HARMFUL[[3, 71]] = True  # two of a hundred, one in each tensor


def harmful(weights: torch.Tensor) -> torch.Tensor:
    """J falls by 0.3 from `OWN` to `END`, with the square of the two harmful coordinates."""
    return 0.7 - 0.15 * ((weights[HARMFUL] / 0.2) ** 2).sum()
