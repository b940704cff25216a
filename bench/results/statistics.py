"""Intervals and tests for a crossed design: the same items in every seed. Pure numpy (scipy once a t quantile is needed); no torch.

Model: X[s, i] = mu + seed_s + item_i + rest_si. The variance of the grand mean comes from the two-way analysis of variance,

    V = (MS_seed + MS_item - MS_rest) / (S I),   never below MS_rest / (S I).

Several domains have different items: they are strata, whose item parts add, while the seed part is that of their sum. Several orders of the
domains are not a sample of anything: their scores are averaged item by item before they come here.

t has S - 1 degrees of freedom: seeds are what a claim generalizes over, and no number of items makes up for few seeds. With one seed there
is no seed part; intervals cover item sampling only.

A ratio a / b has Fieller's set, every rho at which a - rho b is not significantly different from 0. The *difference* of two ratios, each
with its own b, is tested where they were estimated: the variance is that of a - rho_hat b (Wald, delta method). At rho = 0 it would be
that of a alone, which holds all of the spread of b between seeds: a repair that always recovers 97 % would look as noisy as forgetting
itself. Seeds that forget more weigh more in a ratio, so t has n - 1 degrees of freedom there, where n = (sum b_s)^2 / sum b_s^2 <= S is
Kish's effective number of seeds. docs/statistics.md has the simulation that chose these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Strata = Sequence[np.ndarray]
"""(S, I_k) a domain (leading axes allowed in `crossed`), whose means add up to the quantity."""
Pieces = tuple[tuple[float, float], ...]
"""Closed intervals, in order, that do not overlap; ends may be infinite."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval. seeds: how many it rests on; with one seed the interval covers item sampling only."""

    estimate: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Estimate:
    """A mean, the variance of that mean (each (...), one table or many at once) and its degrees of freedom."""

    mean: np.ndarray
    variance: np.ndarray
    freedom: float | np.ndarray

    def half_width(self, level: float = 0.95) -> np.ndarray:
        """Half the width of the t interval."""
        return quantile(self.freedom, level) * self.variance**0.5

    def interval(self, level: float = 0.95, slack: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
        """The t interval of a single table, longer by `slack` (each at least 0) at its lower and its upper end."""
        mean, half = float(self.mean), float(self.half_width(level))
        return mean - half - slack[0], mean + half + slack[1]

    def p_value(self, slack: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Two-sided, of a true mean of 0; 1 where mean and variance both are 0. It is at most 1 - level where `interval` excludes 0."""
        from scipy.special import stdtr

        beyond = np.maximum(np.where(self.mean > 0, self.mean - slack[0], -self.mean - slack[1]), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(beyond == 0, 0.0, beyond / self.variance**0.5)
        return 2 * stdtr(self.freedom, -distance)

    def p_above(self, slack: float = 0.0) -> float:
        """One-sided p-value of the null hypothesis that the true mean is at most `slack`, for a single table. 1 where the estimate is at
        most `slack`, 0 where it is above and the variance is 0."""
        from scipy.special import stdtr

        beyond = float(self.mean) - slack
        if beyond <= 0 or not self.variance:
            return 0.0 if beyond > 0 else 1.0
        return float(stdtr(self.freedom, -beyond / float(self.variance) ** 0.5))

    def equivalence_p_value(self, margin: float, slack: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Of two one-sided tests (Schuirmann 1987) that the true mean is at least `margin` (above 0) away from 0: the larger p. It is at
        most 1 - level where `interval(2 level - 1)` lies inside +-margin."""
        from scipy.special import stdtr

        room = np.minimum(margin - (self.mean + slack[1]), margin + (self.mean - slack[0]))
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(room == 0, 0.0, room / self.variance**0.5)
        return stdtr(self.freedom, -distance)


def quantile(freedom: float | np.ndarray, level: float = 0.95) -> np.ndarray:
    """t within whose range +-t a share `level` of Student's distribution lies."""
    from scipy.special import stdtrit

    return stdtrit(freedom, (1 + level) / 2)


def crossed(strata: Strata) -> Estimate:
    """sum_k mean(X_k), X_k (..., S, I_k) with the same S seeds and stratum k's own items; weights go into X.

    ValueError for strata of different seeds or with fewer than two items.
    """
    mean = sum(stratum.mean((-2, -1)) for stratum in strata)
    candidates = _variances(strata, strata)
    return Estimate(np.asarray(mean), np.maximum(np.maximum(*candidates), 0.0), freedom_of(strata))


def crossed_interval(strata: Strata, level: float = 0.95) -> Interval:
    """The interval of one table's `crossed` mean, strata (S, I_k)."""
    found = crossed(strata)
    mean, half = float(found.mean), float(found.half_width(level))
    return Interval(mean, mean - half, mean + half, strata[0].shape[-2])


def freedom_of(strata: Strata) -> int:
    """S - 1; with one seed, items - 1 of the smallest stratum."""
    seeds = strata[0].shape[-2]
    return seeds - 1 if seeds > 1 else min(stratum.shape[-1] for stratum in strata) - 1


def _variances(one: Strata, other: Strata) -> tuple[np.ndarray, np.ndarray]:
    """What the variance of a mean (the covariance of two) is the larger one of: items + seeds - rest, and rest. Bilinear in both."""
    seeds = {stratum.shape[-2] for stratum in (*one, *other)}
    if len(seeds) != 1 or min(stratum.shape[-1] for stratum in one) < 2:
        raise ValueError(f"strata must share their seeds and have two items or more: {[s.shape for s in one]}")
    count = seeds.pop()
    total, rest = np.zeros(()), np.zeros(())
    for x, y in zip(one, other, strict=True):
        items = x.shape[-1]
        over_seeds = [table.mean(-2, keepdims=True) for table in (x, y)]
        total = total + _product(*(mean - mean.mean(-1, keepdims=True) for mean in over_seeds)) / (items - 1) / items
        if count > 1:
            residuals = [table - mean for table, mean in zip((x, y), over_seeds, strict=True)]
            squares = _product(*(residual - residual.mean(-1, keepdims=True) for residual in residuals))
            rest = rest + squares / ((count - 1) * (items - 1)) / (count * items)
    if count > 1:
        by_seed = [sum(stratum.mean(-1, keepdims=True) for stratum in strata) for strata in (one, other)]
        total = total + _product(*(mean - mean.mean(-2, keepdims=True) for mean in by_seed)) / (count - 1) / count
    # The parts of items and of seeds hold the rest once each: it is taken off once.
    return total - rest, rest


def _product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("...si,...si->...", x, y)


# --- ratios


def _mean(strata: Strata) -> float:
    return float(sum(stratum.mean() for stratum in strata))


def ratio_set(above: Strata, below: Strata, *, also: Sequence[Strata] = (), level: float = 0.95) -> Pieces:
    """Fieller's set of sum mean(above) / sum mean(below): every rho at which above - rho below is not significantly different from 0.

    also: other versions of `above`, whose variance is taken where it is larger (a cap without its cap). The set is one finite interval in
    most cases; it can be two, and it is unbounded where `below` is not significantly different from 0.
    """
    a, b = _mean(above), _mean(below)
    squared = float(quantile(freedom_of(below), level)) ** 2
    pieces = [(a / b, a / b)] if b else []
    for version in (above, *also):
        parts = zip(_variances(version, version), _variances(version, below), _variances(below, below), strict=True)
        for aa, ab, bb in parts:
            pieces += _at_most_zero(b * b - squared * bb, -2 * (a * b - squared * ab), a * a - squared * aa)
    return merged(pieces)


def _at_most_zero(square: float, linear: float, constant: float) -> list[tuple[float, float]]:
    """Where square x^2 + linear x + constant <= 0."""
    infinite = float("inf")
    scale = max(abs(float(square)), abs(float(linear)), abs(float(constant)))
    if scale == 0:
        return [(-infinite, infinite)]
    square, linear, constant = (float(value) / scale for value in (square, linear, constant))
    if abs(square) < 1e-12:
        if abs(linear) < 1e-12:
            return [(-infinite, infinite)] if constant <= 0 else []
        end = -constant / linear
        return [(-infinite, end)] if linear > 0 else [(end, infinite)]
    inside = linear**2 - 4 * square * constant
    if inside < 0:
        return [(-infinite, infinite)] if square < 0 else []
    # The root that does not cancel first, the other from the product of both.
    far = -(linear + np.copysign(inside**0.5, linear)) / 2
    roots = sorted((float(far / square), float(constant / far) if far else 0.0))
    return [(roots[0], roots[1])] if square > 0 else [(-infinite, roots[0]), (roots[1], infinite)]


def merged(pieces: Sequence[tuple[float, float]]) -> Pieces:
    """The union of closed intervals."""
    union: list[tuple[float, float]] = []
    for low, high in sorted(pieces):
        if union and low <= union[-1][1] + 1e-9:
            union[-1] = (union[-1][0], max(union[-1][1], high))
        else:
            union.append((low, high))
    return tuple(union)


@dataclass(frozen=True)
class Ratio:
    """sum mean(above) / sum mean(below), both over the same seeds and items. The caller ensures that `below` is significantly above 0.
    also: as in `ratio_set`."""

    above: Strata
    below: Strata
    also: Sequence[Strata] = ()

    def linearized(self) -> tuple[np.ndarray, list[list[np.ndarray]], float | np.ndarray]:
        """The ratio (..., 1, 1); for each version of `above`, strata that are 0 on average and whose mean varies as the ratio does; the
        degrees of freedom.

        The strata are (above - rho_hat below) / mean(below), the delta method. A seed with a large share h of the denominator pulls rho_hat
        towards itself and would look less variable than it is: its deviations are divided by 1 - h, as in the jackknife. Degrees of
        freedom: the effective number of seeds, 1 / sum h^2, less 1; so S - 1 at most.
        """
        b = sum(stratum.mean((-2, -1), keepdims=True) for stratum in self.below)
        ratio = sum(stratum.mean((-2, -1), keepdims=True) for stratum in self.above) / b
        seeds = self.below[0].shape[-2]
        shares = sum(stratum.mean(-1, keepdims=True) for stratum in self.below) / (seeds * b)
        leverage = (1 - 1 / seeds) / (1 - shares) if seeds > 1 else 1.0
        weight, versions = leverage / b, (self.above, *self.also)
        apart = [[weight * (x - ratio * y) for x, y in zip(version, self.below, strict=True)] for version in versions]
        return ratio, apart, 1 / (shares**2).sum((-2, -1)) - 1 if seeds > 1 else freedom_of(self.below)


def wald_ratio(above: Strata, below: Strata, *, also: Sequence[Strata] = ()) -> Estimate:
    """A `Ratio` with its variance by the delta method. For the difference of two ratios with one denominator, `above` is the difference of
    their numerators."""
    ratio, versions, freedom = Ratio(above, below, also).linearized()
    return Estimate(np.asarray(ratio[..., 0, 0]), np.max([crossed(version).variance for version in versions], 0), freedom)


def ratio_difference(one: Ratio, other: Ratio, *, paired: bool) -> Estimate:
    """one - other, each with its own denominator. Paired and with equal denominators it equals `wald_ratio` of the difference of the
    numerators.

    paired: both are over the same seeds and items, so what they have in common cancels; degrees of freedom are the smaller of the two.
    Otherwise variances add, and degrees of freedom are Welch's. ValueError if they are paired and their numbers of versions differ.
    """
    (first, mine, own), (second, theirs, others) = one.linearized(), other.linearized()
    difference = np.asarray((first - second)[..., 0, 0])
    if paired:
        apart = [[x - y for x, y in zip(*both, strict=True)] for both in zip(mine, theirs, strict=True)]
        return Estimate(difference, np.max([crossed(version).variance for version in apart], 0), np.minimum(own, others))
    parts = [np.max([crossed(version).variance for version in versions], 0) for versions in (mine, theirs)]
    total = parts[0] + parts[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = total**2 / (parts[0] ** 2 / own + parts[1] ** 2 / others)
    return Estimate(difference, total, np.where(total > 0, welch, np.minimum(own, others)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values of a family of tests, in the order given: reject where at most the level."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = [0.0] * len(order), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
