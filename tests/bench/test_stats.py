"""Intervals: small tables worked by hand, and coverage under a crossed design."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from bench.stats import Interval, crossed_interval, resampled_interval


def half_width(variance: float, freedom: float, level: float = 0.95) -> float:
    return reference.t.ppf((1 + level) / 2, freedom) * variance**0.5


def check(interval: Interval, estimate: float, half: float, seeds: int) -> None:
    assert interval.estimate == pytest.approx(estimate)
    assert interval.low == pytest.approx(estimate - half)
    assert interval.high == pytest.approx(estimate + half)
    assert interval.seeds == seeds


# --- crossed analysis of variance, by hand


def test_two_seeds_three_items_by_hand() -> None:
    """items      mean
    seed 0   1  2   6     3        grand mean 4
    seed 1   3  2  10     5        residuals  0  1 -1
    mean     2  2   8                         0 -1  1

    SS_seed = 3 (1 + 1) = 6 (1 df), SS_item = 2 (4 + 4 + 16) = 48 (2 df), SS_rest = 4 (2 df): MS = 6, 24, 2.
    V = (6 + 24 - 2) / 6 = 14/3.  Parts 1, 4, -1/3:  df = (14/3)^2 / (1/1 + 16/2 + (1/9)/2) = 392/163.
    """
    table = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]])
    check(crossed_interval([table]), 4.0, half_width(14 / 3, 392 / 163), seeds=2)
    check(crossed_interval([table], level=0.8), 4.0, half_width(14 / 3, 392 / 163, 0.8), seeds=2)


def test_variance_is_never_below_the_rest() -> None:
    """[[0, 1], [1, 0]]: MS_seed = MS_item = 0, residuals +-1/2, MS_rest = 1 (1 df). V = max(-1/4, 1/4), df = 1."""
    check(crossed_interval([np.array([[0.0, 1.0], [1.0, 0.0]])]), 0.5, 12.706204736 * 0.5, seeds=2)


def test_variance_is_never_below_the_rest_where_it_is_above_zero() -> None:
    """Seeds +-3, items +-3, interaction +-4: parts 9, 9, -16 (1 df each). V = max(2, 16), df = 16^2 / (81 + 81 + 256) = 256/418."""
    table = np.array([[3.0 + 3 + 4, 3 - 3 - 4], [-3 + 3 - 4, -3 - 3 + 4]])
    check(crossed_interval([table]), 0.0, half_width(16, 256 / 418), seeds=2)


def test_one_seed_speaks_of_items_alone() -> None:
    """1 2 3: variance 1, V = 1/3, 2 df, t = 4.302653."""
    check(crossed_interval([np.array([[1.0, 2.0, 3.0]])]), 2.0, 4.30265273 / 3**0.5, seeds=1)


def test_strata_share_seeds_but_not_items() -> None:
    """Two domains whose seeds move against each other: sums by seed are 1 + 6 and 3 + 4, so the seeds' part is 0.

    Items: means 1, 3 and 4, 6, variance 2 each, over 2 items: parts 1 and 1 (1 df each). No rest. V = 2, df = 4 / (1 + 1) = 2.
    """
    one, two = np.array([[0.0, 2.0], [2.0, 4.0]]), np.array([[5.0, 7.0], [3.0, 5.0]])
    check(crossed_interval([one, two]), 7.0, 4.30265273 * 2**0.5, seeds=2)


def test_strata_whose_seeds_move_together_are_wider() -> None:
    """The same domains moving together: sums 1 + 4 and 3 + 6, variance 8, over 2 seeds: 4 (1 df). V = 6, df = 36 / (1 + 1 + 16) = 2."""
    one, two = np.array([[0.0, 2.0], [2.0, 4.0]]), np.array([[3.0, 5.0], [5.0, 7.0]])
    check(crossed_interval([one, two]), 7.0, 4.30265273 * 6**0.5, seeds=2)


def test_strata_may_differ_in_items() -> None:
    """Items 1 3 and 0 0 3, one seed: parts 2/2 = 1 (1 df) and 3/3 = 1 (2 df): V = 2, df = 4 / (1 + 1/2) = 8/3."""
    check(crossed_interval([np.array([[1.0, 3.0]]), np.array([[0.0, 0.0, 3.0]])]), 3.0, half_width(2.0, 8 / 3), seeds=1)


def test_the_rest_is_counted_once_over_strata() -> None:
    """The first table of this file twice, halved: estimate 4. Items' part 4/4 + 4/4 (2 df each); sums by seed 3, 5: part 1 (1 df);
    the rest (1/3)/4 twice (2 df each). V = 1 + 1 + 1 - 1/6 = 17/6, df = (17/6)^2 / (1/2 + 1/2 + 1 + 2 (1/12)^2 / 2)."""
    table = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]]) / 2
    freedom = (17 / 6) ** 2 / (2 + 1 / 144)
    check(crossed_interval([table, table]), 4.0, half_width(17 / 6, freedom), seeds=2)


def test_scores_without_spread_have_a_width_of_zero() -> None:
    check(crossed_interval([np.full((3, 4), 0.25)]), 0.25, 0.0, seeds=3)


@pytest.mark.parametrize(
    "strata",
    [[np.ones((2, 3)), np.ones((3, 3))], [np.ones((2, 1))], [np.ones((2, 3)), np.ones((2, 1))], []],
    ids=["seeds differ", "one item", "one item in one", "nothing"],
)
def test_tables_that_do_not_fit_are_refused(strata: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="strata"):
        crossed_interval(strata)


@pytest.mark.parametrize(("low", "high", "excludes"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False)])
def test_excludes_zero(low: float, high: float, excludes: bool) -> None:
    assert Interval((low + high) / 2, low, high, 5).excludes_zero is excludes


# --- coverage

SIMULATIONS = 3000


def tables(generator: np.random.Generator, seeds: int, items: int, deviation: float = 0.03) -> np.ndarray:
    """(S, I) answers, 0 or 1, of new seeds and new items. The true mean is 1/2 by symmetry."""
    chances = generator.uniform(0.1, 0.9, items) + deviation * generator.standard_normal((seeds, 1))
    return (generator.random((seeds, items), dtype=np.float32) < chances).astype(float)


@pytest.mark.parametrize("seeds", [5, 10])
def test_crossed_interval_covers(seeds: int) -> None:
    generator = np.random.default_rng(20260 + seeds)
    covered = pooled = 0
    for _ in range(SIMULATIONS):
        table = tables(generator, seeds, 1024)
        interval = crossed_interval([table])
        covered += interval.low <= 0.5 <= interval.high
        # What the crossed design is there to prevent: all answers as if they were independent.
        pooled += abs(table.mean() - 0.5) <= 1.96 * table.std() / table.size**0.5
    assert 0.93 <= covered / SIMULATIONS <= 0.975
    assert pooled / SIMULATIONS < 0.85, "the generator has no seed effect to speak of"


def test_a_sum_over_domains_covers() -> None:
    """Four domains of 256 items, each with seed effects of its own; seeds that share them all are the test above."""
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(1500):
        interval = crossed_interval([tables(generator, 5, 256) / 4 for _ in range(4)])
        covered += interval.low <= 0.5 <= interval.high
    assert 0.93 <= covered / 1500 <= 0.975


def test_a_paired_difference_is_told_from_noise_and_covers() -> None:
    """The same seeds and items under two methods, 5 points apart: both effects cancel, so nearly every difference is found. With no
    effects left the variance stands at its floor in every other table, and the interval is somewhat too wide: 98 %."""
    generator = np.random.default_rng(6)
    covered = found = 0
    for _ in range(1500):
        chances = generator.uniform(0.2, 0.75, 1024) + 0.02 * generator.standard_normal((5, 1))
        before, after = (generator.random((5, 1024)) < shift for shift in (chances, chances + 0.05))
        interval = crossed_interval([after.astype(float) - before])
        covered += interval.low <= 0.05 <= interval.high
        found += interval.excludes_zero
    assert 0.93 <= covered / 1500 <= 0.99
    assert found / 1500 > 0.95


# --- resampling


def test_resampling_constants_gives_a_point() -> None:
    cell = np.stack([np.full((3, 8), 0.2), np.full((3, 8), 0.5)], 1)  # (S, R, I)
    assert resampled_interval(lambda means: means[0][:, 0] / means[0][:, 1], [cell]) == pytest.approx((0.4, 0.4))


def test_quantities_of_a_domain_are_resampled_together() -> None:
    generator = np.random.default_rng(0)
    one = generator.random((4, 50))
    cell = np.stack([one, 3 * one], 1)
    assert resampled_interval(lambda means: means[0][:, 1] / means[0][:, 0], [cell]) == pytest.approx((3.0, 3.0))


def test_seeds_are_resampled_together_over_domains_and_items_are_not() -> None:
    by_seed = np.repeat(np.array([[[0.0]], [[1.0]]]), 2, axis=2)  # (2, 1, 2): seeds 0 and 1, items alike
    assert resampled_interval(lambda m: m[0][:, 0] + m[1][:, 0], [by_seed, 1 - by_seed]) == pytest.approx((1.0, 1.0))
    by_item = by_seed.transpose(2, 1, 0)  # items 0 and 1, seeds alike
    low, high = resampled_interval(lambda m: m[0][:, 0] + m[1][:, 0], [by_item, 1 - by_item])
    assert (low, high) == (0.0, 2.0)


@pytest.mark.parametrize("axis", ["seed", "item"])
def test_two_of_a_kind_are_binomial(axis: str) -> None:
    """Two seeds (or items) at 0 and 1: a draw's mean is 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    cell = np.repeat(np.array([[[0.0]], [[1.0]]]), 2, axis=2)
    cell = cell if axis == "seed" else cell.transpose(2, 1, 0)
    first = lambda means: means[0][:, 0]  # noqa: E731
    assert resampled_interval(first, [cell]) == (0.0, 1.0)
    assert resampled_interval(first, [cell], level=0.4) == (0.5, 0.5)
    assert resampled_interval(first, [cell], level=0.6) == (0.0, 1.0)


