"""Fresh seeds and items follow from the submission and a public value, and from nothing else."""

from __future__ import annotations

from bench.suite import DEVELOPMENT_SEEDS, SCORED_SEEDS
from leaderboard.rerun.draw import fresh

DIGEST = "ab" * 32


def test_a_draw_can_be_computed_by_anybody() -> None:
    assert fresh(DIGEST, " drand 4512345 8f3a\n") == fresh(DIGEST, "drand 4512345 8f3a")


def test_draws_differ_by_submission_value_and_number() -> None:
    draws = [fresh(DIGEST, "a"), fresh(DIGEST, "b"), fresh(DIGEST[::-1], "a"), fresh(DIGEST, "a", 1)]
    assert len({draw.first_seed for draw in draws}) == len({draw.items for draw in draws}) == 4


def test_no_draw_has_a_seed_or_items_that_were_used_before() -> None:
    for number in range(200):
        draw = fresh(DIGEST, str(number))
        assert draw.items > 0, "0 are the suite's own test items"
        assert len(draw.seeds) == 5
        assert not {*SCORED_SEEDS, *DEVELOPMENT_SEEDS} & set(draw.seeds)
