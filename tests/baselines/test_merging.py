"""Task arithmetic, TIES-merging, DARE and RAM, by hand and against peft's own."""

from __future__ import annotations

import pytest
import torch

from baselines.dare import DARE
from baselines.magmax import MagMax
from baselines.ram import RAM
from baselines.random import uniforms
from baselines.stage_ties import StageTIES
from baselines.task_arithmetic import TaskArithmetic
from baselines.ties import TIES
from bench.method import Method


@pytest.mark.parametrize(("scale", "expected"), [(0.5, [0.5, 0.5, 1, 3, 0.5, 5, 1, 1]), (0.0, [1] * 8), (-1.0, [2, 2, 1, -3, 2, -7, 1, 1])])
def test_task_arithmetic_adds_up_experts(house, scale: float, expected: list[float]) -> None:
    """Base 1. tau_code + ... + tau_cw = -1 -1 0 4 -1 8 0 0."""
    experts = {
        "code": house.checkpoint(3, 1, 1, 1, 0, 1, 1, 1),  # tau  2  0  0  0 -1  0  0  0
        "math": house.checkpoint(2, 2, 1, 1, 1, 1, 1, 1),  #      1  1  0  0  0  0  0  0
        "qa": house.checkpoint(1, -1, 1, 5, 1, 1, 1, 1),  #       0 -2  0  4  0  0  0  0
        "cw": house.checkpoint(-3, 1, 1, 1, 1, 9, 1, 1),  #      -4  0  0  0  0  8  0  0
    }
    history = house.history(experts=experts, base=house.checkpoint(*[1.0] * 8))
    assert house.row(TaskArithmetic(scale=scale).recover(house.checkpoint(*house.LAST), ("math",), history)) == expected
    assert history.asked == [("expert", domain) for domain in history.sequence]


@pytest.fixture
def three_experts(house):
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
    return house.history(experts=experts, sequence=("code", "math", "qa"), base=house.checkpoint(*[1.0] * 8))


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
def test_ties_by_hand(house, three_experts, settings: dict, expected: list[float]) -> None:
    assert house.row(TIES(**settings).recover(house.checkpoint(*house.LAST), ("math",), three_experts)) == expected


def test_ties_of_stages_takes_what_each_stage_changed(house, four_stages) -> None:
    """tau: 4 0 8 1 0 0 0 0, then -4 0 0 1 0 0 0 4, then 0 4 0 1 0 0 0 0, then 8 0 0 3 0 -4 0 4; at 0 the mean of 4, 8, at 5 of -4."""
    assert house.row(StageTIES(share=1.0).recover(four_stages.stages["cw"], (), four_stages)) == [6, 4, 8, 1.5, 0, -4, 0, 4]
    assert four_stages.verbs() == {"checkpoint"}


@pytest.mark.parametrize(("scale", "expected"), [(1.0, [-3, 5, 4, 1, 2, 1, 1, -5]), (0.5, [-1, 3, 2.5, 1, 1.5, 1, 1, -2])])
def test_magmax_keeps_the_largest_change_of_any_stage(house, scale: float, expected: list[float]) -> None:
    """Base 1. Largest |tau|: -4 4 3 0 1 0 0 -6, where code and qa tie at 0, code and cw at 1, math, qa and cw at 4."""
    stages = {
        "code": house.checkpoint(5, -3, 1, 1, 1, 1, 1, 1),  # tau  4 -4  0  0  0  0  0  0
        "math": house.checkpoint(1, 3, 4, 1, 0, 1, 1, 1),  #       0  2  3  0 -1  0  0  0
        "qa": house.checkpoint(-3, 2, -1, 1, 0, 1, 1, 6),  #      -4  1 -2  0 -1  0  0  5
        "cw": house.checkpoint(2, 5, 1, 1, 2, 1, 1, -5),  #        1  4  0  0  1  0  0 -6
    }
    history = house.history(stages=stages, base=house.checkpoint(*[1.0] * 8))
    assert house.row(MagMax(scale=scale).recover(stages["cw"], ("math",), history)) == expected
    assert history.verbs() == {"checkpoint"}


