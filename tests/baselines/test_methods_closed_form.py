"""Every baseline against a history of two small tensors, with results worked by hand. Nothing is trained.

The model has eight coordinates, `layer.weight` (2, 3) and `model.norm.weight` (2,). Numbers are multiples of powers of two, so that
fp32 arithmetic is exact and results are compared bit for bit.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from baselines.cpr import CPR, NearHalf
from baselines.ewc import EWC
from baselines.interpolate import Interpolate
from baselines.joint import Joint
from baselines.kl import KL
from baselines.l2 import L2
from baselines.longer import Longer
from baselines.mean_imm import MeanIMM
from baselines.mode_imm import ModeIMM
from baselines.none import None_
from baselines.random import RandomCoordinates
from baselines.refresh import Refresh
from baselines.replay import Replay
from baselines.revert import Revert
from baselines.rollback import Rollback
from baselines.sharpen import Sharpen
from baselines.stage_arithmetic import StageArithmetic
from baselines.stage_ties import StageTIES
from baselines.task_arithmetic import TaskArithmetic
from baselines.ties import TIES
from bench.checkpoint import Checkpoint, Store, Tensors
from bench.method import Method, Sample, Stage, Training
from bench.suite import GRPO
from bench.training.loss import Batch, token_losses

SEQUENCE = ("code", "math", "qa", "cw")
LAYER, NORM = "layer.weight", "model.norm.weight"


@dataclass
class FakeHistory:
    """`bench.method.History` with canned answers; `asked` holds every call in order."""

    store: Store
    base: Checkpoint
    stages: Mapping[str, Checkpoint] = field(default_factory=dict)
    experts: Mapping[str, Checkpoint] = field(default_factory=dict)
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
    Rollback(prompts=48).recover(last, ("math",), math_only)
    Rollback(rank="gradient").recover(last, ("math",), math_only)
    Rollback(rank="magnitude").recover(last, ("math",), math_only)
    asked = [call for call in math_only.asked if call[0] != "checkpoint"]
    assert asked == [("fisher", own, "math", 48), ("gradient", own, "math", 32)]


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


# --- mean-IMM, mode-IMM

FOUR = {
    "code": (4, 0, 8, 1, 0, 0, 0, 0),
    "math": (0, 0, 8, 2, 0, 0, 0, 4),
    "qa": (0, 4, 8, 3, 0, 0, 0, 4),
    "cw": (8, 4, 8, 6, 0, -4, 0, 8),
}
MEAN = [3, 2, 8, 3, 0, -1, 0, 4]


@pytest.fixture
def four_stages(house: House) -> FakeHistory:
    return house.history(stages={domain: house.checkpoint(*values) for domain, values in FOUR.items()})


def test_mean_imm_is_the_mean_of_all_stages(four_stages: FakeHistory) -> None:
    assert row(MeanIMM().recover(four_stages.stages["cw"], ("math",), four_stages)) == MEAN
    assert four_stages.asked == [("checkpoint", domain) for domain in SEQUENCE]


def test_mean_imm_mixes_by_growing_shares(four_stages: FakeHistory) -> None:
    four_stages.sequence = ("code", "math")
    repaired = MeanIMM(growth=3.0).recover(four_stages.stages["math"], ("code",), four_stages)
    assert row(repaired) == [1, 0, 8, 1.75, 0, 0, 0, 3]  # code / 4 + math 3 / 4


def test_mode_imm_with_equal_fishers_is_mean_imm(house: House, four_stages: FakeHistory) -> None:
    four_stages.statistics = {("fisher", domain): house.tensors(1, 2, 4, 0.5, 0, 8, 1, 16) for domain in SEQUENCE}
    assert row(ModeIMM(prompts=8).recover(four_stages.stages["cw"], ("math",), four_stages)) == MEAN
    fishers = [call for call in four_stages.asked if call[0] == "fisher"]
    assert fishers == [("fisher", four_stages.stages[domain], domain, 8) for domain in SEQUENCE]


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        (1.0, [4, 3, 3, 0.5, 0, 0, 4, 0]),  # the weighted own values in the fixture; no Fisher at 6: the mean
        (3.0, [4, 2, 3.5, 1, 0, -0.5, 4, 0]),  # math counts three times: at 1 (3 x 4 + 3 x 0) / 6, at 3 (9 x 0 + 9 x 2) / 18
    ],
)
def test_mode_imm_by_hand(house: House, two_targets: FakeHistory, growth: float, expected: list[float]) -> None:
    two_targets.sequence = ("code", "math")
    assert row(ModeIMM(growth=growth).recover(house.checkpoint(*[1.0] * 8), ("code",), two_targets)) == expected


# --- task arithmetic, TIES


@pytest.mark.parametrize(("scale", "expected"), [(0.5, [0.5, 0.5, 1, 3, 0.5, 5, 1, 1]), (0.0, [1] * 8), (-1.0, [2, 2, 1, -3, 2, -7, 1, 1])])
def test_task_arithmetic_adds_up_experts(house: House, scale: float, expected: list[float]) -> None:
    """Base 1. tau_code + ... + tau_cw = -1 -1 0 4 -1 8 0 0."""
    experts = {
        "code": house.checkpoint(3, 1, 1, 1, 0, 1, 1, 1),  # tau  2  0  0  0 -1  0  0  0
        "math": house.checkpoint(2, 2, 1, 1, 1, 1, 1, 1),  #      1  1  0  0  0  0  0  0
        "qa": house.checkpoint(1, -1, 1, 5, 1, 1, 1, 1),  #       0 -2  0  4  0  0  0  0
        "cw": house.checkpoint(-3, 1, 1, 1, 1, 9, 1, 1),  #      -4  0  0  0  0  8  0  0
    }
    history = house.history(experts=experts)
    history.base = house.checkpoint(*[1.0] * 8)
    assert row(TaskArithmetic(scale=scale).recover(house.checkpoint(*LAST), ("math",), history)) == expected
    assert history.asked == [("expert", domain) for domain in SEQUENCE]


@pytest.mark.parametrize(("scale", "expected"), [(1.0, [8, 4, 8, 6, 0, -4, 0, 8]), (0.5, [4, 2, 4, 3, 0, -2, 0, 4]), (0.0, [0] * 8)])
def test_task_arithmetic_of_stages_leads_to_the_last_checkpoint(four_stages: FakeHistory, scale: float, expected: list[float]) -> None:
    last = four_stages.stages["cw"]
    assert row(StageArithmetic(scale=scale).recover(last, ("math",), four_stages)) == expected
    assert four_stages.verbs() == {"checkpoint"}


@pytest.fixture
def three_experts(house: House) -> FakeHistory:
    """Base 1; share 1/2 keeps four coordinates of a whole task vector, of the norm's two those of qa alone.

    place              0    1    2    3    4    5    6    7
    tau_code           8   -4    2    1    6    0    0   .5    kept: 0 1 2 4
    tau_math          -2    5   -1    8    0    4    0    0    kept: 0 1 3 5
    tau_qa             4    6    1    0   -6    2    0    3    kept: 0 1 4 7
    sum of the kept   10    7    2    8    0    4    0    3
    disjoint mean      6  5.5    2    8    0    4    0    3    at 0 of 8, 4; at 1 of 5, 6
    """
    experts = {
        "code": house.checkpoint(9, -3, 3, 2, 7, 1, 1, 1.5),
        "math": house.checkpoint(-1, 6, 0, 9, 1, 5, 1, 1),
        "qa": house.checkpoint(5, 7, 2, 1, -5, 3, 1, 4),
    }
    history = house.history(experts=experts, sequence=("code", "math", "qa"))
    history.base = house.checkpoint(*[1.0] * 8)
    return history


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"share": 0.5}, [7, 6.5, 3, 9, 1, 5, 1, 4]),
        ({"share": 0.5, "scale": 0.5}, [4, 3.75, 2, 5, 1, 3, 1, 2.5]),
        ({"share": 0.125}, [9, 7, 1, 9, -5, 1, 1, 1]),  # 8 at 0, 8 at 3; of qa both 6s, at 1 and (-6) at 4, which tie
        ({"share": 1.0}, [7, 6.5, 2.5, 5.5, 1, 4, 1, 2.75]),  # at 2 of 2, 1; at 3 of 1, 8; at 5 of 4, 2; at 7 of 1/2, 3
    ],
    ids=str,
)
def test_ties_by_hand(house: House, three_experts: FakeHistory, settings: dict, expected: list[float]) -> None:
    assert row(TIES(**settings).recover(house.checkpoint(*LAST), ("math",), three_experts)) == expected


def test_ties_of_stages_takes_what_each_stage_changed(house: House, four_stages: FakeHistory) -> None:
    """tau: 4 0 8 1 0 0 0 0, then -4 0 0 1 0 0 0 4, then 0 4 0 1 0 0 0 0, then 8 0 0 3 0 -4 0 4; at 0 the mean of 4, 8, at 5 of -4."""
    assert row(StageTIES(share=1.0).recover(four_stages.stages["cw"], (), four_stages)) == [6, 4, 8, 1.5, 0, -4, 0, 4]


@pytest.fixture
def random_experts(house: House) -> tuple[FakeHistory, list[torch.Tensor]]:
    """A base and three experts at random whose layer changed more than their norm, and their task vectors, flat."""
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(SIZE, generator=generator)
    size = torch.where(torch.arange(SIZE) < 3000, 1.0, 0.25)
    ends = [base + size * torch.randn(SIZE, generator=generator) for _ in range(3)]

    def stored(flat: torch.Tensor) -> Checkpoint:
        return house.store.add_checkpoint([(LAYER, flat[:3000].view(30, 100)), (NORM, flat[3000:])], house.like)

    history = house.history(experts=dict(zip(("code", "math", "qa"), map(stored, ends), strict=True)), sequence=("code", "math", "qa"))
    history.base = stored(base)
    return history, [end - base for end in ends]


def changes(history: FakeHistory, method: Method) -> torch.Tensor:
    """What the method adds to the base, flat."""
    repaired = method.recover(history.base, ("math",), history)
    return torch.cat([(repaired.tensor(name) - history.base.tensor(name)).flatten() for name in (LAYER, NORM)])


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_task_arithmetic_is_pefts(random_experts: tuple[FakeHistory, list[torch.Tensor]], scale: float) -> None:
    from peft.utils import merge_utils

    history, taus = random_experts
    theirs = merge_utils.task_arithmetic(taus, torch.full((3,), scale))
    torch.testing.assert_close(changes(history, TaskArithmetic(scale=scale)), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("share", "scale"), [(0.2, 1.0), (0.5, 1.4), (0.015625, 0.7)])
def test_ties_is_pefts_on_the_whole_vector(random_experts: tuple[FakeHistory, list[torch.Tensor]], share: float, scale: float) -> None:
    from peft.utils import merge_utils

    history, taus = random_experts
    theirs = merge_utils.ties(taus, torch.full((3,), scale), density=share)
    torch.testing.assert_close(changes(history, TIES(share=share, scale=scale)), theirs, rtol=0, atol=1e-6)


# --- EWC, L2, KL


def penalised(training: Training, *values: float) -> tuple[float, list[float]]:
    """The training's penalty at a row of eight numbers, and its gradient there."""
    parameters = {name: tensor.requires_grad_() for name, tensor in House.named(values)}
    held = {name: value for name, value in vars(training.penalty).items() if isinstance(value, Tensors)}
    value = training.penalty(parameters, {name: dict(tensors.items()) for name, tensors in held.items()})
    value.backward()
    return value.item(), [part for parameter in parameters.values() for part in parameter.grad.flatten().tolist()]


