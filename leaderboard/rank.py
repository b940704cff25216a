"""Ranks submissions with the statistics of `bench report`. Claims never rank: an entry has a place once maintainers have run it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from bench.report.words import TITLES, access_words, percent, shown
from bench.results.boards import Board, Places
from bench.results.entries import Entry
from bench.results.estimates import Value
from bench.suite import DECODINGS
from leaderboard.submission import Submission
from leaderboard.verdicts import FOLDER, RANKED, Level, level_of, rerun_of
from leaderboard.verify import SUBMISSIONS, Verified, names_in, verify_all

OTHER = {"single": "collateral damage, worst", "all": "retention, worst"}
"""The metric that is shown beside the one that ranks."""


@dataclass(frozen=True)
class Standing:
    """A submission on its board.

    entry: the runs that rank it, those of the re-run where there is one; claim: the author's own; places: None where it has no place, for
    the reason `unranked`.
    """

    submission: Submission
    level: Level
    entry: Entry
    claim: Entry
    rerun: bool
    places: Places | None
    unranked: str

    @property
    def place_words(self) -> str:
        """`1`, `2–4`, or a dash."""
        if self.places is None:
            return "–"
        first, last = self.places.first, self.places.last
        return str(first) if first == last else f"{first}–{last}"


@dataclass(frozen=True)
class Ranking:
    """A board with its standings in order."""

    board: Board
    standings: tuple[Standing, ...]

    @property
    def title(self) -> str:
        return self.board.title


@dataclass(frozen=True)
class Leaderboard:
    """All boards. refused: name of a submission that is refused -> the first reason."""

    rankings: tuple[Ranking, ...]
    refused: dict[str, str]


def leaderboard(submissions: Path = SUBMISSIONS, verdicts: Path = FOLDER) -> Leaderboard:
    """Every submission in a folder, verified and ranked."""
    found = verify_all(submissions, names_in(submissions))
    boards: dict[tuple[str, ...], list[Verified]] = {}
    for each in found.values():
        if each.submission is not None and not each.refusals:
            board = each.submission.board
            boards.setdefault((board.fingerprint, board.sequence, board.targets, board.device), []).append(each)
    refused = {name: str(each.refusals[0]) for name, each in found.items() if each.refusals}
    rankings = [_ranking(part, verdicts) for part in boards.values()]
    return Leaderboard(tuple(sorted(rankings, key=lambda one: (one.board.targets != "single", one.title))), refused)


def _ranking(part: Sequence[Verified], verdicts: Path) -> Ranking:
    """One board of accepted submissions."""
    first = part[0]
    assert first.submission is not None
    assert first.suite is not None
    wanted = first.submission.board
    claims, entries, levels, reasons = {}, {}, {}, {}
    for each in part:
        assert each.submission is not None
        name = each.submission.name
        level, _ = level_of(each.folder, verdicts)
        again = rerun_of(name, verdicts) if level != "claimed" else []
        claims[name], levels[name] = Entry(name, tuple(each.runs)), level
        entries[name] = Entry(name, tuple(again)) if again else claims[name]
        reasons[name] = entries[name].unranked or ("" if level in RANKED else level)
    board = Board(first.suite.id, wanted.sequence, wanted.targets, wanted.device, first.suite.comparable, tuple(entries.values()))
    ranked = [entry for name, entry in entries.items() if not reasons[name] and board.standing(entry) is not None]
    ranked.sort(key=lambda entry: (-(board.standing(entry) or 0.0), entry.label))
    places = Board(*_identity(board), tuple(ranked)).places()
    standings = []
    for each in part:
        assert each.submission is not None
        name = each.submission.name
        rerun = entries[name] is not claims[name]
        standings.append(Standing(each.submission, levels[name], entries[name], claims[name], rerun, places.get(name), reasons[name]))

    def order(standing: Standing) -> tuple[bool, float, str]:
        value = board.standing(standing.entry)
        return value is None, -(value or 0.0), standing.submission.name

    return Ranking(board, tuple(sorted(standings, key=order)))


def _identity(board: Board) -> tuple[str, str, str, str, bool]:
    return board.suite, board.sequence, board.targets, board.device, board.comparable


# --- forms


def records(found: Leaderboard) -> list[dict[str, Any]]:
    """One record a submission, with numbers as numbers."""
    lines = []
    for ranking in found.rankings:
        for standing in ranking.standings:
            submission, entry = standing.submission, standing.entry
            metrics = (ranking.board.ranked_by, OTHER[ranking.board.targets])
            values = {f"{name}, {TITLES[d]}": _json(entry.metrics[d].get(name)) for name in metrics for d in DECODINGS}
            claim = {
                f"claimed {ranking.board.ranked_by}, {TITLES[d]}": _json(standing.claim.metrics[d].get(ranking.board.ranked_by))
                for d in DECODINGS
            }
            lines.append(
                {
                    "board": ranking.title,
                    "first place": standing.places and standing.places.first,
                    "last place": standing.places and standing.places.last,
                    "name": submission.name,
                    "title": submission.title,
                    "level": standing.level,
                    "unranked": standing.unranked,
                    "track": submission.method.track,
                    "added cost": entry.cost.total - 1,
                    "access": access_words(entry.access),
                    "seeds": list(entry.seeds),
                    **values,
                    **(claim if standing.rerun else {}),
                }
            )
    return lines


def _json(value: Value | None) -> dict[str, Any] | None:
    return None if value is None else value.to_json()


def as_json(found: Leaderboard) -> str:
    return json.dumps({"entries": records(found), "refused": found.refused}, indent=1) + "\n"


def as_csv(found: Leaderboard) -> str:
    """A line a submission; a value has columns for its estimate and the ends of its interval."""
    rows: list[dict[str, Any]] = []
    for record in records(found):
        row: dict[str, Any] = {}
        for name, value in record.items():
            if isinstance(value, dict):
                row |= {name: value["estimate"], f"{name}: low": value["low"], f"{name}: high": value["high"]}
            else:
                row[name] = " ".join(map(str, value)) if isinstance(value, list) else value
        rows.append(row)
    header = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def as_text(found: Leaderboard, form: str = "simple") -> str:
    """Tables for the terminal, or with form "github" for Markdown."""
    parts = []
    for ranking in found.rankings:
        header, rows = table(ranking)
        heading = f"## {ranking.title}" if form == "github" else ranking.title
        parts.append(f"{heading}\n\n{tabulate(rows, header, tablefmt=form, disable_numparse=True)}")
    parts += [f"refused: {name}: {reason}" for name, reason in found.refused.items()]
    return "\n\n".join(parts) if parts else "no submissions yet"


def table(ranking: Ranking) -> tuple[list[str], list[list[str]]]:
    """The header and rows of a board."""
    board, other = ranking.board, OTHER[ranking.board.targets]
    header = ["place", "entry", *(f"{board.ranked_by}, {TITLES[d]}" for d in DECODINGS), f"{other}, {TITLES['greedy']}"]
    header += ["track", "added cost", "access", "seeds", "level"]
    rows = []
    for standing in ranking.standings:
        entry = standing.entry
        level = standing.level if standing.unranked in ("", standing.level) else f"{standing.level}; {standing.unranked}"
        rows.append(
            [
                standing.place_words,
                standing.submission.name,
                *(shown(board.ranked_by, entry.metrics[d].get(board.ranked_by)) for d in DECODINGS),
                shown(other, entry.metrics["greedy"].get(other)),
                standing.submission.method.track,
                percent(entry.cost.total - 1, 1),
                access_words(entry.access),
                str(len(entry.seeds)),
                level,
            ]
        )
    return header, rows
