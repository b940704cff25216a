"""Figures that set one quantity of the entries against another: retention against cost, recovery against the repair's size or cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.costs import AccessRecord
from bench.report.data import EntryReport
from bench.report.svg import INK, PALETTE, drawn
from bench.report.words import rounded, shown
from bench.results.estimates import Value
from bench.suite import Decoding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE = PALETTE[0]
SHAPES = {"last checkpoint only": "o", "prompts": "s", "checkpoints": "^", "checkpoints and prompts": "D", "experts": "P"}
"""Access -> marker."""
Point = tuple[float, float]
_TICKS = (5, 10, 20, 50, 80, 90, 95, 98, 99, 100, 101, 102, 105, 110, 120, 150, 200, 300)
_GAP = 0.062
"""Least distance of two labels, as a share of the figure's height."""


def kind_of_access(access: AccessRecord) -> str:
    """Access in one of `SHAPES`' words."""
    if access.experts:
        return "experts"
    both = [kind for kind in ("checkpoints", "prompts") if getattr(access, kind)]
    return " and ".join(both) or "last checkpoint only"


def pareto(name: str, entries: Sequence[EntryReport]) -> str:
    """Total cost against retention, greedy; the marker shows the access; a stepped line joins the entries that none beats in both."""
    placed = [entry for entry in entries if entry.metrics["greedy"]["retention"].estimate is not None]

    def where(entry: EntryReport) -> Point:
        return 100 * entry.cost.total, 100 * (entry.metrics["greedy"]["retention"].estimate or 0.0)

    best = sorted((where(entry) for entry in placed if entry.front == "cost"), key=lambda at: at[0])

    def draw(axes: Axes) -> None:
        axes.set_xscale("function", functions=(_spread, _unspread))
        costs = [float(_spread(where(entry)[0])) for entry in placed]
        width = max(max(costs) - min(costs), 0.5)
        left, right = _unspread(min(costs) - 0.08 * width), _unspread(max(costs) + 0.08 * width)
        axes.set_xlim(left, _unspread(_spread(right) + 0.55 * width))
        axes.step([*(x for x, _ in best), right], [*(y for _, y in best), best[-1][1]], where="post", color=INK, lw=1, ls=(0, (4, 2)))
        for kind, marker in SHAPES.items():
            ours = [entry for entry in placed if kind_of_access(entry.cost.access) == kind]
            for ranked in (True, False):
                points = [where(entry) for entry in ours if (entry.places is not None) == ranked]
                if points:
                    axes.plot(*zip(*points, strict=True), marker, ms=6, mfc=BLUE if ranked else "none", mec=BLUE, mew=1.3, ls="", zorder=3)
            if ours:
                axes.plot([], [], marker, ms=6, mfc="none", mec=INK, ls="", label=kind)
        axes.margins(y=0.1)
        _label(axes, [(entry.label, *where(entry)) for entry in placed], right)
        ticks: list[int] = []
        for tick in sorted((tick for tick in _TICKS if left <= tick <= right), key=lambda tick: tick != 100):
            if all(abs(_spread(tick) - _spread(other)) > 0.09 * width for other in ticks):
                ticks.append(tick)
        axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("total cost, % of the baseline sequence's FLOPs (scale stretched around 100)", fontsize=8.5)
        axes.set_ylabel("retention, %", fontsize=8.5)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, title="access", title_fontsize=8.5)

    described = "; ".join(f"{e.label} retains {rounded(where(e)[1], 1)} % at a cost of {rounded(where(e)[0], 1)} %" for e in placed)
    line = ", ".join(entry.label for entry in placed if entry.front == "cost")
    return drawn(name, "Retention against cost", f"{described}. Pareto front: {line}.", max(3.4, 1.4 + 0.2 * len(placed)), draw)


def _spread(cost: Any) -> Any:
    """Costs crowd around the baseline sequence's own: distances from 100 are shown by their logarithm."""
    return np.sign(np.asarray(cost) - 100) * np.log1p(np.abs(np.asarray(cost) - 100))


def _unspread(place: Any) -> Any:
    return 100 + np.sign(place) * np.expm1(np.abs(place))


def label_heights(points: Sequence[Point], gap: float) -> list[float]:
    """Heights in [0, 1] for labels in a column right of points in the unit square, at least `gap` apart where that fits, so that no two of
    the straight lines from points to labels cross.

    The heights are as near to the points' own as the gap allows; which point takes which is the assignment with the least total length of
    lines. In such an assignment no lines cross: exchanging the ends of two that do would make them shorter.
    """
    from scipy.optimize import isotonic_regression, linear_sum_assignment

    if not points:
        return []
    gap = min(gap, 1 / len(points))
    below = gap * np.arange(len(points))
    # Least squares under gaps between neighbours; clipping such a solution keeps it one under bounds.
    spread = np.asarray(isotonic_regression(np.sort([y for _, y in points]) - below).x)
    heights = np.clip(spread, gap / 2, 1 - gap / 2 - below[-1]) + below
    lengths = np.array([[np.hypot(1 - x, height - y) for height in heights] for x, y in points])
    return heights[linear_sum_assignment(lengths)[1]].tolist()