@pytest.mark.parametrize("method", [EWC(), L2(), KL(), CPR()], ids=lambda method: type(method).__name__)
def test_the_first_stage_has_nothing_to_protect(house: House, method: Method) -> None:
    history = house.history()
    assert method.stage(Stage(0, "math", ("math", "qa")), history) == Training({"math": 1.0})
    assert history.asked == []


def test_l2_by_hand(house: House) -> None:
    """strength / 2 x 35 and strength x delta, delta as in `rollback`'s example."""
    history = house.history(stages={"code": house.checkpoint(*FISHER), "math": house.checkpoint(*OWN)})
    training = L2(strength=0.5).stage(Stage(2, "qa", SEQUENCE), history)
    assert history.asked == [("checkpoint", "math")]
    assert training.mixture == {"qa": 1.0}
    assert penalised(training, *LAST) == (8.75, [1, 0.5, 0, -2, 0.5, 0, -1.5, 1])
    assert penalised(training, *OWN) == (0, [0] * 8)


def test_ewc_with_one_earlier_domain_by_hand(house: House, math_only: FakeHistory) -> None:
    """strength / 2 x 19 and strength x F delta = 2 8 0 -1/2 3 0 0 1."""
    training = EWC(strength=0.5, prompts=16).stage(Stage(1, "qa", ("math", "qa")), math_only)
    assert math_only.asked == [("checkpoint", "math"), ("fisher", math_only.stages["math"], "math", 16)]
    assert penalised(training, *LAST) == (4.75, [1, 4, 0, -0.25, 1.5, 0, 0, 0.5])


