"""Intervals for a crossed design: the same items in every seed. Pure numpy; no torch.

X[s, i] = mu + seed_s + item_i + rest_si. The variance of the grand mean is estimated from the two-way analysis of variance,

    V = (MS_seed + MS_item - MS_rest) / (S I),   never below MS_rest / (S I),

and its degrees of freedom by Satterthwaite (1946): V^2 over the sum of its parts squared over their own degrees of freedom. Several
domains, whose items are different ones, are strata: their item parts add, while the seed part is that of the weighted sum. Several
orders of the domains are no sample of anything: their scores are averaged item by item before they come here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate and its interval. seeds: how many it rests on; with one seed the interval speaks of items alone."""

    estimate: float
    low: float
    high: float
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Estimate:
    """A mean, the variance of that mean and its degrees of freedom; each (...), one table or many at once."""

    mean: np.ndarray
    variance: np.ndarray
    freedom: np.ndarray

    def half_width(self, level: float = 0.95) -> np.ndarray:
        """Half the width of the t interval."""
        from scipy.special import stdtrit

        return stdtrit(self.freedom, (1 + level) / 2) * self.variance**0.5

    def p_value(self) -> np.ndarray:
        """Two-sided, of a true mean of 0; 1 where mean and variance both are 0."""
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(self.mean == 0, 0.0, np.abs(self.mean) / self.variance**0.5)
        return 2 * stdtr(self.freedom, -distance)


def crossed(strata: Sequence[np.ndarray]) -> Estimate:
    """sum_k mean(X_k), X_k (..., S, I_k) with the same S seeds and stratum k's own items; weights go into X.

    ValueError for strata of different seeds or with fewer than two items.
    """
    return _parts(strata, strata).estimate(sum(stratum.mean((-2, -1)) for stratum in strata))


@dataclass(frozen=True)
class _Parts:
    """The parts of a variance, or of a covariance of two tables: (part, degrees of freedom) of each stratum's items, of the seeds (none
    where there is one), of each stratum's rest. Bilinear in the two tables."""

    items: list[tuple[np.ndarray, int]]
    seeds: list[tuple[np.ndarray, int]]
    rest: list[tuple[np.ndarray, int]]

    def estimate(self, mean: np.ndarray) -> Estimate:
        """`mean` with the variance that the parts make up, and its degrees of freedom."""
        rest = sum(part for part, _ in self.rest)
        # The parts of items and seeds hold the rest once each: it is taken off once.
        variance = np.maximum(sum(part for part, _ in self.items + self.seeds) - rest, rest)
        variance = np.maximum(variance, 0.0)  # a - ratio b may vanish, and rounding would leave it below 0
        spread = sum(part**2 / freedom for part, freedom in self.items + self.seeds + self.rest)
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = np.where(spread > 0, np.minimum(variance**2 / spread, 1e9), 1e9)
        return Estimate(np.asarray(mean), np.asarray(variance), freedom)

    def minus(self, ratio: float, mixed: _Parts, below: _Parts) -> _Parts:
        """The parts of a - ratio b, from those of (a, a), of (a, b) and of (b, b)."""

        def of(own: list, both: list, other: list) -> list[tuple[np.ndarray, int]]:
            return [
                (aa - 2 * ratio * ab + ratio**2 * bb, freedom) for (aa, freedom), (ab, _), (bb, _) in zip(own, both, other, strict=True)
            ]

        return _Parts(
            of(self.items, mixed.items, below.items), of(self.seeds, mixed.seeds, below.seeds), of(self.rest, mixed.rest, below.rest)
        )


def _parts(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> _Parts:
    seeds = {stratum.shape[-2] for stratum in (*one, *other)}
    if len(seeds) != 1 or min(stratum.shape[-1] for stratum in one) < 2:
        raise ValueError(f"strata must share their seeds and have two items or more: {[s.shape for s in one]}")
    count = seeds.pop()
    found = _Parts([], [], [])
    for x, y in zip(one, other, strict=True):
        items = x.shape[-1]
        over_seeds = [table.mean(-2, keepdims=True) for table in (x, y)]
        item = _product(*(mean - mean.mean(-1, keepdims=True) for mean in over_seeds)) / (items - 1) / items
        found.items.append((item, items - 1))
        if count > 1:
            freedom = (count - 1) * (items - 1)
            residuals = [table - mean for table, mean in zip((x, y), over_seeds, strict=True)]
            rest = _product(*(residual - residual.mean(-1, keepdims=True) for residual in residuals)) / freedom / (count * items)
            found.rest.append((rest, freedom))
    if count > 1:
        by_seed = [sum(stratum.mean(-1, keepdims=True) for stratum in strata) for strata in (one, other)]
        found.seeds.append((_product(*(mean - mean.mean(-2, keepdims=True) for mean in by_seed)) / (count - 1) / count, count - 1))
    return found


def _product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("...si,...si->...", x, y)


def crossed_interval(strata: Sequence[np.ndarray], level: float = 0.95) -> Interval:
    """The interval of one table's `crossed` mean, strata (S, I_k)."""
    found = crossed(strata)
    mean, half = float(found.mean), float(found.half_width(level))
    return Interval(mean, mean - half, mean + half, strata[0].shape[-2])


def ratio_interval(above: Sequence[np.ndarray], below: Sequence[np.ndarray], level: float = 0.95) -> tuple[float, float]:
    """Interval of sum mean(above) / sum mean(below) by Fieller's theorem: every rho for which the crossed interval of
    above - rho below includes 0. Strata as in `crossed_interval`; (nan, nan) where the denominator's own interval includes 0."""
    if not crossed_interval(below, level).excludes_zero:
        return float("nan"), float("nan")
    parts, mixed, lower = _parts(above, above), _parts(above, below), _parts(below, below)
    mean_above, mean_below = (sum(stratum.mean() for stratum in strata) for strata in (above, below))

    def includes(rho: float) -> bool:
        found = parts.minus(rho, mixed, lower).estimate(mean_above - rho * mean_below)
        return bool(abs(found.mean) <= found.half_width(level))

    ratio = mean_above / mean_below
    ends = []
    for direction in (-1, 1):
        step = 0.05
        while includes(ratio + direction * step) and step < 1e6:
            step *= 2
        inside, outside = (0.0 if step == 0.05 else step / 2), step
        for _ in range(30):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if includes(ratio + direction * middle) else (inside, middle)
        ends.append(float(ratio + direction * inside))
    return ends[0], ends[1]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values of a family of tests, in the order given: reject where at most the level."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = [0.0] * len(order), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted
