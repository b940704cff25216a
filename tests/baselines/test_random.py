"""The control that rolls back random coordinates: how many, by how much, and what the draw depends on."""

from __future__ import annotations

import pytest
import torch

from baselines.random import RandomCoordinates, uniforms

SIZE = 4096


@pytest.fixture
def large(house):
    """4,096 coordinates that changed by 3 in the first quarter and by 1 in the rest; Fisher 1. Last is 0, so own is -delta."""
    own = torch.cat([torch.full((SIZE // 4,), 3.0), torch.full((3 * SIZE // 4,), 1.0)])
    stages = {"math": house.store.add_checkpoint([(house.LAYER, own)], house.like)}
    return house.history(stages=stages, statistics={("fisher", "math"): house.store.add_tensors([(house.LAYER, torch.ones(SIZE))])})


def at_random(house, history, **settings: object) -> torch.Tensor:
    last = house.store.add_checkpoint([(house.LAYER, torch.zeros(SIZE))], house.like)
    return RandomCoordinates(**settings).recover(last, ("math",), history).tensor(house.LAYER)


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
def test_random_moves_as_many_or_as_much(house, large, settings: dict, chance: float) -> None:
    own = large.stages["math"].tensor(house.LAYER)
    moved = at_random(house, large, **settings)
    picked = moved != 0
    assert torch.equal(moved[picked], settings.get("step", 1.0) * own[picked]), "a coordinate stays, or goes where rollback's would"
    deviation = (SIZE * chance * (1 - chance)) ** 0.5
    assert abs(int(picked.sum()) - SIZE * chance) < 4 * deviation
    first = picked[: SIZE // 4].float().mean().item()
    assert abs(first - chance) < 4 * (chance * (1 - chance) / (SIZE / 4)) ** 0.5, "large changes are picked no more often than small"


def test_random_removes_the_norm_that_rollback_removes(house, large) -> None:
    """9 N/4 = 9,216; the sum of chances 3/4 has a deviation of sqrt(3/16 (81 + 3) N/4) = 127."""
    removed = at_random(house, large, match="norm", share=0.25).square().sum().item()
    assert abs(removed - 9216) < 4 * 127


def test_random_depends_on_the_seed_alone(house, large) -> None:
    first = at_random(house, large, match="count", share=0.25)
    assert torch.equal(at_random(house, large, match="count", share=0.25), first)
    large.sequence = ("math", "qa")
    assert torch.equal(at_random(house, large, match="count", share=0.25), first)
    large.seed = 1
    assert not torch.equal(at_random(house, large, match="count", share=0.25), first)


def test_random_draws_are_independent_between_tensors(house) -> None:
    last = house.store.add_checkpoint([(name, torch.zeros(SIZE)) for name in "ab"], house.like)
    own = house.store.add_checkpoint([(name, torch.ones(SIZE)) for name in "ab"], house.like)
    history = house.history(stages={"math": own})
    moved = RandomCoordinates(match="count", rank="magnitude", share=0.5).recover(last, ("math",), history)
    agree = (moved.tensor("a") == moved.tensor("b")).float().mean().item()
    assert abs(agree - 0.5) < 4 * 0.5 / SIZE**0.5


def test_random_draws_belong_to_the_coordinate(house) -> None:
    """A larger tensor of the same name begins with the same draws, and its shape does not matter: the counter is the coordinate's place."""
    flat = uniforms((SIZE,), "a purpose", 3, house.LAYER)
    assert (uniforms((2 * SIZE,), "a purpose", 3, house.LAYER)[:SIZE] == flat).all()
    assert (uniforms((64, SIZE // 64), "a purpose", 3, house.LAYER).ravel() == flat).all()
    assert (uniforms((SIZE,), "another purpose", 3, house.LAYER) != flat).mean() > 0.99
    assert flat.dtype == "float32"
    assert 0 <= flat.min() < 0.01
    assert 0.99 < flat.max() < 1


def test_random_with_a_share_of_one_takes_everything(house, math_only) -> None:
    repaired = RandomCoordinates(match="count", share=1.0).recover(house.checkpoint(*house.LAST), ("math",), math_only)
    assert house.row(repaired) == list(house.OWN)


def test_random_where_nothing_changed_changes_nothing(house, math_only) -> None:
    own = math_only.stages["math"]
    for match in ("count", "norm"):
        assert RandomCoordinates(match=match).recover(own, ("math",), math_only) == own
