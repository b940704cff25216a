"""Every metric of runs, with its interval. No torch.

Runs that are measured together differ in their seed, and in their sequence where a design has several orders of the same domains;
orders are fixed strata, so scores are averaged over them item by item. A metric that is linear in the scores has a crossed interval
(`bench.results.statistics`), a ratio of two such has Fieller's; `min` and `max` are made linear by fixing, at the means over seeds, the
side they take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.results import metrics
from bench.results.metrics import Outcome
from bench.results.run import Run
from bench.results.statistics import Interval, crossed_interval, ratio_interval

Linear = Callable[[Outcome], np.ndarray]
SHARES = ("recovery ratio", "net recovery", "retention", "normalized forgetting")
"""Metrics that are ratios; all others are points of 100."""


@dataclass(frozen=True)
class Order:
    """The runs of one sequence. cells: (S, R, I) a domain, in the sequence's order; R: plain rows, method rows, the end."""

    sequence: tuple[str, ...]
    targets: tuple[int, ...]
    cells: tuple[np.ndarray, ...]

    @cached_property
    def mean(self) -> Outcome:
        """The outcome of the means over seeds and items."""
        return outcome([cell.mean((0, 2)) for cell in self.cells], self.targets)

    @property
    def unrepaired(self) -> Order:
        """The same with the plain run's last row for the method's end."""
        last = (self.cells[0].shape[1] - 1) // 2 - 1
        return replace(self, cells=tuple(np.concatenate([cell[:, :-1], cell[:, last : last + 1]], 1) for cell in self.cells))

    def weighted(self, metric: Linear) -> list[np.ndarray]:
        """(S, I) a domain, whose means add up to the metric.

        The weights are read off by applying the metric to unit matrices, so that rules and intervals have one source.
        """
        rows, width = self.cells[0].shape[1], len(self.cells)
        units = np.eye(rows * width).reshape(rows * width, rows, width)
        weights = metric(outcome([units[:, :, d] for d in range(width)], self.targets)).reshape(rows, width)
        return [np.einsum("r,sri->si", weights[:, d], cell) for d, cell in enumerate(self.cells)]


@dataclass(frozen=True)
class Capped:
    """A quantity in which domains count up to their own stage, as (S, I) a domain: `points` with the side of each cap fixed at the means,
    `free` without any cap. A domain at its cap would lend the first no noise of its own, so intervals look at both."""

    points: list[np.ndarray]
    free: list[np.ndarray]

    def minus(self, other: Capped) -> Capped:
        """The difference of two, on the same seeds and items."""
        pairs = ((self.points, other.points), (self.free, other.free))
        return Capped(*([a - b for a, b in zip(one, two, strict=True)] for one, two in pairs))


@dataclass(frozen=True)
class Measured:
    """Runs of one method, ready to be measured under one decoding: their orders, over the same seeds."""

    orders: tuple[Order, ...]
    seeds: tuple[int, ...]

    @classmethod
    def of(cls, runs: Sequence[Run], decoding: str) -> Measured:
        """`UserError` where an order lacks a seed that another has."""
        by_order: dict[tuple[str, ...], dict[int, Run]] = {}
        for run in runs:
            by_order.setdefault(run.sequence, {})[run.seed] = run
        seeds = {tuple(sorted(found)) for found in by_order.values()}
        if len(seeds) > 1:
            raise UserError(f"{runs[0].name}: its orders have different seeds; run `compare` again for the missing ones")
        orders = []
        for sequence, found in sorted(by_order.items()):
            scores = [found[seed].scores(decoding) for seed in sorted(found)]
            cells = tuple(np.stack([score[domain] for score in scores]) for domain in sequence)
            orders.append(Order(sequence, tuple(sequence.index(target) for target in found[min(found)].targets), cells))
        return cls(tuple(orders), next(iter(seeds)))

    def only(self, seeds: Sequence[int]) -> Measured:
        """The same on some of its seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        orders = tuple(Order(order.sequence, order.targets, tuple(cell[rows] for cell in order.cells)) for order in self.orders)
        return Measured(orders, tuple(seeds))

    @property
    def unrepaired(self) -> Measured:
        """The same with the plain run's end for the method's."""
        return Measured(tuple(order.unrepaired for order in self.orders), self.seeds)

    def strata(self, metric: Callable[[Order], Linear]) -> list[np.ndarray]:
        """(S, I) a domain, whose means add up to the mean of the metric over the orders."""
        total: dict[str, np.ndarray] = {}
        for order in self.orders:
            for domain, scores in zip(order.sequence, order.weighted(metric(order)), strict=True):
                total[domain] = total.get(domain, 0) + scores / len(self.orders)
        return list(total.values())

    def linear(self, metric: Linear) -> list[np.ndarray]:
        """`strata` of a metric that is the same in every order."""
        return self.strata(lambda order: metric)

    def mean(self, metric: Linear) -> float:
        """Mean over the orders of a metric of the mean outcome; for what has no interval."""
        return float(np.mean([metric(order.mean) for order in self.orders]))

    # --- the strata that ratios and ranks are made of ---
    @cached_property
    def forgetting(self) -> list[np.ndarray]:
        """The targets' damage, summed."""
        return self.linear(lambda o: metrics.forgetting(o)[..., o.targets].sum(-1))

    @cached_property
    def recovered(self) -> list[np.ndarray]:
        """What the targets won back, summed."""
        return self.linear(lambda o: metrics.recovered(o)[..., o.targets].sum(-1))

    @cached_property
    def net(self) -> Capped:
        """The same, targets counted up to their own stage, less what other domains lost."""

        def metric(order: Order, cap: bool) -> Linear:
            harmed, capped = metrics.harmed(order.mean), metrics.capped(order.mean) & cap
            return lambda o: metrics.net_recovered(o, harmed, capped)

        return Capped(*(self.strata(lambda order, cap=cap: metric(order, cap)) for cap in (True, False)))

    @cached_property
    def gain(self) -> list[np.ndarray]:
        """What all stages won, summed."""
        return self.linear(lambda o: metrics.gain(o).sum(-1))

    @cached_property
    def retention(self) -> Capped:
        """What of it the end has, summed."""

        def metric(order: Order, cap: bool) -> Linear:
            capped = metrics.capped(order.mean) & cap
            return lambda o: metrics.retained_points(o, capped)

        return Capped(*(self.strata(lambda order, cap=cap: metric(order, cap)) for cap in (True, False)))


