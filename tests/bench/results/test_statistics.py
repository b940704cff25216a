"""Intervals: small tables worked by hand, and coverage under a crossed design."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from bench.results.statistics import (
    Estimate,
    Interval,
    Ratio,
    crossed,
    crossed_interval,
    holm,
    merged,
    ratio_difference,
    ratio_set,
    wald_ratio,
)


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
    V = (6 + 24 - 2) / 6 = 14/3, 1 df: two seeds.
    """
    table = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]])
    check(crossed_interval([table]), 4.0, half_width(14 / 3, 1), seeds=2)
    check(crossed_interval([table], level=0.8), 4.0, half_width(14 / 3, 1, 0.8), seeds=2)


def test_variance_is_never_below_the_rest() -> None:
    """[[0, 1], [1, 0]]: MS_seed = MS_item = 0, residuals +-1/2, MS_rest = 1 (1 df). V = max(-1/4, 1/4), df = 1."""
    check(crossed_interval([np.array([[0.0, 1.0], [1.0, 0.0]])]), 0.5, 12.706204736 * 0.5, seeds=2)


def test_variance_is_never_below_the_rest_where_it_is_above_zero() -> None:
    """Seeds +-3, items +-3, interaction +-4: parts 9, 9, -16. V = max(2, 16), 1 df."""
    table = np.array([[3.0 + 3 + 4, 3 - 3 - 4], [-3 + 3 - 4, -3 - 3 + 4]])
    check(crossed_interval([table]), 0.0, half_width(16, 1), seeds=2)


def test_one_seed_covers_item_sampling_only() -> None:
    """1 2 3: variance 1, V = 1/3, 2 df, t = 4.302653."""
    check(crossed_interval([np.array([[1.0, 2.0, 3.0]])]), 2.0, 4.30265273 / 3**0.5, seeds=1)


def test_strata_share_seeds_but_not_items() -> None:
    """Two domains whose seeds move against each other: sums by seed are 1 + 6 and 3 + 4, so the seeds' part is 0.

    Items: means 1, 3 and 4, 6, variance 2 each, over 2 items: parts 1 and 1. No rest. V = 2, 1 df: two seeds.
    """
    one, two = np.array([[0.0, 2.0], [2.0, 4.0]]), np.array([[5.0, 7.0], [3.0, 5.0]])
    check(crossed_interval([one, two]), 7.0, half_width(2, 1), seeds=2)


def test_strata_whose_seeds_move_together_are_wider() -> None:
    """The same domains moving together: sums 1 + 4 and 3 + 6, variance 8, over 2 seeds: 4. V = 6, 1 df."""
    one, two = np.array([[0.0, 2.0], [2.0, 4.0]]), np.array([[3.0, 5.0], [5.0, 7.0]])
    check(crossed_interval([one, two]), 7.0, half_width(6, 1), seeds=2)


def test_strata_may_differ_in_items() -> None:
    """Items 1 3 and 0 0 3, one seed: parts 2/2 = 1 and 3/3 = 1: V = 2; 1 df, that of the domain with fewest items."""
    check(crossed_interval([np.array([[1.0, 3.0]]), np.array([[0.0, 0.0, 3.0]])]), 3.0, half_width(2.0, 1), seeds=1)


def test_the_rest_is_counted_once_over_strata() -> None:
    """The first table of this file twice, halved: estimate 4. Items' part 4/4 + 4/4; sums by seed 3, 5: part 1; the rest (1/3)/4 twice.
    V = 1 + 1 + 1 - 1/6 = 17/6, 1 df."""
    table = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]]) / 2
    check(crossed_interval([table, table]), 4.0, half_width(17 / 6, 1), seeds=2)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_many_items_do_not_make_up_for_few_seeds(seeds: int) -> None:
    table = np.random.default_rng(1).random((seeds, 2000))
    assert crossed([table]).freedom == seeds - 1
    assert wald_ratio([table - 0.4], [table]).freedom <= seeds - 1


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


@pytest.mark.parametrize("seeds", [1, 4])
def test_many_tables_at_once_are_the_single_ones(seeds: int) -> None:
    generator = np.random.default_rng(2)
    one, two = generator.random((3, 2, seeds, 7)), generator.random((3, 2, seeds, 4))
    together = crossed([one, two])
    for place in np.ndindex(3, 2):
        alone = crossed_interval([one[place], two[place]])
        half = together.half_width()[place]
        assert (together.mean[place] - half, together.mean[place] + half) == pytest.approx((alone.low, alone.high))


