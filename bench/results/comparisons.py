"""Comparisons between the entries of a board, and the places that follow from them. No torch.

Difference, interval, p and verdict of a comparison come from one estimate and its variance (`ratio_difference`), so that they cannot
contradict each other. Each entry's points are divided by what its own baseline run forgot or gained, which differs between types of
machine. Entries are compared on the seeds that both have; entries with no seed in common, or scored on different items, are independent
samples. A family is a set of comparisons that answer one question; p is adjusted by Holm within it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, get_args

import numpy as np

from bench.results.entries import FULL_SEEDS, Entry
from bench.results.estimates import NO_FORGETTING, NO_GAIN, Value
from bench.results.measured import Capped, Measured
from bench.results.statistics import Estimate, Ratio, crossed_interval, holm, ratio_difference

Family = Literal["none", "shrink", "next", "all pairs", "planned"]
Verdict = Literal["better", "worse", "higher, with more access", "lower, with less access", "not significant", "no verdict"]
FAMILIES: tuple[Family, ...] = get_args(Family)
DEFAULT_FAMILIES: tuple[Family, ...] = ("none", "shrink", "next")
LEVEL = 0.05
Pair = tuple[Entry, Entry, str]
"""Two entries of one board, and its targets."""


@dataclass(frozen=True)
class Comparison:
    """`one` against `other` by the board's metric.

    difference: one - other, a share. p: adjusted by Holm within the family; None where there is no verdict. The interval of the
    difference is widened by the same factor: it excludes 0 exactly where p is at most 5 %. verdict: "no verdict" with fewer than five
    seeds (the shared ones, if there are any) or trainings (the interval is then the plain 95 % one), or where the metric is undefined.
    """

    one: str
    other: str
    family: Family
    difference: Value
    p: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Equivalence:
    """Whether `one` and `other` differ by less than `margin` (a share) on the board's metric, by two one-sided tests.

    difference: one - other, a share, with the 90 % interval that belongs to a test at 5 %, widened as in `Comparison`: it lies inside
    +-margin exactly where p is at most 5 %. p: the larger of the two, adjusted by Holm within the family; None where `Comparison` has none.
    """

    one: str
    other: str
    margin: float
    difference: Value
    p: float | None

    @property
    def shown(self) -> bool:
        """Whether the two are shown to be equal within the margin. That they are not shown to be does not mean that they differ."""
        return self.p is not None and self.p <= LEVEL


@dataclass(frozen=True)
class Places:
    """The range of places, from 1, that an entry may hold: first is the best, last the worst."""

    first: int
    last: int


@dataclass(frozen=True)
class _Test:
    """A comparison before Holm's adjustment. estimate: None where the metric is undefined, for the reason `why`; slack: how much the
    difference may be too high and too low because of caps; p: None below five seeds."""

    one: Entry
    other: Entry
    seeds: int
    estimate: Estimate | None
    slack: tuple[float, float] = (0.0, 0.0)
    p: float | None = None
    why: str = ""

    def difference(self, level: float) -> Value:
        """one - other with its interval at a level, or why there is none."""
        if self.estimate is None:
            return Value.undefined(self.why, self.seeds)
        return Value(float(self.estimate.mean), *self.estimate.interval(level, self.slack), self.seeds)


def compare(
    entries: Sequence[Entry], family: Family, targets: str, decoding: str, planned: Collection[tuple[str, str]] = ()
) -> list[Comparison]:
    """The comparisons of one family among the entries of a board, given in ranking order.

    planned: labels of pairs chosen before the data were seen, for the family of that name; those that the board does not hold are left out.
    """
    return judge([(one, other, targets) for one, other in pairs_of(entries, family, planned)], family, decoding)


def judge(pairs: Iterable[Pair], family: Family, decoding: str) -> list[Comparison]:
    """The comparisons of one family, whose pairs may come from several boards."""
    tests = [_test(one, other, targets, decoding) for one, other, targets in pairs]
    adjusted = _adjusted([tested.p for tested in tests])
    return [_judged(tested, family, p) for tested, p in zip(tests, adjusted, strict=True)]


def equivalences(pairs: Iterable[Pair], margin: float, decoding: str) -> list[Equivalence]:
    """Whether each pair differs by less than `margin` (a share, above 0): one family, whose pairs may come from several boards."""
    tests = [_test(one, other, targets, decoding) for one, other, targets in pairs]
    p_values = [
        None if tested.p is None or tested.estimate is None else float(tested.estimate.equivalence_p_value(margin, tested.slack))
        for tested in tests
    ]
    return [_equivalence(tested, margin, *pair) for tested, *pair in zip(tests, p_values, _adjusted(p_values), strict=True)]


def excess(one: Entry, other: Entry, targets: str, decoding: str = "greedy") -> tuple[Value, float | None]:
    """`one` - `other` on the board's metric with its two-sided 95 % interval, and the unadjusted one-sided p-value that `one` is not above
    `other` (caps allowed for), None where the metric is undefined. Unlike `compare`, this gives p for fewer than five seeds."""
    tested = _test(one, other, targets, decoding)
    p = None if tested.estimate is None else tested.estimate.p_above(tested.slack[0])
    return tested.difference(1 - LEVEL), p


def level_of(p: float | None, adjusted: float | None) -> float:
    """The level of an interval for a test whose p was adjusted by Holm: it excludes 0 exactly where the adjusted p is at most 5 %."""
    return 1 - LEVEL * (p / adjusted if p and adjusted else 1.0)


def _adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment of those that are there."""
    adjusted = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(adjusted) for p in p_values]


