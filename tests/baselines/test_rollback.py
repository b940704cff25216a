"""rollback by hand, on the numbers of `House.LAST`, `OWN`, `FISHER` and `GRADIENT` (conftest.py)."""

from __future__ import annotations

import pytest

from baselines.rollback import Rollback


@pytest.mark.parametrize(
    ("settings", "picked"),
    [
        ({"share": 0.125}, [1]),
        ({"share": 0.25}, [0, 1]),
        ({"share": 0.375}, [0, 1, 4]),
        ({"share": 0.5}, [0, 1, 3, 4, 7]),  # 3 and 7 tie for the fourth place: both go
        ({"share": 0.001}, [1]),  # one coordinate at least
        ({"share": 1.0}, [0, 1, 3, 4, 7]),  # a score of 0 is no reason to move: 6 differs, but its Fisher is 0
        ({"share": 0.25, "step": 0.5}, [0, 1]),
        ({"share": 0.25, "step": 0.0}, []),
        ({"share": 0.125, "rank": "magnitude"}, [3]),
        ({"share": 0.25, "rank": "magnitude"}, [3, 6]),
        ({"share": 1.0, "rank": "magnitude"}, range(8)),
        ({"share": 0.125, "rank": "gradient"}, [3]),
        ({"share": 0.25, "rank": "gradient"}, [0, 3]),
        ({"share": 1.0, "rank": "gradient"}, [0, 3, 4, 7]),  # where going back raises the reward, and nowhere else
    ],
    ids=str,
)
def test_rollback_on_one_target(house, math_only, settings: dict, picked: list[int]) -> None:
    """LAST, with the picked coordinates moved towards OWN."""
    step, places = settings.get("step", 1.0), enumerate(zip(house.LAST, house.OWN, strict=True))
    expected = [last + step * (own - last) if place in picked else last for place, (last, own) in places]
    assert house.row(Rollback(**settings).recover(house.checkpoint(*house.LAST), ("math",), math_only)) == expected


def test_rollback_by_hand(house, math_only) -> None:
    """The first rows above, written out: 4 -> 2 and 3 -> 2."""
    repaired = Rollback(share=0.25).recover(house.checkpoint(*house.LAST), ("math",), math_only)
    assert house.row(repaired) == [2, 2, 2, 1, 8, 0, 1, 2]


def test_rollback_asks_for_derivatives_at_the_targets_own_checkpoint(house, math_only) -> None:
    last, own = house.checkpoint(*house.LAST), math_only.stages["math"]
    Rollback(prompts=48).recover(last, ("math",), math_only)
    Rollback(rank="gradient").recover(last, ("math",), math_only)
    Rollback(rank="magnitude").recover(last, ("math",), math_only)
    asked = [call for call in math_only.asked if call[0] != "checkpoint"]
    assert asked == [("fisher", own, "math", 48), ("gradient", own, "math", 32, 0)]


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
def test_rollback_on_two_targets(house, two_targets, settings: dict, expected: list[float]) -> None:
    last = house.checkpoint(*[0.0] * 8)
    for targets in (("code", "math"), ("math", "code")):
        assert house.row(Rollback(**settings).recover(last, targets, two_targets)) == expected


def test_rollback_where_nothing_changed_changes_nothing(house, math_only) -> None:
    own = math_only.stages["math"]
    for rank in ("fisher", "magnitude", "gradient"):
        assert Rollback(share=0.5, rank=rank).recover(own, ("math",), math_only) == own


def test_rollback_the_whole_way_gives_the_own_checkpoint(house, random_pair) -> None:
    """The same bits as `revert`, so that its scores are known already."""
    last, own = random_pair
    method = Rollback(share=1.0, rank="magnitude")
    assert method.recover(last, ("math",), house.history(stages={"math": own})) == own
