"""Terminal tables of finished runs: the score matrix, the metrics with a word on each, the cost. Text in, text out."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from tabulate import tabulate

from bench.costs import TRACK_LIMITS, over_limit
from bench.report.words import TITLES, access_words, row_title, shown
from bench.results.estimates import measure
from bench.results.metrics import MEANING
from bench.results.run import Run
from bench.suite import DECODINGS


def matrix_table(runs: Sequence[Run]) -> str:
    """Mean scores in percent over the runs' seeds: a line a row, a column a domain, greedy and at temperature 1 side by side."""
    first = runs[0]
    lines = []
    seen: set[str] = set()
    for part in ("baseline", "method", "final"):
        for place, name in enumerate(first.rows[part]):
            if name in seen:
                continue
            seen.add(name)
            cells: list[str] = []
            for decoding in DECODINGS:
                row = np.mean([run.matrix[decoding][part][place] for run in runs], 0)
                cells += [f"{100 * value:.1f}" for value in (*row, row.mean())]
            lines.append([row_title(name), *cells])
    domains = [f"{domain}*" if domain in first.targets else domain for domain in first.sequence]
    header = ["%", *domains, "mean", *(f"{domain} (t=1)" for domain in first.sequence), "mean (t=1)"]
    return tabulate(lines, header, tablefmt="simple", stralign="right", colalign=("left",))


def metrics_table(runs: Sequence[Run]) -> str:
    """Every metric with its interval under both decodings, and a word on what it means."""
    found = {decoding: runs[0].metrics[decoding] if len(runs) == 1 else measure(runs, decoding) for decoding in DECODINGS}
    lines = []
    for name in (name for name in MEANING if name in found[DECODINGS[0]]):
        cells = [textwrap.fill(shown(name, found[decoding][name]), 24) for decoding in DECODINGS]
        lines.append([name, *cells, textwrap.fill(MEANING[name], 60)])
    return tabulate(lines, ["metric", *(TITLES[d] for d in DECODINGS), "what it means"], tablefmt="simple")


def cost_lines(runs: Sequence[Run]) -> str:
    """What the method cost, as a share of the plain sequence's FLOPs, and what it looked at."""
    costs = [run.manifest["cost"] for run in runs]
    stages, repair = (100 * float(np.mean([cost[name] for cost in costs])) for name in ("stages", "repair"))
    method = runs[0].manifest["method"]
    limit = TRACK_LIMITS.get(method["track"])
    within = "no limit" if limit is None else f"up to {100 * limit:.0f} %"
    over = ": OVER IT" if over_limit(method["track"], (stages + repair) / 100) else ""
    return "\n".join(
        [
            f"cost      repair {repair:.1f} % of the plain sequence's FLOPs, stages {stages:.1f} % "
            f"(track {method['track']}, {within} in all{over})",
            f"access    {access_words(costs[0]['access'])}",
        ]
    )


def also_table(runs: Sequence[Run]) -> str:
    """What tasks of lm-eval gave each row, means over the runs' seeds: a line a row, a column a task and metric."""
    first = runs[0].also
    columns = [(task, metric) for task, metrics in next(iter(first.values())).items() for metric in metrics]
    lines = [
        [row_title(row), *(f"{np.mean([run.also[row][task][metric][0] for run in runs]):.3f}" for task, metric in columns)] for row in first
    ]
    return tabulate(lines, ["lm-eval", *(f"{task}: {metric}" for task, metric in columns)], tablefmt="simple", disable_numparse=True)


def summary(runs: Sequence[Run]) -> str:
    """All of it, for the end of a command."""
    first = runs[0]
    spec = first.manifest["spec"]
    seeds = ", ".join(str(run.manifest["spec"]["seed"]) for run in runs)
    head = f"{first.manifest['method']['name']} on {first.manifest['suite']['id']}, {' -> '.join(first.sequence)}, seeds {seeds}"
    notes = ["* targets, to be won back"]
    if spec["null"]:
        notes.append(f"null stages after {spec['null']}: rewards permuted within groups, nothing to learn")
    if not first.manifest["suite"]["comparable"]:
        notes.append("--quick: too few steps and items to compare with anything")
    if len(runs) == 1:
        notes.append("one seed: intervals speak of items alone; --seeds 5 adds those between seeds")
    elif len(runs) < 5:
        notes.append("fewer than 5 seeds: provisional")
    also = [also_table(runs)] if all(run.also for run in runs) else []
    return "\n\n".join([head, matrix_table(runs), "\n".join(notes), *also, metrics_table(runs), cost_lines(runs)])