def test_p_value_is_the_level_at_which_the_interval_touches_zero() -> None:
    table = np.array([[1.0, 2.0, 6.0], [3.0, 2.0, 10.0]])  # worked by hand above: mean 4, V = 14/3, 1 df
    found = float(crossed([table]).p_value())
    assert found == pytest.approx(2 * reference.t.sf(4 / (14 / 3) ** 0.5, 1))
    assert crossed_interval([table], level=1 - found).low == pytest.approx(0, abs=1e-9)


def test_p_value_without_spread() -> None:
    assert float(crossed([np.zeros((3, 4))]).p_value()) == 1.0
    assert float(crossed([np.ones((3, 4))]).p_value()) == 0.0


def test_holm_by_hand() -> None:
    """Three tests, .01 .04 .03: sorted 3 x .01, 2 x .03, then .04, never below the one before."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


# --- ratios


def test_fieller_by_hand() -> None:
    """One seed, two domains of three items: a = 1 2 3 (mean 2, V = 1/3), b = 9 10 11 alike, moving apart: a - rho b has items of mean
    2 - 10 rho and variance (1 + rho^2) / 3, with 2 df; the ends solve |2 - 10 rho| = t V^.5."""
    above = [np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 3))]
    below = [np.zeros((1, 3)), np.array([[9.0, 10.0, 11.0]])]
    ((low, high),) = ratio_set(above, below)
    assert low < 0.2 < high
    for end in (low, high):
        assert abs(2 - 10 * end) == pytest.approx(reference.t.ppf(0.975, 2) * ((1 + end**2) / 3) ** 0.5, rel=1e-9)


def accepted(above: np.ndarray, below: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """Which ratios are not rejected, one at a time."""
    found = crossed([above - ratios[:, None, None] * below])
    return np.abs(found.mean) <= found.half_width()


def inside(pieces: tuple[tuple[float, float], ...], ratios: np.ndarray) -> np.ndarray:
    return np.any([(low <= ratios) & (ratios <= high) for low, high in pieces], 0)


def test_fiellers_set_is_every_ratio_that_is_not_rejected() -> None:
    """Against a grid, for tables of all kinds: sets of one piece and of two, bounded and not."""
    generator = np.random.default_rng(8)
    kinds = set()
    for trial in range(300):
        seeds, shift = int(generator.integers(2, 6)), generator.uniform(0, 3)
        above, below = (generator.standard_normal((seeds, 3)) + s for s in (generator.uniform(-1, 1), shift))
        pieces = ratio_set([above], [below])
        kinds.add((len(pieces), bool(np.isfinite(pieces).all())))
        ratios = np.concatenate([np.linspace(-4, 4, 81), generator.standard_cauchy(20)])
        ratios = ratios[np.min([abs(ratios - end) for piece in pieces for end in piece], 0) > 1e-6]
        np.testing.assert_array_equal(inside(pieces, ratios), accepted(above, below, ratios), f"trial {trial}: {pieces}")
    assert {(1, True), (2, False), (1, False)} <= kinds


def test_a_set_of_two_bounded_pieces_is_given_whole() -> None:
    """DEFECTS 34: the variance is the larger of two quadratics in the ratio, and each accepts an interval of its own."""
    above, below = np.array([[-5.0, 4.0], [3.0, -6.0], [5.0, -3.0]]), np.array([[7.0, 11.0], [4.0, 3.0], [11.0, 8.0]])
    pieces = ratio_set([above], [below])
    assert len(pieces) == 2
    assert np.isfinite(pieces).all()
    ratios = np.array([-5.0, 0.0, 2.0, 5.0, 9.0])
    for rule in (accepted(above, below, ratios), inside(pieces, ratios)):
        np.testing.assert_array_equal(rule, [False, True, False, True, False])


def test_the_ratio_itself_is_always_in_its_set() -> None:
    assert ratio_set([np.zeros((3, 4))], [np.ones((3, 4))]) == ((0.0, 0.0),)
    assert inside(ratio_set([np.full((3, 4), 0.1)], [np.full((3, 4), 0.3)]), np.array(0.1 / 0.3))


def test_a_ratio_over_what_may_be_zero_has_an_unbounded_set() -> None:
    assert np.isinf(ratio_set([np.ones((2, 4))], [np.array([[-1.0, 1, -1, 2], [1, -1, 1, -1]])])).any()


def test_intervals_are_joined_where_they_overlap() -> None:
    assert merged([(2.0, 3.0), (-1.0, 0.0), (0.0, 0.5), (2.5, 2.6)]) == ((-1.0, 0.5), (2.0, 3.0))


def test_wald_by_hand() -> None:
    """Three seeds without item noise: b = 10 20 30, a = 9 19 32. The ratio is 60/60 = 1; the residuals a - b are -1 -1 2.

    Shares of b are 1/6 1/3 1/2, so (1 - 1/3) / (1 - h) = 4/5, 1, 4/3: residuals -.8 -1 8/3, over mean b = 20: -.04 -.05 .13333.
    Their variance over 3 seeds; effective seeds 60^2 / 1400 = 18/7, so 11/7 df."""
    tables = [np.repeat(np.array(values)[:, None], 2, 1) for values in ([9.0, 19, 32], [10.0, 20, 30])]
    found = wald_ratio([tables[0]], [tables[1]])
    assert float(found.mean) == pytest.approx(1)
    assert float(found.variance) == pytest.approx(np.var([-0.04, -0.05, 0.4 / 3], ddof=1) / 3)
    assert float(found.freedom) == pytest.approx(11 / 7)


def test_a_difference_of_ratios_with_one_denominator_is_the_ratio_of_the_difference() -> None:
    generator = np.random.default_rng(8)
    below = [generator.normal(0.3, 0.1, (5, 1)) + generator.normal(0, 0.1, (5, 30)) for _ in range(2)]
    one, other = ([share * table + generator.normal(0, 0.05, table.shape) for table in below] for share in (0.9, 0.4))
    free = [[table + 0.01 * generator.normal(size=(5, 1)) for table in tables] for tables in (one, other)]
    whole = wald_ratio(_minus(one, other), below, also=[_minus(*free)])
    apart = ratio_difference(Ratio(one, below, [free[0]]), Ratio(other, below, [free[1]]), paired=True)
    assert [float(value) for value in (apart.mean, apart.variance, apart.freedom)] == pytest.approx(
        [float(value) for value in (whole.mean, whole.variance, whole.freedom)]
    )


def _minus(one: list[np.ndarray], other: list[np.ndarray]) -> list[np.ndarray]:
    return [a - b for a, b in zip(one, other, strict=True)]


def test_independent_ratios_by_hand() -> None:
    """Variances 0.04 and 0.01 with 2 degrees of freedom each add to 0.05, with 0.05^2 / (0.04^2 / 2 + 0.01^2 / 2) = 50 / 17 of them."""
    below = np.full((3, 2), 10.0)
    one, other = (np.repeat(np.array(values)[:, None], 2, 1) for values in ([7.0, 5, 9], [3.0, 2, 4]))
    means = [wald_ratio([table], [below]) for table in (one, other)]
    found = ratio_difference(Ratio([one], [below]), Ratio([other], [below]), paired=False)
    assert float(found.mean) == pytest.approx(0.7 - 0.3)
    assert float(found.variance) == pytest.approx(0.04 / 3 + 0.01 / 3) == pytest.approx(sum(float(mean.variance) for mean in means))
    assert float(found.freedom) == pytest.approx(50 / 17)


def test_one_sided_p() -> None:
    tables = [np.repeat(np.array([1.0, 2, 3])[:, None], 2, 1)]
    found = crossed(tables)
    assert found.p_above() == pytest.approx(float(found.p_value()) / 2)
    assert found.p_above(slack=2.0) == 1.0
    assert found.p_above(slack=1.0) > found.p_above()
    assert crossed([-tables[0]]).p_above() == 1.0
    same = crossed([np.ones((3, 2))])
    assert (same.p_above(), same.p_above(slack=1.0)) == (0.0, 1.0), "nothing varies"


def test_a_constant_share_has_no_variance_however_much_the_denominator_varies() -> None:
    below = np.array([[5.0, 7.0], [20.0, 22.0], [41.0, 43.0]])
    assert float(wald_ratio([0.97 * below], [below]).variance) == pytest.approx(0, abs=1e-20)
    assert float(wald_ratio([0.97 * below], [below], also=[[below + np.array([[1], [0], [-1]])]]).variance) > 0, "the larger of both"


def test_slack_moves_interval_and_p_together() -> None:
    generator = np.random.default_rng(4)
    for _ in range(200):
        found = crossed([generator.standard_normal((5, 6)) + generator.uniform(-2, 2)])
        slack = tuple(generator.uniform(0, 0.5, 2))
        level = generator.uniform(0.5, 0.99)
        low, high = found.interval(level, slack)
        assert bool(low > 0 or high < 0) is bool(found.p_value(slack) < 1 - level)


# --- coverage: new seeds and new items in every simulation, both crossed, answers 0 or 1

SIMULATIONS, CHUNK, ITEMS = 3000, 200, 1024
LEAST = 0.95 - 3 * (0.95 * 0.05 / SIMULATIONS) ** 0.5
DEVIATIONS = [0.01, 0.03, 0.06]
"""Of the seeds, as a share: 1, 3 and 6 points."""


def answered(generator: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    return (generator.random(chances.shape, dtype=np.float32) < chances).astype(np.float32)


def chances(generator: np.random.Generator, items: int = ITEMS) -> np.ndarray:
    """(CHUNK, 1, I) chances of the items; their mean is 1/2 by symmetry."""
    return generator.uniform(0.2, 0.8, (CHUNK, 1, items)).astype(np.float32)


def shifts(generator: np.random.Generator, seeds: int, deviation: float) -> np.ndarray:
    """(CHUNK, S, 1) of the seeds."""
    return (deviation * generator.standard_normal((CHUNK, seeds, 1))).astype(np.float32)


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_cover_and_equal_methods_are_seldom_significantly_different(seeds: int, deviation: float) -> None:
    generator = np.random.default_rng(20260 + seeds + int(1000 * deviation))
    covered = different = pooled = 0
    for _ in range(SIMULATIONS // CHUNK):
        items = chances(generator)
        one, other = (answered(generator, items + shifts(generator, seeds, deviation)) for _ in range(2))
        mean = crossed([one])
        covered += int((np.abs(mean.mean - 0.5) <= mean.half_width()).sum())
        difference = crossed([one - other])
        different += int((np.abs(difference.mean) > difference.half_width()).sum())
        # What the crossed design is there to prevent: all answers as if they were independent.
        pooled += int((np.abs(one.mean((1, 2)) - 0.5) <= 1.96 * one.std((1, 2)) / (seeds * ITEMS) ** 0.5).sum())
    # Where seeds hardly differ, item sampling decides, and t with few degrees of freedom is wider than need be.
    assert LEAST <= covered / SIMULATIONS <= (0.97 if deviation >= 0.03 else 0.995)
    assert different / SIMULATIONS <= 0.05 + 3 * (0.05 * 0.95 / SIMULATIONS) ** 0.5
    if deviation >= 0.03:
        assert pooled / SIMULATIONS < 0.8, "the generator has no seed effect to speak of"


@pytest.mark.parametrize("deviation", DEVIATIONS)
@pytest.mark.parametrize("seeds", [5, 10])
def test_the_recovery_ratio_covers(seeds: int, deviation: float) -> None:
    """Forgetting 20 points, three quarters recovered, by five seeds that differ in all three scores: Fieller's set holds the true ratio
    wherever the crossed interval of recovered - ratio x forgotten holds 0, which is what is counted."""
    generator = np.random.default_rng(7 + seeds + int(1000 * deviation))
    covered = 0
    for _ in range(SIMULATIONS // CHUNK):
        items = chances(generator)
        own, last, end = (answered(generator, items + level + shifts(generator, seeds, deviation)) for level in (0.05, -0.15, 0.0))
        pivot = crossed([(end - last) - 0.75 * (own - last)])
        covered += int((np.abs(pivot.mean) <= pivot.half_width()).sum())
    assert LEAST <= covered / SIMULATIONS <= (0.97 if deviation >= 0.03 else 0.995)


def test_retention_covers_where_a_domain_ends_at_its_own_stage() -> None:
    """The worst case for the cap: one of two domains ends exactly where its own stage left it, so that min() takes a side by chance.

    Its mean is then below what it would be without noise, by .56 deviations of the difference at most: the interval must still hold."""
    generator = np.random.default_rng(11)
    covered, seeds, deviation, rounds = 0, 5, 0.02, 3000
    for _ in range(rounds // CHUNK):
        one, two = chances(generator, 512), chances(generator, 512)
        own, end = (answered(generator, one + 0.1 + shifts(generator, seeds, deviation)) for _ in range(2))
        other = answered(generator, two + shifts(generator, seeds, deviation))
        capped = (end.mean((1, 2)) > own.mean((1, 2)))[:, None, None]
        pivot = crossed([np.where(capped, own, end) / 2, other / 2])
        covered += int((np.abs(pivot.mean - 0.55) <= pivot.half_width()).sum())
    assert 0.92 <= covered / rounds <= 0.985


def test_a_sum_over_domains_covers() -> None:
    """Four domains of 256 items, each with seed effects of its own; seeds that share them all are the test above."""
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(3000 // CHUNK):
        strata = [answered(generator, chances(generator, 256) + shifts(generator, 5, 0.03)) / 4 for _ in range(4)]
        mean = crossed(strata)
        covered += int((np.abs(mean.mean - 0.5) <= mean.half_width()).sum())
    assert 0.93 <= covered / 3000 <= 0.975


def test_a_paired_difference_is_significant_and_covers() -> None:
    """The same seeds and items under two methods, 5 points apart: both effects cancel, so nearly every difference is found. With no
    effects left only item sampling varies, and t with 4 degrees of freedom is too wide for that: above 99 %."""
    generator = np.random.default_rng(6)
    covered = found = 0
    for _ in range(3000 // CHUNK):
        shared = chances(generator) - 0.025 + shifts(generator, 5, 0.02)
        before, after = (answered(generator, shift) for shift in (shared, shared + 0.05))
        mean = crossed([after - before])
        covered += int((np.abs(mean.mean - 0.05) <= mean.half_width()).sum())
        found += int((np.abs(mean.mean) > mean.half_width()).sum())
    assert 0.93 <= covered / 3000 <= 0.999
    assert found / 3000 > 0.95


# --- equivalence


def estimate(mean: float, variance: float = 0.0004, freedom: float = 4) -> Estimate:
    return Estimate(np.asarray(mean), np.asarray(variance), freedom)


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    """Mean .01, standard error .02, 4 df, margin .05: t = (.05 - .01) / .02 = 2 above, (.05 + .01) / .02 = 3 below."""
    assert estimate(0.01).equivalence_p_value(0.05) == pytest.approx(reference.t.sf(2, 4))
    assert estimate(-0.01).equivalence_p_value(0.05) == pytest.approx(reference.t.sf(2, 4))
    assert estimate(0.09).equivalence_p_value(0.05) == pytest.approx(reference.t.sf(-2, 4)), "outside the margin"
    assert estimate(0.0, variance=0.0).equivalence_p_value(0.05) == 0
    assert estimate(0.05, variance=0.0).equivalence_p_value(0.05) == 0.5


def test_equivalence_allows_for_what_caps_may_have_hidden() -> None:
    """The truth may lie .02 lower than .01, or .03 higher: t = (.05 - .04) / .02 = .5 above, (.05 - .01) / .02 = 2 below."""
    assert estimate(0.01).equivalence_p_value(0.05, (0.02, 0.03)) == pytest.approx(reference.t.sf(0.5, 4))
    assert estimate(0.01).equivalence_p_value(0.05, (0.05, 0.0)) == pytest.approx(reference.t.sf(0.5, 4))
    assert estimate(0.0, variance=1e-9).equivalence_p_value(0.05, (0.06, 0.0)) > 0.99


@pytest.mark.parametrize("mean", [0.0, 0.004, 0.008, 0.012, -0.02, 0.049, 0.051])
def test_equivalence_holds_exactly_where_the_90_percent_interval_is_inside(mean: float) -> None:
    low, high = estimate(mean).interval(0.9, (0.003, 0.001))
    assert (low > -0.05 and high < 0.05) is bool(estimate(mean).equivalence_p_value(0.05, (0.003, 0.001)) < 0.05)
