"""Runs of one method, read and ready to be measured. No torch.

Runs that are measured together differ in their seed, and in their sequence where a design has several orders of the same domains;
orders are fixed strata, so scores are averaged over them item by item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench.errors import UserError
from bench.results import metrics
from bench.results.metrics import Outcome
from bench.results.run import Run

Linear = Callable[[Outcome], np.ndarray]


@dataclass(frozen=True)
class Order:
    """The runs of one sequence. cells: (S, R, I) a domain, in the sequence's order; R: baseline rows, method rows, the final row.

    unusable: (S, I) a domain, 1 where the answer at the end of the baseline run did not stop or did not parse; empty where not known.
    """

    sequence: tuple[str, ...]
    targets: tuple[int, ...]
    cells: tuple[np.ndarray, ...]
    unusable: tuple[np.ndarray, ...] = ()

    @cached_property
    def mean(self) -> Outcome:
        """The outcome of the means over seeds and items."""
        return outcome([cell.mean((0, 2)) for cell in self.cells], self.targets)

    @property
    def unrepaired(self) -> Order:
        """The same with the baseline run's rows in place of the method's, and its last one in place of the final row."""
        rows = (self.cells[0].shape[1] - 1) // 2
        return replace(self, cells=tuple(cell[:, [*range(rows), *range(rows), rows - 1]] for cell in self.cells))

    def only(self, rows: Sequence[int]) -> Order:
        """The same on some of its seeds, given by their places."""
        places = list(rows)
        cells, unusable = (tuple(table[places] for table in tables) for tables in (self.cells, self.unusable))
        return replace(self, cells=cells, unusable=unusable)

    def folds(self) -> list[tuple[Outcome, Outcome]]:
        """The outcome of each seed and of the mean of all others; of a single seed, of every second item and of the rest."""
        if len(self.cells[0]) > 1:
            parts = [cell.mean(2) for cell in self.cells]  # (S, R)
        else:
            parts = [np.stack([cell[0, :, start::2].mean(1) for start in (0, 1)]) for cell in self.cells]
        count = len(parts[0])
        others = [(part.sum(0) - part) / (count - 1) for part in parts]
        both = (outcome(parts, self.targets), outcome(others, self.targets))
        return [(_row(both[0], place), _row(both[1], place)) for place in range(count)]

    def format_lost(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Target -> (S, I) twice: 1 where the item was lost (its score fell from the domain's own stage to the end of the baseline run)
        and its answer at that end is unusable; 1 where it was lost at all."""
        found = {}
        for column in self.targets:
            lost = (self.cells[column][:, len(self.cells)] < self.cells[column][:, column + 1]).astype(float)
            found[self.sequence[column]] = (lost * self.unusable[column], lost)
        return found

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
    """A quantity in which domains count up to their own stage or only where they lose, as (S, I) a domain.

    points: with the side of each cap fixed at the means; free: without the caps at the own stage. A domain at its cap would add no noise
    of its own, so intervals use the larger variance of the two. cap_bias: an estimate of how far the mean of `points` lies below the
    truth because a cap taken at noisy means takes the lower side too often; at least 0, in the same unit.
    """

    points: list[np.ndarray]
    free: list[np.ndarray]
    cap_bias: float

    @property
    def mean(self) -> float:
        return float(sum(table.mean() for table in self.points))

    def minus(self, other: Capped) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """`points` and `free` of the difference of two, on the same seeds and items."""
        points = [a - b for a, b in zip(self.points, other.points, strict=True)]
        return points, [a - b for a, b in zip(self.free, other.free, strict=True)]


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
            unusable = tuple(np.stack([_unusable(found[seed], domain, decoding) for seed in sorted(found)]) for domain in sequence)
            orders.append(Order(sequence, tuple(sequence.index(target) for target in found[min(found)].targets), cells, unusable))
        return cls(tuple(orders), next(iter(seeds)))

    def only(self, seeds: Sequence[int]) -> Measured:
        """The same on some of its seeds."""
        if tuple(seeds) == self.seeds:
            return self
        rows = [self.seeds.index(seed) for seed in seeds]
        return Measured(tuple(order.only(rows) for order in self.orders), tuple(seeds))

    @property
    def unrepaired(self) -> Measured:
        """The same with the baseline run as the method, and its end as the final model."""
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

    @cached_property
    def format_lost(self) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
        """Of the targets, (S, I) a domain: items that were lost and whose answer is unusable, and items lost; None where that is not
        known."""
        if not all(order.unusable for order in self.orders):
            return None
        found: dict[str, list[np.ndarray]] = {}
        for order in self.orders:
            for domain, tables in order.format_lost().items():
                found[domain] = [total + table for total, table in zip(found.get(domain, (0, 0)), tables, strict=True)]
        only_format, lost = zip(*found.values(), strict=True)
        return list(only_format), list(lost)

    @cached_property
    def intransigence(self) -> list[np.ndarray] | None:
        """A domain's score after the first stage of the baseline run that begins with it, minus that after its own stage of the method in
        the other orders: (S, I) a domain, whose means add up to the mean over domains. None unless each of several domains begins one
        order."""
        experts = {order.sequence[0]: order.cells[0][:, 1] for order in self.orders}
        if len(experts) < max(2, len(self.orders)) or set(experts) != set(self.orders[0].sequence):
            return None
        found = []
        for domain, expert in experts.items():
            places = [(order, order.sequence.index(domain)) for order in self.orders if order.sequence[0] != domain]
            later = [order.cells[place][:, (order.cells[place].shape[1] - 1) // 2 + 1 + place] for order, place in places]
            found.append((expert - np.mean(later, axis=0)) / len(experts))
        return found

    # --- the strata that ratios and ranks are made of ---
    @cached_property
    def forgetting(self) -> list[np.ndarray]:
        """The targets' forgetting, summed."""
        return self.linear(lambda o: metrics.forgetting(o)[..., o.targets].sum(-1))

    @cached_property
    def recovered(self) -> list[np.ndarray]:
        """What the repair recovered of the targets, summed."""
        return self.linear(lambda o: metrics.recovered(o)[..., o.targets].sum(-1))

    @cached_property
    def net(self) -> Capped:
        """The same, targets counted up to their own stage, less what other domains lost."""

        def rule(mean: Outcome, cap: bool) -> Linear:
            harmed, capped = metrics.harmed(mean), metrics.capped(mean) & cap
            return lambda o: metrics.net_recovered(o, harmed, capped)

        return self._capped(rule)

    @cached_property
    def gain(self) -> list[np.ndarray]:
        """What all stages gained, summed."""
        return self.linear(lambda o: metrics.gain(o).sum(-1))

    @cached_property
    def retention(self) -> Capped:
        """What of it the final model has, summed."""

        def rule(mean: Outcome, cap: bool) -> Linear:
            capped = metrics.capped(mean) & cap
            return lambda o: metrics.retained_points(o, capped)

        return self._capped(rule)

    def _capped(self, rule: Callable[[Outcome, bool], Linear]) -> Capped:
        """rule: the metric with the sides of its caps taken from an outcome; the flag says whether the cap at the own stage applies.

        The bias is the difference from a cross-fitted mean, in which each fold's sides come from the other folds. Sides chosen on other
        data do not favour the lower value: exactly at a cap the cross-fitted mean is unbiased. It varies more, though, so it only
        measures the bias (docs/statistics.md).
        """
        points, free = (self.strata(lambda order, cap=cap: rule(order.mean, cap)) for cap in (True, False))
        folds = [float(rule(others, True)(fold)) for order in self.orders for fold, others in order.folds()]
        plain = Capped(points, free, 0.0)
        return replace(plain, cap_bias=max(0.0, float(np.mean(folds)) - plain.mean))


def _row(several: Outcome, place: int) -> Outcome:
    return replace(several, baseline=several.baseline[place], method=several.method[place], final=several.final[place])


def _unusable(run: Run, domain: str, decoding: str) -> np.ndarray:
    """(I,) 1 where the answer at the end of the baseline run did not stop or did not parse. Columns of a table: score, parsed, ended."""
    return 1.0 - run.tables[run.rows.baseline[-1]][domain, decoding][:, 1:].min(-1)


def outcome(scores: Sequence[np.ndarray], targets: Sequence[int]) -> Outcome:
    """The outcome of per-domain means: scores[d] (..., R), R = baseline rows, method rows, final row."""
    table = np.stack(scores, -1)  # (..., R, T)
    rows = (table.shape[-2] - 1) // 2
    return Outcome(table[..., :rows, :], table[..., rows : 2 * rows, :], table[..., -1, :], tuple(targets))
