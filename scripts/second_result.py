"""The second result: runs what docs/second-result.md declares, and answers its questions from the scores.

    python scripts/second_result.py run --first 0 --seeds 5 --out runs/second    # hours; rerun to resume
    python scripts/second_result.py run --first 5 --seeds 5 --out runs/second
    python scripts/second_result.py answer --out docs/second-result-tables.md    # seconds, from the archives in docs/second-result/

`run` keeps the run folders below --out and the scores, without texts, in docs/second-result/. Seeds may be run on several machines, because
every comparison is made within a seed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from bench.api import compare, run
from bench.errors import UserError
from bench.report.evidence import moved, reverted
from bench.report.words import TITLES, p_words, percent, shown
from bench.results import metrics
from bench.results.archive import read_archive, write_archive
from bench.results.boards import Board, Entry, boards
from bench.results.comparisons import LEVEL, Comparison, Equivalence, Pair, equivalences, judge
from bench.results.estimates import NO_FORGETTING, Value, domain_strata, ratio
from bench.results.measured import Measured
from bench.results.run import Run
from bench.results.statistics import Strata, crossed, crossed_interval, holm
from bench.suite import DECODINGS, Decoding

ARCHIVES = Path(__file__).parents[1] / "docs" / "second-result"
STEPS = (1, 2, 5, 10, 15, 20, 30)
_STEPS, _ALPHAS, _SHARES = f"steps={','.join(map(str, STEPS))}", "alphas=0.25:,0.5:,0.75:", "share=0.01,0.03,0.1,0.3;step=1"
MARGIN = 0.05
REPAIR = "projection"
"""The repair that was developed on development seeds (question 7)."""


@dataclass(frozen=True)
class Part:
    """Runs that make one board. methods: as `bench compare --methods` takes them, or "" for the baseline run with null stages; seeds: how
    many of the scored seeds."""

    methods: str
    targets: str
    sequence: str = "paper"
    seeds: int = 10


PARTS: Mapping[str, Part] = {
    "single": Part("all", "single"),
    "all": Part("all", "all"),
    "null": Part("", "all"),
    "balanced": Part(
        f"none,shrink,revert,interpolate,random,refresh,relearn,rollback,mean_imm,mode_imm,stage_ties,opd,{REPAIR}", "all", "balanced", 5
    ),
    "curve": Part(f"none,refresh[{_STEPS}],relearn[{_STEPS}]", "single", seeds=5),
    "shares": Part(f"none,shrink[{_ALPHAS}],interpolate[{_ALPHAS}],rollback[{_SHARES}],random[{_SHARES}]", "single", seeds=5),
}


def run_part(name: str, first: int, count: int, out: Path, archives: Path) -> None:
    """Run a part on the scored seeds from `first`, as far as it has them, and archive the scores."""
    part = PARTS[name]
    stop = min(first + count, part.seeds)
    if first >= stop:
        return
    where = {"sequence": part.sequence, "targets": part.targets, "seed": first, "seeds": stop - first, "out": out / name}
    found = compare(part.methods, **where) if part.methods else run("none", null=True, **where)
    write_archive(archives / f"{name}-s{first}-{stop - 1}.zip", found)


# --- the runs, read back


@dataclass(frozen=True)
class Result:
    """The board of each part, and the baseline runs with null stages."""

    boards: Mapping[str, Board]
    null: Sequence[Run]

    @classmethod
    def read(cls, archives: Path) -> Result:
        """`UserError` where a part has no archive."""
        files = {name: sorted(archives.glob(f"{name}-s*.zip")) for name in PARTS}
        missing = [name for name, found in files.items() if not found]
        if missing:
            raise UserError(f"{archives}: no scores of {', '.join(missing)}; run `python scripts/second_result.py run` first")
        runs = {name: [one for file in found for one in read_archive(file)] for name, found in files.items()}
        null = runs.pop("null")
        found = {name: [board for board in boards(part) if board.sequence == PARTS[name].sequence] for name, part in runs.items()}
        return cls({name: board for name, (board,) in found.items()}, null)

    def entry(self, part: str, label: str) -> Entry:
        found = {entry.label: entry for entry in self.boards[part].entries}
        if label not in found:
            raise UserError(f"board {part} has no entry {label}; it has {', '.join(found)}")
        return found[label]

    def pairs(self, parts: Iterable[str], ones: Iterable[str], others: Iterable[str]) -> list[Pair]:
        """Each of `ones` against each of `others`, on the boards of the parts."""
        return [(self.entry(part, one), self.entry(part, other), PARTS[part].targets) for part in parts for one in ones for other in others]


# --- tables


def github(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


@dataclass(frozen=True)
class Found:
    """What a test found under one decoding. words: the estimate with its interval; sign: of what was found, 0 where it has none; p: after
    Holm's correction, None without a verdict."""

    words: str
    sign: int
    p: float | None