# --- RAM


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Code shares 0 1 4 and has 2 alone, math shares 0 1 and has 3 5, qa shares 0 1 4 and has 7: rho = 3, 1, 3.
        # The means of what is shared: at 0 of 8 -2 4, 10/3; at 1 of -4 5 6, 7/3; at 4 of 6 -6, 0.
        ({"share": 0.5, "rescale": 0.0}, [13 / 3, 10 / 3, 3, 9, 1, 5, 1, 4]),
        ({"share": 0.5, "rescale": 0.5}, [13 / 3, 10 / 3, 4, 13, 1, 7, 1, 5.5]),
        ({"share": 0.5, "rescale": 0.5, "scale": 0.5}, [8 / 3, 13 / 6, 2.5, 7, 1, 4, 1, 3.25]),
        # Three each: code has 0 1 4, math 1 3 5, qa 0 1 4. Only math has any alone, 3 and 5, with rho = 1/2 and so a factor of 5/4.
        ({"share": 0.375, "rescale": 0.5}, [7, 10 / 3, 1, 11, 1, 6, 1, 1]),
        # Code has 0, math 3, qa 1 and 4: nothing is shared, so nothing is rescaled.
        ({"share": 0.125, "rescale": 0.5}, [9, 7, 1, 9, -5, 1, 1, 1]),
    ],
    ids=str,
)
def test_ram_by_hand(house, three_experts, settings: dict, expected: list[float]) -> None:
    repaired = RAM(**settings).recover(house.checkpoint(*house.LAST), ("math",), three_experts)
    assert house.row(repaired) == pytest.approx(expected, rel=1e-6)
    assert three_experts.asked == [("expert", domain) for domain in three_experts.sequence]


def test_ram_counts_no_unchanged_coordinate(house) -> None:
    """Even if a task vector keeps all of its coordinates: what code alone changed is not averaged with math's zeros."""
    experts = {"code": house.checkpoint(4, 2, 0, 0, 0, 0, 0, 0), "math": house.checkpoint(0, 4, 0, 0, 0, 0, 0, 8)}
    history = house.history(experts=experts, sequence=("code", "math"))
    repaired = RAM(share=1.0, rescale=0.0).recover(house.checkpoint(*house.LAST), ("math",), history)
    assert house.row(repaired) == [4, 3, 0, 0, 0, 0, 0, 8]


# --- DARE


def test_dare_by_hand(house, three_experts) -> None:
    """Each expert's draws below 3/4 are dropped, and the rest count four times."""
    three_experts.seed = 3
    expected = [1.0] * 8
    for domain, expert in three_experts.experts.items():
        draws = [
            *uniforms((2, 3), "dare", 3, domain, house.LAYER).ravel().tolist(),
            *uniforms((2,), "dare", 3, domain, house.NORM).tolist(),
        ]
        for place, (draw, end) in enumerate(zip(draws, house.row(expert), strict=True)):
            expected[place] += 0.5 * 4 * (end - 1) * (draw >= 0.75)
    repaired = DARE(drop=0.75, scale=0.5).recover(house.checkpoint(*house.LAST), ("math",), three_experts)
    assert house.row(repaired) == expected != [1.0] * 8
    assert three_experts.asked == [("expert", domain) for domain in three_experts.sequence]


def test_dare_that_drops_nothing_is_task_arithmetic(house, three_experts) -> None:
    last = house.checkpoint(*house.LAST)
    assert DARE(drop=0.0).recover(last, (), three_experts) == TaskArithmetic().recover(last, (), three_experts)