def _equivalence(tested: _Test, margin: float, raw: float | None, p: float | None) -> Equivalence:
    level = 1 - 2 * (1 - level_of(raw, p))  # one-sided tests: 90 % where a two-sided one would have 95 %
    return Equivalence(tested.one.label, tested.other.label, margin, tested.difference(level), p)


def pairs_of(entries: Sequence[Entry], family: Family, planned: Collection[tuple[str, str]] = ()) -> list[tuple[Entry, Entry]]:
    """The pairs that a family compares. "none" and "shrink": every other entry against the entries of that method. "next": each entry
    that can have a place against the next such entry, provisional ones behind all others."""
    if family == "next":
        return list(pairwise(sorted((entry for entry in entries if not entry.unranked), key=lambda entry: entry.provisional)))
    if family == "all pairs":
        return list(combinations(entries, 2))
    if family == "planned":
        by_label = {entry.label: entry for entry in entries}
        return [(by_label[one], by_label[other]) for one, other in dict.fromkeys(planned) if {one, other} <= set(by_label)]
    references = [entry for entry in entries if entry.method.name == family]
    return [(entry, reference) for reference in references for entry in entries if entry not in references]


def _test(one: Entry, other: Entry, targets: str, decoding: str) -> _Test:
    """The difference of two entries by the board's metric, on the seeds that both have, or as independent samples."""
    shared = [seed for seed in one.seeds if seed in other.seeds] if one.draw == other.draw else []
    both = [entry.measured(decoding).only(shared or entry.seeds) for entry in (one, other)]
    seeds = min(len(measured.seeds) for measured in both)
    below = [crossed_interval(_divisor(measured, targets)) for measured in both]
    if not all(interval.low > 0 for interval in below):
        return _Test(one, other, seeds, None, why=NO_FORGETTING if targets == "single" else NO_GAIN)
    ranked = [ranked_points(measured, targets) for measured in both]
    ratios = [Ratio(capped.points, _divisor(measured, targets), [capped.free]) for capped, measured in zip(ranked, both, strict=True)]
    estimate = ratio_difference(*ratios, paired=bool(shared))
    biases = [capped.cap_bias / interval.estimate for capped, interval in zip(ranked, below, strict=True)]
    slack = (biases[1], biases[0])
    enough = min(seeds, one.trainings, other.trainings) >= FULL_SEEDS
    return _Test(one, other, seeds, estimate, slack, float(estimate.p_value(slack)) if enough else None)


def _divisor(measured: Measured, targets: str) -> list[np.ndarray]:
    """What `ranked_points` are divided by, of the entry's own baseline run."""
    return measured.forgetting if targets == "single" else measured.gain


def ranked_points(measured: Measured, targets: str) -> Capped:
    """What a board of these targets ranks by, before it is divided: points of scores."""
    return measured.net if targets == "single" else measured.retention


def _judged(tested: _Test, family: Family, p: float | None) -> Comparison:
    one, other = tested.one, tested.other
    difference = tested.difference(level_of(tested.p, p))
    return Comparison(one.label, other.label, family, difference, p, verdict(one, other, difference, p))


def verdict(one: Entry, other: Entry, difference: Value, p: float | None) -> Verdict:
    """The verdict by an adjusted p: better or worse only where the winner had no more access than the loser."""
    if p is None or difference.estimate is None:
        return "no verdict"
    if p > LEVEL:
        return "not significant"
    winner, loser = (one, other) if difference.estimate > 0 else (other, one)
    if winner.access.within(loser.access):
        return "better" if winner is one else "worse"
    return "higher, with more access" if winner is one else "lower, with less access"


def places(ranked: Sequence[Entry], targets: str) -> dict[str, Places]:
    """Label -> range of places, of the entries that can have one, in ranking order.

    An entry's first place is one more than the number of entries that are significantly above it, its last leaves room for those that are
    significantly below it; all pairs are one family for Holm. Provisional entries have no verdicts and share the places behind all others.
    """
    full = [entry for entry in ranked if not entry.provisional]
    pairs = list(combinations(full, 2))
    tests = [_test(one, other, targets, "greedy") for one, other in pairs]
    above, below = dict.fromkeys((entry.label for entry in full), 0), dict.fromkeys((entry.label for entry in full), 0)
    for (one, other), tested, p in zip(pairs, tests, _adjusted([tested.p for tested in tests]), strict=True):
        if p is not None and tested.estimate is not None and p <= LEVEL:
            winner, loser = (one, other) if tested.estimate.mean > 0 else (other, one)
            below[winner.label] += 1
            above[loser.label] += 1
    found = {entry.label: Places(above[entry.label] + 1, len(full) - below[entry.label]) for entry in full}
    return found | {entry.label: Places(len(full) + 1, len(ranked)) for entry in ranked if entry.provisional}
