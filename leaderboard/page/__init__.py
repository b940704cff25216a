"""The leaderboard as one HTML page that needs no other file and no network, and is complete without its one script.

The script, which sorts and filters the tables, is allowed by its hash and nothing else is. Everything that a stranger wrote is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bench.report import figures, tradeoffs
from bench.report.content import entry_report
from bench.report.data import EntryReport
from bench.report.tradeoffs import kind_of_access
from bench.report.words import TITLES, access_words, percent, seeds_words, shown
from bench.suite import DECODINGS
from leaderboard.rank import OTHER, Leaderboard, Ranking
from leaderboard.submission import Submission
from leaderboard.verdicts import MEANINGS

_SCRIPT = (Path(__file__).parent / "sort.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Drawn:
    """A board's figures as SVG; empty where there is nothing to draw."""

    standing: str
    pareto: str


def page(found: Leaderboard) -> str:
    """The HTML; the same text for the same submissions and verdicts."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader("leaderboard.page", "."), PackageLoader("bench.report", ".")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {
        "shown": shown,
        "percent": percent,
        "access_words": access_words,
        "kind_of_access": kind_of_access,
        "seeds_words": seeds_words,
        "TITLES": TITLES,
        "DECODINGS": DECODINGS,
        "OTHER": OTHER,
        "MEANINGS": MEANINGS,
        "links": _links,
        "script": _SCRIPT,
        "script_hash": base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode(),
    }
    environment.filters["kind_of_access"] = kind_of_access
    drawings = [_drawn(ranking, f"b{number}") for number, ranking in enumerate(found.rankings, start=1)]
    return environment.get_template("page.html.j2").render(found=found, drawings=drawings)


def _links(submission: Submission) -> list[tuple[str, str]]:
    """What an entry points to, in a word, with the address."""
    evidence = submission.evidence.address if submission.evidence else ""
    found = {"code": submission.code, "paper": submission.paper, "evidence": evidence}
    return [(what, address) for what, address in found.items() if address]


def _drawn(ranking: Ranking, prefix: str) -> Drawn:
    name, reports = ranking.board.ranked_by, _reports(ranking)
    defined = [entry for entry in reports if entry.metrics["greedy"][name].estimate is not None]
    retained = [entry for entry in reports if entry.metrics["greedy"]["retention"].estimate is not None]
    rows = [(entry.label, {d: entry.metrics[d][name] for d in DECODINGS}) for entry in reports]
    marks, axis = {"": 0.0, "all of it": 1.0}, f"{name} (1 is all of it)"
    return Drawn(
        figures.intervals(f"{prefix}-standing", name.capitalize(), name, rows, axis=axis, marks=marks) if defined else "",
        tradeoffs.pareto(f"{prefix}-front", retained) if len(retained) > 1 else "",
    )


def _reports(ranking: Ranking) -> list[EntryReport]:
    return [entry_report(standing.entry, ranking.board, standing.places) for standing in ranking.standings]
