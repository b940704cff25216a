"""Figures of a report, drawn from its data: dot plots with intervals, score matrices, training curves."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.report.data import Curve, Matrix
from bench.report.svg import INK, PALETTE, drawn
from bench.report.words import TITLES, rounded, shown
from bench.results.estimates import SHARES, Value
from bench.suite import DECODINGS, Decoding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE = PALETTE[:2]
SHARES_SHOWN = (-1.0, 2.0)
"""The widest axis of a share. A single control at -6 would otherwise leave no room for all others."""
Span = tuple[float, float]
Row = tuple[str, Mapping[Decoding, Value]]


def intervals(
    name: str,
    title: str,
    metric: str,
    rows: Sequence[Row],
    *,
    axis: str,
    marks: Mapping[str, float] | None = None,
    span: Span | None = None,
) -> str:
    """A row each (label, decoding -> value): greedy as a full dot, temperature 1 as a ring below it, each with its interval.

    marks: words -> place of an upright line; span: the axis, where several figures share it. A value beyond the axis is an arrow at its
    edge with the number beside it; an interval that leaves the axis ends in an arrowhead.
    """
    marks = marks or {}
    left, right = span or span_of([value for _, values in rows for value in values.values()], metric, marks.values())

    def draw(axes: Axes) -> None:
        axes.set_xlim(left, right)
        for place, (_, values) in enumerate(rows):
            for decoding, offset in (("greedy", -0.14), ("sampled", 0.18)):
                _dot(axes, metric, values[decoding], place + offset, decoding, (left, right))
        for words, at in marks.items():
            axes.axvline(at, color=INK, lw=0.9, ls="-" if at == 0 else (0, (4, 2)), zorder=1)
            room = right - at > 0.2 * (right - left)
            axes.annotate(
                words, (at, -0.72), xytext=(3 if room else -3, 0), textcoords="offset points", fontsize=8, style="italic", va="center",
                ha="left" if room else "right", annotation_clip=False,
            )  # fmt: skip
        axes.set_ylim(len(rows) - 0.5, -1.0 if marks else -0.5)
        axes.set_yticks(range(len(rows)), [wrapped(label) for label, _ in rows])
        axes.tick_params(axis="y", pad=8)  # arrows at the edge are half outside
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis, fontsize=8.5)
        axes.locator_params(axis="x", nbins=7)

    described = "; ".join(f"{label}: {' and '.join(f'{shown(metric, v[d])} ({TITLES[d]})' for d in DECODINGS)}" for label, v in rows)
    return drawn(name, title, f"{described}.", 0.9 + 0.335 * len(rows), draw)


def span_of(values: Sequence[Value], metric: str, marks: Sequence[float] = ()) -> Span:
    """An axis that shows the values, their finite intervals and the marks; of a share no more than `SHARES_SHOWN` and the marks."""
    ends = [end for value in values if value.estimate is not None for end in (value.estimate, value.low, value.high) if end is not None]
    ends += [end for value in values for piece in value.pieces for end in piece if math.isfinite(end)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    if metric in SHARES:
        low, high = max(low, SHARES_SHOWN[0]), min(high, SHARES_SHOWN[1])
    low, high = min([low, *marks]), max([high, *marks])
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def _dot(axes: Axes, metric: str, value: Value, height: float, decoding: Decoding, span: Span) -> None:
    colour = BLUE if decoding == "greedy" else ORANGE
    fill = colour if decoding == "greedy" else "none"
    left, right = span
    if value.estimate is None:
        if decoding == "greedy":
            axes.annotate("undefined", (max(0.0, left), height), fontsize=8, style="italic", va="center", alpha=0.8)
        return
    if not left <= value.estimate <= right:
        below = value.estimate < left
        edge = left if below else right
        axes.plot(edge, height, "<" if below else ">", ms=5.5, mfc=fill, mec=colour, mew=1.2, zorder=3, clip_on=False)
        number = rounded(value.estimate, 2 if metric in SHARES else 1).replace("-", "−")
        axes.annotate(
            number, (edge, height), xytext=(6 if below else -6, 0), textcoords="offset points", fontsize=7.5, va="center_baseline",
            ha="left" if below else "right", color=colour,
        )  # fmt: skip
        return
    pieces = value.pieces or (((value.low, value.high),) if value.low is not None and value.high is not None else ())
    for low, high in pieces:
        if high < left or low > right:
            continue
        axes.plot([max(low, left), min(high, right)], [height, height], color=colour, lw=1.6, solid_capstyle="butt", zorder=2)
        for beyond, edge, marker in ((low < left, left, "<"), (high > right, right, ">")):
            if beyond:
                axes.plot(edge, height, marker, ms=3.5, color=colour, zorder=3, clip_on=False)
    axes.plot(value.estimate, height, "o", ms=5, mfc=fill, mec=colour, mew=1.4, zorder=3)


def wrapped(label: str, width: int = 20) -> str:
    """A label in lines of a width. Dollar signs would start mathematics."""
    return "\n".join(textwrap.wrap(label.replace("$", r"\$"), width)) or label


def heat_map(name: str, matrix: Matrix, decoding: Decoding) -> str:
    """Mean scores, a row of the matrix a line: the baseline run's rows, then the entries' final models. A frame marks a domain's own
    stage."""
    rows = [row for row in matrix.rows if row.part != "stage"]
    baseline = [row for row in rows if row.part == "baseline"]
    order = matrix.order

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        heights = [place + (0.35 if place >= len(baseline) else 0) for place in range(len(rows))]
        for height, row in zip(heights, rows, strict=True):
            for column, value in enumerate(row.score[decoding]):
                # Strength over a clear ground: legible numbers in the page's ink, whether the page is light or dark.
                axes.add_patch(Rectangle((column, height), 0.97, 0.93, facecolor=BLUE, alpha=0.02 + 0.0072 * value, lw=0))
                axes.text(column + 0.485, height + 0.49, rounded(value, 1), ha="center", va="center", fontsize=9)
                if row.own == column:
                    axes.add_patch(Rectangle((column + 0.015, height + 0.02), 0.94, 0.89, fill=False, edgecolor=INK, lw=1.5))
        axes.set_xlim(0, len(order))
        axes.set_ylim(heights[-1] + 1, 0)
        axes.set_yticks([height + 0.47 for height in heights], [wrapped(row.title, 24) for row in rows])
        axes.set_xticks([column + 0.485 for column in range(len(order))], [f"{d} *" if d in matrix.targets else d for d in order])
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)

    described = []
    for column, domain in enumerate(order):
        path = ", ".join(f"{rounded(row.score[decoding][column], 1)} {row.title}" for row in baseline)
        ends = ", ".join(f"{rounded(row.score[decoding][column], 1)} {row.title}" for row in rows if row.part == "final")
        described.append(f"{domain}: {path}" + (f"; final models: {ends}" if ends else ""))
    title = f"Score matrix, {TITLES[decoding]}, percent"
    return drawn(name, title, f"{'. '.join(described)}.", 0.35 + 0.27 * (len(rows) + 0.35), draw)


def training(name: str, label: str, curves: Sequence[Curve], order: Sequence[str]) -> str:
    """Training reward by step, the stages one after another: mean over the seeds, and their range as a band."""
    longest = {stage: max(max(c.steps) for c in curves if c.stage == stage) for stage in sorted({c.stage for c in curves})}
    starts = {stage: sum(steps for before, steps in longest.items() if before < stage) for stage in longest}

    def draw(axes: Axes) -> None:
        for curve in curves:
            colour = PALETTE[order.index(curve.domain) % len(PALETTE)]
            steps = [starts[curve.stage] + step for step in curve.steps]
            axes.fill_between(steps, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
            axes.plot(steps, curve.mean, color=colour, lw=1.5)
            if curve.domain != curve.trained:
                at = (steps[-1], curve.mean[-1])
                axes.annotate(curve.domain, at, xytext=(-2, 3), textcoords="offset points", color=colour, fontsize=8, ha="right")
        for stage, start in starts.items():
            axes.axvline(start, color=INK, lw=0.5, alpha=0.4)
            axes.annotate(order[stage - 1], (start + longest[stage] / 2, 1.02), xycoords=("data", "axes fraction"), ha="center", fontsize=9)
        axes.set_ylim(0, 100)
        axes.set_xlim(0, sum(longest.values()))
        axes.set_xlabel("training step, stage after stage", fontsize=8.5)
        axes.set_ylabel("mean reward, % of full", fontsize=8.5)
        axes.grid(axis="y")

    def path(curve: Curve) -> str:
        first, last = (f"{rounded(curve.mean[at], 0)} at step {curve.steps[at]}" for at in (0, -1))
        return f"stage {curve.stage} ({curve.trained}), {curve.domain}: {first}, {last}"

    described = "; ".join(path(curve) for curve in curves)
    return drawn(name, f"Training reward, {label}", f"Mean reward in percent. {described}.", 2.5, draw)
