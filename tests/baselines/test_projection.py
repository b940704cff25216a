"""Projection: hand-worked rows, what it asks for, and that it takes a rank-one damage away and leaves the rest."""

from __future__ import annotations

import pytest
import torch

import bench.weights
from baselines.projection import Projection, projected
from bench.worker.history import RunHistory
from bench.worker.workbench import Workbench

ROWS = [(6.0, 1.0, 0.0), (5.0, 5.0, 5.0), (1.0, 7.0, 2.0), (3.0, 3.0, 3.0)]
OWN = [(1.0, 1.0, 0.0), (5.0, 5.0, 5.0), (1.0, 2.0, 0.0), (0.0, 0.0, 0.0)]
GRADIENT = [(3.0, 4.0, 0.0), (9.0, 9.0, 9.0), (0.0, 2.0, 0.0), (0.0, 0.0, 0.0)]
EXPECTED = [(4.2, -1.4, 0.0), (5.0, 5.0, 5.0), (1.0, 2.0, 2.0), (3.0, 3.0, 3.0)]
"""First row: now - own = (5, 0, 0), direction (.6, .8, 0), component 3: (6, 1, 0) - 3 (.6, .8, 0). Second: nothing changed. Third: the
gradient sees one coordinate, which goes back whole. Last: no gradient."""


def test_rows_by_hand() -> None:
    found = projected(*map(torch.tensor, (ROWS, OWN, GRADIENT)))
    torch.testing.assert_close(found, torch.tensor(EXPECTED))


@pytest.mark.parametrize("scale", [1e-6, -1.0, 1e6])
def test_the_gradients_length_and_sign_do_not_matter(scale: float) -> None:
    found = projected(torch.tensor(ROWS), torch.tensor(OWN), scale * torch.tensor(GRADIENT))
    torch.testing.assert_close(found, torch.tensor(EXPECTED))


@pytest.mark.parametrize("size", [1e-19, 1e-22, 1e-25, 1e-40])
def test_a_vanishing_gradient_moves_nothing_far(size: float) -> None:
    """The squares of the smallest are 0 in fp32, so that dividing by their length would give anything."""
    now, own = torch.tensor(ROWS), torch.tensor(OWN)
    found = projected(now, own, size * torch.tensor(GRADIENT))
    assert ((found - own).norm(dim=-1) <= (now - own).norm(dim=-1) + 1e-6).all()
    if size < 1e-20:
        torch.testing.assert_close(found, now)


