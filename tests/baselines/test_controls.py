"""Controls that train or draw nothing, and the reference line: none, revert, interpolate, shrink, sharpen, joint."""

from __future__ import annotations

import pytest

from baselines.interpolate import Interpolate
from baselines.joint import Joint
from baselines.none import None_
from baselines.revert import Revert
from baselines.sharpen import Sharpen
from baselines.shrink import Shrink
from bench.method import Training


def test_none_is_the_baseline_run(house) -> None:
    history, last = house.history(), house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    method = None_()
    for index, domain in enumerate(history.sequence):
        assert method.stage(history.stage(index), history) == Training({domain: 1.0})
        assert method.after_stage(history.stage(index), last, history) == last
    assert method.recover(last, ("math",), history) == last
    assert history.asked == []


@pytest.mark.parametrize(
    ("targets", "chosen"), [(("math",), "math"), (("code", "math", "qa"), "qa"), (("qa", "code"), "qa"), (("code",), "code")]
)
def test_revert_goes_back_to_the_last_targets_own_stage(four_stages, targets: tuple[str, ...], chosen: str) -> None:
    assert Revert().recover(four_stages.stages["cw"], targets, four_stages) == four_stages.stages[chosen]
    assert four_stages.asked == [("checkpoint", chosen)]


def test_joint_trains_on_all_domains_all_the_time(house) -> None:
    history = house.history()
    assert history.trainings(Joint()) == [Training(dict.fromkeys(history.sequence, 0.25))] * 4


# --- interpolate


def test_interpolate_takes_the_place_with_the_best_validation(house) -> None:
    """Ends 0, targets' own checkpoints 4 and 12 (mean 8): places 0, 2, 4, 6, 8. The domains like 2, 4, 4 and 6 best, so all: 4."""
    last = house.checkpoint(*[0.0] * 8)
    own = {"code": house.checkpoint(*[4.0] * 8), "math": house.checkpoint(*[12.0] * 8)}
    likes = {"code": 2.0, "math": 4.0, "qa": 4.0, "cw": 6.0}
    history = house.history(stages=own, scored=lambda c, d: 1 - abs(house.row(c)[0] - likes[d]) / 16)
    repaired = Interpolate().recover(last, ("code", "math"), history)
    assert house.row(repaired) == [4.0] * 8
    asked = [(house.row(call[1])[0], call[2]) for call in history.asked if call[0] == "score"]
    assert sorted(asked) == sorted((place, domain) for place in (0.0, 2.0, 4.0, 6.0, 8.0) for domain in history.sequence)


def test_interpolate_is_coordinate_by_coordinate(house) -> None:
    last, own = house.checkpoint(0, 1, 2, 3, 4, 5, 6, 7), house.checkpoint(4, 1, 0, 3, 8, 1, -2, 7)
    history = house.history(stages={"math": own})
    # last + (own - last) / 4
    assert house.row(Interpolate(alphas=(0.25,)).recover(last, ("math",), history)) == [1, 1, 1.5, 3, 5, 4, 4, 7]


def test_interpolate_stays_where_nothing_is_better(house) -> None:
    last = house.checkpoint(*[1.0] * 8)
    history = house.history(stages={"math": house.checkpoint(*[2.0] * 8)}, scored=lambda c, d: 0.5)
    assert Interpolate().recover(last, ("math",), history) == last


def test_interpolate_the_whole_way_gives_the_own_checkpoint(house, random_pair) -> None:
    """The same bits as `revert`, so that its scores are known already."""
    last, own = random_pair
    assert Interpolate(alphas=(1.0,)).recover(last, ("math",), house.history(stages={"math": own})) == own