@pytest.fixture
def two_flat_experts(house):
    """A base of 0; code adds 1 to each of 4,096 coordinates and math 16, so that a sum shows which of them were kept."""
    flat = {add: house.store.add_checkpoint([(name, torch.full((64, 64), add)) for name in "ab"], house.like) for add in (0.0, 1.0, 16.0)}
    return house.history(experts={"code": flat[1.0], "math": flat[16.0]}, sequence=("code", "math"), base=flat[0.0])


def kept(history, drop: float = 0.75) -> dict[tuple[str, str], torch.Tensor]:
    """Where each expert's coordinates were kept, by tensor and expert."""
    merged = DARE(drop=drop, scale=1.0).recover(history.base, (), history)
    sums = {name: tensor * (1 - drop) for name, tensor in merged.items()}
    return {(name, "code"): total % 16 == 1 for name, total in sums.items()} | {(name, "math"): total >= 16 for name, total in sums.items()}


def test_dare_drops_the_chance_given_and_independently(two_flat_experts) -> None:
    """Two independent draws of chance 1/4 agree with chance 1/16 + 9/16."""
    found = list(kept(two_flat_experts).values())
    assert all(abs(int(one.sum()) - 1024) < 4 * 768**0.5 for one in found)
    pairs = [(one, other) for place, one in enumerate(found) for other in found[:place]]
    assert all(abs(int((one == other).sum()) - 2560) < 4 * 960**0.5 for one, other in pairs)


def test_dare_draws_belong_to_seed_and_domain(two_flat_experts) -> None:
    first = kept(two_flat_experts)
    two_flat_experts.sequence = ("math", "code")
    assert all(torch.equal(first[key], again) for key, again in kept(two_flat_experts).items())
    two_flat_experts.seed = 1
    assert not any(torch.equal(first[key], other) for key, other in kept(two_flat_experts).items())


def test_dare_draws_once_for_a_tensor_however_large(two_flat_experts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large tensors are read in pieces elsewhere; drawn piece by piece, each would repeat the first piece's draws."""
    first = kept(two_flat_experts)
    monkeypatch.setattr("bench.weights.PIECE", 512)
    assert all(torch.equal(first[key], again) for key, again in kept(two_flat_experts).items())


# --- against peft


@pytest.fixture
def random_experts(house):
    """A base and three experts at random whose layer changed more than their norm, and their task vectors, flat."""
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(4096, generator=generator)
    size = torch.where(torch.arange(4096) < 3000, 1.0, 0.25)
    ends = [base + size * torch.randn(4096, generator=generator) for _ in range(3)]

    def stored(flat: torch.Tensor):
        return house.store.add_checkpoint([(house.LAYER, flat[:3000].view(30, 100)), (house.NORM, flat[3000:])], house.like)

    experts = dict(zip(("code", "math", "qa"), map(stored, ends), strict=True))
    return house.history(experts=experts, sequence=tuple(experts), base=stored(base)), [end - base for end in ends]


def changes(history, method: Method) -> torch.Tensor:
    """What the method adds to the base, flat."""
    repaired = method.recover(history.base, ("math",), history)
    return torch.cat([(repaired.tensor(name) - own).flatten() for name, own in history.base.items()])


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_task_arithmetic_is_pefts(random_experts, scale: float) -> None:
    from peft.utils import merge_utils

    history, taus = random_experts
    theirs = merge_utils.task_arithmetic(taus, torch.full((3,), scale))
    torch.testing.assert_close(changes(history, TaskArithmetic(scale=scale)), theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("share", "scale"), [(0.2, 1.0), (0.5, 1.4), (0.015625, 0.7)])
def test_ties_is_pefts_on_the_whole_vector(random_experts, share: float, scale: float) -> None:
    from peft.utils import merge_utils

    history, taus = random_experts
    theirs = merge_utils.ties(taus, torch.full((3,), scale), density=share)
    torch.testing.assert_close(changes(history, TIES(share=share, scale=scale)), theirs, rtol=0, atol=1e-6)
