"""Every baseline against a history of two small tensors, with results worked by hand. Nothing is trained.

The model has eight coordinates, `layer.weight` (2, 3) and `model.norm.weight` (2,). Numbers are multiples of powers of two, so that
fp32 arithmetic is exact and results are compared bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from baselines.interpolate import Interpolate
from baselines.joint import Joint
from baselines.longer import Longer
from baselines.none import None_
from baselines.random import RandomCoordinates
from baselines.refresh import Refresh
from baselines.replay import Replay
from baselines.revert import Revert
from baselines.rollback import Rollback
from baselines.sharpen import Sharpen
from bench.checkpoint import Checkpoint, Store, Tensors
from bench.method import Method, Sample, Stage, Training

SEQUENCE = ("code", "math", "qa", "cw")
LAYER, NORM = "layer.weight", "model.norm.weight"


@dataclass
class FakeHistory:
    """`bench.method.History` with canned answers; `asked` holds every call in order."""

    store: Store
    base: Checkpoint
    stages: Mapping[str, Checkpoint] = field(default_factory=dict)
    statistics: Mapping[tuple[str, str], Tensors] = field(default_factory=dict)  # (verb, domain) ->
    scored: Callable[[Checkpoint, str], float] = lambda checkpoint, domain: 0.0
    rewarded: Callable[[Checkpoint, str], Sequence[float]] = lambda checkpoint, domain: [0.0]
    sequence: tuple[str, ...] = SEQUENCE
    seed: int = 0
    stage_steps: int = 100
    asked: list[tuple] = field(default_factory=list)

    def checkpoint(self, domain: str) -> Checkpoint:
        self.asked.append(("checkpoint", domain))
        return self.stages[domain]

    def expert(self, domain: str) -> Checkpoint:
        raise AssertionError("no baseline asks for an expert")

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

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int = 512) -> Tensors:
        self.asked.append(("gradient", checkpoint, domain, count))
        return self.statistics["gradient", domain]

    def verbs(self) -> set[str]:
        return {call[0] for call in self.asked}


class House:
    """A store, and checkpoints and statistics from rows of eight numbers: six of the layer, two of the norm."""

    def __init__(self, folder: Path) -> None:
        self.like = folder / "like"
        self.like.mkdir()
        (self.like / "config.json").write_text("{}")
        self.store = Store(folder / "store")

    @staticmethod
    def named(row: Sequence[float]) -> list[tuple[str, torch.Tensor]]:
        assert len(row) == 8
        return [(LAYER, torch.tensor(row[:6]).view(2, 3).float()), (NORM, torch.tensor(row[6:]).float())]

    def checkpoint(self, *row: float) -> Checkpoint:
        return self.store.add_checkpoint(self.named(row), self.like)

    def tensors(self, *row: float) -> Tensors:
        return self.store.add_tensors(self.named(row))

    def history(self, **given: object) -> FakeHistory:
        return FakeHistory(self.store, self.checkpoint(*[0.0] * 8), **given)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def row(checkpoint: Tensors) -> list[float]:
    assert checkpoint.names() == [LAYER, NORM]
    assert checkpoint.tensor(LAYER).shape == (2, 3)
    return [*checkpoint.tensor(LAYER).flatten().tolist(), *checkpoint.tensor(NORM).tolist()]


# --- none, revert, refresh


def test_none_is_the_plain_run(house: House) -> None:
    history, last = house.history(), house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    method = None_()
    for index, domain in enumerate(SEQUENCE):
        stage = Stage(index, domain, SEQUENCE)
        assert method.stage(stage, history) == Training({domain: 1.0})
        assert method.after_stage(stage, last, history) == last
    assert method.recover(last, ("math",), history) == last
    assert history.asked == []


@pytest.mark.parametrize(
    ("targets", "chosen"), [(("math",), "math"), (("code", "math", "qa"), "qa"), (("qa", "code"), "qa"), (("code",), "code")]
)
def test_revert_goes_back_to_the_last_targets_own_stage(house: House, targets: tuple[str, ...], chosen: str) -> None:
    stages = {domain: house.checkpoint(*[float(place)] * 8) for place, domain in enumerate(SEQUENCE)}
    history = house.history(stages=stages)
    assert Revert().recover(stages["cw"], targets, history) == stages[chosen]
    assert history.asked == [("checkpoint", chosen)]


def test_refresh_trains_the_last_checkpoint_on_the_targets(house: House) -> None:
    history, last = house.history(), house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    repaired = Refresh(steps=7).recover(last, ("math", "code"), history)
    assert history.asked == [("train", last, Training({"math": 0.5, "code": 0.5}, steps=7))]
    assert row(repaired) == [2, 3, 4, 5, 6, 7, 8, 9]


# --- replay, longer, joint: the stages


def stages(method: Method, history: FakeHistory) -> list[Training]:
    return [method.stage(Stage(index, domain, SEQUENCE), history) for index, domain in enumerate(SEQUENCE)]


def test_replay_shares_out_among_the_earlier_domains(house: House) -> None:
    assert stages(Replay(share=0.375), house.history()) == [
        Training({"code": 1.0}),
        Training({"math": 0.625, "code": 0.375}),
        Training({"qa": 0.625, "code": 0.1875, "math": 0.1875}),
        Training({"cw": 0.625, "code": 0.125, "math": 0.125, "qa": 0.125}),
    ]


@pytest.mark.parametrize(
    ("steps", "extra"),
    [
        (15, [4, 4, 3, 4]),  # 3.75, 7.5, 11.25, 15, rounded: 4, 8, 11, 15
        (2, [0, 1, 1, 0]),  # 0.5, 1, 1.5, 2, rounded to even: 0, 1, 2, 2
        (8, [2, 2, 2, 2]),
        (0, [0, 0, 0, 0]),
    ],
)
def test_longer_spends_the_repairs_steps_on_the_stages(house: House, steps: int, extra: list[int]) -> None:
    trainings = stages(Longer(steps=steps), house.history())
    assert trainings == [Training({domain: 1.0}, steps=100 + more) for domain, more in zip(SEQUENCE, extra, strict=True)]
    assert sum(training.steps for training in trainings) == 400 + steps


def test_longer_spends_what_refresh_would() -> None:
    assert Longer().steps == Refresh().steps


def test_joint_trains_on_all_domains_all_the_time(house: House) -> None:
    quarter = Training(dict.fromkeys(SEQUENCE, 0.25))
    assert stages(Joint(), house.history()) == [quarter] * 4


# --- interpolate


def test_interpolate_takes_the_place_with_the_best_validation(house: House) -> None:
    """Ends 0, targets' own checkpoints 4 and 12 (mean 8): places 0, 2, 4, 6, 8. The domains like 2, 4, 4 and 6 best, so all: 4."""
    last = house.checkpoint(*[0.0] * 8)
    own = {"code": house.checkpoint(*[4.0] * 8), "math": house.checkpoint(*[12.0] * 8)}
    likes = {"code": 2.0, "math": 4.0, "qa": 4.0, "cw": 6.0}
    history = house.history(stages=own, scored=lambda c, d: 1 - abs(row(c)[0] - likes[d]) / 16)
    repaired = Interpolate().recover(last, ("code", "math"), history)
    assert row(repaired) == [4.0] * 8
    asked = [(row(call[1])[0], call[2]) for call in history.asked if call[0] == "score"]
    assert sorted(asked) == sorted((place, domain) for place in (0.0, 2.0, 4.0, 6.0, 8.0) for domain in SEQUENCE)


