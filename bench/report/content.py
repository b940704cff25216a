"""Makes the report's data (`bench.report.data`) from run folders: reads the folders, forms boards, fills every field. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from bench.errors import UserError, nearest
from bench.report import evidence
from bench.report.answers import cells, flips
from bench.report.data import BoardReport, ComparisonReport, EntryReport, Front, Report, RunReport, Test
from bench.report.prose import headline, null_command, standfirst
from bench.report.provenance import settings, warnings
from bench.report.words import shown
from bench.results.boards import Board, Entry, Places, boards, one_each, ranked_points
from bench.results.comparisons import DEFAULT_FAMILIES, Comparison, Family
from bench.results.estimates import SHARES, by_domain, measure_all
from bench.results.measured import Measured
from bench.results.metrics import MEANING
from bench.results.run import MANIFEST, Run, load_run
from bench.results.statistics import crossed_interval
from bench.suite import DECODINGS

BASELINE_METRICS = ("forgetting", "normalized forgetting", "format loss", "intransigence")
"""Metrics of the baseline run alone."""
UNDECIDED = ("not significant", "no verdict")


def collect(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs in folders (each a run's own, or one that holds runs' folders), read whole, and a line for each folder that had to be left
    out.

    `UserError` for a folder without any run, and where no run at all can be read.
    """
    runs: dict[Path, Run] = {}
    left_out: list[str] = []
    for folder in folders:
        paths = _run_folders(folder)
        if not paths:
            raise UserError(f"{folder}: no finished run there, nor in a folder below it; `python -m bench list runs` lists those here")
        for path in paths:
            if path.resolve() in runs:
                continue
            try:
                run = load_run(path)
                run.check()
            except UserError as error:
                left_out.append(str(error))
            else:
                runs[path.resolve()] = run
        left_out += [f"{path}: not finished" for path in sorted(held.parent for held in folder.glob("*/.lock")) if path not in paths]
    if not runs:
        raise UserError(left_out[0])
    return list(runs.values()), list(dict.fromkeys(left_out))


def _run_folders(folder: Path) -> list[Path]:
    return [folder] if (folder / MANIFEST).exists() else sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))


