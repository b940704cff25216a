"""A report as one HTML page that needs no other file, no network and no script; and all forms of a report written into a folder.

`page` renders page.html.j2 with the report's data (`bench.report.data`), its tables (`bench.report.tables`) and its figures as inline SVG
(`bench.report.drawings`). Answers are a model's text: everything but the SVGs is escaped.
"""

from __future__ import annotations

import json
from pathlib import Path

from bench.files import check_folder, write_texts
from bench.report import tables, text
from bench.report.data import Report, place_words
from bench.report.drawings import drawings
from bench.report.prose import FAMILIES, RANKED, comparisons_words, null_words
from bench.report.words import TITLES, access_words, rounded, seeds_words, shown
from bench.suite import DECODINGS


def write_report(report: Report, folder: Path) -> list[Path]:
    """report.html, report.md, report.json, entries.csv and cells.csv in a folder, each whole or not at all. `UserError` where it cannot be
    written, before anything is drawn where that can be seen."""
    import pandas as pd

    check_folder(folder, "--out")
    files = {
        "report.html": page(report),
        "report.md": text.markdown(report),
        "report.json": json.dumps(report.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "entries.csv": _csv(pd.concat([board.frame() for board in report.boards])),
        "cells.csv": _csv(pd.concat([board.cells_frame() for board in report.boards])),
    }
    return write_texts(folder, files, "--out")


def _csv(frame: object) -> str:
    return frame.to_csv(index=False, lineterminator="\n")  # type: ignore[attr-defined]


def page(report: Report) -> str:
    """The HTML of a report; the same text for the same report."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bench.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "tables": tables,
        "shown": shown,
        "rounded": rounded,
        "seeds_words": seeds_words,
        "access_words": access_words,
        "place_words": place_words,
        "comparisons_words": comparisons_words,
        "null_words": null_words,
        "TITLES": TITLES,
        "DECODINGS": DECODINGS,
        "RANKED": RANKED,
        "FAMILIES": FAMILIES,
    }
    figures = [drawings(board, f"b{number}") for number, board in enumerate(report.boards, start=1)]
    return environment.get_template("page.html.j2").render(report=report, drawings=figures)
