"""Everything that a report says, as plain data. Terminal, CSV, Markdown, JSON and the page show this and nothing else. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError, nearest
from bench.report.answers import cells, curves, flips
from bench.report.prose import headline, null_command, standfirst
from bench.report.provenance import settings, warnings
from bench.report.words import access_words, row_title, shown
from bench.results import metrics
from bench.results.boards import Board, Entry, boards, one_each, ranked_points, within
from bench.results.estimates import SHARES, Measured, Order, by_domain, scaled
from bench.results.metrics import MEANING
from bench.results.run import Run, load_run
from bench.results.statistics import crossed_interval
from bench.suite import DECODINGS

FORMAT = 1


def collect(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """The runs in folders (each a run's own, or one of several runs'), and a line for each that had to be left out.

    `UserError` for a folder without any run.
    """
    runs: dict[Path, Run] = {}
    left_out: list[str] = []
    for folder in folders:
        own = (folder / "manifest.json").exists()
        inside = [folder] if own else sorted(path.parent for path in folder.glob("*/manifest.json"))
        if not inside:
            raise UserError(f"{folder}: no finished run there, nor in a folder below it; `python -m bench list runs` lists those here")
        for path in inside:
            if own:
                runs[path.resolve()] = load_run(path)
                continue
            try:
                runs[path.resolve()] = load_run(path)
            except UserError as error:
                left_out.append(str(error))
        if not own:
            unfinished = sorted(path.parent for path in folder.glob("*/.lock") if not (path.parent / "manifest.json").exists())
            left_out += [f"{path}: not finished" for path in unfinished]
    if not runs:
        raise UserError(left_out[0])
    return list(runs.values()), left_out


def planned_pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of labels from "one/other". `UserError` where a word is no pair."""
    pairs = []
    for word in words:
        one, slash, other = (part.strip() for part in word.partition("/"))
        if not (slash and one and other) or one == other:
            raise UserError(f"--pair {word!r}: give two entries' labels as the report shows them, one/other")
        pairs.append((one, other))
    return pairs