def test_interpolate_is_coordinate_by_coordinate(house: House) -> None:
    last, own = house.checkpoint(0, 1, 2, 3, 4, 5, 6, 7), house.checkpoint(4, 1, 0, 3, 8, 1, -2, 7)
    history = house.history(stages={"math": own})
    # last + (own - last) / 4
    assert row(Interpolate(alphas=(0.25,)).recover(last, ("math",), history)) == [1, 1, 1.5, 3, 5, 4, 4, 7]


def test_interpolate_stays_where_nothing_is_better(house: House) -> None:
    last = house.checkpoint(*[1.0] * 8)
    history = house.history(stages={"math": house.checkpoint(*[2.0] * 8)}, scored=lambda c, d: 0.5)
    assert Interpolate().recover(last, ("math",), history) == last


# --- sharpen


def test_sharpen_scales_the_final_norm_alone_by_the_best_factor(house: House) -> None:
    last = house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    # By factor 1, 2, 4. Math alone would choose 2 and code alone 4; together .50, .75, .625.
    rewards = {7.0: {"math": [0, 1], "code": [0, 1]}, 14.0: {"math": [1, 1], "code": [0, 1]}, 28.0: {"math": [0, 0.5], "code": [1, 1]}}
    history = house.history(rewarded=lambda c, d: rewards[row(c)[6]][d])
    repaired = Sharpen(prompts=2).recover(last, ("math", "code"), history)
    assert row(repaired) == [1, 2, 3, 4, 5, 6, 14, 16]
    assert history.verbs() == {"sample"}
    assert {(call[2], call[3]) for call in history.asked} == {("math", 2), ("code", 2)}
    assert len(history.asked) == 6


def test_sharpen_leaves_the_model_alone_where_nothing_is_better(house: House) -> None:
    last = house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    assert Sharpen().recover(last, ("math",), house.history(rewarded=lambda c, d: [0.5])) == last


# --- rollback

