"""A history of two small tensors for every baseline, so that results can be worked by hand. Nothing is trained.

The model has eight coordinates, `layer.weight` (2, 3) and `model.norm.weight` (2,), written as one row of eight numbers. In the tests they
are multiples of powers of two, so that fp32 arithmetic is exact and results are compared bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from bench.checkpoint import Checkpoint, Store, Tensors
from bench.method import Method, Sample, Stage, Training


@dataclass
class FakeHistory:
    """`bench.method.History` with canned answers; `asked` holds every call in order."""

    base: Checkpoint
    stages: Mapping[str, Checkpoint] = field(default_factory=dict)
    experts: Mapping[str, Checkpoint] = field(default_factory=dict)
    statistics: Mapping[tuple[str, str], Tensors] = field(default_factory=dict)  # (verb, domain) ->
    scored: Callable[[Checkpoint, str], float] = lambda checkpoint, domain: 0.0
    rewarded: Callable[[Checkpoint, str], Sequence[float]] = lambda checkpoint, domain: [0.0]
    sequence: tuple[str, ...] = ("code", "math", "qa", "cw")
    seed: int = 0
    stage_steps: int = 100
    asked: list[tuple] = field(default_factory=list)

    def checkpoint(self, domain: str) -> Checkpoint:
        self.asked.append(("checkpoint", domain))
        return self.stages[domain]

    def expert(self, domain: str) -> Checkpoint:
        self.asked.append(("expert", domain))
        return self.experts[domain]

    def sample(self, checkpoint: Checkpoint, domain: str, count: int) -> list[Sample]:
        self.asked.append(("sample", checkpoint, domain, count))
        return [Sample(domain, "prompt", "answer", reward) for reward in self.rewarded(checkpoint, domain)]

    def score(self, checkpoint: Checkpoint, domain: str) -> float:
        self.asked.append(("score", checkpoint, domain))
        return self.scored(checkpoint, domain)

    def train(self, checkpoint: Checkpoint, training: Training) -> Checkpoint:
        """A training adds 1 to every coordinate."""
        self.asked.append(("train", checkpoint, training))
        return checkpoint.map(lambda _, own: own + 1)

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int = 512) -> Tensors:
        self.asked.append(("fisher", checkpoint, domain, count))
        return self.statistics["fisher", domain]

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int = 512, draw: int = 0) -> Tensors:
        self.asked.append(("gradient", checkpoint, domain, count, draw))
        return self.statistics["gradient", domain]

    def verbs(self) -> set[str]:
        return {call[0] for call in self.asked}

    def stage(self, index: int) -> Stage:
        return Stage(index, self.sequence[index], self.sequence)

    def trainings(self, method: Method) -> list[Training]:
        """How a method trains each stage of the sequence."""
        return [method.stage(self.stage(index), self) for index in range(len(self.sequence))]


class House:
    """A store, and checkpoints and statistics from rows of eight numbers: six of the layer, two of the norm."""

    LAYER, NORM = "layer.weight", "model.norm.weight"

    LAST = (4.0, 3.0, 2.0, 1.0, 8.0, 0.0, 1.0, 2.0)
    OWN = (2.0, 2.0, 2.0, 5.0, 7.0, 0.0, 4.0, 0.0)
    # delta = LAST - OWN   2    1    0   -4    1    0   -3    2
    # delta^2              4    1    0   16    1    0    9    4
    FISHER = (1.0, 8.0, 64.0, 0.125, 3.0, 9.0, 0.0, 0.5)
    # F delta^2            4    8    0    2    3    0    0    2       in order: 8 4 3 2 2 0 0 0
    GRADIENT = (1.0, -2.0, 5.0, -1.0, 0.5, 1.0, 2.0, 0.25)
    # g delta              2   -2    0    4   .5    0   -6   .5       in order: 4 2 .5 .5, the rest not above 0

    def __init__(self, folder: Path) -> None:
        self.like = folder / "like"
        self.like.mkdir()
        (self.like / "config.json").write_text("{}")
        self.store = Store(folder / "store")

    def named(self, row: Sequence[float]) -> list[tuple[str, torch.Tensor]]:
        assert len(row) == 8
        return [(self.LAYER, torch.tensor(row[:6]).view(2, 3).float()), (self.NORM, torch.tensor(row[6:]).float())]

    def checkpoint(self, *row: float) -> Checkpoint:
        return self.store.add_checkpoint(self.named(row), self.like)

    def tensors(self, *row: float) -> Tensors:
        return self.store.add_tensors(self.named(row))

    def history(self, **given: object) -> FakeHistory:
        """A history whose base is 0 throughout, with the given fields."""
        return FakeHistory(**{"base": self.checkpoint(*[0.0] * 8)} | given)

    def row(self, tensors: Tensors) -> list[float]:
        assert tensors.names() == [self.LAYER, self.NORM]
        assert tensors.tensor(self.LAYER).shape == (2, 3)
        return [*tensors.tensor(self.LAYER).flatten().tolist(), *tensors.tensor(self.NORM).tolist()]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def math_only(house: House) -> FakeHistory:
    """OWN is math's checkpoint, with its Fisher and gradient."""
    statistics = {("fisher", "math"): house.tensors(*house.FISHER), ("gradient", "math"): house.tensors(*house.GRADIENT)}
    return house.history(stages={"math": house.checkpoint(*house.OWN)}, statistics=statistics)


@pytest.fixture
def two_targets(house: House) -> FakeHistory:
    """Last 0 throughout, so that delta_d = -theta_d.

    place                0    1    2    3    4    5    6    7
    theta_code           4    4    2    0    0    1    0    0
    F_code               1    3    1    9    1    4    0    0
    theta_math           4    0    4    2    0   -1    8    0
    F_math               3    1    1    3    1    4    0    1
    score               64   48   20   12    0    8    0    0
    weighted own value   4    3    3   1/2   0    0    -    0    = sum F theta / sum F
    mean own value       4    2    3    1    0    0    4    0
    sum |delta|          8    4    6    2    0    2    8    0
    """
    return house.history(
        stages={"code": house.checkpoint(4, 4, 2, 0, 0, 1, 0, 0), "math": house.checkpoint(4, 0, 4, 2, 0, -1, 8, 0)},
        statistics={
            ("fisher", "code"): house.tensors(1, 3, 1, 9, 1, 4, 0, 0),
            ("fisher", "math"): house.tensors(3, 1, 1, 3, 1, 4, 0, 1),
        },
    )


@pytest.fixture
def four_stages(house: House) -> FakeHistory:
    """Their mean is 3 2 8 3 0 -1 0 4."""
    rows = {
        "code": (4, 0, 8, 1, 0, 0, 0, 0),
        "math": (0, 0, 8, 2, 0, 0, 0, 4),
        "qa": (0, 4, 8, 3, 0, 0, 0, 4),
        "cw": (8, 4, 8, 6, 0, -4, 0, 8),
    }
    return house.history(stages={domain: house.checkpoint(*row) for domain, row in rows.items()})


@pytest.fixture
def random_pair(house: House) -> tuple[Checkpoint, Checkpoint]:
    """Two checkpoints of one large random tensor: hand-worked numbers are too round to show rounding."""
    last, own = torch.randn(2, 4096, generator=torch.Generator().manual_seed(1))
    return house.store.add_checkpoint([(house.LAYER, last)], house.like), house.store.add_checkpoint([(house.LAYER, own)], house.like)
