"""Intervals for a crossed design: the same items in every seed. Pure numpy; no torch.

X[s, i] = mu + seed_s + item_i + rest_si. The variance of the grand mean is estimated from the two-way analysis of variance,

    V = (MS_seed + MS_item - MS_rest) / (S I),   never below MS_rest / (S I),

and its degrees of freedom by Satterthwaite (1946): V^2 over the sum of its parts squared over their own degrees of freedom. Several
domains, whose items are different ones, are strata: their item parts add, while the seed part is that of the weighted sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def crossed_interval(strata: Sequence[np.ndarray], level: float = 0.95) -> Interval:
    """Interval of sum_k mean(X_k), X_k (S, I_k) with the same S seeds and stratum k's own items; weights go into X.

    ValueError for strata of different seeds or with fewer than two items.
    """
    seeds = {stratum.shape[0] for stratum in strata}
    if len(seeds) != 1 or min(stratum.shape[1] for stratum in strata) < 2:
        raise ValueError(f"strata must share their seeds and have two items or more: {[s.shape for s in strata]}")
    count = seeds.pop()
    estimate = float(sum(stratum.mean() for stratum in strata))
    parts: list[tuple[float, float]] = []  # (variance part, degrees of freedom)
    for stratum in strata:
        items = stratum.shape[1]
        means = stratum.mean(0)
        parts.append((float(means.var(ddof=1)) / items, items - 1))
    if count > 1:
        by_seed = sum(stratum.mean(1) for stratum in strata)
        parts.append((float(by_seed.var(ddof=1)) / count, count - 1))
        rest, rest_parts = 0.0, []
        for stratum in strata:
            items = stratum.shape[1]
            residual = stratum - stratum.mean(0) - stratum.mean(1, keepdims=True) + stratum.mean()
            freedom = (count - 1) * (items - 1)
            share = float((residual**2).sum()) / freedom / (count * items)
            rest += share
            rest_parts.append((-share, freedom))
        # Both parts above hold the rest once: it is taken off once.
        variance = max(sum(part for part, _ in parts) - rest, rest)
        parts += rest_parts
    else:
        variance = sum(part for part, _ in parts)
    spread = sum(part**2 / freedom for part, freedom in parts if freedom > 0)
    freedom = variance**2 / spread if spread > 0 else np.inf
    half = _t_quantile((1 + level) / 2, freedom) * variance**0.5
    return Interval(estimate, estimate - half, estimate + half, count)


def _t_quantile(probability: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(min(freedom, 1e9), probability))


def ratio_interval(above: Sequence[np.ndarray], below: Sequence[np.ndarray], level: float = 0.95) -> tuple[float, float]:
    """Interval of sum mean(above) / sum mean(below) by Fieller's theorem: every rho for which the crossed interval of
    above - rho below includes 0. Strata as in `crossed_interval`; (nan, nan) where the denominator's own interval includes 0."""
    if not crossed_interval(below, level).excludes_zero:
        return float("nan"), float("nan")

    def includes(rho: float) -> bool:
        interval = crossed_interval([a - rho * b for a, b in zip(above, below, strict=True)], level)
        return interval.low <= 0 <= interval.high

    ratio = sum(a.mean() for a in above) / sum(b.mean() for b in below)
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


def resampled_interval(
    statistic: Callable[[Sequence[np.ndarray]], np.ndarray],
    cells: Sequence[np.ndarray],
    *,
    draws: int = 2000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a ratio of means by joint resampling of seeds and items (the pigeonhole bootstrap of Owen, 2007).

    cells: domain k's scores as (S, R, I_k), R quantities on the same seeds and items; statistic: maps their means over seeds and items,
    one (draws, R) array a domain, to (draws,). Draws where it is not finite are left out; (nan, nan) where more than a tenth is.
    """
    generator = np.random.Generator(np.random.Philox(key=20262))
    seeds = cells[0].shape[0]
    seed_weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    means = []
    for cell in cells:
        items = cell.shape[2]
        item_weights = generator.multinomial(items, np.full(items, 1 / items), size=draws) / items
        means.append(np.einsum("bs,srb->br", seed_weights, cell @ item_weights.T))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = statistic(means)
    finite = values[np.isfinite(values)]
    if len(finite) < 0.9 * draws:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
