"""One picture of forgetting and recovery: each domain's score along the sequence, and where the repair takes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import UserError
from bench.files import disk_error, write_bytes
from bench.report.svg import PALETTE, drawn, standalone
from bench.report.words import TITLES, rounded, seeds_words
from bench.results.run import Run, distinct_seeds
from bench.suite import Decoding

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def picture(runs: Sequence[Run], path: Path, decoding: Decoding = "greedy") -> None:
    """Write an SVG: mean scores over the runs' seeds, a line a domain, the repaired model at the right.

    A ring marks a domain's own stage; the dashed step leads from the last stage to the repaired model. `UserError` for another suffix, and
    for runs that are not different seeds of one entry.
    """
    if path.suffix != ".svg":
        raise UserError(f"--picture {path}: pictures are SVG files; use a name that ends in .svg")
    first = distinct_seeds(list(runs))[0]
    baseline = 100 * np.mean([run.matrix[decoding].baseline for run in runs], 0)
    end = 100 * np.mean([run.matrix[decoding].final for run in runs], 0)
    stages = len(first.sequence)
    method = first.manifest.method.name

    def draw(axes: Axes) -> None:
        for column, domain in enumerate(first.sequence):
            colour = PALETTE[column % len(PALETTE)]
            target = domain in first.targets
            width = 2.6 if target else 1.4
            axes.plot(range(stages + 1), baseline[:, column], color=colour, lw=width, marker="o", ms=4)
            axes.plot(column + 1, baseline[column + 1, column], ls="", marker="o", ms=11, mfc="none", mec=colour, mew=1.5)
            axes.plot([stages, stages + 1], [baseline[-1, column], end[column]], color=colour, lw=width, ls="--", marker="o", ms=4)
            label = f"{domain} (target)" if target else domain
            axes.annotate(label, (stages + 1.08, end[column]), color=colour, va="center", fontsize=9)
        axes.set_xticks(range(stages + 2), ["base", *(f"after {d}" for d in first.sequence), method])
        axes.set_xlim(-0.2, stages + 2)
        axes.set_ylabel(f"score, % ({TITLES[decoding]})")
        axes.grid(axis="y")

    def scores(column: int) -> str:
        values = baseline[0, column], baseline[column + 1, column], baseline[-1, column], end[column]
        return ", ".join(f"{rounded(v, 1)} {when}" for v, when in zip(values, moments, strict=True))

    moments = ("at the base", "after its own stage", "after the last", f"with {method}")
    described = [f"{domain}: {scores(column)}" for column, domain in enumerate(first.sequence)]
    title = f"Scores along the sequence, {first.manifest.suite.id}, {seeds_words(run.seed for run in runs)}"
    _write(path, standalone(drawn("picture", title, f"Percent. {'; '.join(described)}.", 3.2, draw, width=7.2)))


def _write(path: Path, svg: str) -> None:
    try:
        write_bytes(path, svg.encode())
    except OSError as error:
        raise disk_error(f"--picture {path}", error) from error
