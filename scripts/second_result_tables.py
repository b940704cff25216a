"""The tables of the second result: each question of docs/second-result.md, answered from its boards.

`scripts/second_result.py` declares what is run, reads it and calls `answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabulate import tabulate

from bench.report.evidence import moved, reverted
from bench.report.words import TITLES, access_words, p_words, percent, shown
from bench.results import metrics
from bench.results.boards import Board
from bench.results.comparisons import LEVEL, Comparison, Equivalence, Pair, equivalences, judge, level_of
from bench.results.estimates import NO_FORGETTING, Value, domain_strata, ratio
from bench.results.measured import Measured
from bench.results.statistics import Strata, crossed, crossed_interval, holm
from bench.suite import DECODINGS, Decoding

if TYPE_CHECKING:
    from second_result import Result

STEPS = (1, 2, 5, 10, 15, 20, 30)
"""Of refresh's curve (question 2)."""
TRAINING_FREE = ("mean_imm", "mode_imm", "rollback", "stage_ties")
"""The proposed methods of that track (question 4)."""
MARGIN = 0.05
REPAIR = "projection"
"""The repair that was developed on development seeds (question 7)."""


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
        """What holds under every decoding, or "no"."""
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
    """Differences of scores in points, one family a decoding."""
    raw = {d: [float(crossed(strata[d]).p_value()) for strata in differences.values()] for d in DECODINGS}
    adjusted = {d: holm(p_values) for d, p_values in raw.items()}

    def tested(strata: Strata, p: float, adjusted: float) -> Tested:
        return Tested.of(in_points(strata, level_of(p, adjusted)), adjusted, "above 0" if crossed(strata).mean > 0 else "below 0")

    lines = [
        Line((name,), {d: tested(strata[d], raw[d][place], adjusted[d][place]) for d in DECODINGS})
        for place, (name, strata) in enumerate(differences.items())
    ]
    return tests_table(lines, [column], what)


def as_share(value: Value) -> str:
    return shown("retention", value)


def in_points(strata: Strata, level: float = 0.95) -> str:
    """A mean of scores with its interval."""
    return shown("final average", Value.of(crossed_interval(strata, level), 100))


def minus(one: Strata, other: Strata) -> Strata:
    return [a - b for a, b in zip(one, other, strict=True)]


# --- the questions


def does_refresh_recover(result: Result) -> str:
    return difference_table(difference_lines(result.pairs(("single", "all"), ["refresh"], ["none"])))


def is_refreshing_faster(result: Result) -> str:
    methods = ("refresh", "relearn")
    differences, curve = {}, []
    for steps in STEPS:
        entries = [result.entry("curve", f"{name} steps={steps}") for name in methods]
        math = {d: [domain_strata(entry.measured(d), lambda o: o.final, "math") for entry in entries] for d in DECODINGS}
        differences[str(steps)] = {d: minus(*strata) for d, strata in math.items()}
        curve.append([steps, *(in_points(strata) for d in DECODINGS for strata in math[d])])
    header = ["steps", *(f"{name}, {TITLES[d]}" for d in DECODINGS for name in methods)]
    tests = points_table(differences, "steps", "refresh minus relearn, points of math")
    return f"{tests}\n\nPoints of math, with 95 % intervals:\n\n{github(curve, header)}"


def do_coordinates_matter(result: Result) -> str:
    return difference_table(difference_lines(result.pairs(("single", "all"), ["rollback"], ["random", "shrink"])))


def is_anything_equal_to_refresh(result: Result) -> str:
    return equivalence_table(result.pairs(("single", "all"), TRAINING_FREE, ["refresh"]))


def how_much_is_interference(result: Result) -> str:
    baseline, differences, shares = result.entry("all", "none").runs, {}, []
    for domain in baseline[0].sequence[:-1]:
        both = (baseline, [one for one in result.null if one.manifest.spec.null == domain])
        lost = {d: [domain_strata(Measured.of(runs, d), metrics.forgetting, domain) for runs in both] for d in DECODINGS}
        differences[domain] = {d: minus(*strata) for d, strata in lost.items()}
        cells = []
        for real, null in lost.values():
            cells += [in_points(real), in_points(null), as_share(ratio(minus(real, null), real, NO_FORGETTING))]
        shares.append([domain, *cells, *(f"{moved(runs, domain):.2f}" for runs in both)])
    columns = ("forgetting, real stages", "forgetting, null stages", "interference / forgetting")
    header = ["domain", *(f"{column}, {TITLES[d]}" for d in DECODINGS for column in columns), "weights moved, real", "weights moved, null"]
    tests = points_table(differences, "domain", "interference, points")
    return f"{tests}\n\nWith 95 % intervals:\n\n{github(shares, header)}"


def does_the_share_reverted_matter(result: Result) -> str:
    rows = []
    for entry in result.boards["shares"].entries:
        share = reverted(entry.runs)
        values = [shown("net recovery", entry.metrics[d]["net recovery"]) for d in DECODINGS]
        rows.append((-1.0 if share is None else share, [entry.label, "–" if share is None else percent(share), *values]))
    header = ["entry", "update reverted", *(f"net recovery, {TITLES[d]}" for d in DECODINGS)]
    return github([row for _, row in sorted(rows, key=lambda pair: pair[0])], header)


def does_our_repair_win(result: Result) -> str:
    lines = difference_lines(result.pairs(["all"], [REPAIR], ["shrink", "mode_imm", "opd", "refresh"]))
    wins = all(line.verdict in ("better", "higher, with more access") for line in lines)
    return f"{difference_table(lines)}\n\nSignificantly above all four, under both decodings: **{'yes' if wins else 'no'}**."


QUESTIONS: Mapping[str, Callable[[Result], str]] = {
    "1. Does refresh recover what was forgotten?": does_refresh_recover,
    "2. Is refreshing faster than learning anew?": is_refreshing_faster,
    "3. Does rollback's choice of coordinates matter?": do_coordinates_matter,
    "4. Is anything training-free as good as refresh?": is_anything_equal_to_refresh,
    "5. How much of the forgetting is interference?": how_much_is_interference,
    "6. Does recovery depend on how much of the update is reverted, or on which part?": does_the_share_reverted_matter,
    "7. Does the repair that we developed beat shrink, mode-IMM, opd and refresh?": does_our_repair_win,
}


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


def answers(result: Result) -> str:
    """All tables, as Markdown."""
    parts = [
        "Each question is one family of tests, for each decoding. Holm's correction multiplies p, and intervals of differences are widened "
        "by the same factor. *Under both*: what is significant, with one sign, greedily and at temperature 1."
    ]
    parts += [f"## {title}\n\n{answer(result)}" for title, answer in QUESTIONS.items()]
    for name in ("single", "all", "balanced"):
        board = result.boards[name]
        title = f"## Board {name}: {board.title}, {len(board.entries[0].seeds)} seeds"
        parts += [title, board_table(board), "Final scores, points of 100:", domain_table(board)]
    return "\n\n".join(parts) + "\n"
