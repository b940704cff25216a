"""Comparisons between the entries of a board, and the places that follow from them. No torch.

Difference, interval, p and verdict of a comparison come from one estimate and its variance (`wald_ratio`), on the seeds that both entries
have, so that they cannot contradict each other. A family is a set of comparisons that answer one question; p is adjusted by Holm within it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, get_args

from bench.results.entries import FULL_SEEDS, Entry
from bench.results.estimates import NO_FORGETTING, NO_GAIN, Value
from bench.results.measured import Capped, Measured
from bench.results.statistics import Interval, crossed_interval, holm, wald_ratio

Family = Literal["none", "shrink", "next", "all pairs", "planned"]
Verdict = Literal["better", "worse", "higher, with more access", "lower, with less access", "not significant", "no verdict"]
FAMILIES: tuple[Family, ...] = get_args(Family)
DEFAULT_FAMILIES: tuple[Family, ...] = ("none", "shrink", "next")
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """`one` against `other` by the board's metric.

    difference: one - other, a share, with a 95 % interval that is not adjusted for the number of comparisons. p: adjusted by Holm within the
    family; None where there is no verdict. verdict: by p at 5 %; "no verdict" with fewer than five shared seeds or trainings, or where the
    metric is undefined.
    """

    one: str
    other: str
    family: Family
    difference: Value
    p: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Places:
    """The range of places, from 1, that an entry may hold: first is the best, last the worst."""

    first: int
    last: int


@dataclass(frozen=True)
class _Test:
    """A comparison before Holm's adjustment."""

    one: Entry
    other: Entry
    difference: Value
    p: float | None


def compare(
    entries: Sequence[Entry], family: Family, targets: str, decoding: str, planned: Collection[tuple[str, str]] = ()
) -> list[Comparison]:
    """The comparisons of one family among the entries of a board, given in their order of standing.

    planned: labels of pairs chosen before the data were seen, for the family of that name; those that the board does not hold are left out.
    """
    pairs = pairs_of(entries, family, planned)
    tests = [test(one, other, targets, decoding) for one, other in pairs]
    adjusted = iter(holm([t.p for t in tests if t.p is not None]))
    return [_judged(t, family, None if t.p is None else next(adjusted)) for t in tests]


def pairs_of(entries: Sequence[Entry], family: Family, planned: Collection[tuple[str, str]] = ()) -> list[tuple[Entry, Entry]]:
    """The pairs that a family compares: "none" and "shrink" hold every other entry against the entries of that method; "next" holds each entry
    that can have a place against the next one that can."""
    if family == "next":
        return list(pairwise(entry for entry in entries if not entry.unranked))
    if family == "all pairs":
        return list(combinations(entries, 2))
    if family == "planned":
        by_label = {entry.label: entry for entry in entries}
        return [(by_label[one], by_label[other]) for one, other in dict.fromkeys(planned) if {one, other} <= set(by_label)]
    references = [entry for entry in entries if entry.method.name == family]
    return [(entry, reference) for reference in references for entry in entries if entry not in references]


def test(one: Entry, other: Entry, targets: str, decoding: str) -> _Test:
    """The difference of two entries by the board's metric, with an unadjusted p; neither where it is undefined, and no p below five seeds."""
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    if not seeds:
        return _Test(one, other, Value.undefined("no seed in common", 0), None)
    first, second = (entry.measured(decoding).only(seeds) for entry in (one, other))
    below = first.forgetting if targets == "single" else first.gain
    if not crossed_interval(below).low > 0:
        return _Test(one, other, Value.undefined(NO_FORGETTING if targets == "single" else NO_GAIN, len(seeds)), None)
    above = ranked_points(first, targets).minus(ranked_points(second, targets))
    estimate = wald_ratio(above.points, below, also=[above.free])
    mean, half = float(estimate.mean), float(estimate.half_width())
    difference = Value.of(Interval(mean, mean - half, mean + half, len(seeds)))
    enough = min(len(seeds), one.trainings, other.trainings) >= FULL_SEEDS
    return _Test(one, other, difference, float(estimate.p_value()) if enough else None)


def ranked_points(measured: Measured, targets: str) -> Capped:
    """What a board of these targets ranks by, before it is divided: points of scores."""
    return measured.net if targets == "single" else measured.retention


def _judged(tested: _Test, family: Family, p: float | None) -> Comparison:
    one, other = tested.one, tested.other
    return Comparison(one.label, other.label, family, tested.difference, p, verdict(one, other, tested.difference, p))


def verdict(one: Entry, other: Entry, difference: Value, p: float | None) -> Verdict:
    """ "better" only against an entry with the same access or more."""
    if p is None or difference.estimate is None:
        return "no verdict"
    if p > LEVEL:
        return "not significant"
    winner, loser = (one, other) if difference.estimate > 0 else (other, one)
    if winner.access.within(loser.access):
        return "better" if winner is one else "worse"
    return "higher, with more access" if winner is one else "lower, with less access"


def places(ranked: Sequence[Entry], targets: str) -> dict[str, Places]:
    """Label -> range of places, of the entries that can have one, in their order of standing.

    Neighbours share a range unless a *break* lies between them: their comparison in the family "next" is significant, and so (unadjusted) is
    that of every other pair across it. Provisional entries have no verdicts; they share the places behind all others.
    """
    full = [entry for entry in ranked if not entry.provisional]
    breaks = [0]
    for position, comparison in enumerate(compare(full, "next", targets, "greedy"), start=1):
        if comparison.p is not None and comparison.p <= LEVEL and _all_differ(full[:position], full[position:], targets):
            breaks.append(position)
    breaks.append(len(full))
    if len(full) < len(ranked):
        breaks.append(len(ranked))
    ordered = [*full, *(entry for entry in ranked if entry.provisional)]
    return {entry.label: Places(start + 1, stop) for start, stop in pairwise(breaks) for entry in ordered[start:stop]}


def _all_differ(above: Sequence[Entry], below: Sequence[Entry], targets: str) -> bool:
    tests = (test(one, other, targets, "greedy") for one in above for other in below)
    return all(t.p is not None and t.p <= LEVEL and (t.difference.estimate or 0) > 0 for t in tests)