LAST = (4.0, 3.0, 2.0, 1.0, 8.0, 0.0, 1.0, 2.0)
OWN = (2.0, 2.0, 2.0, 5.0, 7.0, 0.0, 4.0, 0.0)
# delta = last - own    2    1    0   -4    1    0   -3    2
# delta^2               4    1    0   16    1    0    9    4
FISHER = (1.0, 8.0, 64.0, 0.125, 3.0, 9.0, 0.0, 0.5)
# F delta^2             4    8    0    2    3    0    0    2       in order: 8 4 3 2 2 0 0 0
GRADIENT = (1.0, -2.0, 5.0, -1.0, 0.5, 1.0, 2.0, 0.25)
# g delta               2   -2    0    4   .5    0   -6   .5       in order: 4 2 .5 .5, the rest not above 0


@pytest.fixture
def math_only(house: House) -> FakeHistory:
    statistics = {("fisher", "math"): house.tensors(*FISHER), ("gradient", "math"): house.tensors(*GRADIENT)}
    return house.history(stages={"math": house.checkpoint(*OWN)}, statistics=statistics)


def back(*places: int, step: float = 1.0) -> list[float]:
    """LAST with the coordinates at `places` moved towards OWN."""
    return [last + step * (own - last) if place in places else last for place, (last, own) in enumerate(zip(LAST, OWN, strict=True))]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"share": 0.125}, back(1)),
        ({"share": 0.25}, back(0, 1)),
        ({"share": 0.375}, back(0, 1, 4)),
        ({"share": 0.5}, back(0, 1, 3, 4, 7)),  # 3 and 7 tie for the fourth place: both go
        ({"share": 0.001}, back(1)),  # one coordinate at least
        ({"share": 1.0}, back(0, 1, 3, 4, 7)),  # a score of 0 is no reason to move: 6 differs, but its Fisher is 0
        ({"share": 0.25, "step": 0.5}, back(0, 1, step=0.5)),
        ({"share": 0.25, "step": 0.0}, back()),
        ({"share": 0.125, "rank": "magnitude"}, back(3)),
        ({"share": 0.25, "rank": "magnitude"}, back(3, 6)),
        ({"share": 1.0, "rank": "magnitude"}, list(OWN)),
        ({"share": 0.125, "rank": "gradient"}, back(3)),
        ({"share": 0.25, "rank": "gradient"}, back(0, 3)),
        ({"share": 1.0, "rank": "gradient"}, back(0, 3, 4, 7)),  # where going back raises the reward, and nowhere else
    ],
    ids=str,
)
def test_rollback_on_one_target(house: House, math_only: FakeHistory, settings: dict, expected: list[float]) -> None:
    assert row(Rollback(**settings).recover(house.checkpoint(*LAST), ("math",), math_only)) == expected


def test_rollback_by_hand(house: House, math_only: FakeHistory) -> None:
    """The first rows above, written out: 4 -> 2 and 3 -> 2."""
    repaired = Rollback(share=0.25).recover(house.checkpoint(*LAST), ("math",), math_only)
    assert row(repaired) == [2, 2, 2, 1, 8, 0, 1, 2]


def test_rollback_asks_for_derivatives_at_the_targets_own_checkpoint(house: House, math_only: FakeHistory) -> None:
    last, own = house.checkpoint(*LAST), math_only.stages["math"]
    Rollback(prompts=32).recover(last, ("math",), math_only)
    Rollback(rank="gradient").recover(last, ("math",), math_only)
    Rollback(rank="magnitude").recover(last, ("math",), math_only)
    asked = [call for call in math_only.asked if call[0] != "checkpoint"]
    assert asked == [("fisher", own, "math", 32), ("gradient", own, "math", 64)]


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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"share": 0.25}, [4, 3, 0, 0, 0, 0, 0, 0]),
        ({"share": 0.5}, [4, 3, 3, 0.5, 0, 0, 0, 0]),
        ({"share": 0.5, "step": 0.5}, [2, 1.5, 1.5, 0.25, 0, 0, 0, 0]),
        ({"share": 0.25, "rank": "magnitude"}, [4, 0, 0, 0, 0, 0, 4, 0]),
        ({"share": 0.5, "rank": "magnitude"}, [4, 2, 3, 0, 0, 0, 4, 0]),
    ],
    ids=str,
)
def test_rollback_on_two_targets(house: House, two_targets: FakeHistory, settings: dict, expected: list[float]) -> None:
    last = house.checkpoint(*[0.0] * 8)
    for targets in (("code", "math"), ("math", "code")):
        assert row(Rollback(**settings).recover(last, targets, two_targets)) == expected


def test_rollback_where_nothing_changed_changes_nothing(house: House, math_only: FakeHistory) -> None:
    own = math_only.stages["math"]
    for rank in ("fisher", "magnitude", "gradient"):
        assert Rollback(share=0.5, rank=rank).recover(own, ("math",), math_only) == own


