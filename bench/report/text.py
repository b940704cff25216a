"""A report as text: in the terminal and as Markdown."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from tabulate import tabulate

from bench.report import tables
from bench.report.data import BoardReport, Report
from bench.report.prose import FAMILIES, comparisons_words, null_words
from bench.report.tables import Table
from bench.report.words import TITLES
from bench.suite import DECODINGS


def _parts(board: BoardReport) -> Iterator[tuple[str, Table]]:
    yield f"Ranking by {board.ranked_by}", tables.ranking(board)
    yield "Side effects and cost", tables.cost(board)
    for family in board.families:
        found = tables.comparisons(board, family)
        if found.rows:
            yield f"Comparisons: {FAMILIES[family]}", found
    yield "Forgetting in the baseline run", tables.baseline(board)
    yield "Points forgotten by the baseline run, and recovered by each entry (* target)", tables.by_domain(board)
    for found in board.matrices:
        for decoding in DECODINGS:
            yield f"Scores, {' → '.join(found.order)}, {TITLES[decoding]}", tables.matrix(found, decoding)
    if board.null:
        yield "Forgetting under real and null stages", tables.null(board)
    if board.also:
        yield "Other abilities, by lm-eval", tables.also(board)
    yield "Items that flipped, greedy, per seed", tables.flips(board)


def empty_families(board: BoardReport) -> Iterator[str]:
    """A line for each family that holds no comparison on this board."""
    for family in board.families:
        if not any(found.family == family for found in board.comparisons):
            yield f"No comparisons: {FAMILIES[family]}."


def terminal(report: Report) -> str:
    """What `python -m bench report` prints."""
    parts = [f"left out: {line}" for line in report.left_out]
    for board in report.boards:
        parts += [f"{board.title}\n{'=' * len(board.title)}", board.headline, textwrap.fill(board.standfirst, 120)]
        parts += ["\n".join(f"! {warning}" for warning in board.warnings)] if board.warnings else []
        parts += [f"{title}\n\n{_simple(table)}" for title, table in _parts(board)]
        parts += ["\n".join([*empty_families(board), textwrap.fill(comparisons_words(board), 120)])]
        parts.append(textwrap.fill(null_words(board).replace("`", ""), 120, break_on_hyphens=False))
    return "\n\n".join(parts) + "\n"


def markdown(report: Report) -> str:
    """The same, with shares of answers that did not parse or stop, and all settings."""
    parts = ["# interference-bench: report", *(f"> left out: {_escaped(line)}" for line in report.left_out)]
    for board in report.boards:
        parts += [f"## {_escaped(board.title)}", f"**{_escaped(board.headline)}.** {_escaped(board.standfirst)}"]
        parts += ["\n".join(f"- {_escaped(warning)}" for warning in board.warnings)] if board.warnings else []
        parts += [f"### {title}\n\n{_github(table)}" for title, table in _parts(board)]
        parts += [*empty_families(board), comparisons_words(board), null_words(board)]
        for found in board.matrices:
            for kind, words in (("unparsed", "Answers that could not be parsed"), ("unended", "Answers that did not stop")):
                for d in DECODINGS:
                    title = f"{words}, {' → '.join(found.order)}, {TITLES[d]}"
                    parts.append(f"### {title}\n\n{_github(tables.matrix(found, d, kind))}")
        parts.append(f"### Settings\n\n```json\n{json.dumps(_settings(board), indent=1)}\n```")
    parts.append("## Metrics\n\n" + "\n".join(f"- **{name}**: {words}" for name, words in report.meaning.items()))
    return "\n\n".join(parts) + "\n"


def _settings(board: BoardReport) -> dict[str, Any]:
    """The suite's and the methods' settings, numerics and versions."""
    used = {kind: [found.values | {"runs": found.runs} for found in getattr(board.settings, kind)] for kind in ("numerics", "versions")}
    methods = {e.label: {"settings": e.settings, "source": e.source, "seeds": e.seeds} for e in board.entries}
    return {"fingerprint": board.settings.fingerprint, "suite": board.settings.suite, **used, "methods": methods}


def _simple(table: Table) -> str:
    rows = [["\n".join(textwrap.wrap(cell, 34)) for cell in row] for row in table.rows]
    header = ["\n".join(textwrap.wrap(cell, 20)) for cell in table.header]
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True)


def _github(table: Table) -> str:
    rows = [[_escaped(cell).replace("|", "\\|") for cell in row] for row in table.rows]
    return tabulate(rows, [_escaped(cell).replace("|", "\\|") for cell in table.header], tablefmt="github", disable_numparse=True)


def _escaped(text: str) -> str:
    """Labels and settings are users' text: they must not become HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
