"""Undoing and inserting parts of an update, on functions that depend on known coordinates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hand_made import END, HARMFUL, OWN, SIZE, HandMade, harmful, tensors

from bench.diagnostics import conflict
from bench.diagnostics.findings import Conflict

MakeSubject = Callable[..., HandMade]


@pytest.fixture
def found(hand_made: MakeSubject) -> dict[str, Conflict]:
    fisher = torch.where(HARMFUL, 10.0, 1.0)
    end = END.clone()
    end[:2] = 0.22  # they moved most, and do nothing
    return {each.of: each for each in conflict.diagnose(hand_made(OWN, end, fisher, harmful), "a")}


def test_the_fisher_finds_the_harmful_coordinates_and_their_controls_do_not(found: dict[str, Conflict]) -> None:
    part = found["a, 2 % by F d²"]
    assert part.coordinates == pytest.approx(0.02)
    assert part.norm == pytest.approx(0.02, rel=0.05)
    assert (part.undo, part.insert) == pytest.approx((1, 1), abs=1e-5)
    assert (part.undo_random, part.insert_random) == pytest.approx((0, 0), abs=1e-5)
    length = part.norm**0.5
    assert part.undo_shorter == pytest.approx(1 - (1 - length) ** 2, rel=1e-4)
    assert part.insert_shorter == pytest.approx(length**2, rel=1e-4)
    assert part.above_random == pytest.approx(1, abs=1e-5)
    assert part.above_shorter == pytest.approx(1 - part.undo_shorter)


def test_the_coordinates_that_moved_most_are_others(found: dict[str, Conflict]) -> None:
    part = found["a, 2 % that moved most"]
    assert (part.undo, part.insert) == pytest.approx((0, 0), abs=1e-5)
    assert part.above_shorter < 0


def test_the_gradients_span_the_harmful_direction(found: dict[str, Conflict]) -> None:
    part = found["a, span of 2 gradients"]
    assert part.coordinates == pytest.approx(1 / SIZE)  # the gradient at A is 0
    assert (part.undo, part.insert) == pytest.approx((1, 1), abs=1e-4)


def test_a_placebo_does_its_damage_with_the_same_coordinates_here(found: dict[str, Conflict]) -> None:
    """Two coordinates decide, whatever the update: undoing them undoes the placebo's damage too, so there is nothing about the update in
    it. The verdict against random coordinates alone would be that the damage concentrates."""
    part = found["a, 2 % by F d²"]
    assert part.undo_placebo == pytest.approx(1, abs=1e-5)
    assert part.above_placebo == pytest.approx(0, abs=1e-5)
    assert found["a, 2 % that moved most"].undo_placebo == pytest.approx(0, abs=1e-5)


def test_a_placebo_is_lengthened_until_it_does_half_the_damage(hand_made: MakeSubject) -> None:
    """Only the two harmful coordinates have moved far, and permuting leaves them with what others moved: a fourth each, and so a sixteenth
    of the damage. Twice the length does a fourth of it, four times the length all of it."""
    end = torch.where(HARMFUL, END, END / 4)
    subject = hand_made(OWN, end, torch.where(HARMFUL, 100.0, 1.0), harmful)
    subject.seed = 1
    lengths = []
    subject.fisher = lambda checkpoint, domain, count: lengths.append(1) or subject.store.add_tensors(subject.fishers.items())
    part = conflict.diagnose(subject, "a")[0]
    assert part.undo_placebo == pytest.approx(1, abs=1e-4)
    assert len(lengths) == 2  # the parts of the update, and of the one placebo that does enough


def test_without_damage_there_are_no_shares_and_without_an_update_no_findings(hand_made: MakeSubject) -> None:
    def harmless(weights: torch.Tensor) -> torch.Tensor:
        return 0.7 - 0.02 * ((weights[HARMFUL] / 0.2) ** 2).sum() / 2

    for part in conflict.diagnose(hand_made(OWN, END, OWN + 1, harmless), "a"):
        assert {getattr(part, name) for name in ("undo", "insert", "undo_random", "undo_placebo", "above_shorter")} == {None}
    assert conflict.diagnose(hand_made(OWN, OWN, OWN + 1, harmful), "a") == []


def test_a_coordinate_counts_with_the_square_of_its_move(hand_made: MakeSubject) -> None:
    """By F |d| the first two would come before the last two."""
    end, fisher = END.clone(), torch.ones(SIZE)
    fisher[:2] = 10
    end[-2:], fisher[-2:] = 0.6, 3
    subject = hand_made(OWN, end, fisher, harmful)
    part = next(conflict.parts(subject, "a", subject.model(subject.stages["c"]), tensors(OWN), tensors(end)))
    assert part.title == "2 % by F d²"
    assert {name: mask.flatten().nonzero().flatten().tolist() for name, mask in part.mask.items()} == {"one": [], "two": [38, 39]}


def test_random_coordinates_reach_the_same_norm_in_each_tensor() -> None:
    update = tensors(torch.ones(SIZE))
    part = {"one": update["one"] * 0, "two": update["two"] * 0}
    part["one"][2, :7] = 1
    drawn = conflict.at_random(part, update, seed=3)
    assert (drawn["one"].count_nonzero(), drawn["two"].count_nonzero()) == (7, 0)
    assert set(drawn["one"].unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(drawn["one"], part["one"])
    long = {"one": 10 * update["one"], "two": update["two"]}  # longer than the update itself
    assert torch.equal(conflict.at_random(long, update, seed=3)["one"], update["one"])


def test_the_top_leaves_out_what_did_not_move() -> None:
    scores = tensors(torch.zeros(SIZE))
    scores["two"][5] = 1.0
    assert sum(int(mask.sum()) for mask in conflict.top("", scores).mask.values()) == 1


def test_a_span_projects_and_leaves_out_what_adds_nothing() -> None:
    x, y = ({"w": torch.tensor([3.0, 0.0, 0.0])}, {"w": torch.tensor([1.0, 2.0, 0.0])})
    plane = conflict.span("plane", [x, {"w": -x["w"]}, y])
    assert len(plane.axes) == 2
    torch.testing.assert_close(plane.of({"w": torch.tensor([5.0, 6.0, 7.0])})["w"], torch.tensor([5.0, 6.0, 0.0]))
