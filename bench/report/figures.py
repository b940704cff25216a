"""The figures of a report, drawn from its content: intervals, heat maps, cost against kept, recovery along a quantity, training curves."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.report.svg import INK, PALETTE, drawn
from bench.report.words import TITLES, rounded, shown
from bench.suite import DECODINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE = PALETTE[:2]
SHAPES = {
    "nothing more": "o",
    "prompts": "s",
    "checkpoints": "^",
    "checkpoints and prompts": "D",
    "experts": "P",
}
"""What was looked at beside the last checkpoint -> marker."""


def intervals(
    name: str,
    title: str,
    metric: str,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    *,
    axis: str,
    marks: Mapping[str, float] | None = None,
    span: tuple[float, float] | None = None,
) -> str:
    """A row each (label, decoding -> value): greedy as a full dot, temperature 1 as a ring below it, each with its interval.

    marks: words -> place of an upright line; span: the axis, where several figures share it.
    """
    marks = marks or {}

    def draw(axes: Axes) -> None:
        for place, (_, values) in enumerate(rows):
            for decoding, offset in (("greedy", -0.14), ("sampled", 0.18)):
                _dot(axes, values[decoding], place + offset, decoding)
        for words, at in marks.items():
            axes.axvline(at, color=INK, lw=0.9, ls="-" if at == 0 else (0, (4, 2)), zorder=1)
            axes.annotate(
                words, (at, -0.72), xytext=(3 if at <= 0 else -3, 0), textcoords="offset points", fontsize=8, style="italic", va="center",
                ha="left" if at <= 0 else "right", annotation_clip=False,
            )  # fmt: skip
        axes.set_ylim(len(rows) - 0.5, -1.0 if marks else -0.5)
        axes.set_yticks(range(len(rows)), [_wrapped(label) for label, _ in rows])
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis, fontsize=8.5)
        axes.locator_params(axis="x", nbins=7)
        axes.margins(x=0.06)
        axes.set_xlim(*(span or axes.get_xlim()))

    described = "; ".join(f"{label}: {' and '.join(f'{shown(metric, v[d])} {TITLES[d]}' for d in DECODINGS)}" for label, v in rows)
    return drawn(name, title, f"{described}.", _height(len(rows)), draw)


def _height(rows: int) -> float:
    return 0.9 + 0.335 * rows


def _dot(axes: Axes, value: Mapping[str, Any], height: float, decoding: str) -> None:
    colour = BLUE if decoding == "greedy" else ORANGE
    if value["estimate"] is None:
        if decoding == "greedy":
            axes.annotate("undefined", (0, height), fontsize=8, style="italic", va="center", alpha=0.8)
        return
    if value.get("low") is not None:
        axes.plot([value["low"], value["high"]], [height, height], color=colour, lw=1.6, solid_capstyle="butt", zorder=2)
    fill = colour if decoding == "greedy" else "none"
    axes.plot(value["estimate"], height, "o", ms=5, mfc=fill, mec=colour, mew=1.4, zorder=3)


def _wrapped(label: str, width: int = 20) -> str:
    return "\n".join(textwrap.wrap(label, width)) or label


def heat_map(name: str, matrix: Mapping[str, Any], decoding: str) -> str:
    """Mean scores, a row of the matrix a line: the plain run's rows, then the ends of the entries. A frame marks a domain's own stage."""
    rows = [row for row in matrix["rows"] if row["part"] != "stage"]
    order = matrix["order"]
    breaks = sum(row["part"] == "baseline" for row in rows)

    def draw(axes: Axes) -> None:
        from matplotlib.patches import Rectangle

        heights = [place + (0.35 if place >= breaks else 0) for place in range(len(rows))]
        for height, row in zip(heights, rows, strict=True):
            for column, value in enumerate(row["score"][decoding]):
                # Strength over a clear ground: legible numbers in the page's ink, whether the page is light or dark.
                axes.add_patch(Rectangle((column, height), 0.97, 0.93, facecolor=BLUE, alpha=0.02 + 0.0072 * value, lw=0))
                axes.text(column + 0.485, height + 0.49, rounded(value, 1), ha="center", va="center", fontsize=9)
                if row["own"] == column:
                    axes.add_patch(Rectangle((column + 0.015, height + 0.02), 0.94, 0.89, fill=False, edgecolor=INK, lw=1.5))
        axes.set_xlim(0, len(order))
        axes.set_ylim(heights[-1] + 1, 0)
        axes.set_yticks([height + 0.47 for height in heights], [_wrapped(row["title"], 24) for row in rows])
        axes.set_xticks([column + 0.485 for column in range(len(order))], [f"{d} *" if d in matrix["targets"] else d for d in order])
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)

    plain = [row for row in rows if row["part"] == "baseline"]
    told = []
    for column, domain in enumerate(order):
        path = ", ".join(f"{rounded(row['score'][decoding][column], 1)} {row['title']}" for row in plain)
        ends = ", ".join(f"{rounded(row['score'][decoding][column], 1)} {row['title']}" for row in rows if row["part"] == "final")
        told.append(f"{domain}: {path}" + (f"; at the end of {ends}" if ends else ""))
    title = f"Score matrix, {TITLES[decoding]}, percent"
    return drawn(name, title, f"{'. '.join(told)}.", 0.35 + 0.27 * (len(rows) + 0.35), draw)


def front(name: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """Total cost against kept, greedily; the marker says what was looked at; a stepped line joins the entries that none beats in both."""
    placed = [entry for entry in entries if entry["metrics"]["greedy"]["retention"]["estimate"] is not None]

    def where(entry: Mapping[str, Any]) -> tuple[float, float]:
        return 100 * entry["cost"]["total"], 100 * entry["metrics"]["greedy"]["retention"]["estimate"]

    best = sorted((where(entry) for entry in placed if entry["front"] == "cost"), key=lambda at: at[0])

    def draw(axes: Axes) -> None:
        axes.set_xscale("function", functions=(_spread, _unspread))
        costs = [_spread(where(entry)[0]) for entry in placed]
        width = max(max(costs) - min(costs), 0.5)
        left, right = _unspread(min(costs) - 0.08 * width), _unspread(max(costs) + 0.08 * width)
        axes.set_xlim(left, _unspread(_spread(right) + 0.55 * width))
        axes.step([*(x for x, _ in best), right], [*(y for _, y in best), best[-1][1]], where="post", color=INK, lw=1, ls=(0, (4, 2)))
        for kind, marker in SHAPES.items():
            ours = [entry for entry in placed if looked_at(entry["access"]) == kind]
            for ranked in (True, False):
                points = [where(entry) for entry in ours if (entry["place"] is not None) == ranked]
                if points:
                    axes.plot(*zip(*points, strict=True), marker, ms=6, mfc=BLUE if ranked else "none", mec=BLUE, mew=1.3, ls="", zorder=3)
            if ours:
                axes.plot([], [], marker, ms=6, mfc="none", mec=INK, ls="", label=kind)
        axes.margins(y=0.1)
        _beside(axes, [(entry["label"], *where(entry)) for entry in placed], right)
        ticks: list[int] = []
        for tick in sorted((tick for tick in _TICKS if left <= tick <= right), key=lambda tick: tick != 100):
            if all(abs(_spread(tick) - _spread(other)) > 0.09 * width for other in ticks):
                ticks.append(tick)
        axes.set_xticks(ticks, [f"{tick}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("total cost, % of the plain sequence's FLOPs (scale widened around 100)", fontsize=8.5)
        axes.set_ylabel("kept, %", fontsize=8.5)
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, title="looked at, beside the last checkpoint", title_fontsize=8.5
        )

    told = [f"{e['label']} keeps {rounded(where(e)[1], 1)} % at a cost of {rounded(where(e)[0], 1)} %" for e in placed]
    line = ", ".join(entry["label"] for entry in placed if entry["front"] == "cost")
    return drawn(
        name, "Cost against kept", f"{'; '.join(told)}. Kept by none cheaper or equal: {line}.", max(3.4, 1.4 + 0.2 * len(placed)), draw
    )


_TICKS = (5, 10, 20, 50, 80, 90, 95, 98, 99, 100, 101, 102, 105, 110, 120, 150, 200, 300)


def _spread(cost: Any) -> Any:
    """Costs crowd around the plain sequence's own: distances from 100 are shown by their logarithm."""
    import numpy as np

    return np.sign(np.asarray(cost) - 100) * np.log1p(np.abs(np.asarray(cost) - 100))