def _label(axes: Axes, points: Sequence[tuple[str, float, float]], right: float, colours: Mapping[str, str] | None = None) -> None:
    """Labels in a column at the right, a thin line from each to its point; they hide neither a point nor each other."""
    scale = axes.transData.transform
    (x0, y0), (x1, y1) = scale((axes.get_xlim()[0], axes.get_ylim()[0])), scale((right, axes.get_ylim()[1]))
    placed = [scale((x, y)) for _, x, y in points]
    heights = label_heights([((x - x0) / (x1 - x0), (y - y0) / (y1 - y0)) for x, y in placed], _GAP)
    low, high = axes.get_ylim()
    for (label, x, y), height in zip(points, heights, strict=True):
        axes.annotate(
            label.replace("$", r"\$"), (x, y), xytext=(right, low + height * (high - low)), fontsize=8, va="center", annotation_clip=False,
            color=(colours or {}).get(label, INK),
            arrowprops={"arrowstyle": "-", "lw": 0.5, "alpha": 0.45, "color": INK, "shrinkB": 4, "shrinkA": 1, "relpos": (0, 0.5)},
        )  # fmt: skip


Quantity = Callable[[EntryReport], float]
ALONG: Mapping[str, tuple[str, Quantity]] = {
    "reverted": ("share of the later stages' squared update that was reverted, %", lambda entry: 100 * (entry.reverted or 0.0)),
    "repair": ("cost of the repair, % of the baseline sequence's FLOPs", lambda entry: 100 * entry.cost.repair),
}


def along(name: str, title: str, entries: Sequence[EntryReport], decoding: Decoding, quantity: str) -> str:
    """Recovery ratio of each entry against a `quantity` (a key of `ALONG`). Entries of one method that differ in numbers alone are joined
    by a line."""
    axis, at = ALONG[quantity]
    series: dict[str, list[EntryReport]] = {}
    entries = sorted(entries, key=at)
    for entry in entries:
        series.setdefault(_family(entry), []).append(entry)
    lines = sorted(family for family, part in series.items() if len(part) > 1)
    colours = {family: PALETTE[number % len(PALETTE)] for number, family in enumerate(lines)}

    def value(entry: EntryReport) -> Value:
        return entry.metrics[decoding]["recovery ratio"]

    def height(entry: EntryReport) -> float:
        return value(entry).estimate or 0.0

    def draw(axes: Axes) -> None:
        low, high = (pick(height(e) for e in entries) for pick in (min, max))
        axes.set_ylim(max(min(low - 0.12, -0.15), -1.0), min(max(high + 0.12, 1.15), 2.0))  # what is beyond leaves the frame
        for family, part in series.items():
            joined, colour = family in colours, colours.get(family, INK)
            for entry in part:
                ends = value(entry).low, value(entry).high
                if None not in ends:
                    axes.plot([at(entry)] * 2, ends, color=colour, lw=1, alpha=0.35, zorder=2)
            marker = "osD^vP"[lines.index(family) % 6] if joined else "o"
            axes.plot(
                [at(e) for e in part], [height(e) for e in part], marker, ls="-" if joined else "", color=colour, lw=1.4, ms=4.5,
                mfc=colour if joined else "none", zorder=3,
            )  # fmt: skip
        left, right = axes.get_xlim()
        for level, style in ((0, "-"), (1, (0, (4, 2)))):
            axes.plot([left, right], [level, level], color=INK, lw=0.7, ls=style, alpha=0.6, zorder=1)
        axes.set_xlim(left, right + 0.5 * (right - left))
        tops = {family: max(part, key=height) for family, part in series.items()}
        _label(
            axes,
            [(family, at(top), min(max(height(top), axes.get_ylim()[0]), axes.get_ylim()[1])) for family, top in tops.items()],
            right,
            colours,
        )
        axes.set_xticks([tick for tick in axes.get_xticks() if left <= tick <= right])
        axes.set_xlabel(axis, fontsize=8.5)
        axes.set_ylabel("recovery ratio", fontsize=8.5)

    described = "; ".join(f"{e.label}: {shown('recovery ratio', value(e))} at {rounded(at(e), 1)}" for e in entries)
    return drawn(name, title, f"{axis.capitalize()}. {described}.", max(3.2, 1.2 + 0.2 * len(series)), draw)


def _family(entry: EntryReport) -> str:
    """A method's name with those of its settings that are words."""
    return " ".join([entry.method, *(f"{key}={value}" for key, value in entry.settings.items() if isinstance(value, str))])