@dataclass(frozen=True)
class Line:
    """A test, under each decoding."""

    name: tuple[str, ...]
    found: Mapping[Decoding, Found]

    @property
    def holds(self) -> bool:
        """Significant under every decoding, and with one sign."""
        return all(f.p is not None and f.p <= LEVEL for f in self.found.values()) and len({f.sign for f in self.found.values()}) == 1


def tests_table(lines: Iterable[Line], columns: Sequence[str], what: str) -> str:
    rows = []
    for line in lines:
        cells = [cell for found in line.found.values() for cell in (found.words, p_words(found.p))]
        rows.append([*line.name, *cells, "yes" if line.holds else "no"])
    header = [word for d in DECODINGS for word in (f"{what}, {TITLES[d]}", "p")]
    return github(rows, [*columns, *header, "holds under both"])


def difference_table(pairs: Sequence[Pair]) -> str:
    """Comparisons on their boards' metrics, one family a decoding."""
    by_decoding = {decoding: judge(pairs, "planned", decoding) for decoding in DECODINGS}

    def found(comparison: Comparison) -> Found:
        difference = comparison.difference
        return Found(shown("retention", difference), int(np.sign(difference.estimate or 0)), comparison.p)

    lines = [
        Line((f"`{targets}`", one.label, other.label), {d: found(by_decoding[d][place]) for d in DECODINGS})
        for place, (one, other, targets) in enumerate(pairs)
    ]
    return tests_table(lines, ("board", "entry", "against"), "difference")


def equivalence_table(pairs: Sequence[Pair]) -> str:
    """Two one-sided tests of each pair, one family a decoding, with 90 % intervals."""
    by_decoding = {decoding: equivalences(pairs, MARGIN, decoding) for decoding in DECODINGS}

    def found(equivalence: Equivalence) -> Found:
        return Found(shown("retention", equivalence.difference), 0, equivalence.p)

    lines = [
        Line((f"`{targets}`", one.label), {d: found(by_decoding[d][place]) for d in DECODINGS})
        for place, (one, _, targets) in enumerate(pairs)
    ]
    return tests_table(lines, ("board", "entry"), "difference from refresh")


def points_table(rows: Sequence[tuple[str, Mapping[Decoding, Strata]]], column: str, what: str) -> str:
    """Differences of scores in points, one family a decoding. The intervals are those of one test, not adjusted."""
    adjusted = {d: holm([float(crossed(strata[d]).p_value()) for _, strata in rows]) for d in DECODINGS}

    def found(strata: Strata, p: float) -> Found:
        return Found(in_points(strata), int(np.sign(crossed(strata).mean)), p)

    lines = [Line((name,), {d: found(strata[d], adjusted[d][place]) for d in DECODINGS}) for place, (name, strata) in enumerate(rows)]
    return tests_table(lines, [column], what)


def in_points(strata: Strata) -> str:
    """A mean of scores with its 95 % interval."""
    return shown("final average", Value.of(crossed_interval(strata), 100))


def minus(one: Strata, other: Strata) -> Strata:
    return [a - b for a, b in zip(one, other, strict=True)]


# --- the questions


def does_refresh_recover(result: Result) -> str:
    return difference_table(result.pairs(("single", "all"), ["refresh"], ["none"]))


def is_refreshing_faster(result: Result) -> str:
    methods = ("refresh", "relearn")
    differences, curve = [], []
    for steps in STEPS:
        entries = [result.entry("curve", f"{name} steps={steps}") for name in methods]
        math = {d: [domain_strata(entry.measured(d), lambda o: o.final, "math") for entry in entries] for d in DECODINGS}
        differences.append((str(steps), {d: minus(*strata) for d, strata in math.items()}))
        curve.append([steps, *(in_points(strata) for d in DECODINGS for strata in math[d])])
    header = ["steps", *(f"{name}, {TITLES[d]}" for d in DECODINGS for name in methods)]
    tests = points_table(differences, "steps", "refresh minus relearn, points of math")
    return f"{tests}\n\nPoints of math:\n\n{github(curve, header)}"


def do_coordinates_matter(result: Result) -> str:
    return difference_table(result.pairs(("single", "all"), ["rollback"], ["random", "shrink"]))


def training_free(board: Board) -> list[str]:
    return [entry.label for entry in board.entries if entry.method.track == "training-free" and not entry.unranked]