def _unspread(place: Any) -> Any:
    import numpy as np

    return 100 + np.sign(place) * np.expm1(np.abs(place))


def looked_at(access: Mapping[str, Any]) -> str:
    """Access in one of `SHAPES`' words."""
    if access["experts"]:
        return "experts"
    both = [kind for kind in ("checkpoints", "prompts") if access[kind]]
    return " and ".join(both) or "nothing more"


def _beside(axes: Axes, points: Sequence[tuple[str, float, float]], right: float, colours: Mapping[str, str] | None = None) -> None:
    """Labels in a column at the right, pushed apart, a thin line from each to its point: they can hide neither a point nor each other."""
    low, high = axes.get_ylim()
    gap = min(0.062, 1 / max(len(points), 1)) * (high - low)
    ordered = sorted(points, key=lambda point: (-point[2], point[1], point[0]))
    heights: list[float] = []
    for _, _, y in ordered:
        heights.append(min(y, heights[-1] - gap) if heights else min(y, high - gap / 2))
    lift = max(0.0, low + gap / 2 - heights[-1])
    for place in reversed(range(len(heights))):
        floor = heights[place + 1] + gap if place + 1 < len(heights) else low + gap / 2
        heights[place] = max(heights[place], floor) if lift else heights[place]
    for (label, x, y), height in zip(ordered, heights, strict=True):
        axes.annotate(
            label, (x, y), xytext=(right, height), fontsize=8, va="center", annotation_clip=False, color=(colours or {}).get(label, INK),
            arrowprops={"arrowstyle": "-", "lw": 0.5, "alpha": 0.45, "color": INK, "shrinkB": 4, "shrinkA": 1},
        )  # fmt: skip


