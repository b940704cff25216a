"""What a command prints at the end of its runs: one screen with the score matrix, the metrics that matter for the board, cost and
access."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from bench.costs import TRACK_LIMITS, AccessRecord, over_limit
from bench.report.words import TITLES, access_words, cap_bias_words, listed, not_comparable, rounded, seeds_words, shown
from bench.results.boards import FULL_SEEDS
from bench.results.estimates import measure
from bench.results.metrics import MEANING
from bench.results.run import Run, distinct_seeds
from bench.suite import DECODINGS

IN_SHORT = {
    "forgetting": "points the targets lost to later stages",
    "recovery ratio": "share of that which the repair recovered",
    "net recovery": "the same, minus what others lost; ranks methods",
    "retention": "share of all gains retained; ranks methods",
    "collateral damage": "points other domains lost to the repair, mean",
    "collateral damage, worst": "the same, for the domain that lost most",
    "normalized forgetting": "share of earlier gains forgotten, baseline run",
    "normalized forgetting, repaired": "the same for the final model",
}
"""The metrics of the short table, in order, each with a few words."""
ONLY_ON = {"single": ("recovery ratio", "net recovery"), "all": ("retention",)}
"""Metrics of the short table that matter on one board alone."""


def matrix_table(runs: Sequence[Run]) -> str:
    """Mean scores in percent over the runs' seeds: a line a row, a column a domain, greedy and at temperature 1 side by side."""
    first = runs[0]
    positions = {row: position for position, row in reversed(list(enumerate(first.rows)))}
    lines = []
    for row in first.rows.distinct():
        cells: list[str] = []
        for decoding in DECODINGS:
            scores = np.mean([list(run.matrix[decoding])[positions[row]] for run in runs], 0)
            cells += [f"{100 * value:.1f}" for value in (*scores, scores.mean())]
        lines.append([row.title, *cells])
    domains = [f"{domain}*" if domain in first.targets else domain for domain in first.sequence]
    header = ["%", *domains, "mean", *(f"{name}\n(t=1)" for name in (*first.sequence, "mean"))]
    return tabulate(lines, header, tablefmt="simple", disable_numparse=True, colalign=("left", *["right"] * (len(header) - 1)))


def metrics_table(runs: Sequence[Run], *, all_metrics: bool = False) -> str:
    """Metrics with intervals under both decodings and what they mean: those that matter for the board, or all."""
    found = {decoding: measure(runs, decoding) for decoding in DECODINGS}
    elsewhere = {name for targets, own in ONLY_ON.items() if targets != runs[0].manifest.spec.targets for name in own}
    names = [name for name in (MEANING if all_metrics else IN_SHORT) if name in found["greedy"]]
    lines = []
    for name in names if all_metrics else [name for name in names if name not in elsewhere]:
        values = [found[decoding][name] for decoding in DECODINGS]
        cells = ["\n".join([*textwrap.wrap(shown(name, value), 24), *filter(None, [cap_bias_words(name, value)])]) for value in values]
        lines.append([name, *cells, textwrap.fill((MEANING if all_metrics else IN_SHORT)[name], 60)])
    return tabulate(lines, ["metric", *(TITLES[d] for d in DECODINGS), "what it means"], tablefmt="simple", disable_numparse=True)


def cost_lines(runs: Sequence[Run]) -> str:
    """What the method cost, as a share of the baseline sequence's FLOPs, and what it had access to."""
    costs = [run.manifest.cost for run in runs]
    stages, repair = (100 * float(np.mean(values)) for values in ([c.stages for c in costs], [c.repair for c in costs]))
    track = runs[0].manifest.method.track
    limit = TRACK_LIMITS.get(track)
    allowed = "no limit" if limit is None else f"limit {100 * limit:.0f} % in all"
    over = ": OVER THE LIMIT" if over_limit(track, (stages + repair) / 100) else ""
    if limit is not None and not runs[0].manifest.suite.comparable:
        over = "; not applied to results that are not comparable"
    return "\n".join(
        [
            f"cost      repair {rounded(repair, 1)} % of the baseline sequence's FLOPs, stages {rounded(stages, 1)} % "
            f"(track {track}, {allowed}{over})",
            f"access    {access_words(AccessRecord.union(run.access for run in runs))}",
        ]
    )


def also_table(runs: Sequence[Run]) -> str:
    """What tasks of lm-eval gave each row, means over the runs' seeds: a line a row, a column a task and metric."""
    first = runs[0].also
    titles = {row.name: row.title for row in runs[0].rows}
    columns = [(task, metric) for task, metrics in next(iter(first.values())).items() for metric in metrics]
    lines = [
        [titles.get(row, row), *(f"{np.mean([run.also[row][task][metric][0] for run in runs]):.3f}" for task, metric in columns)]
        for row in first
    ]
    return tabulate(lines, ["lm-eval", *(f"{task}: {metric}" for task, metric in columns)], tablefmt="simple", disable_numparse=True)


def summary(runs: Sequence[Run], *, all_metrics: bool = False) -> str:
    """One screen on runs of one entry that differ in their seeds; with `all_metrics` every metric, explained in full.

    `UserError` for runs of different entries, or the same seed twice.
    """
    runs = distinct_seeds(list(runs))
    first = runs[0].manifest
    title = f"{first.method.name} on {first.suite.id}, {' → '.join(first.sequence)}, {seeds_words(run.seed for run in runs)}"
    notes = [f"* target{'s' if len(first.targets) > 1 else ''} to recover: {listed(first.targets)}"]
    if first.spec.null:
        notes.append(f"null stages after {first.spec.null}: rewards permuted within groups, nothing to learn")
    if not first.suite.comparable:
        notes.append(not_comparable(first.suite.id, first.spec.quick))
    if len(runs) == 1:
        notes.append("intervals cover item sampling only (one seed)")
    elif len(runs) < FULL_SEEDS:
        notes.append(f"provisional: fewer than {FULL_SEEDS} seeds")
    also = [also_table(runs)] if all(run.also for run in runs) else []
    return "\n\n".join([title, matrix_table(runs), "\n".join(notes), *also, metrics_table(runs, all_metrics=all_metrics), cost_lines(runs)])