def test_afterwards_the_way_back_is_orthogonal_to_the_gradient_and_shorter_by_what_was_taken_out() -> None:
    now, own, gradient = torch.randn(3, 50, 30, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    found = projected(now, own, gradient)
    assert (gradient * (found - own)).sum(-1).abs().max() < 1e-12
    lengths = [(found - own).norm() ** 2 + (now - found).norm() ** 2, (now - own).norm() ** 2]
    torch.testing.assert_close(*lengths)
    torch.testing.assert_close(projected(found, own, gradient), found)


def test_a_rank_one_damage_goes_and_the_rest_stays() -> None:
    """Loss 1/2 sum_r k_r (u_r . delta_r)^2 with its minimum at own: its gradient is k_r (u_r . delta_r) u_r. One step ends at loss 0, at
    the nearest point to the last checkpoint at which that is so."""
    now, own, u = torch.randn(3, 20, 10, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    curvature, delta = torch.linspace(0.1, 30, 20, dtype=torch.double)[:, None], now - own
    found = projected(now, own, curvature * (u * delta).sum(-1, keepdim=True) * u)
    assert (u * (found - own)).sum(-1).abs().max() < 1e-12
    across = delta - (u * delta).sum(-1, keepdim=True) * u / (u * u).sum(-1, keepdim=True)
    torch.testing.assert_close(found, own + across)


def test_domains_take_turns_and_each_gradient_is_taken_at_the_model_as_it_is(house) -> None:
    """code's gradient sees the first coordinate of each row, math's the second, so that these go back to code's and to math's values. cw's
    is 0; its first turn would come where nothing has changed yet."""
    code, math = house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8), house.checkpoint(-1, -2, -3, -4, -5, -6, -7, -8)
    last = house.checkpoint(*house.LAST)
    gradients = {
        ("gradient", "code"): house.tensors(1, 0, 0, 2, 0, 0, 4, 0),
        ("gradient", "math"): house.tensors(0, 1, 0, 0, 1, 0, 0, 1),
        ("gradient", "cw"): house.tensors(*[0] * 8),
    }
    stages = {"code": code, "math": math, "cw": last}
    history = house.history(stages=stages, statistics=gradients, sequence=("code", "math", "cw"))
    repaired = Projection(answers=64, rounds=2).recover(last, ("code", "math"), history)
    assert house.row(repaired) == [1, -2, 2, 4, -5, 0, 7, -8], "LAST is 4 3 2 1 8 0 1 2"
    asked = [call for call in history.asked if call[0] == "gradient"]
    turns = [("code", 64, 0), ("math", 64, 0), ("cw", 64, 1), ("code", 64, 1), ("math", 64, 1)]
    assert [call[2:] for call in asked] == turns, "each round draws anew"
    between = house.checkpoint(1, 3, 2, 4, 8, 0, 7, 2)
    assert [call[1] for call in asked] == [last, between, repaired, repaired, repaired]
    assert history.verbs() == {"gradient", "checkpoint"}


def test_the_last_domain_takes_back_what_others_changed_along_its_gradient(house) -> None:
    """One row. code's gradient (1, 1, 0) takes (2, 2, 0) out of the update (4, 0, 2); cw's, (0, 1, 0), then gives the second coordinate
    back."""
    code, last = house.checkpoint(*[0] * 8), house.checkpoint(4, 0, 2, *[0] * 5)
    gradients = {("gradient", "code"): house.tensors(1, 1, 0, *[0] * 5), ("gradient", "cw"): house.tensors(0, 1, 0, *[0] * 5)}
    history = house.history(stages={"code": code, "cw": last}, statistics=gradients, sequence=("code", "cw"))
    assert house.row(Projection(rounds=1).recover(last, ("code",), history))[:3] == pytest.approx([2, -2, 2])
    assert house.row(Projection(rounds=2).recover(last, ("code",), history))[:3] == pytest.approx([1, -1, 2]), "cw: (2, 0, 2), code again"


@pytest.mark.parametrize(
    ("targets", "turns"),
    [
        (("math",), ["cw", "math", "qa"]),
        (("code", "math", "qa"), ["cw", "code", "math", "qa"]),
        (("code", "qa"), ["cw", "code", "math", "qa"]),
        (("qa",), ["cw", "qa"]),
        (("cw",), ["cw"]),
        (("qa", "math", "cw"), ["cw", "math", "qa"]),
    ],
)
def test_every_domain_from_the_oldest_target_on_takes_turns(four_stages, targets: tuple[str, ...], turns: list[str]) -> None:
    four_stages.statistics = {("gradient", domain): four_stages.base for domain in four_stages.sequence}
    repaired = Projection(rounds=1).recover(four_stages.base, targets, four_stages)
    assert [call[2] for call in four_stages.asked if call[0] == "gradient"] == turns
    assert repaired == four_stages.base, "gradients of 0 change nothing"


def test_a_model_in_pieces_gives_the_same(house, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a large model a few rows are in memory at a time."""
    now, own, gradient = torch.randn(3, 64, 32, generator=torch.Generator().manual_seed(2))
    last, stage = (house.store.add_checkpoint([(house.LAYER, tensor)], house.like) for tensor in (now, own))
    statistics = {("gradient", "math"): house.store.add_tensors([(house.LAYER, gradient)])}
    history = house.history(stages={"math": stage, "cw": last}, statistics=statistics, sequence=("math", "cw"))
    whole = Projection(rounds=1).recover(last, ("math",), history)
    monkeypatch.setattr(bench.weights, "PIECE", 100)
    assert Projection(rounds=1).recover(last, ("math",), history) == whole
    torch.testing.assert_close(whole.tensor(house.LAYER), projected(now, own, gradient))


def test_its_gradients_are_charged(tiny_bench: Workbench) -> None:
    """Two rounds over math and qa, without qa's first turn."""
    base = tiny_bench.base
    last = base.map(lambda name, own: own * 1.01 if name == "model.norm.weight" else own)
    history = RunHistory(tiny_bench, ("math", "qa"), 100, base, {"math": base, "qa": last})
    answers = 4 * tiny_bench.suite.grpo.group
    repaired = Projection(answers=answers, rounds=2).recover(last, ("math",), history)
    assert repaired not in (base, last)
    assert history.access.checkpoints == {"math"}, "it is given the last, qa's"
    assert history.access.prompts == {"math": 2 * 4, "qa": 4}
    assert len(history.charged) == 3


def test_where_nothing_has_changed_nothing_is_asked(tiny_bench: Workbench) -> None:
    base = tiny_bench.base
    history = RunHistory(tiny_bench, ("math", "qa"), 100, base, {"math": base, "qa": base})
    assert Projection(rounds=2).recover(base, ("math",), history) == base
    assert history.spent == 0
