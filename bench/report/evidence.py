"""What lies behind a board's numbers: score matrices, training curves, runs with null stages, lm-eval's results. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench.report.data import AlsoReport, Cell, Curve, Matrix, MatrixRow, NullDomain, NullReport
from bench.results.boards import Board
from bench.results.estimates import by_domain
from bench.results.measured import Measured
from bench.results.rows import Row
from bench.results.run import Run
from bench.suite import DECODINGS, Decoding

Counted = Mapping[str, Mapping[tuple[str, str, Decoding], Cell]]
"""Run's folder -> (row's name, domain, decoding) -> cell."""


def orders_of(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """The sequences that runs have, sorted."""
    return sorted({run.sequence for run in runs})


def matrix(order: tuple[str, ...], baseline: Sequence[Run], board: Board, counted: Counted) -> Matrix:
    """Mean cells of one order: the baseline run's rows, then the own stages and the final model of each entry."""

    def mean(runs: Sequence[Run], row: Row, kind: str, decoding: Decoding) -> tuple[float, ...]:
        cells = [[getattr(counted[str(run.folder)][row.name, domain, decoding], kind) for domain in order] for run in runs]
        return tuple(np.mean(cells, axis=0).tolist())

    def line(runs: Sequence[Run], row: Row, title: str, part: str, own: int | None = None) -> MatrixRow:
        values = {kind: {d: mean(runs, row, kind, d) for d in DECODINGS} for kind in ("score", "unparsed", "unended")}
        return MatrixRow(title, part, own, **values)

    here = [run for run in baseline if run.sequence == order]
    lines = [line(here, row, row.title, "baseline", row.index - 1 if row.index else None) for row in here[0].rows.baseline]
    for entry in board.entries:
        runs = [run for run in entry.runs if run.sequence == order]
        rows = runs[0].rows
        for row in rows.method:
            if row.part == "method" and row != rows.final:
                lines.append(line(runs, row, f"{entry.label}, after {row.domain}", "stage", row.index - 1))
        if rows.final not in rows.baseline:
            lines.append(line(runs, rows.final, entry.label, "final"))
    return Matrix(order, here[0].targets, tuple(lines))


def training(board: Board, baseline: Sequence[Run]) -> Iterator[Curve]:
    """The curves of the baseline run, and of each entry that trains its own stages."""
    for order in orders_of(baseline):
        yield from _curves([run for run in baseline if run.sequence == order], "baseline", "baseline run")
        for entry in board.entries:
            runs = [run for run in entry.runs if run.sequence == order]
            if runs[0].rows.own_stages:
                yield from _curves(runs, "method", entry.label)


def _curves(runs: Sequence[Run], part: str, label: str) -> Iterator[Curve]:
    """A curve for each stage and rewarded domain. None for stages without a log (imported checkpoints)."""
    for row in getattr(runs[0].rows, part)[1:]:
        logs = [log for log in (run.logs(row) for run in runs) if log]
        if not logs:
            continue
        length = min(map(len, logs))
        for domain in logs[0][0]["reward"]:
            rewards = 100 * np.array([[step["reward"].get(domain, np.nan) for step in log[:length]] for log in logs])
            # A mixture may leave a domain out of a step: such a step has no point.
            there = ~np.isnan(rewards).any(0)
            steps = tuple(step["step"] for step, present in zip(logs[0][:length], there, strict=True) if present)
            mean, low, high = (tuple(over(rewards[:, there], axis=0).tolist()) for over in (np.mean, np.min, np.max))
            yield Curve(label, runs[0].sequence, row.index, row.domain, domain, len(logs), steps, mean, low, high)


def null_report(board: Board, baseline: Sequence[Run]) -> NullReport | None:
    """Forgetting under null stages (rewards permuted within groups) beside that under real ones of the same orders and seeds, or under all
    where they share none; None without null runs."""
    if not board.null:
        return None
    interference = {decoding: board.interference(decoding) for decoding in DECODINGS}
    pairs = {domain: (baseline, null) for domain, null in board.null.items()} | board.null_pairs()
    domains = []
    for domain, (real, null) in pairs.items():
        forgotten = [{d: by_domain(Measured.of(runs, d))[domain].forgetting for d in DECODINGS} for runs in (real, null)]
        difference = {d: interference[d][domain] for d in DECODINGS if domain in interference[d]}
        seeds = tuple(sorted({run.seed for run in null}))
        lengths = moved(real, domain), moved(null, domain)
        domains.append(NullDomain(domain, tuple(orders_of(null)), seeds, *forgotten, difference, *lengths))
    return NullReport(tuple(domains))


def moved(runs: Sequence[Run], domain: str) -> float | None:
    """Euclidean norm of the update of the weights since a domain's own stage, mean over runs; None where a run has not stored it."""
    norm = float(np.mean([distance(run, run.rows.baseline[-1], run.rows.after(run.sequence.index(domain))) for run in runs]))
    return norm if np.isfinite(norm) else None


def reverted(runs: Sequence[Run]) -> float | None:
    """Share of the later stages' squared update that the final model no longer has: 1 - |final - own|^2 / |baseline's end - own|^2, summed
    over runs and targets. None where the method trains its own stages, where nothing was updated, and below -1, where the method moved the
    weights for another purpose than to undo (`sharpen` multiplies some)."""
    if any(run.rows.own_stages for run in runs):
        return None
    left = whole = 0.0
    for run in runs:
        for target in run.targets:
            own = run.rows.after(run.sequence.index(target))
            left += distance(run, own, run.rows.final) ** 2
            whole += distance(run, own, run.rows.baseline[-1]) ** 2
    return 1 - left / whole if whole > 0 and left <= 2 * whole else None


def distance(run: Run, anchor: Row, row: Row) -> float:
    """Euclidean norm of the difference of two rows' weights; nan where the run has not stored it. anchor: the end of the baseline run, or
    the row after a target's own stage."""
    return run.manifest.distances.get(anchor.name, {}).get(row.name, float("nan"))


def also(board: Board) -> Iterator[AlsoReport]:
    """What lm-eval's tasks gave the baseline run's rows and each entry's final model, order by order."""
    for order in orders_of([run for entry in board.entries for run in entry.runs]):
        shown: set[str] = set()
        for entry in board.entries:
            runs = [run for run in entry.runs if run.sequence == order and run.also]
            if not runs:
                continue
            rows = runs[0].rows
            for row in dict.fromkeys([*rows.baseline, rows.final]):
                if row.name in shown or row.name not in runs[0].also:
                    continue
                shown |= {row.name} if row in rows.baseline else set()
                tasks = runs[0].also[row.name]
                columns = [(task, metric) for task, metrics in tasks.items() for metric in metrics]
                means = {
                    f"{task}: {metric}": float(np.mean([run.also[row.name][task][metric][0] for run in runs])) for task, metric in columns
                }
                yield AlsoReport(order, row.title if row in rows.baseline else entry.label, means)