def planned_pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of labels from "one/other". `UserError` where a word is not a pair."""
    pairs = []
    for word in words:
        one, slash, other = (part.strip() for part in word.partition("/"))
        if not (slash and one and other) or one == other:
            raise UserError(f"--pair {word!r}: name two entries by the labels that the report shows, one/other")
        pairs.append((one, other))
    return pairs


def content(
    runs: Sequence[Run], left_out: Sequence[str] = (), planned: Sequence[tuple[str, str]] = (), *, all_pairs: bool = False
) -> Report:
    """The report on finished runs.

    planned: labels of pairs chosen before the data were seen, compared in a family of their own; `UserError` for a pair that no board
    holds.
    all_pairs: also compare every two entries of a board.
    """
    found = boards(runs)
    if not found:
        raise UserError("runs with null stages alone make no board: report them together with runs of the real stages")
    check_planned(planned, [{entry.label for entry in board.entries} for board in found])
    titles = Counter(board.title for board in found)
    reports = []
    for board in found:
        fingerprint = board.entries[0].runs[0].manifest.suite.fingerprint[:8]
        title = board.title if titles[board.title] == 1 else f"{board.title} · fingerprint {fingerprint}"
        reports.append(_board(board, title, planned, all_pairs))
    return Report(version("interference-bench"), MEANING, tuple(SHARES), (*left_out, *unused_null(runs, found)), tuple(reports))


def unused_null(runs: Sequence[Run], found: Sequence[Board]) -> list[str]:
    """A line for each run with null stages that no board shows."""
    shown_there = {str(run.folder) for board in found for part in board.null.values() for run in part}
    lines = []
    for run in runs:
        if run.manifest.spec.null and str(run.folder) not in shown_there:
            method, after = run.manifest.method.name, run.manifest.spec.null
            why = "another run of the same order and seed counts, or its orders share no seed, or there are no real stages beside it"
            reason = f"null stages of {method}; tables show only those of none" if method != "none" else f"null stages after {after}: {why}"
            lines.append(f"{run.folder}: {reason}")
    return lines


def check_planned(planned: Sequence[tuple[str, str]], labels: Sequence[set[str]]) -> None:
    """`UserError` for a pair that none of the boards, each given by its labels, holds."""
    for pair in planned:
        for label in pair:
            if not any(label in board for board in labels):
                raise nearest("entry", label, set().union(*labels))
        if not any(set(pair) <= board for board in labels):
            raise UserError(f"--pair {'/'.join(pair)}: these two are on different boards; name two entries of one board")


def _board(board: Board, title: str, planned: Sequence[tuple[str, str]], all_pairs: bool) -> BoardReport:
    baseline = one_each([run for entry in board.entries for run in entry.runs])
    domains = baseline[0].sequence
    targets = tuple(sorted({target for run in baseline for target in run.targets}, key=domains.index))
    places = board.places()
    counted = {str(run.folder): cells(run) for entry in board.entries for run in entry.runs}
    by_place = {folder: {(c.row, c.domain, c.decoding): c for c in found} for folder, found in counted.items()}
    measured = {decoding: Measured.of(baseline, decoding) for decoding in DECODINGS}
    orders = evidence.orders_of(baseline)
    families = (*DEFAULT_FAMILIES, *(["all pairs"] if all_pairs else []))
    report = BoardReport(
        title=title,
        suite=board.suite,
        sequence=board.sequence,
        targets=board.targets,
        device=board.device,
        comparable=board.comparable,
        ranked_by=board.ranked_by,
        orders=tuple(orders),
        domains=domains,
        earlier_domains=tuple(domain for domain in domains if any(run.sequence[-1] != domain for run in baseline)),
        target_domains=targets,
        seeds=tuple(sorted({run.seed for run in baseline})),
        entries=tuple(entry_report(entry, board, places.get(entry.label)) for entry in board.entries),
        baseline={decoding: by_domain(found) for decoding, found in measured.items()},
        baseline_metrics={
            decoding: {name: value for name, value in measure_all(found.unrepaired).items() if name in BASELINE_METRICS}
            for decoding, found in measured.items()
        },
        comparisons=tuple(_comparisons(board, families, planned)),
        families=(*families, *(["planned"] if planned else [])),
        matrices=tuple(evidence.matrix(order, baseline, board, by_place) for order in orders),
        training=tuple(evidence.training(board, baseline)),
        flips=tuple(
            flips([run for run in entry.runs if domain in run.targets], domain, entry.label)
            for domain in targets
            for entry in board.entries
        ),
        null=evidence.null_report(board, baseline),
        null_command="" if board.null else null_command(baseline[0]),
        also=tuple(evidence.also(board)),
        settings=settings(board),
        runs=tuple(
            RunReport(run.name, entry.label, run.seed, run.sequence, counted[str(run.folder)])
            for entry in board.entries
            for run in entry.runs
        ),
        warnings=tuple(warnings(board, counted)),
    )
    return replace(report, headline=headline(report), standfirst=standfirst(report))


def entry_report(entry: Entry, board: Board, places: Places | None) -> EntryReport:
    """An entry of a board, as data."""
    standing = entry.metrics["greedy"][board.ranked_by]
    method = entry.runs[0].manifest.method
    return EntryReport(
        label=entry.label,
        method=method.name,
        places=places,
        unranked=entry.unranked or ("" if places else shown(board.ranked_by, standing)),
        provisional=entry.provisional,
        track=method.track,
        control=method.control,
        seeds=entry.seeds,
        trainings=entry.trainings,
        metrics=entry.metrics,
        domains=entry.domains,
        cost=entry.cost,
        reverted=evidence.reverted(entry.runs),
        sharpening=_sharpening(entry, board.targets),
        front=_front(entry, board),
        own_stages=any(run.rows.own_stages for run in entry.runs),
        settings=method.settings,
        source=method.source,
    )


def _sharpening(entry: Entry, targets: str) -> bool:
    """Whether the board's metric is significantly above the baseline run's end at temperature 1, and not by greedy scores."""

    def improved(decoding: str) -> bool:
        measured = entry.measured(decoding)
        won = ranked_points(measured, targets).minus(ranked_points(measured.unrepaired, targets))
        return all(crossed_interval(strata).low > 0 for strata in won)

    return improved("sampled") and not improved("greedy")


def _front(entry: Entry, board: Board) -> Front:
    """`cost`: no other entry has more retention for the same cost or less; `access`: none of those with equal or smaller access; or
    neither.

    By greedy estimates; the reference line is not a method and takes no part.
    """
    retention = entry.metrics["greedy"]["retention"].estimate
    if retention is None or entry.unranked == "reference":
        return ""
    dominating = []
    for other in board.entries:
        theirs = other.metrics["greedy"]["retention"].estimate
        if other.unranked == "reference" or theirs is None or other is entry:
            continue
        no_worse = theirs >= retention and other.cost.total <= entry.cost.total
        if no_worse and (theirs > retention or other.cost.total < entry.cost.total):
            dominating.append(other)
    if not dominating:
        return "cost"
    return "" if any(other.cost.access.within(entry.cost.access) for other in dominating) else "access"


def _comparisons(board: Board, families: Sequence[Family], planned: Sequence[tuple[str, str]]) -> list[ComparisonReport]:
    """Every comparison under both decodings."""

    def key(found: Comparison) -> tuple[Family, str, str]:
        return found.family, found.one, found.other

    greedy, sampled = ({key(found): found for found in board.comparisons(decoding, families, planned)} for decoding in DECODINGS)
    return [
        ComparisonReport(
            one=one.one,
            other=one.other,
            family=one.family,
            tests={d: Test(found.difference, found.p, found.verdict) for d, found in zip(DECODINGS, (one, sampled[name]), strict=True)},
            holds=one.verdict == sampled[name].verdict and one.verdict not in UNDECIDED,
        )
        for name, one in greedy.items()
    ]