def along(name: str, title: str, entries: Sequence[Mapping[str, Any]], decoding: str, quantity: str) -> str:
    """Recovery ratio of each entry against a `quantity` of it (a key of `ALONG`). Entries of one method that differ in numbers alone are
    joined by a line, the others stand by themselves."""
    axis, at = ALONG[quantity]
    series: dict[str, list[Mapping[str, Any]]] = {}
    entries = sorted(entries, key=at)
    for entry in entries:
        series.setdefault(_family(entry), []).append(entry)
    lines = sorted(family for family, part in series.items() if len(part) > 1)
    colours = {family: PALETTE[number % len(PALETTE)] for number, family in enumerate(lines)}

    def height(entry: Mapping[str, Any]) -> float:
        return float(entry["metrics"][decoding]["recovery ratio"]["estimate"])

    def draw(axes: Axes) -> None:
        for family, part in series.items():
            joined, colour = family in colours, colours.get(family, INK)
            for entry in part:
                value = entry["metrics"][decoding]["recovery ratio"]
                if value.get("low") is not None:
                    axes.plot([at(entry)] * 2, [value["low"], value["high"]], color=colour, lw=1, alpha=0.35, zorder=2)
            marker = "osD^vP"[lines.index(family) % 6] if joined else "o"
            axes.plot(
                [at(e) for e in part], [height(e) for e in part], marker, ls="-" if joined else "", color=colour, lw=1.4, ms=4.5,
                mfc=colour if joined else "none", zorder=3,
            )  # fmt: skip
        left, right = axes.get_xlim()
        for level, style in ((0, "-"), (1, (0, (4, 2)))):
            axes.plot([left, right], [level, level], color=INK, lw=0.7, ls=style, alpha=0.6, zorder=1)
        axes.set_xlim(left, right + 0.5 * (right - left))
        low, high = (pick(height(e) for e in entries) for pick in (min, max))
        axes.set_ylim(min(low - 0.12, -0.15), max(high + 0.12, 1.15))  # what interval is wider leaves the frame
        tops = {family: max(part, key=height) for family, part in series.items()}
        _beside(axes, [(family, at(top), height(top)) for family, top in tops.items()], right, colours)
        axes.set_xticks([tick for tick in axes.get_xticks() if left <= tick <= right])
        axes.set_xlabel(axis, fontsize=8.5)
        axes.set_ylabel("recovery ratio", fontsize=8.5)

    told = [f"{e['label']}: {shown('recovery ratio', e['metrics'][decoding]['recovery ratio'])} at {rounded(at(e), 1)}" for e in entries]
    return drawn(name, title, f"{axis.capitalize()}. {'; '.join(told)}.", max(3.2, 1.2 + 0.2 * len(series)), draw)


