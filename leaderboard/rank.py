"""Ranks submissions with the statistics of `bench report`. Claims are not ranked: an entry has a place once maintainers have run it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tabulate import tabulate

from bench.costs import AccessRecord, Cost, over_limit
from bench.errors import UserError
from bench.report.words import TITLES, access_words, percent, seeds_words, shown
from bench.results.boards import Board, Places
from bench.results.entries import Entry
from bench.results.estimates import Value
from bench.results.run import Run
from bench.suite import DECODINGS, Suite
from leaderboard.evaluations import Evaluation, evaluations
from leaderboard.problems import printable
from leaderboard.submission import BoardEntry, Submission
from leaderboard.verdicts import OWN, RANKED, Verdict, rerun_of, verdict_on
from leaderboard.verify import Place, verify_all

OTHER = {"single": "collateral damage, worst", "all": "retention, worst"}
"""The metric that is shown beside the one that ranks."""


@dataclass(frozen=True)
class Standing:
    """A submission on its board.

    entry: the runs that rank it, those of the rerun where there is one and the maintainers did not make the entry themselves; cost: the
    higher one of claim and rerun; other: what is shown beside it, in words, and those runs; places: None where it has no place, for the
    reason `unranked`; evaluations: of others.
    """

    submission: Submission
    verdict: Verdict | None
    entry: Entry
    cost: Cost
    other: tuple[str, Entry] | None
    places: Places | None
    unranked: str
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def level(self) -> str:
        """What maintainers found, or "claimed"."""
        return "claimed" if self.verdict is None else self.verdict.level

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
    """All boards. refused: name of a submission or evaluation that is refused -> the first reason."""

    rankings: tuple[Ranking, ...]
    refused: dict[str, str]


def leaderboard(place: Place | None = None) -> Leaderboard:
    """Every submission of a place, verified and ranked. `UserError` for a place that is not there, and for a verdict or a rerun that does
    not fit its submission."""
    place = place or Place()
    if not place.submissions.is_dir():
        raise UserError(f"{place.submissions}: no such folder of submissions; the package's own are in a clone of the repository")
    found = verify_all(place.names(), place)
    boards: dict[tuple[str, ...], list[tuple[Standing, Suite]]] = {}
    for each in found.values():
        if each.submission is not None and each.suite is not None and not each.refusals:
            board = each.submission.board
            key = (board.fingerprint, board.sequence, board.targets, board.device)
            boards.setdefault(key, []).append((_unplaced(each.submission, each.runs, each.suite, place), each.suite))
    others, refused = evaluations(place.submissions)
    refused |= {name: str(each.refusals[0]) for name, each in found.items() if each.refusals}
    rankings = [
        _ranking([replace(standing, evaluations=tuple(others.get(standing.submission.name, ()))) for standing, _ in part], part[0][1])
        for part in boards.values()
    ]
    return Leaderboard(tuple(sorted(rankings, key=lambda one: (one.board.targets != "single", one.title))), refused)


def _unplaced(submission: Submission, runs: Sequence[Run], suite: Suite, place: Place) -> Standing:
    """A submission without its place. unranked: why it can have none, empty where it can."""
    name = submission.name
    verdict = verdict_on(place.submissions / name, place.verdicts)
    again = rerun_of(verdict, place.verdicts) if verdict is not None else []
    if again:
        _check_rerun(submission, again, suite)
    claim, entry, other = Entry(name, tuple(runs)), Entry(name, tuple(again or runs)), None
    level = "claimed" if verdict is None else verdict.level
    if again and level == OWN:
        entry, other = claim, ("rerun", entry)
    elif again:
        other = ("claim", claim)
    cost = _cost(claim, entry)
    unranked = entry.unranked or over_limit(submission.method.track, cost.total) or ("" if level in RANKED else level)
    return Standing(submission, verdict, entry, cost, other, None, unranked)


def _cost(claim: Entry, entry: Entry) -> Cost:
    """The higher cost of claim and rerun, and the access of both: a rerun's own report of its costs is not checked by logs."""
    costs = [claim.cost, entry.cost]
    stages, repair = (max(values) for values in ([cost.stages for cost in costs], [cost.repair for cost in costs]))
    return Cost(stages=stages, repair=repair, access=AccessRecord.union(cost.access for cost in costs))


def _check_rerun(submission: Submission, runs: Sequence[Run], suite: Suite) -> None:
    """`UserError` unless the runs of a rerun are those of the submission's method on its board."""
    board, method = submission.board, submission.method
    for run in runs:
        manifest = run.manifest
        source = manifest.method.source if method.from_package else method.source  # of the package's methods the latest code is rerun
        theirs = (manifest.suite.fingerprint, manifest.spec.targets, manifest.method.name, manifest.method.settings, manifest.method.source)
        own = (board.fingerprint, board.targets, method.name, dict(method.settings), source)
        if theirs != own or manifest.spec.sequence not in suite.orders(board.sequence):
            raise UserError(f"the rerun of {submission.name} has a run of another method or board ({run.name})")