def test_ewc_with_two_earlier_domains_by_hand(house: House, two_targets: FakeHistory) -> None:
    """At 0 the penalties of code and math add up to strength / 2 x 152 and pull by strength x (F_code theta_code + F_math theta_math);
    at 4 they are strength / 2 x (200 + 160)."""
    training = EWC(strength=0.5).stage(Stage(2, "qa", SEQUENCE), two_targets)
    at_0, pull = penalised(training, *[0.0] * 8)
    assert pull == [-8, -6, -3, -3, 0, 0, 0, 0]
    at_4, _ = penalised(training, *[4.0] * 8)
    assert at_4 - at_0 == 0.25 * (360 - 152)


def test_kl_refers_to_the_previous_stage(house: House, four_stages: FakeHistory) -> None:
    trainings = stages(KL(strength=0.25), four_stages)
    previous = four_stages.stages
    assert trainings[1:] == [
        Training({"math": 1.0}, kl=0.25, reference=previous["code"]),
        Training({"qa": 1.0}, kl=0.25, reference=previous["math"]),
        Training({"cw": 1.0}, kl=0.25, reference=previous["qa"]),
    ]


def test_kl_adds_no_gradient_at_the_reference(four_stages: FakeHistory) -> None:
    """Two answers of one token, no advantage; the second is half as likely as under the reference: strength x (1 - q/p) = -1/4."""
    training = KL(strength=0.25).stage(Stage(1, "math", SEQUENCE), four_stages)
    own = torch.tensor([[0.5], [0.25]]).log().requires_grad_()
    batch = Batch(
        prompts=[[1]],
        domains=["math"],
        tokens=torch.zeros(2, 1, dtype=torch.long),
        mask=torch.ones(2, 1, dtype=torch.bool),
        rewards=torch.zeros(1, 2),
        advantages=torch.zeros(2, 1),
        reference_log_probs=torch.tensor([[0.5], [0.5]]).log(),
    )
    token_losses(own, batch, GRPO(), training.kl).sum().backward()
    torch.testing.assert_close(own.grad, torch.tensor([[0.0], [-0.25]]))