# --- shrink


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        # base                0    1    2    3    4    5    6    7, the last checkpoint 4 1 0 3 8 1 -2 7
        (0.25, [1, 1, 1.5, 3, 5, 4, 4, 7]),
        (0.5, [2, 1, 1, 3, 6, 3, 2, 7]),
        (0.0, [0, 1, 2, 3, 4, 5, 6, 7]),
        (1.0, [4, 1, 0, 3, 8, 1, -2, 7]),
    ],
)
def test_shrink_by_hand(house, alpha: float, expected: list[float]) -> None:
    """base + alpha (last - base), coordinate by coordinate; stages in between are not asked for."""
    history = house.history(base=house.checkpoint(0, 1, 2, 3, 4, 5, 6, 7))
    last = house.checkpoint(4, 1, 0, 3, 8, 1, -2, 7)
    assert house.row(Shrink(alphas=(alpha,)).recover(last, ("math",), history)) == expected
    assert history.verbs() == {"score"}


def test_shrink_takes_the_best_mean_validation_score_of_the_targets(house) -> None:
    """Base 0 and last 8: candidates 2, 4, 6, 8 score, as targets' means, .45, .5, .55 and .3. Code alone would take 4, math 8, qa 2."""
    scores = {2.0: {"code": 0.6, "math": 0.3, "qa": 0.9}, 4.0: {"code": 0.8, "math": 0.2, "qa": 0.0}}
    scores |= {6.0: {"code": 0.7, "math": 0.4, "qa": 0.1}, 8.0: {"code": 0.1, "math": 0.5, "qa": 0.2}}
    history = house.history(scored=lambda c, d: scores[house.row(c)[0]][d])
    method, last = Shrink(alphas=(0.25, 0.5, 0.75, 1.0)), house.checkpoint(*[8.0] * 8)
    assert house.row(method.recover(last, ("code", "math"), history)) == [6.0] * 8
    asked = sorted((house.row(call[1])[0], call[2]) for call in history.asked)
    assert asked == sorted((place, domain) for place in scores for domain in ("code", "math")), "no other domain is scored"


@pytest.mark.parametrize("alphas", [(0.25, 0.5, 1.0), (1.0, 0.25, 0.5)])
def test_shrink_takes_the_larger_alpha_where_two_are_equal(house, alphas: tuple[float, ...]) -> None:
    history = house.history(scored=lambda c, d: {2.0: 0.75, 4.0: 0.75, 8.0: 0.5}[house.row(c)[0]])
    assert house.row(Shrink(alphas=alphas).recover(house.checkpoint(*[8.0] * 8), ("math",), history)) == [4.0] * 8
    nothing_matters = house.history()
    assert Shrink().recover(house.checkpoint(*[8.0] * 8), ("math",), nothing_matters) == house.checkpoint(*[8.0] * 8)


@pytest.mark.parametrize(("alpha", "end"), [(1.0, "last"), (0.0, "base")])
def test_shrink_reaches_both_ends_to_the_bit(house, random_pair, alpha: float, end: str) -> None:
    last, base = random_pair
    repaired = Shrink(alphas=(alpha,)).recover(last, ("math",), house.history(base=base))
    assert repaired == {"last": last, "base": base}[end]


# --- sharpen


def test_sharpen_scales_the_final_norm_alone_by_the_best_factor(house) -> None:
    last = house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    # By factor 1, 2, 4. Math alone would choose 2 and code alone 4; together .50, .75, .625.
    rewards = {7.0: {"math": [0, 1], "code": [0, 1]}, 14.0: {"math": [1, 1], "code": [0, 1]}, 28.0: {"math": [0, 0.5], "code": [1, 1]}}
    history = house.history(rewarded=lambda c, d: rewards[house.row(c)[6]][d])
    repaired = Sharpen(prompts=2).recover(last, ("math", "code"), history)
    assert house.row(repaired) == [1, 2, 3, 4, 5, 6, 14, 16]
    assert history.verbs() == {"sample"}
    assert {(call[2], call[3]) for call in history.asked} == {("math", 2), ("code", 2)}
    assert len(history.asked) == 6


def test_sharpen_leaves_the_model_alone_where_nothing_is_better(house) -> None:
    last = house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    assert Sharpen().recover(last, ("math",), house.history(rewarded=lambda c, d: [0.5])) == last