def content(runs: Sequence[Run], left_out: Sequence[str] = (), planned: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The report on finished runs, JSON-able: every board with its entries and all that stands behind them.

    Scores are percent, metrics are points of 100 or shares (`shares` names those); what is undefined has estimate None and a reason.
    planned: as in `Board.pairs`; `UserError` for a pair that no board holds.
    """
    found = boards(runs)
    if not found:
        raise UserError("null runs alone make no board: report them beside runs of the real stages")
    check_planned(planned, [{entry.label for entry in board.entries} for board in found])
    titles = Counter(board.title for board in found)
    told = []
    for board in found:
        print_ = board.entries[0].runs[0].manifest["suite"]["fingerprint"][:8]
        told.append(_board(board, board.title if titles[board.title] == 1 else f"{board.title} · fingerprint {print_}", planned))
    return {
        "format": FORMAT,
        "version": version("interference-bench"),
        "meaning": MEANING,
        "shares": list(SHARES),
        "left out": list(left_out),
        "boards": told,
    }


def check_planned(planned: Sequence[tuple[str, str]], labels: Sequence[set[str]]) -> None:
    """`UserError` for a pair that none of the boards, each given by its labels, holds."""
    for pair in planned:
        for label in pair:
            if not any(label in board for board in labels):
                raise nearest("entry", label, set().union(*labels))
        if not any(set(pair) <= board for board in labels):
            raise UserError(f"--pair {'/'.join(pair)}: these two stand on different boards; name two of one board")


def _board(board: Board, title: str, planned: Sequence[tuple[str, str]]) -> dict[str, Any]:
    plain = one_each([run for entry in board.entries for run in entry.runs])
    places = board.places()
    entries = [_entry(entry, board, places) for entry in board.entries]
    found: dict[str, Any] = {
        "title": title,
        "suite": board.suite,
        "sequence": board.sequence,
        "orders": [list(order) for order in sorted({run.sequence for run in plain})],
        "domains": list(plain[0].sequence),
        # The last-trained domain has nothing after it that could damage it.
        "earlier domains": [d for d in plain[0].sequence if any(run.sequence[-1] != d for run in plain)],
        "target domains": sorted({target for run in plain for target in run.targets}, key=plain[0].sequence.index),
        "targets": board.targets,
        "device": board.device,
        "comparable": board.comparable,
        "ranked by": board.ranked_by,
        "seeds": sorted({run.seed for run in plain}),
        "entries": entries,
        "baseline": {decoding: by_domain(Measured.of(plain, decoding)) for decoding in DECODINGS},
    }
    counted = {run.folder: cells(run) for entry in board.entries for run in entry.runs}
    found["runs"] = [
        {"run": run.name, "entry": entry.label, "seed": run.seed, "order": list(run.sequence), "cells": counted[run.folder]}
        for entry in board.entries
        for run in entry.runs
    ]
    found["pairs"], found["pairs planned"] = _pairs(board, planned), bool(planned)
    found["matrices"] = [_matrix(order, plain, board, counted) for order in sorted({run.sequence for run in plain})]
    found["training"] = _training(board, plain)
    found["flips"] = [
        {"entry": entry.label} | flips([run for run in entry.runs if domain in run.targets], domain)
        for domain in found["target domains"]
        for entry in board.entries
    ]
    found["null"] = _null(board, plain)
    found["also"] = _also(board)
    found["settings"] = settings(board)
    found["warnings"] = warnings(board, counted)
    found["headline"], found["standfirst"] = headline(found), standfirst(found)
    return found


def _entry(entry: Entry, board: Board, places: dict[str, int]) -> dict[str, Any]:
    standing = entry.metrics["greedy"][board.ranked_by]
    why_not = entry.unranked or ("" if entry.label in places else shown(board.ranked_by, standing))
    return {
        "label": entry.label,
        "method": entry.method["name"],
        "place": places.get(entry.label),
        "unranked": why_not,
        "provisional": entry.provisional,
        "track": entry.method["track"],
        "control": entry.method["control"],
        "seeds": list(entry.seeds),
        "trainings": entry.trainings,
        "metrics": entry.metrics,
        "domains": entry.domains,
        "cost": entry.cost,
        "removed": _removed(entry.runs),
        "access": entry.access,
        "access words": access_words(entry.access),
        "sharpening": _sharpening(entry, board.targets),
        "front": _front(entry, board),
        "own stages": any(run.rows["method"][1] != run.rows["baseline"][1] for run in entry.runs),
        "settings": entry.method["settings"],
        "source": entry.method["source"],
    }


def _sharpening(entry: Entry, targets: str) -> bool:
    """Whether the board's metric is clearly up against the plain run's end at temperature 1, and not greedily."""

    def up(decoding: str) -> bool:
        measured = entry.measured(decoding)
        won = ranked_points(measured, targets).minus(ranked_points(measured.unrepaired, targets))
        return all(crossed_interval(strata).low > 0 for strata in (won.points, won.free))

    return up("sampled") and not up("greedy")


def _front(entry: Entry, board: Board) -> str:
    """`cost`: no other entry keeps more for the same cost or less; `access`: none of those with equal or smaller access; or neither.

    By greedy estimates; the reference line is no method and takes no part.
    """
    kept = entry.metrics["greedy"]["retention"]["estimate"]
    if kept is None or entry.unranked == "reference":
        return ""
    beaten_by = []
    for other in board.entries:
        theirs = other.metrics["greedy"]["retention"]["estimate"]
        if other.unranked == "reference" or theirs is None or other is entry:
            continue
        no_worse = theirs >= kept and other.cost["total"] <= entry.cost["total"]
        if no_worse and (theirs > kept or other.cost["total"] < entry.cost["total"]):
            beaten_by.append(other)
    if not beaten_by:
        return "cost"
    return "" if any(within(other.access, entry.access) for other in beaten_by) else "access"


def _pairs(board: Board, planned: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Pairs of entries under both decodings; stands: the same verdict greedily and at temperature 1, and a difference."""
    by_decoding = {decoding: {(pair.one, pair.other): pair for pair in board.pairs(decoding, planned)} for decoding in DECODINGS}
    found = []
    for (one, other), greedy in by_decoding["greedy"].items():
        sampled = by_decoding["sampled"].get((one, other))
        told = {"one": one, "other": other}
        for decoding, pair in (("greedy", greedy), ("sampled", sampled)):
            told[decoding] = pair and {name: getattr(pair, name) for name in ("estimate", "low", "high", "p", "verdict")}
        told["stands"] = bool(sampled) and sampled.verdict == greedy.verdict != "no difference told"
        found.append(told)
    return found


def _matrix(order: tuple[str, ...], plain: Sequence[Run], board: Board, counted: dict[Path, Any]) -> dict[str, Any]:
    """Mean cells over seeds of one order, in percent: the plain rows, then for each entry its end row, and its own stages where it has
    any; `own`: the column whose stage the row ends, from 0."""
    rows: list[dict[str, Any]] = []

    def add(runs: Sequence[Run], name: str, title: str, part: str, own: int | None = None) -> None:
        values: dict[str, Any] = {"title": title, "row": name, "part": part, "own": own}
        for kind in ("score", "unparsed"):
            values[kind] = {
                decoding: [float(np.mean([counted[run.folder][name][decoding][domain][kind] for run in runs])) for domain in order]
                for decoding in DECODINGS
            }
        rows.append(values)

    here = [run for run in plain if run.sequence == order]
    for place, name in enumerate(here[0].rows["baseline"]):
        add(here, name, row_title(name), "baseline", place - 1 if place else None)
    for entry in board.entries:
        own_runs = [run for run in entry.runs if run.sequence == order]
        for place, name in enumerate(own_runs[0].rows["method"]):
            if name not in own_runs[0].rows["baseline"] and name not in own_runs[0].rows["final"]:
                add(own_runs, name, f"{entry.label}, after {order[place - 1]}", "stage", place - 1)
        if own_runs[0].rows["final"][0] not in here[0].rows["baseline"]:
            add(own_runs, own_runs[0].rows["final"][0], entry.label, "final")
    return {"order": list(order), "targets": list(here[0].targets), "rows": rows}


def _also(board: Board) -> list[dict[str, Any]]:
    """What tasks of lm-eval gave the rows that they were asked of: the plain run's rows, and where each entry ends; title, and task:
    metric -> mean over the runs. Rows of several orders stand apart."""
    rows: list[dict[str, Any]] = []
    for order in sorted({run.sequence for entry in board.entries for run in entry.runs}):
        told: set[str] = set()
        for entry in board.entries:
            runs = [run for run in entry.runs if run.sequence == order and run.also]
            if not runs:
                continue
            first = runs[0].rows
            for name in [*first["baseline"], *first["final"]]:
                if name in told and name in first["baseline"]:
                    continue
                told.add(name)
                columns = [(task, metric) for task, metrics in runs[0].also[name].items() for metric in metrics]
                means = {f"{task}: {metric}": float(np.mean([run.also[name][task][metric][0] for run in runs])) for task, metric in columns}
                title = row_title(name) if name in first["baseline"] else entry.label
                rows.append({"order": list(order), "title": title, "values": means})
    return rows


def _training(board: Board, plain: Sequence[Run]) -> list[dict[str, Any]]:
    found = []
    for order in sorted({run.sequence for run in plain}):
        sets = [("plain run", "baseline", plain)]
        sets += [(e.label, "method", e.runs) for e in board.entries if e.runs[0].rows["method"] != e.runs[0].rows["baseline"]]
        for label, part, runs in sets:
            found += [{"label": label, "order": list(order)} | curve for curve in curves([r for r in runs if r.sequence == order], part)]
    return found


def _null(board: Board, plain: Sequence[Run]) -> dict[str, Any]:
    """What null stages (rewards permuted within groups) after a domain's own stage damage it, and what real ones do beyond that on the
    seeds that both have; by decoding, then domain."""
    if not board.null:
        return {"missing": null_command(board, plain[0])}
    seeds = {run.seed for runs in board.null.values() for run in runs}
    found: dict[str, Any] = {
        "seeds": sorted(seeds),
        "forgetting": {d: {} for d in DECODINGS},
        "beyond": {d: {} for d in DECODINGS},
        "moved": {},
    }
    for domain, null in board.null.items():
        same = {(run.sequence, run.seed) for run in null} & {(run.sequence, run.seed) for run in plain}
        pairs = [one_each([run for run in runs if (run.sequence, run.seed) in same]) for runs in (plain, null)]
        for decoding in DECODINGS:
            found["forgetting"][decoding][domain] = by_domain(Measured.of(null, decoding))[domain]["forgetting"]
            if pairs[0]:
                found["beyond"][decoding][domain] = _beyond(*(Measured.of(runs, decoding) for runs in pairs), domain)
        found["moved"][domain] = {"real": _moved(plain, domain), "null": _moved(null, domain)}
    return found


def _moved(runs: Sequence[Run], domain: str) -> float:
    """Norm of what happened to the weights after a domain's own stage, mean over runs."""
    norms = [run.manifest["distances"][run.rows["baseline"][-1]][run.rows["baseline"][run.sequence.index(domain) + 1]] for run in runs]
    return float(np.mean(norms))


def _removed(runs: Sequence[Run]) -> float | None:
    """Share of the later stages' squared change that the end is without: 1 - |end - own|^2 / |plain end - own|^2, over runs and targets.

    None for stages of a method's own, which are another change altogether, and where nothing changed."""
    if any(run.rows["method"] != run.rows["baseline"] for run in runs):
        return None
    left = all_of_it = 0.0
    for run in runs:
        for target in run.targets:
            own = run.manifest["distances"][run.rows["baseline"][run.sequence.index(target) + 1]]
            left += own[run.rows["final"][0]] ** 2
            all_of_it += own[run.rows["baseline"][-1]] ** 2
    return 1 - left / all_of_it if all_of_it else None


def _beyond(real: Measured, null: Measured, domain: str) -> dict[str, Any]:
    def of(order: Order) -> Any:
        return lambda o: metrics.forgetting(o)[..., order.sequence.index(domain)]

    return scaled(crossed_interval([a - b for a, b in zip(real.strata(of), null.strata(of), strict=True)]), 100)