# --- CPR


def test_cpr_shares_out_as_replay_does(house: House) -> None:
    trainings = stages(CPR(share=0.375), house.history())
    assert [training.mixture for training in trainings] == [training.mixture for training in stages(Replay(share=0.375), house.history())]
    assert trainings[2].mixture == {"qa": 0.625, "code": 0.1875, "math": 0.1875}


def near_half(house: House, **settings: object) -> NearHalf:
    return CPR(**settings).stage(Stage(1, "math", SEQUENCE), house.history()).prompts


def test_cpr_replays_what_is_passed_half_the_time(house: House) -> None:
    choice = near_half(house, pool=8)
    rates = [0.0, 0.625, 0.5, 0.25, 0.75, 1.0, 0.375, 0.125]
    for expected in ([0, 1, 2], [3, 4, 5], [6, 7, 2]):  # each once, then by pass rate
        assert choice.choose("code", 3, 0) == expected
        choice.feedback("code", expected, [rates[index] for index in expected])
    # In the band by distance 0, 1/8, 1/8, 1/4, then outside by distance 1/4, 3/8, 1/2, 1/2.
    assert choice.choose("code", 8, 3) == [2, 1, 6, 3, 4, 7, 0, 5]
    choice.feedback("code", [2, 5], [1.0, 0.5])  # one is learned, one forgotten
    assert choice.choose("code", 2, 4) == [5, 1]


