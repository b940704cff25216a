"""Stored answers behind a report: cells of the score matrix, and the items whose score flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench.errors import nearest
from bench.report.data import Cell, FlipCounts, FlipReport, FlipSample, Kind
from bench.results.answers import Answer
from bench.results.rows import Row
from bench.results.run import Run
from bench.suite import DECODINGS

SHOWN_ITEMS = 3
"""Sample answers of each kind of flip."""


def cells(run: Run) -> tuple[Cell, ...]:
    """Every cell of a run, counted from the stored answers."""
    return tuple(
        Cell(row.name, domain, decoding, *_percent(run.tables[row][domain, decoding]))
        for row in run.rows.distinct()
        for decoding in DECODINGS
        for domain in run.sequence
    )


def _percent(table: np.ndarray) -> tuple[float, float, float]:
    """Score, unparsed and unended of a (I, 3) table."""
    score, parsed, ended = (100 * float(share) for share in table.mean(0))
    return score, 100 - parsed, 100 - ended


def disagreement(run: Run, counted: Sequence[Cell]) -> str:
    """Where matrix.json has another score than the stored answers, or the empty string."""
    scores = {(cell.row, cell.decoding, cell.domain): cell.score for cell in counted}
    for decoding in DECODINGS:
        for row, stored in zip(run.rows, run.matrix[decoding], strict=True):
            for domain, score in zip(run.sequence, stored, strict=True):
                if abs(100 * score - scores[row.name, decoding, domain]) > 1e-6:
                    return f"{run.name}: matrix.json and the stored answers disagree on {domain} in {row.name}; the report uses the answers"
    return ""


def flip_rows(run: Run, domain: str) -> tuple[Row, Row, Row]:
    """The models that flips compare: after the domain's own stage, the end of the baseline run, the final model."""
    return run.rows.after(run.sequence.index(domain)), run.rows.baseline[-1], run.rows.final


def flipped(run: Run, domain: str) -> dict[str, list[int]]:
    """Greedy items by number, by the fields of `FlipCounts`. `UserError` for an unknown domain."""
    if domain not in run.sequence:
        raise nearest("domain of this run", domain, run.sequence)
    own, last, end = (run.tables[row][domain, "greedy"][:, 0] for row in flip_rows(run, domain))
    lost, gained, newly_lost = last < own, end > last, end < last
    masks = {"lost": lost, "recovered": lost & gained, "still_lost": lost & ~gained, "gained": gained, "newly_lost": newly_lost}
    return {kind: np.flatnonzero(mask).tolist() for kind, mask in masks.items()}


def greedy_answers(run: Run, row: Row, domain: str) -> list[Answer]:
    """A model's greedy answers on a domain, by item."""
    found = [answer for answer in run.answers(row) if answer.domain == domain and answer.decoding == "greedy"]
    return sorted(found, key=lambda answer: answer.item)


def samples(run: Run, domain: str, items_by_kind: Mapping[Kind, Sequence[int]]) -> tuple[FlipSample, ...]:
    """Items of each kind with their prompt and answers."""
    if not any(items_by_kind.values()):
        return ()
    own, baseline, final = ({a.item: a for a in greedy_answers(run, row, domain)} for row in flip_rows(run, domain))
    return tuple(
        FlipSample(kind, item, own[item].prompt, own[item].answer, baseline[item].answer, final[item].answer)
        for kind, items in items_by_kind.items()
        for item in items
    )


def flips(runs: Sequence[Run], domain: str, entry: str) -> FlipReport:
    """How many items flipped, means over the runs (one for each seed and order), and the first few of each kind in the first run."""
    by_run = [flipped(run, domain) for run in runs]
    first = by_run[0]
    shown: dict[Kind, list[int]] = {"recovered": first["recovered"], "still lost": first["still_lost"], "newly lost": first["newly_lost"]}
    return FlipReport(
        entry=entry,
        domain=domain,
        items=int(np.mean([len(run.tables[run.rows.final][domain, "greedy"]) for run in runs])),
        counts=FlipCounts(**{kind: float(np.mean([len(found[kind]) for found in by_run])) for kind in first}),
        run=runs[0].name,
        samples=samples(runs[0], domain, {kind: items[:SHOWN_ITEMS] for kind, items in shown.items()}),
    )
