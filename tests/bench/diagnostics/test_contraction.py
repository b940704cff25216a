"""What a refresh brings back, and what of it matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hand_made import END, HARMFUL, OWN, SIZE, HandMade, harmful, tensors

from bench.diagnostics import contraction

MakeSubject = Callable[..., HandMade]


def test_a_refresh_that_halves_the_harmful_part_and_moves_elsewhere(hand_made: MakeSubject) -> None:
    subject = hand_made(OWN, END, torch.where(HARMFUL, 10.0, 1.0), harmful)
    refreshed = torch.where(HARMFUL, END / 2, END)
    refreshed[10:20] += 0.1  # does nothing
    others = END + 0.1
    subject.after = {name: subject.store.add_tensors(tensors(flat).items()) for name, flat in (("a", refreshed), ("null", others))}
    found = {each.of: each for each in contraction.diagnose(subject, "a")}
    assert sorted(subject.asked) == [("a", 20), ("a", 20)]
    part = found["a, 2 % by F d²"]
    assert part.recovered == pytest.approx(0.75, abs=1e-5)
    assert (part.left, part.left_null) == pytest.approx((0.5, 1.5), rel=1e-5)
    assert part.below_null == pytest.approx(-1, rel=1e-5)
    whole = (88 * 0.04 + 2 * 0.01 + 10 * 0.09) ** 0.5 / 2
    assert part.left_whole == pytest.approx(whole, rel=1e-5)
    assert (part.alone, part.without) == pytest.approx((1, 0), abs=1e-5)
    assert found["a, 2 % that moved most"].recovered == part.recovered


def test_with_nothing_recovered_there_are_no_shares_of_it(hand_made: MakeSubject) -> None:
    subject = hand_made(OWN, END, torch.where(HARMFUL, 10.0, 1.0), harmful)
    subject.after = dict.fromkeys(("a", "null"), subject.stages["c"])
    part = next(each for each in contraction.diagnose(subject, "a"))
    assert part.recovered == pytest.approx(0)
    assert (part.alone, part.without) == (None, None)
    assert part.left == pytest.approx(1)
    assert contraction.diagnose(hand_made(OWN, OWN, OWN + 1, harmful), "a") == []


def test_a_part_on_which_nothing_moved_is_left_out(hand_made: MakeSubject) -> None:
    subject = hand_made(OWN, END, torch.zeros(SIZE), harmful)  # no Fisher information: F d^2 is 0 everywhere
    subject.after = dict.fromkeys(("a", "null"), subject.stages["c"])
    assert [each.of for each in contraction.diagnose(subject, "a")] == ["a, 2 % that moved most", "a, span of 2 gradients"]