def _family(entry: Mapping[str, Any]) -> str:
    """A method's name with those of its settings that are words."""
    return " ".join([entry["method"], *(f"{key}={value}" for key, value in entry["settings"].items() if isinstance(value, str))])


ALONG: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], float]]] = {
    "undone": ("share of the later stages' squared change undone, %", lambda entry: 100 * entry["removed"]),
    "repair": ("cost of the repair, % of the plain sequence's FLOPs", lambda entry: 100 * entry["cost"]["repair"]),
}


def training(name: str, label: str, curves: Sequence[Mapping[str, Any]], order: Sequence[str]) -> str:
    """Training reward by step, the stages one after another: mean over the seeds, and their range as a band."""
    longest = {stage: max(max(c["steps"]) for c in curves if c["stage"] == stage) for stage in sorted({c["stage"] for c in curves})}
    starts = {stage: sum(steps for before, steps in longest.items() if before < stage) for stage in longest}

    def draw(axes: Axes) -> None:
        for curve in curves:
            colour = PALETTE[order.index(curve["domain"]) % len(PALETTE)]
            steps = [starts[curve["stage"]] + step for step in curve["steps"]]
            axes.fill_between(steps, curve["low"], curve["high"], color=colour, alpha=0.2, lw=0)
            axes.plot(steps, curve["mean"], color=colour, lw=1.5)
            if curve["domain"] != curve["trained"]:
                at = (steps[-1], curve["mean"][-1])
                axes.annotate(curve["domain"], at, xytext=(-2, 3), textcoords="offset points", color=colour, fontsize=8, ha="right")
        for stage, start in starts.items():
            axes.axvline(start, color=INK, lw=0.5, alpha=0.4)
            axes.annotate(order[stage - 1], (start + longest[stage] / 2, 1.02), xycoords=("data", "axes fraction"), ha="center", fontsize=9)
        axes.set_ylim(0, 100)
        axes.set_xlim(0, sum(longest.values()))
        axes.set_xlabel("step of training, stage after stage", fontsize=8.5)
        axes.set_ylabel("mean reward, % of full", fontsize=8.5)
        axes.grid(axis="y")

    def path(curve: Mapping[str, Any]) -> str:
        first, last = (f"{rounded(curve['mean'][at], 0)} at step {curve['steps'][at]}" for at in (0, -1))
        return f"stage {curve['stage']} ({curve['trained']}), {curve['domain']}: {first}, {last}"

    ends = [path(curve) for curve in curves]
    return drawn(name, f"Training reward, {label}", f"Mean reward in percent. {'; '.join(ends)}.", 2.5, draw)
