"""Tables of results that were declared before they were run: tests, intervals and boards, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from bench.report.evidence import moved
from bench.report.words import TITLES, access_words, p_words, percent, shown
from bench.results import metrics
from bench.results.boards import Board
from bench.results.comparisons import LEVEL, Comparison, Equivalence, Pair, equivalences, judge, level_of
from bench.results.entries import FULL_SEEDS
from bench.results.estimates import NO_FORGETTING, Value, domain_strata, ratio
from bench.results.measured import Measured
from bench.results.run import Run
from bench.results.statistics import Strata, crossed, crossed_interval, holm
from bench.suite import DECODINGS, Decoding

MARGIN = 0.05
"""Largest difference of two entries that are called equal."""


def github(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


@dataclass(frozen=True)
class Tested:
    """A test under one decoding. words: the estimate with its interval; p: after Holm's correction; verdict: "" where p is above 5 %, or
    there is none."""

    words: str
    p: float | None
    verdict: str

    @classmethod
    def of(cls, words: str, p: float | None, verdict: str) -> Tested:
        return cls(words, p, verdict if p is not None and p <= LEVEL else "")


@dataclass(frozen=True)
class Line:
    """A test, under each decoding."""

    name: tuple[str, ...]
    tested: Mapping[Decoding, Tested]

    @property
    def verdict(self) -> str:
        """What holds under every decoding, or "no"; "–" where nothing was tested."""
        if all(tested.p is None for tested in self.tested.values()):
            return "–"
        verdicts = {tested.verdict for tested in self.tested.values()}
        return verdicts.pop() or "no" if len(verdicts) == 1 else "no"


def tests_table(lines: Iterable[Line], columns: Sequence[str], what: str) -> str:
    rows = []
    for line in lines:
        cells = [cell for tested in line.tested.values() for cell in (tested.words, p_words(tested.p))]
        rows.append([*line.name, *cells, line.verdict])
    header = [word for d in DECODINGS for word in (f"{what}, {TITLES[d]}", "p")]
    return github(rows, [*columns, *header, "under both"])


def difference_lines(pairs: Sequence[Pair]) -> list[Line]:
    """Comparisons on their boards' metrics, one family a decoding."""
    by_decoding = {decoding: judge(pairs, "planned", decoding) for decoding in DECODINGS}

    def tested(comparison: Comparison) -> Tested:
        return Tested.of(as_share(comparison.difference), comparison.p, comparison.verdict)

    return [
        Line((f"`{targets}`", one.label, other.label), {d: tested(by_decoding[d][place]) for d in DECODINGS})
        for place, (one, other, targets) in enumerate(pairs)
    ]


def difference_table(lines: Iterable[Line]) -> str:
    return tests_table(lines, ("board", "entry", "against"), "difference")


def equivalence_table(pairs: Sequence[Pair]) -> str:
    """Two one-sided tests of each pair, one family a decoding, with 90 % intervals, widened by Holm's factor."""
    by_decoding = {decoding: equivalences(pairs, MARGIN, decoding) for decoding in DECODINGS}

    def tested(equivalence: Equivalence) -> Tested:
        return Tested.of(as_share(equivalence.difference), equivalence.p, "equal")

    lines = [
        Line((f"`{targets}`", one.label), {d: tested(by_decoding[d][place]) for d in DECODINGS})
        for place, (one, _, targets) in enumerate(pairs)
    ]
    return tests_table(lines, ("board", "entry"), "difference from refresh")


def points_table(differences: Mapping[str, Mapping[Decoding, Strata]], column: str, what: str) -> str:
    """Differences of scores in points, one family a decoding; below five seeds without a test."""
    enough = all(strata[0].shape[-2] >= FULL_SEEDS for by_decoding in differences.values() for strata in by_decoding.values())
    raw = {d: [float(crossed(strata[d]).p_value()) if enough else None for strata in differences.values()] for d in DECODINGS}
    adjusted = {d: holm(p_values) if enough else p_values for d, p_values in raw.items()}

    def tested(strata: Strata, p: float | None, adjusted: float | None) -> Tested:
        return Tested.of(in_points(strata, level_of(p, adjusted)), adjusted, "above 0" if crossed(strata).mean > 0 else "below 0")

    lines = [
        Line((name,), {d: tested(strata[d], raw[d][place], adjusted[d][place]) for d in DECODINGS})
        for place, (name, strata) in enumerate(differences.items())
    ]
    return tests_table(lines, [column], what)