def test_many_items_give_the_normal_interval() -> None:
    """400 items at 0 and 1, one seed: mean 1/2, deviation 1/2 / 20 = .025, so 1/2 -+ 1.96 x .025 = .049."""
    cell = np.tile([0.0, 1.0], 200).reshape(1, 1, 400)
    low, high = resampled_interval(lambda means: means[0][:, 0], [cell], draws=8000)
    assert low == pytest.approx(0.451, abs=0.004)
    assert high == pytest.approx(0.549, abs=0.004)


def test_resampling_is_the_same_every_time() -> None:
    cell = np.random.default_rng(1).random((5, 2, 30))
    ratio = lambda means: means[0][:, 0] / means[0][:, 1]  # noqa: E731
    assert resampled_interval(ratio, [cell]) == resampled_interval(ratio, [cell])


def test_a_ratio_that_is_often_undefined_has_no_interval() -> None:
    # Two seeds, denominators 0 and 1: a quarter of the draws divides by 0.
    cell = np.stack([np.ones((2, 4)), np.repeat([[0.0], [1.0]], 4, 1)], 1)
    assert np.isnan(resampled_interval(lambda means: means[0][:, 0] / means[0][:, 1], [cell])).all()


def test_a_ratio_that_is_rarely_undefined_keeps_its_interval() -> None:
    """Three seeds, denominators 0, 1, 1: a draw's mean is Binomial(3, 2/3) / 3, which is 0 with chance 1/27. The other draws give 1, 3/2
    and 3 with chances 8/26, 12/26 and 6/26."""
    cell = np.stack([np.ones((3, 4)), np.repeat([[0.0], [1.0], [1.0]], 4, 1)], 1)
    assert resampled_interval(lambda means: means[0][:, 0] / means[0][:, 1], [cell]) == pytest.approx((1.0, 3.0))
