"""One picture of damage and recovery: each domain's score along the sequence, and where the repair takes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.results import Run

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Wong's palette: told apart by colour-blind readers."""


def picture(runs: Sequence[Run], path: Path, decoding: str = "greedy") -> None:
    """Write an SVG (or whatever the suffix says): mean scores over the runs' seeds, a line a domain, the repaired model at the right.

    A ring marks a domain's own stage; the dashed step leads from the last stage to the repaired model.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "interference-bench"
    import matplotlib.pyplot as plt

    first = runs[0]
    plain = 100 * np.mean([run.matrix[decoding]["plain"] for run in runs], 0)
    end = 100 * np.mean([run.matrix[decoding]["end"][0] for run in runs], 0)
    stages = len(first.sequence)
    figure, axes = plt.subplots(figsize=(7.2, 3.8), layout="constrained")
    for column, domain in enumerate(first.sequence):
        colour = _COLOURS[column % len(_COLOURS)]
        target = domain in first.targets
        width = 2.6 if target else 1.4
        axes.plot(range(stages + 1), plain[:, column], color=colour, lw=width, marker="o", ms=4)
        axes.plot(column + 1, plain[column + 1, column], marker="o", ms=11, mfc="none", mec=colour, mew=1.5)
        axes.plot([stages, stages + 1], [plain[-1, column], end[column]], color=colour, lw=width, ls="--", marker="o", ms=4)
        label = f"{domain} (target)" if target else domain
        axes.annotate(label, (stages + 1.08, end[column]), color=colour, va="center", fontsize=9)
    axes.set_xticks(range(stages + 2), ["base", *(f"after {d}" for d in first.sequence), first.manifest["method"]["name"]])
    axes.set_xlim(-0.2, stages + 2)
    axes.set_ylabel(f"score, % ({'greedy' if decoding == 'greedy' else 'temperature 1'})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    seeds = ", ".join(str(run.manifest["spec"]["seed"]) for run in runs)
    axes.set_title(f"{first.manifest['suite']['id']}, seeds {seeds}", fontsize=9, loc="left")
    unfinished = path.with_name(f".unfinished-{path.name}")
    figure.savefig(unfinished, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
    unfinished.replace(path)
