"""Seeds far from the others are found, and ordinary spread is not reported."""

from __future__ import annotations

import numpy as np
import pytest

from bench.results.measured import Measured, Order
from bench.results.regimes import breaks, far_seeds, repair_fails, stage_fails

FIRST_RESULT = np.array([21.7, 10.6, 18.6, 14.2, 34.9])
"""Points that math forgot by seed (docs/first-result.md)."""


def measured(forgetting: np.ndarray, shares: np.ndarray, gain: np.ndarray) -> Measured:
    """Sequence math, cw with target math; forgetting and gain of math in points, shares recovered, by seed."""
    own = 0.2 + gain / 100
    last = own - forgetting / 100
    base = np.full_like(own, 0.2)
    math = np.stack([base, own, last, base, own, last, last + shares * forgetting / 100], 1)
    cw = np.broadcast_to(np.array([0.1, 0.1, 0.6, 0.1, 0.1, 0.6, 0.6]), math.shape)
    cells = tuple(rows[:, :, None] + np.array([-0.01, 0.01]) for rows in (math, cw))
    return Measured((Order(("math", "cw"), (0,), cells),), tuple(range(10, 10 + len(own))))


GAIN = np.array([70.0, 71, 69, 72, 70])
GOOD = np.array([0.95, 1.0, 0.9, 0.97, 0.99])


def test_the_spread_of_the_first_result_is_ordinary() -> None:
    assert far_seeds(measured(FIRST_RESULT, GOOD, GAIN)) == []


def test_a_baseline_run_that_collapses_is_reported() -> None:
    broken = FIRST_RESULT.copy()
    broken[3] = 69.0
    (far,) = far_seeds(measured(broken, GOOD, GAIN))
    assert (far.finding, far.domain, far.seed) == ("baseline breaks", "math", 13)
    assert "seed 13: the baseline run forgets 69.0 points of math, on the other seeds 10.6 to 34.9" in str(far)


def test_a_stage_that_does_not_learn_is_reported() -> None:
    (far,) = far_seeds(measured(np.full(5, 8.0), GOOD, np.where(np.arange(5) == 1, 12.0, GAIN)))
    assert (far.finding, far.domain, far.seed) == ("stage fails", "math", 11)
    assert (far.value, far.low, far.high) == pytest.approx((12, 69, 72))


def test_a_repair_that_fails_on_one_seed_is_reported() -> None:
    shares = GOOD.copy()
    shares[4] = 0.1
    (far,) = far_seeds(measured(FIRST_RESULT, shares, GAIN))
    assert (far.finding, far.seed) == ("repair fails", 14)
    assert "seed 14: the repair recovers 10 % of math, on the other seeds 90 to 100 %" in str(far)


def test_an_erratic_repair_is_no_single_failure() -> None:
    assert not repair_fails(np.array([0.9, 0.2, 0.6, 0.0, 0.4]) * FIRST_RESULT, FIRST_RESULT).any()


def test_there_is_no_share_of_next_to_no_forgetting() -> None:
    little = np.array([4.0, 12.0, 15.0, 13.0, 11.0])
    assert not repair_fails(np.where(np.arange(5) == 0, 0.0, little), little).any()


@pytest.mark.parametrize("seeds", [2, 3])
def test_three_seeds_are_too_few_to_say_which_is_odd(seeds: int) -> None:
    values = np.array([80.0, 10.0, 11.0])[:seeds]
    assert not breaks(values).any()
    assert not stage_fails(values).any()
    assert far_seeds(measured(values, np.array([0.0, 1.0, 1.0])[:seeds], GAIN[:seeds])) == []


def test_many_samples_at_once_are_the_single_ones() -> None:
    forgetting = np.random.default_rng(1).gamma(2, 10, (50, 6))
    recovered = forgetting * np.random.default_rng(2).choice([0.0, 0.95], (50, 6), p=[0.1, 0.9])
    assert breaks(forgetting).any()
    assert repair_fails(recovered, forgetting).any()
    for rule, arguments in ((breaks, (forgetting,)), (repair_fails, (recovered, forgetting)), (stage_fails, (forgetting,))):
        np.testing.assert_array_equal(rule(*arguments), [rule(*(table[row] for table in arguments)) for row in range(50)])