@dataclass(frozen=True)
class Expectation:
    """A clause of what is expected, as a number that is above 0 if it holds. metric: whose unit the number has; values: by decoding."""

    words: str
    metric: str
    values: Mapping[Decoding, Value]

    @property
    def outcome(self) -> str:
        """contradicted: under some decoding the 95 % interval lies below 0; supported: under both it lies above 0; open: otherwise. A value
        that is undefined supports nothing."""
        intervals = [value for value in self.values.values() if value.low is not None and value.high is not None]
        if any(value.high < 0 for value in intervals):
            return "contradicted"
        return "supported" if len(intervals) == len(DECODINGS) and all(value.low > 0 for value in intervals) else "open"


def expectations_table(expected: Iterable[Expectation]) -> str:
    rows = [[one.words, *(shown(one.metric, one.values[d]) for d in DECODINGS), one.outcome] for one in expected]
    return github(rows, ["expected", *(f"estimate, {TITLES[d]}" for d in DECODINGS), "outcome"])


def points_expected(
    words: str, quantity: Callable[[Decoding], Strata], forgotten: Callable[[Decoding], Strata] | None = None
) -> Expectation:
    """An expectation about a mean of scores, in points. quantity: shares of 1; forgotten: a forgetting without which it is undefined."""

    def value(decoding: Decoding) -> Value:
        found = crossed_interval(quantity(decoding))
        if forgotten is not None and not crossed_interval(forgotten(decoding)).low > 0:
            return Value.undefined(NO_FORGETTING, found.seeds)
        return Value.of(found, 100)

    return Expectation(words, "final average", {d: value(d) for d in DECODINGS})


def as_share(value: Value) -> str:
    return shown("retention", value)


def in_points(strata: Strata, level: float = 0.95) -> str:
    """A mean of scores with its interval."""
    return shown("final average", Value.of(crossed_interval(strata, level), 100))


def minus(one: Strata, other: Strata) -> Strata:
    return [a - b for a, b in zip(one, other, strict=True)]


def board_table(board: Board) -> str:
    """Every entry with its metrics, cost and access, in ranking order."""
    places, rows = board.places(), []
    other = "collateral damage" if board.targets == "single" else "retention, worst"
    for entry in board.entries:
        place = places.get(entry.label)
        values = [shown(name, entry.metrics[d].get(name)) for name in (board.ranked_by, other) for d in DECODINGS]
        place_words = entry.unranked or ("–" if place is None else f"{place.first}–{place.last}")
        rows.append([place_words, entry.label, entry.method.track, *values, percent(entry.cost.total - 1, 1), access_words(entry.access)])
    header = ["places", "entry", "track", *(f"{name}, {TITLES[d]}" for name in (board.ranked_by, other) for d in DECODINGS)]
    return github(rows, [*header, "added cost", "access"])


def domain_table(board: Board) -> str:
    """The final scores of every entry, by domain."""
    rows = [
        [entry.label, *(f"{domain.final.estimate:.1f}" for d in DECODINGS for domain in entry.domains[d].values())]
        for entry in board.entries
    ]
    header = ["entry", *(f"{domain}, {TITLES[d]}" for d in DECODINGS for domain in board.entries[0].domains[d])]
    return github(rows, header)


def board_section(name: str, board: Board, level: int = 2) -> list[str]:
    """Heading and tables of a board. level: of the heading."""
    title = f"{'#' * level} Board {name}: {board.title}, {len(board.entries[0].seeds)} seeds"
    return [title, board_table(board), "Final scores, points of 100:", domain_table(board)]


def interference_tables(real: Sequence[Run], null: Sequence[Run]) -> str:
    """What real stages make each domain forget, what null stages do, and the difference: tests, then intervals.

    real: baseline runs; null: those of the same seeds whose stages after some domain are null.
    """
    differences, shares = {}, []
    for domain in (domain for domain in real[0].sequence[:-1] if any(one.manifest.spec.null == domain for one in null)):
        own = [one for one in null if one.manifest.spec.null == domain]
        shared = {one.seed for one in real} & {one.seed for one in own}
        both = tuple([one for one in runs if one.seed in shared] for runs in (real, own))
        lost = {d: [domain_strata(Measured.of(runs, d), metrics.forgetting, domain) for runs in both] for d in DECODINGS}
        differences[domain] = {d: minus(*strata) for d, strata in lost.items()}
        cells = []
        for before, after in lost.values():
            cells += [in_points(before), in_points(after), as_share(ratio(minus(before, after), before, NO_FORGETTING))]
        shares.append([domain, *cells, *(f"{moved(runs, domain):.2f}" for runs in both)])
    columns = ("forgetting, real stages", "forgetting, null stages", "interference / forgetting")
    header = ["domain", *(f"{column}, {TITLES[d]}" for d in DECODINGS for column in columns), "weights moved, real", "weights moved, null"]
    tests = points_table(differences, "domain", "interference, points")
    return f"{tests}\n\nWith 95 % intervals:\n\n{github(shares, header)}"
