"""Every metric of runs, with its interval. No torch.

A metric that is linear in the scores has a crossed interval (`bench.results.statistics`), a ratio of two such has Fieller's set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.results import metrics
from bench.results.measured import Capped, Linear, Measured, Order, outcome
from bench.results.metrics import Outcome
from bench.results.run import Run
from bench.results.statistics import Interval, Pieces, Strata, crossed_interval, merged, ratio_set

__all__ = ["SHARES", "DomainOutcome", "Measured", "Order", "Value", "by_domain", "interference", "measure", "measure_all", "outcome"]

SHARES = ("recovery ratio", "net recovery", "retention", "normalized forgetting", "normalized forgetting, repaired", "format loss")
"""Metrics that are ratios; all others are points (0 to 100)."""
NO_FORGETTING, NO_GAIN = "forgetting is not significant", "the stages' gain is not significant"


@dataclass(frozen=True)
class Value:
    """A quantity with its 95 % interval, in its own unit: a share, or points.

    estimate: None where undefined; `why` is the reason. low, high: None where there is no interval, or no finite one. seeds: how many it
    rests on; with one, the interval covers item sampling only. pieces: the whole set of plausible values where it is not one finite
    interval, with ends that may be infinite; low and high then span it if it is bounded. cap_bias: how far the estimate lies below the
    truth because of caps (as a positive number), where that is estimated but not removed.
    """

    estimate: float | None
    low: float | None
    high: float | None
    seeds: int
    why: str = ""
    pieces: Pieces = ()
    cap_bias: float | None = None

    @classmethod
    def of(cls, interval: Interval, scale: float = 1) -> Value:
        """An interval times a scale; None for what is not a number."""
        ends = [None if np.isnan(end) else scale * float(end) for end in (interval.estimate, interval.low, interval.high)]
        return cls(*ends, interval.seeds)

    @classmethod
    def undefined(cls, why: str, seeds: int, pieces: Pieces = ()) -> Value:
        """No estimate, for the reason given."""
        return cls(None, None, None, seeds, why, pieces)

    def to_json(self) -> dict[str, Any]:
        """JSON-able: the fields that differ from their defaults, infinite ends as "-inf" and "inf"."""
        data: dict[str, Any] = {"estimate": self.estimate, "low": self.low, "high": self.high, "seeds": self.seeds}
        if self.why:
            data["why"] = self.why
        if self.pieces:
            data["pieces"] = [[end if np.isfinite(end) else str(end) for end in piece] for piece in self.pieces]
        if self.cap_bias is not None:
            data["cap_bias"] = self.cap_bias
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Value:
        """What `to_json` gave. KeyError where it is something else."""
        pieces = tuple((float(low), float(high)) for low, high in data.get("pieces", ()))
        fields = (data[name] for name in ("estimate", "low", "high", "seeds"))
        return cls(*fields, data.get("why", ""), pieces, data.get("cap_bias"))


@dataclass(frozen=True)
class DomainOutcome:
    """What happened to a domain, in points, means over the orders.

    base; own: after the domain's own stage of the baseline run; baseline: after its last stage; final: of the final model. forgetting =
    own - baseline, recovered = final - baseline. target: whether it is to be recovered, in any order.
    """

    base: Value
    own: Value
    baseline: Value
    final: Value
    forgetting: Value
    recovered: Value
    target: bool


def measure(runs: Sequence[Run], decoding: str) -> dict[str, Value]:
    """Every metric of one or more runs of one method, by name: shares for those in SHARES, points (0 to 100) for all others."""
    return measure_all(Measured.of(runs, decoding))


def measure_all(measured: Measured) -> dict[str, Value]:
    """`measure` of runs already read."""

    def points(metric: Linear) -> Value:
        return Value.of(crossed_interval(measured.linear(metric)), 100)

    def bare(metric: Linear) -> Value:
        return Value(100 * measured.mean(metric), None, None, len(measured.seeds))

    def earlier(metric: Linear) -> Strata:
        return measured.linear(lambda o: metric(o)[..., :-1].sum(-1))

    targets = len(measured.orders[0].targets)
    values = {
        "forgetting": Value.of(crossed_interval([stratum / targets for stratum in measured.forgetting]), 100),
        "recovery ratio": ratio(measured.recovered, measured.forgetting, NO_FORGETTING),
        "net recovery": capped_ratio(measured.net, measured.forgetting, NO_FORGETTING),
    }
    if measured.format_lost is not None:
        values["format loss"] = ratio(*measured.format_lost, "no significant number of items was lost")
    if measured.orders[0].mean.others:
        values["collateral damage"] = points(metrics.collateral_damage)
        values["collateral damage, worst"] = bare(metrics.worst_collateral_damage)
        values["collateral damage, last"] = points(lambda o: -metrics.recovered(o)[..., -1])
    values["retention"] = capped_ratio(measured.retention, measured.gain, NO_GAIN)
    values["retention, worst"] = bare(metrics.worst_retention)
    values["surplus"] = bare(metrics.surplus)
    values["normalized forgetting"] = ratio(earlier(metrics.forgetting), earlier(metrics.gain), NO_GAIN)
    values["normalized forgetting, repaired"] = ratio(earlier(metrics.remaining_forgetting), earlier(metrics.gain), NO_GAIN)
    values["BWT"] = points(metrics.backward_transfer)
    values["FWT"] = points(metrics.forward_transfer)
    if measured.intransigence is not None:
        values["intransigence"] = Value.of(crossed_interval(measured.intransigence), 100)
    values["final average"] = points(metrics.final_average)
    return values


def ratio(above: Strata, below: Strata, why: str, also: Sequence[Strata] = ()) -> Value:
    """A ratio of sums with Fieller's set (`ratio_set`); undefined, for the reason `why`, where the lower sum is not significantly above
    0."""
    seeds = below[0].shape[-2]
    denominator = crossed_interval(below)
    if not denominator.low > 0:
        return Value.undefined(why, seeds, ratio_set(above, below, also=also) if denominator.estimate > 0 else ())
    estimate = sum(a.mean() for a in above) / denominator.estimate
    pieces = ratio_set(above, below, also=also)
    return Value(float(estimate), pieces[0][0], pieces[-1][1], seeds, pieces=pieces if len(pieces) > 1 else ())


def capped_ratio(above: Capped, below: Strata, why: str) -> Value:
    """The same where domains count up to a cap, so that the ratio is 1 at most.

    The variance is that without the cap where it is larger; the upper end includes the bias of the cap.
    """
    value = ratio(above.points, below, why, also=[above.free])
    if value.estimate is None or value.high is None:
        return value
    bias = above.cap_bias / float(sum(stratum.mean() for stratum in below))
    pieces = merged([(low, min(high + bias, 1.0)) for low, high in value.pieces if low <= 1])
    return replace(value, high=min(value.high + bias, 1.0), pieces=pieces if len(pieces) > 1 else (), cap_bias=bias)


def by_domain(measured: Measured) -> dict[str, DomainOutcome]:
    """Domain -> what happened to it."""
    quantities: dict[str, Callable[[Outcome], np.ndarray]] = {
        "base": lambda o: o.baseline[..., 0, :],
        "own": lambda o: o.own,
        "baseline": lambda o: o.baseline[..., -1, :],
        "final": lambda o: o.final,
        "forgetting": metrics.forgetting,
        "recovered": metrics.recovered,
    }
    return {
        domain: DomainOutcome(
            **{name: _of_domain(measured, quantity, domain) for name, quantity in quantities.items()},
            target=any(order.sequence.index(domain) in order.targets for order in measured.orders),
        )
        for domain in measured.orders[0].sequence
    }


def interference(real: Measured, null: Measured, domain: str) -> Value:
    """Forgetting of a domain under the real later stages minus that under null stages, in points, on the seeds that both have.

    real, null: baseline runs of the same sequences. `UserError` where they share no seed."""
    shared = [seed for seed in real.seeds if seed in null.seeds]
    if not shared:
        raise UserError(
            f"interference on {domain}: the runs with null stages share no seed with those with real stages; run the same seeds"
        )
    under_real, under_null = (domain_strata(measured.only(shared), metrics.forgetting, domain) for measured in (real, null))
    return Value.of(crossed_interval([a - b for a, b in zip(under_real, under_null, strict=True)]), 100)


def _of_domain(measured: Measured, quantity: Linear, domain: str) -> Value:
    return Value.of(crossed_interval(domain_strata(measured, quantity, domain)), 100)


def domain_strata(measured: Measured, quantity: Linear, domain: str) -> Strata:
    """(S, I) tables of a quantity that has a value for each domain, e.g. `metrics.forgetting`, of one domain: a share, a mean over the
    orders."""

    def of(order: Order) -> Linear:
        column = order.sequence.index(domain)
        return lambda o: quantity(o)[..., column]

    return measured.strata(of)