def test_cpr_keeps_to_its_band(house: House) -> None:
    choice = near_half(house, pool=3, low=0.5, high=0.9)
    choice.feedback("code", choice.choose("code", 3, 0), [0.4375, 0.875, 1.0])
    assert choice.choose("code", 3, 1) == [1, 0, 2], "0 is nearer to one half, but outside"


def test_cpr_takes_fresh_prompts_of_the_current_domain(house: House) -> None:
    choice = near_half(house)
    assert choice.choose("math", 3, 0) == [0, 1, 2]
    choice.feedback("math", [0, 1, 2], [0.5, 0.5, 0.5])
    assert choice.choose("math", 2, 1) == [3, 4]


def test_cpr_goes_on_after_a_resume(house: House) -> None:
    whole = near_half(house, pool=4)
    whole.choose("math", 5, 0)
    whole.feedback("code", whole.choose("code", 4, 0), [0.0, 0.625, 1.0, 0.5])
    file = io.BytesIO()
    torch.save(whole.state, file)
    file.seek(0)
    resumed = near_half(house, pool=4)
    resumed.state = torch.load(file, weights_only=True)
    for choice in (whole, resumed):
        assert choice.choose("code", 2, 1) == [3, 1]
        assert choice.choose("math", 2, 1) == [5, 6]


def test_cpr_names_a_pool_that_is_too_small(house: House) -> None:
    with pytest.raises(ValueError, match="pool=4: a step replays 5 prompts of code"):
        near_half(house, pool=4).choose("code", 5, 0)


# --- settings


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (MeanIMM, {"growth": 0.0}),
        (ModeIMM, {"growth": float("inf")}),
        (ModeIMM, {"prompts": 0}),
        (TaskArithmetic, {"scale": float("nan")}),
        (TIES, {"share": 0.0}),
        (TIES, {"share": 1.5}),
        (TIES, {"scale": float("inf")}),
        (EWC, {"strength": -1.0}),
        (EWC, {"prompts": 0}),
        (L2, {"strength": 0.0}),
        (KL, {"strength": float("nan")}),
        (Replay, {"share": 1.0}),
        (CPR, {"share": 0.0}),
        (CPR, {"pool": 0}),
        (CPR, {"low": 0.8}),
        (CPR, {"high": 1.5}),
    ],
    ids=str,
)
def test_a_setting_out_of_range_is_named(method: type[Method], settings: dict) -> None:
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=f"{name}={value}") as error:
        method(**settings)
    assert "\n" not in str(error.value)