def is_anything_equal_to_refresh(result: Result) -> str:
    pairs = [pair for part in ("single", "all") for pair in result.pairs([part], training_free(result.boards[part]), ["refresh"])]
    return equivalence_table(pairs)


def how_much_is_interference(result: Result) -> str:
    baseline, differences, shares = result.entry("all", "none").runs, [], []
    for domain in baseline[0].sequence[:-1]:
        both = (baseline, [one for one in result.null if one.manifest.spec.null == domain])
        lost = {d: [domain_strata(Measured.of(runs, d), metrics.forgetting, domain) for runs in both] for d in DECODINGS}
        differences.append((domain, {d: minus(*strata) for d, strata in lost.items()}))
        cells = []
        for real, null in lost.values():
            cells += [in_points(real), in_points(null), shown("retention", ratio(minus(real, null), real, NO_FORGETTING))]
        shares.append([domain, *cells, *(f"{moved(runs, domain):.2f}" for runs in both)])
    columns = ("forgetting, real stages", "forgetting, null stages", "interference / forgetting")
    header = ["domain", *(f"{column}, {TITLES[d]}" for d in DECODINGS for column in columns), "weights moved, real", "weights moved, null"]
    tests = points_table(differences, "domain", "interference, points")
    return f"{tests}\n\n{github(shares, header)}"


def does_the_share_reverted_matter(result: Result) -> str:
    rows = []
    for entry in result.boards["shares"].entries:
        share = reverted(entry.runs)
        values = [shown("net recovery", entry.metrics[d]["net recovery"]) for d in DECODINGS]
        rows.append((-1.0 if share is None else share, [entry.label, "–" if share is None else percent(share), *values]))
    header = ["entry", "update reverted", *(f"net recovery, {TITLES[d]}" for d in DECODINGS)]
    return github([row for _, row in sorted(rows, key=lambda pair: pair[0])], header)


def does_our_repair_win(result: Result) -> str:
    return difference_table(result.pairs(["all"], [REPAIR], ["shrink", "mode_imm", "opd", "refresh"]))


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
    """Every entry with its metrics and cost, in ranking order."""
    places, rows = board.places(), []
    for entry in board.entries:
        place = places.get(entry.label)
        values = [shown(board.ranked_by, entry.metrics[d][board.ranked_by]) for d in DECODINGS]
        other = "collateral damage" if board.targets == "single" else "retention, worst"
        found = [shown(other, entry.metrics[d].get(other)) for d in DECODINGS]
        cost = percent(entry.cost.total - 1, 1)
        place_words = entry.unranked or ("–" if place is None else f"{place.first}–{place.last}")
        rows.append([place_words, entry.label, entry.method.track, *values, *found, cost])
    header = ["places", "entry", "track", *(f"{name}, {TITLES[d]}" for name in (board.ranked_by, other) for d in DECODINGS), "added cost"]
    return github(rows, header)


def domain_table(board: Board) -> str:
    """The final scores of every entry, by domain."""
    rows = []
    for entry in board.entries:
        found = [entry.domains[d] for d in DECODINGS]
        rows.append([entry.label, *(f"{domain.final.estimate:.1f}" for by_domain in found for domain in by_domain.values())])
    header = ["entry", *(f"{domain}, {TITLES[d]}" for d in DECODINGS for domain in board.entries[0].domains[d])]
    return github(rows, header)


def answers(result: Result) -> str:
    """All tables, as Markdown."""
    parts = ["A test *holds under both* decodings where p is at most 5 % under each, after Holm's correction within the question."]
    parts += [f"## {title}\n\n{answer(result)}" for title, answer in QUESTIONS.items()]
    for name in ("single", "all", "balanced"):
        board = result.boards[name]
        parts += [f"## Board {name}: {board.title}\n\n{board_table(board)}", f"Final scores, points of 100:\n\n{domain_table(board)}"]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="train, repair, score and archive")
    running.add_argument("--first", type=int, default=0, help="first scored seed")
    running.add_argument("--seeds", type=int, default=5)
    running.add_argument("--parts", default=",".join(PARTS))
    running.add_argument("--out", type=Path, required=True)
    answering = commands.add_parser("answer", help="answer the questions from the archives")
    answering.add_argument("--out", type=Path)
    for command in (running, answering):
        command.add_argument("--archives", type=Path, default=ARCHIVES)
    options = parser.parse_args()
    try:
        if options.command == "run":
            for name in options.parts.split(","):
                run_part(name, options.first, options.seeds, options.out, options.archives)
            return
        text = answers(Result.read(options.archives))
    except UserError as error:
        sys.exit(str(error))
    print(text)
    if options.out:
        options.out.write_text(f"# The second result: tables\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