def random_pair(house: House) -> tuple[Checkpoint, Checkpoint]:
    generator = torch.Generator().manual_seed(1)
    last, own = torch.randn(2, 4096, generator=generator)
    return tuple(house.store.add_checkpoint([(LAYER, values)], house.like) for values in (last, own))


@pytest.mark.parametrize("method", [Rollback(share=1.0, rank="magnitude"), Interpolate(alphas=(1.0,))], ids=["rollback", "interpolate"])
def test_the_whole_way_back_is_the_own_checkpoint(house: House, method: Method) -> None:
    """`revert`'s bits, so that its scores are known already. Hand-worked examples are too round to tell."""
    last, own = random_pair(house)
    assert method.recover(last, ("math",), house.history(stages={"math": own})) == own


# --- random

SIZE = 4096


@pytest.fixture
def large(house: House) -> FakeHistory:
    """4,096 coordinates that changed by 3 in the first quarter and by 1 in the rest; Fisher 1. Last is 0, so own is -delta."""
    own = torch.cat([torch.full((SIZE // 4,), 3.0), torch.full((3 * SIZE // 4,), 1.0)])
    stages = {"math": house.store.add_checkpoint([(LAYER, own)], house.like)}
    return house.history(stages=stages, statistics={("fisher", "math"): house.store.add_tensors([(LAYER, torch.ones(SIZE))])})


def at_random(house: House, history: FakeHistory, **settings: object) -> torch.Tensor:
    last = house.store.add_checkpoint([(LAYER, torch.zeros(SIZE))], house.like)
    return RandomCoordinates(**settings).recover(last, ("math",), history).tensor(LAYER)


@pytest.mark.parametrize(
    ("settings", "chance"),
    [
        ({"match": "count", "share": 0.25}, 0.25),
        ({"match": "count", "share": 0.05}, 0.05),
        # Rollback takes the first quarter: 9 N/4 of 9 N/4 + 3 N/4 in squared norm is 3/4.
        ({"match": "norm", "share": 0.25}, 0.75),
        # Half of the way removes as large a share of half of the way.
        ({"match": "norm", "share": 0.25, "step": 0.5}, 0.75),
    ],
    ids=str,
)
def test_random_moves_as_many_or_as_much(house: House, large: FakeHistory, settings: dict, chance: float) -> None:
    own = large.stages["math"].tensor(LAYER)
    moved = at_random(house, large, **settings)
    picked = moved != 0
    assert torch.equal(moved[picked], settings.get("step", 1.0) * own[picked]), "a coordinate stays, or goes where rollback's would"
    deviation = (SIZE * chance * (1 - chance)) ** 0.5
    assert abs(int(picked.sum()) - SIZE * chance) < 4 * deviation
    first = picked[: SIZE // 4].float().mean().item()
    assert abs(first - chance) < 4 * (chance * (1 - chance) / (SIZE / 4)) ** 0.5, "large changes are picked no more often than small"


def test_random_removes_the_norm_that_rollback_removes(house: House, large: FakeHistory) -> None:
    """9 N/4 = 9,216; the sum of chances 3/4 has a deviation of sqrt(3/16 (81 + 3) N/4) = 127."""
    removed = at_random(house, large, match="norm", share=0.25).square().sum().item()
    assert abs(removed - 9216) < 4 * 127


def test_random_depends_on_the_seed_alone(house: House, large: FakeHistory) -> None:
    first = at_random(house, large, match="count", share=0.25)
    assert torch.equal(at_random(house, large, match="count", share=0.25), first)
    large.sequence = ("math", "qa")
    assert torch.equal(at_random(house, large, match="count", share=0.25), first)
    large.seed = 1
    assert not torch.equal(at_random(house, large, match="count", share=0.25), first)


def test_random_draws_are_independent_between_tensors(house: House) -> None:
    last = house.store.add_checkpoint([(name, torch.zeros(SIZE)) for name in "ab"], house.like)
    own = house.store.add_checkpoint([(name, torch.ones(SIZE)) for name in "ab"], house.like)
    history = house.history(stages={"math": own})
    moved = RandomCoordinates(match="count", rank="magnitude", share=0.5).recover(last, ("math",), history)
    agree = (moved.tensor("a") == moved.tensor("b")).float().mean().item()
    assert abs(agree - 0.5) < 4 * 0.5 / SIZE**0.5


def test_random_with_a_share_of_one_takes_everything(house: House, math_only: FakeHistory) -> None:
    repaired = RandomCoordinates(match="count", share=1.0).recover(house.checkpoint(*LAST), ("math",), math_only)
    assert row(repaired) == list(OWN)


def test_random_where_nothing_changed_changes_nothing(house: House, math_only: FakeHistory) -> None:
    own = math_only.stages["math"]
    for match in ("count", "norm"):
        assert RandomCoordinates(match=match).recover(own, ("math",), math_only) == own
