"""A report as one HTML page that needs nothing beside itself: no network, no script. Answers are a model's text and are escaped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.files import write_bytes
from bench.report import figures, text
from bench.report.prose import RANKED
from bench.report.words import TITLES, rounded, seeds_words, shown
from bench.suite import DECODINGS


def write_report(content: dict[str, Any], folder: Path) -> list[Path]:
    """report.html, report.md, report.json, entries.csv and cells.csv in a folder, each whole or not at all."""
    files = {
        "report.html": page(content),
        "report.md": text.markdown(content),
        "report.json": json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "entries.csv": text.entries_csv(content),
        "cells.csv": text.cells_csv(content),
    }
    for name, written in files.items():
        write_bytes(folder / name, written.encode())
    return [folder / name for name in files]


def page(content: dict[str, Any]) -> str:
    """The HTML of a report's content; the same text for the same content."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bench.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"text": text, "shown": shown, "rounded": rounded, "seeds_words": seeds_words}
    environment.globals |= {"TITLES": TITLES, "DECODINGS": DECODINGS, "RANKED": RANKED}
    drawings = [_drawings(board, f"b{number}") for number, board in enumerate(content["boards"], start=1)]
    return environment.get_template("page.html.j2").render(content=content, drawings=drawings)


def _drawings(board: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The SVGs of one board, by what they show."""
    name = board["ranked by"]
    entries = board["entries"]
    found: dict[str, Any] = {
        "domains": [_domain(board, domain, f"{prefix}-{domain}", _span(board)) for domain in board["domains"]],
        "matrices": [
            [figures.heat_map(f"{prefix}-matrix{k}-{d}", matrix, d) for d in DECODINGS] for k, matrix in enumerate(board["matrices"])
        ],
        "training": _training(board, prefix),
    }
    if any(e["metrics"]["greedy"][name]["estimate"] is not None for e in entries):
        rows = [(_ranked(e), {d: e["metrics"][d][name] for d in DECODINGS}) for e in entries]
        title, marks = f"{name.capitalize()}, in order of standing", {"": 0.0, "all of it": 1.0}
        found["standing"] = figures.intervals(f"{prefix}-standing", title, name, rows, axis=f"{name} (1 is all of it)", marks=marks)
    if sum(e["metrics"]["greedy"]["retention"]["estimate"] is not None for e in entries) > 1:
        found["front"] = figures.front(f"{prefix}-front", entries)
    found["along"] = {quantity: _along(board, prefix, quantity) for quantity in figures.ALONG}
    if "missing" not in board["null"]:
        rows = []
        for domain in board["null"]["moved"]:
            rows.append((f"{domain}, real", {d: board["baseline"][d][domain]["forgetting"] for d in DECODINGS}))
            rows.append((f"{domain}, null", {d: board["null"]["forgetting"][d][domain] for d in DECODINGS}))
        title = "Damage by real and by null stages, points"
        found["null"] = figures.intervals(f"{prefix}-null", title, "forgetting", rows, axis="damage, points", marks={"": 0.0})
    return found


def _along(board: dict[str, Any], prefix: str, quantity: str) -> list[str]:
    """Recovery against what was undone, or paid, by the repairs of plain stages: a figure a decoding, none for fewer than three."""
    repairs = [e for e in board["entries"] if e["removed"] is not None and e["unranked"] != "reference"]
    shown_ = [e for e in repairs if all(e["metrics"][d]["recovery ratio"]["estimate"] is not None for d in DECODINGS)]
    if quantity == "repair":
        shown_ = [e for e in shown_ if e["cost"]["repair"] > 0]
    if len(shown_) < 3:
        return []
    title = {"undone": "Recovery, against how much of the change is undone", "repair": "Recovery, against what the repair costs"}[quantity]
    return [figures.along(f"{prefix}-{quantity}-{d}", f"{title}, {TITLES[d]}", shown_, d, quantity) for d in DECODINGS]


def _ranked(entry: dict[str, Any]) -> str:
    return f"{entry['place']}  {entry['label']}" if entry["place"] else entry["label"]


def _span(board: dict[str, Any]) -> tuple[float, float]:
    """One axis for all domains, so that harm in one can be weighed against what another won."""
    found = [board["baseline"][d][domain]["forgetting"] for domain in board["domains"] for d in DECODINGS]
    found += [e["domains"][d][domain]["recovered"] for e in board["entries"] for domain in board["domains"] for d in DECODINGS]
    low, high = min(0, *(value["low"] for value in found)), max(0, *(value["high"] for value in found))
    pad = 0.04 * (high - low) or 1.0
    return low - pad, high + pad


def _domain(board: dict[str, Any], domain: str, name: str, span: tuple[float, float]) -> str:
    lost = {d: board["baseline"][d][domain]["forgetting"] for d in DECODINGS}
    rows = [("lost", lost)] if lost["greedy"]["estimate"] or lost["sampled"]["estimate"] else []
    rows += [(entry["label"], {d: entry["domains"][d][domain]["recovered"] for d in DECODINGS}) for entry in board["entries"]]
    marks = {"": 0.0} | ({"own stage": lost["greedy"]["estimate"]} if rows[0][0] == "lost" else {})
    title = f"{domain}: points lost by the plain run and won back by each entry"
    return figures.intervals(name, title, "forgetting", rows, axis="points above the plain run's end", marks=marks, span=span)


def _training(board: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    """(label and order, figure) for the plain run and every entry that trains its own stages."""
    found = []
    keys = dict.fromkeys((curve["label"], tuple(curve["order"])) for curve in board["training"])
    for number, (label, order) in enumerate(keys):
        ours = [curve for curve in board["training"] if (curve["label"], tuple(curve["order"])) == (label, order)]
        caption = label if len(board["orders"]) == 1 else f"{label}, {' → '.join(order)}"
        found.append((caption, figures.training(f"{prefix}-training{number}", caption, ours, order)))
    return found
