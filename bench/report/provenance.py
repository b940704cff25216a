"""What runs used, and what a reader must know before believing their numbers. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.report.answers import disagreement
from bench.report.data import Cell, SettingsReport, Used
from bench.report.words import not_comparable
from bench.results.boards import FULL_SEEDS, Board
from bench.results.regimes import regime_warnings
from bench.results.run import Run
from bench.suite import DEVELOPMENT_SEEDS


def settings(board: Board) -> SettingsReport:
    """The suite's settings, numerics and versions, each with how many runs."""
    runs = [run for entry in board.entries for run in entry.runs] + [run for runs in board.null.values() for run in runs]
    suite = runs[0].manifest.suite
    return SettingsReport(
        suite.fingerprint, suite.settings, _used([run.manifest.numerics for run in runs]), _used([run.manifest.versions for run in runs])
    )


def _used(values: Sequence[Mapping[str, Any]]) -> tuple[Used, ...]:
    counts = Counter(tuple(each.items()) for each in values)
    return tuple(Used(count, dict(each)) for each, count in counts.items())


def warnings(board: Board, counted: Mapping[str, Sequence[Cell]]) -> list[str]:
    """What a reader must know before believing a number. counted: cells by a run's folder."""
    runs = [run for entry in board.entries for run in entry.runs]
    found = [*_few_seeds(board), *regime_warnings(board.entries), *_different_baselines(runs)]
    if {run.seed for run in runs} & set(DEVELOPMENT_SEEDS):
        span = f"{DEVELOPMENT_SEEDS.start}–{DEVELOPMENT_SEEDS.stop - 1}"
        found.append(f"includes development seeds ({span}): use them to explore, not to support a claim")
    if len({entry.seeds for entry in board.entries}) > 1:
        found.append("entries have different seeds; each comparison uses the seeds that both entries have")
    for domain, count in sorted({pair for run in runs for pair in run.manifest.cut.items()}):
        found.append(f"{count} test prompts of {domain} exceeded the suite's limit and lost their beginning")
    for entry in board.entries:
        if entry.dropped:
            names = ", ".join(run.name for run in entry.dropped)
            found.append(f"{entry.label}: not counted, because another run has the same seed or an order lacks the seed: {names}")
        if entry.unranked.startswith("over"):
            found.append(f"{entry.label} exceeds its track's cost limit ({entry.unranked}) and has no place")
    return found + [text for run in runs if (text := disagreement(run, counted[str(run.folder)]))]


def _few_seeds(board: Board) -> Iterator[str]:
    if not board.comparable:
        yield not_comparable(board.suite, any(run.manifest.spec.quick for entry in board.entries for run in entry.runs))
    if any(len(entry.seeds) < FULL_SEEDS for entry in board.entries):
        yield f"provisional: some entries have fewer than {FULL_SEEDS} seeds, so no verdict is given on them"
    if any(len(entry.seeds) == 1 for entry in board.entries):
        yield "intervals of entries with one seed cover item sampling only"
    if any(entry.trainings < len(entry.seeds) for entry in board.entries):
        yield "provisional: one training was repaired with several seeds; intervals do not cover differences between trainings"


def _different_baselines(runs: Sequence[Run]) -> Iterator[str]:
    chains: dict[tuple[Any, ...], dict[tuple[str, ...], Run]] = {}
    for run in runs:
        chain = tuple(run.manifest.checkpoints[row.name] for row in run.rows.baseline)
        chains.setdefault((run.sequence, run.seed), {}).setdefault(chain, run)
    for (_, seed), different in sorted(chains.items()):
        if len(different) > 1:
            names = " and ".join(run.name for run in different.values())
            yield f"baseline runs of seed {seed} have different checkpoints in {names}: they come from different machines or versions"
