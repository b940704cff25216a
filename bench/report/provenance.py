"""What runs used, and what a reader must know before believing their numbers. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.report.answers import disagreement
from bench.results.boards import FULL_SEEDS, Board
from bench.results.run import Run
from bench.suite import DEVELOPMENT_SEEDS


def settings(board: Board) -> dict[str, Any]:
    """What the runs used: the suite's settings, numerics and versions, each with how many runs."""
    runs = [run for entry in board.entries for run in entry.runs] + [run for runs in board.null.values() for run in runs]
    suite = runs[0].manifest["suite"]
    told: dict[str, Any] = {"fingerprint": suite["fingerprint"], "suite": suite["settings"]}
    for kind in ("numerics", "versions"):
        counts = Counter(tuple(run.manifest[kind].items()) for run in runs)
        told[kind] = [dict(values) | {"runs": count} for values, count in counts.items()]
    return told


def warnings(board: Board, counted: Mapping[Path, Any]) -> list[str]:
    """What a reader must know before believing a number."""
    found = []
    runs = [run for entry in board.entries for run in entry.runs]
    if not board.comparable:
        found.append("not comparable: quick runs, too few steps and items to compare with anything")
    if any(len(entry.seeds) < FULL_SEEDS for entry in board.entries):
        found.append(f"provisional: entries with fewer than {FULL_SEEDS} seeds; with one seed, intervals speak of items alone")
    if any(entry.trainings < len(entry.seeds) for entry in board.entries):
        found.append("provisional: one training repaired with several seeds; intervals leave out how trainings differ")
    if {run.seed for run in runs} & set(DEVELOPMENT_SEEDS):
        found.append(
            f"development seeds ({DEVELOPMENT_SEEDS.start} to {DEVELOPMENT_SEEDS.stop - 1}) are among them: for exploring, not for a claim"
        )
    if len({entry.seeds for entry in board.entries}) > 1:
        found.append("the entries rest on different seeds; pairs are compared on those that both have")
    chains: dict[tuple[Any, ...], dict[tuple[str, ...], Run]] = {}
    for run in runs:
        chain = tuple(run.manifest["checkpoints"][row] for row in run.rows["baseline"])
        chains.setdefault((run.sequence, run.seed), {}).setdefault(chain, run)
    for (_, seed), different in sorted(chains.items()):
        if len(different) > 1:
            names = " and ".join(run.name for run in different.values())
            found.append(f"the plain runs of seed {seed} are not the same checkpoints in {names}: other machines or versions")
    for domain, count in sorted({pair for run in runs for pair in run.manifest.get("cut", {}).items()}):
        found.append(f"{count} test prompts of {domain} were longer than the suite allows and lost their beginning")
    for entry in board.entries:
        if entry.dropped:
            names = ", ".join(run.name for run in entry.dropped)
            found.append(f"{entry.label}: not counted, since another run of the same seed is there or an order lacks it: {names}")
        if entry.unranked.startswith("over"):
            found.append(f"{entry.label} costs more than its track allows ({entry.unranked}) and has no place")
    return found + [text for run in runs if (text := disagreement(run, counted[run.folder]))]