def outcome(scores: Sequence[np.ndarray], targets: Sequence[int]) -> Outcome:
    """The outcome of per-domain means: scores[d] (..., R), R = plain rows, method rows, end."""
    table = np.stack(scores, -1)  # (..., R, T)
    rows = (table.shape[-2] - 1) // 2
    return Outcome(table[..., :rows, :], table[..., rows : 2 * rows, :], table[..., -1, :], tuple(targets))


def measure(runs: Sequence[Run], decoding: str) -> dict[str, dict[str, Any]]:
    """Every metric of one or more runs of one method: name -> estimate, low, high, seeds (and why, where undefined).

    Points (0 to 100) for damage, collateral, transfer, average and surplus; shares for the ratios.
    """
    return measure_all(Measured.of(runs, decoding))


def measure_all(measured: Measured) -> dict[str, dict[str, Any]]:
    """`measure` of runs already read."""
    seeds = len(measured.seeds)

    def points(metric: Linear) -> dict[str, Any]:
        return scaled(crossed_interval(measured.linear(metric)), 100)

    def bare(metric: Linear) -> dict[str, Any]:
        return {"estimate": 100 * measured.mean(metric), "seeds": seeds}

    def earlier(metric: Linear) -> list[np.ndarray]:
        return measured.linear(lambda o: metric(o)[..., :-1].sum(-1))

    unharmed, unlearned = "the damage is not significant", "the stages' gain is not significant"
    found = {
        "forgetting": scaled(crossed_interval([stratum / len(measured.orders[0].targets) for stratum in measured.forgetting]), 100),
        "recovery ratio": ratio(measured.recovered, measured.forgetting, seeds, unharmed),
        "net recovery": capped_ratio(measured.net, measured.forgetting, seeds, unharmed),
    }
    if measured.orders[0].mean.others:
        found["collateral damage"] = points(metrics.collateral_damage)
        found["collateral damage, worst"] = bare(metrics.worst_collateral_damage)
        found["collateral damage, last"] = points(lambda o: -metrics.recovered(o)[..., -1])
    found["retention"] = capped_ratio(measured.retention, measured.gain, seeds, unlearned)
    found["retention, worst"] = bare(metrics.worst_retention)
    found["surplus"] = bare(metrics.surplus)
    found["normalized forgetting"] = ratio(earlier(metrics.forgetting), earlier(metrics.gain), seeds, unlearned)
    found["BWT"] = points(metrics.backward_transfer)
    found["FWT"] = points(metrics.forward_transfer)
    found["final average"] = points(metrics.final_average)
    return found


def ratio(above: list[np.ndarray], below: list[np.ndarray], seeds: int, why: str) -> dict[str, Any]:
    """A ratio of sums with Fieller's interval; undefined, for the reason `why`, where the lower sum is not significantly above 0."""
    if not crossed_interval(below).low > 0:
        return {"estimate": None, "why": why, "seeds": seeds}
    estimate = sum(a.mean() for a in above) / sum(b.mean() for b in below)
    return scaled(Interval(float(estimate), *ratio_interval(above, below), seeds), 1)


def capped_ratio(above: Capped, below: list[np.ndarray], seeds: int, why: str) -> dict[str, Any]:
    """The same where domains count up to a cap: the lower end is the lower of those with and without it."""
    found = ratio(above.points, below, seeds, why)
    if found["estimate"] is not None:
        found["low"] = min(found["low"], ratio_interval(above.free, below)[0])
    return found


def by_domain(measured: Measured) -> dict[str, dict[str, Any]]:
    """Domain -> what happened to it, in points with intervals, means over the orders: base, own (after its own stage in the plain run),
    plain (after its last stage), end (of the method), damage = own - plain, recovered = end - plain; target: in any order."""
    quantities: dict[str, Callable[[Outcome], np.ndarray]] = {
        "base": lambda o: o.baseline[..., 0, :],
        "own": lambda o: o.own,
        "baseline": lambda o: o.baseline[..., -1, :],
        "final": lambda o: o.final,
        "forgetting": metrics.forgetting,
        "recovered": metrics.recovered,
    }
    found: dict[str, dict[str, Any]] = {}
    for domain in measured.orders[0].sequence:

        def of(order: Order, quantity: Linear, domain: str = domain) -> Linear:
            return lambda o: quantity(o)[..., order.sequence.index(domain)]

        found[domain] = {
            name: scaled(crossed_interval(measured.strata(lambda order, q=quantity: of(order, q))), 100)
            for name, quantity in quantities.items()
        }
        found[domain]["target"] = any(order.sequence.index(domain) in order.targets for order in measured.orders)
    return found


def scaled(interval: Interval, scale: float) -> dict[str, Any]:
    """An interval times a scale, as plain data; None for what is not a number."""

    def plain(value: float) -> float | None:
        return None if np.isnan(value) else scale * value

    return {
        "estimate": plain(interval.estimate),
        "low": plain(interval.low),
        "high": plain(interval.high),
        "seeds": interval.seeds,
    }
