"""The expansion of J along the later update, on functions whose derivatives are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hand_made import SIZE, HandMade

from bench.diagnostics import path
from bench.diagnostics.subject import permuted

OWN = torch.zeros(SIZE)
END = torch.linspace(0.1, 0.2, SIZE)
LENGTH = END.double().square().sum()
MakeSubject = Callable[..., HandMade]


def test_where_j_is_quadratic_the_second_order_term_is_all(hand_made: MakeSubject) -> None:
    subject = hand_made(OWN, END, OWN + 1, lambda w: 0.7 - 0.3 * w.square().sum() / LENGTH)
    (found,) = path.diagnose(subject, "a")
    assert found.of == "a"
    assert found.damage == pytest.approx(30)
    assert found.first == pytest.approx(0, abs=1e-6)
    assert (found.second, found.predicted, found.mirror) == pytest.approx((1, 1, 1), rel=1e-3)
    assert (found.quarter, found.half) == pytest.approx((1 / 16, 1 / 4), rel=1e-4)
    assert found.permuted == pytest.approx(1, rel=1e-3)  # of equal length, which is all that counts here
    assert (found.gap, found.coverage) == (pytest.approx(0), 1.0)


def test_where_j_is_linear_the_first_order_term_is_all(hand_made: MakeSubject) -> None:
    sign = torch.where(torch.arange(SIZE) % 2 == 0, 1.0, -0.5).double()
    whole = (sign * END).sum()
    subject = hand_made(OWN, END, OWN + 1, lambda w: 0.7 - 0.3 * (sign * w).sum() / whole)
    (found,) = path.diagnose(subject, "a")
    assert (found.first, found.mirror) == pytest.approx((1, -1), rel=1e-3)
    assert found.second == pytest.approx(0, abs=1e-3)
    assert found.half == pytest.approx(0.5)


def test_where_there_is_no_damage_there_are_no_shares(hand_made: MakeSubject) -> None:
    subject = hand_made(OWN, END, OWN + 1, lambda w: 0.7 - 0.01 * w.square().sum() / LENGTH)
    (found,) = path.diagnose(subject, "a")
    assert found.damage == pytest.approx(1)
    assert (found.first, found.second, found.predicted, found.mirror, found.half) == (None,) * 5


def test_where_nothing_came_after_there_is_nothing_to_say(hand_made: MakeSubject) -> None:
    assert path.diagnose(hand_made(OWN, OWN, OWN + 1, lambda w: 0.7 - w.square().sum()), "a") == []


def test_a_permuted_update_keeps_each_tensors_coordinates_and_their_size() -> None:
    direction = {"one": torch.arange(12.0).view(3, 4), "two": -torch.arange(5.0)}
    found = permuted(direction, seed=1)
    for name, tensor in direction.items():
        assert found[name].shape == tensor.shape
        assert sorted(found[name].flatten().tolist()) == sorted(tensor.flatten().tolist())
    assert any(not torch.equal(found[name], direction[name]) for name in direction)
    assert all(torch.equal(permuted(direction, seed=1)[name], found[name]) for name in direction)
