"""scripts/bed_power.py: the parts of the spread, and how often an interval lies above 0."""

from __future__ import annotations

from pathlib import Path

import bed_power as script
import numpy as np
import pytest

from bench.errors import UserError


def test_the_parts_of_the_spread_are_found() -> None:
    draw = np.random.default_rng(0)
    scores = 5 + 3 * draw.normal(size=(1, 20_000)) + 4 * draw.normal(size=(5, 20_000)) + 2 * draw.normal(size=(5, 1))
    assert script.parts_of(scores) == pytest.approx((9, 16), rel=0.05)
    assert script.parts_of(4 * draw.normal(size=(5, 2_000)) - 1e-3)[0] >= 0


@pytest.mark.parametrize(("seeds", "items", "together"), script.DESIGNS)
def test_nothing_is_found_where_nothing_is_forgotten(seeds: int, items: int, together: int) -> None:
    assert script.power((300, 500), seeds, items, together, points=0.0, between=1.0) <= 2.5


def test_more_items_and_more_seeds_find_more() -> None:
    def found(seeds: int, items: int) -> float:
        return script.power((300, 500), seeds, items, 1, points=4.0, between=1.0)

    assert found(3, 256) + 10 < found(3, 512) < found(5, 512) - 10


def test_without_uncertainty_everything_is_found() -> None:
    assert script.power((0, 1e-12), 3, 100, 3, points=1.0, between=0.0) == 100


def test_a_bed_is_given_up_by_the_mean_of_its_first_seeds() -> None:
    exact, limit = (0, 1e-12), script.GIVEN_UP_BELOW
    assert script.given_up(exact, 1024, points=limit - 0.01, between=0.0) == 100
    assert script.given_up(exact, 1024, points=limit + 0.01, between=0.0) == 0
    assert script.given_up(exact, 1024, points=limit, between=1.0) == pytest.approx(50, abs=2)
    spread = script.given_up(exact, 1024, points=limit + 3**-0.5, between=1.0)  # one standard error of three seeds above it
    assert spread == pytest.approx(15.9, abs=1.5)


def test_the_stored_scores_are_those_of_the_page() -> None:
    """docs/test-bed-everyday.md names code's points on seeds 100 to 102."""
    scores = script.stored(sorted((script.DOCS / "test-bed-everyday-256").glob("*.npz")), "everyday", "code")
    assert scores.shape == (3, 256)
    assert scores.mean(1).round(1).tolist() == [5.9, 3.1, 2.7]


def test_one_seed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two seeds at least are needed"):
        script.stored([tmp_path / "one.npz"], "everyday", "code")