def _ranking(standings: Sequence[Standing], suite: Suite) -> Ranking:
    """One board of accepted submissions."""
    board = _board(suite, standings[0].submission.board, [standing.entry for standing in standings])
    ranked = [standing.entry for standing in standings if not standing.unranked and board.standing(standing.entry) is not None]
    ranked.sort(key=lambda entry: (-(board.standing(entry) or 0.0), entry.label))
    places = _board(suite, standings[0].submission.board, ranked).places()
    placed = [replace(standing, places=places.get(standing.submission.name)) for standing in standings]

    def order(standing: Standing) -> tuple[bool, float, str]:
        value = board.standing(standing.entry)
        return value is None, -(value or 0.0), standing.submission.name

    return Ranking(board, tuple(sorted(placed, key=order)))


def _board(suite: Suite, board: BoardEntry, entries: Sequence[Entry]) -> Board:
    return Board(suite.id, board.sequence, board.targets, board.device, suite.comparable, tuple(entries))


# --- forms


def records(found: Leaderboard) -> list[dict[str, Any]]:
    """One record per submission, with numbers as numbers."""
    lines = []
    for ranking in found.rankings:
        name = ranking.board.ranked_by
        metrics = (name, OTHER[ranking.board.targets])
        for standing in ranking.standings:
            submission, entry = standing.submission, standing.entry
            values = {f"{metric}, {TITLES[d]}": _json(entry, d, metric) for metric in metrics for d in DECODINGS}
            what, beside = standing.other or ("", None)
            second = {f"{what}: {name}, {TITLES[d]}": _json(beside, d, name) for d in DECODINGS} if beside is not None else {}
            lines.append(
                {
                    "board": ranking.title,
                    "first place": standing.places and standing.places.first,
                    "last place": standing.places and standing.places.last,
                    "name": submission.name,
                    "title": submission.title,
                    "level": standing.level,
                    "unranked": standing.unranked,
                    "note": standing.verdict.note if standing.verdict is not None else "",
                    "track": submission.method.track,
                    "added cost": standing.cost.total - 1,
                    "access": access_words(standing.cost.access),
                    "seeds": list(entry.seeds),
                    "evaluations by others": [_evaluated(each) for each in standing.evaluations],
                    **values,
                    **second,
                }
            )
    return lines


def _json(entry: Entry, decoding: str, metric: str) -> dict[str, Any] | None:
    value: Value | None = entry.metrics[decoding].get(metric)
    return None if value is None else value.to_json()


def _evaluated(each: Evaluation) -> str:
    """`retention 0.41 [0.35, 0.47] (harder items, by Ada Example; https://…)`."""
    numbers = f"{each.estimate:.2f} [{each.low:.2f}, {each.high:.2f}]"
    return f"{each.metric} {numbers} ({each.kind}, by {', '.join(each.authors)}; {each.code})"


def as_json(found: Leaderboard) -> str:
    """All records, and what was refused."""
    return json.dumps({"entries": records(found), "refused": found.refused}, indent=1, allow_nan=False) + "\n"


def as_csv(found: Leaderboard) -> str:
    """One line per submission; a value has columns for its estimate and the ends of its interval."""
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
    parts += [f"refused: {printable(name)}: {reason}" for name, reason in found.refused.items()]
    return "\n\n".join(parts) if parts else "no submissions yet"


def table(ranking: Ranking) -> tuple[list[str], list[list[str]]]:
    """The header and rows of a board."""
    board, other = ranking.board, OTHER[ranking.board.targets]
    header = ["place", "entry", *(f"{board.ranked_by}, {TITLES[d]}" for d in DECODINGS), f"{other}, {TITLES['greedy']}"]
    header += ["track", "added cost", "access", "seeds", "level"]
    rows = []
    for standing in ranking.standings:
        entry = standing.entry
        note = standing.verdict.note if standing.verdict is not None else ""
        why = "" if standing.unranked == standing.level else standing.unranked
        rows.append(
            [
                standing.place_words,
                standing.submission.name,
                *(shown(board.ranked_by, entry.metrics[d].get(board.ranked_by)) for d in DECODINGS),
                shown(other, entry.metrics["greedy"].get(other)),
                standing.submission.method.track,
                percent(standing.cost.total - 1, 1),
                access_words(standing.cost.access),
                seeds_words(entry.seeds).partition(" ")[2],
                "; ".join(filter(None, [standing.level, why, printable(note), *map(_evaluated, standing.evaluations)])),
            ]
        )
    return header, rows
