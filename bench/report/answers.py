"""What lies behind the numbers of a report, read from run folders: cells, unparsable answers, training curves, flips with texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.errors import nearest
from bench.results.run import Run
from bench.suite import DECODINGS

SHOWN_ITEMS = 3
"""Sample texts of each kind of flip."""


def cells(run: Run) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """row -> decoding -> domain -> score and share of unparsable answers, in percent, counted from the stored answers."""
    return {
        row: {
            decoding: {
                domain: {"score": 100 * float(found[:, 0].mean()), "unparsed": 100 * float(1 - found[:, 1].mean())}
                for domain in run.sequence
                for found in [table[domain, decoding]]
            }
            for decoding in DECODINGS
        }
        for row, table in run.tables.items()
    }


def disagreement(run: Run, counted: Mapping[str, Any]) -> str:
    """Where matrix.json says another score than the stored answers, or the empty string."""
    for decoding in DECODINGS:
        for part, names in run.rows.items():
            for name, scores in zip(names, run.matrix[decoding][part], strict=True):
                for domain, score in zip(run.sequence, scores, strict=True):
                    if abs(100 * score - counted[name][decoding][domain]["score"]) > 1e-6:
                        return f"{run.name}: matrix.json and the stored answers disagree on {domain} in {name}; the answers count"
    return ""


def curves(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """Reward by step of the stages of `part` (plain, method), a curve a stage and rewarded domain: mean, least and most over the runs.

    The runs are of one sequence. Nothing for stages without a log (imported checkpoints).
    """
    found = []
    for place, row in enumerate(runs[0].rows[part][1:], start=1):
        files = [run.folder / "training" / f"{row}.jsonl" for run in runs]
        logs = [[json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in files if file.exists()]
        if not logs or not logs[0]:
            continue
        length = min(len(log) for log in logs)
        for domain in logs[0][0]["reward"]:
            rewards = 100 * np.array([[step["reward"].get(domain, np.nan) for step in log[:length]] for log in logs])
            # A mixture may leave a domain out of a step: such a step has no point.
            there = ~np.isnan(rewards).any(0)
            curve = {"stage": place, "trained": runs[0].sequence[place - 1], "domain": domain, "seeds": len(logs)}
            curve["steps"] = [step["step"] for step, present in zip(logs[0][:length], there, strict=True) if present]
            for name, over in (("mean", np.mean), ("low", np.min), ("high", np.max)):
                curve[name] = [float(value) for value in over(rewards[:, there], axis=0)]
            found.append(curve)
    return found


def flipped(run: Run, domain: str) -> dict[str, list[int]]:
    """Greedy items by what became of them, by number. `UserError` for an unknown domain.

    lost: score fell between the domain's own stage and the end of the plain run; won back: of those, score rose again at the run's end;
    still lost: the others of them; won: all whose score rose between the plain run's end and the run's end; fell: all whose fell.
    """
    if domain not in run.sequence:
        raise nearest("domain of this run", domain, run.sequence)
    own, last, end = (run.tables[row][domain, "greedy"][:, 0] for row in flip_rows(run, domain))
    lost, won, fell = last < own, end > last, end < last
    kinds = {"lost": lost, "recovered": lost & won, "still lost": lost & ~won, "won": won, "fell": fell}
    return {kind: np.flatnonzero(mask).tolist() for kind, mask in kinds.items()}


def texts(run: Run, domain: str, items: Sequence[int]) -> list[dict[str, Any]]:
    """Prompt and greedy answers of items: after the domain's own stage, at the plain run's end and at the run's."""
    answers = [
        {a["item"]: a for a in run.answers(row) if a["domain"] == domain and a["decoding"] == "greedy"} for row in flip_rows(run, domain)
    ]
    return [
        {"item": item, "prompt": answers[0][item]["prompt"]}
        | {when: found[item]["answer"] for when, found in zip(("own", "baseline", "final"), answers, strict=True)}
        for item in items
    ]


def flip_rows(run: Run, domain: str) -> tuple[str, str, str]:
    """The rows that flips are told between: after the domain's own stage, the plain run's end, the run's end."""
    own = run.sequence.index(domain) + 1
    return run.rows["baseline"][own], run.rows["baseline"][-1], run.rows["final"][0]


def flips(runs: Sequence[Run], domain: str) -> dict[str, Any]:
    """How many items flipped, means over the runs (one a seed and order), and the first few of each kind in the first run, with texts."""
    by_run = [flipped(run, domain) for run in runs]
    first = by_run[0]
    return {
        "domain": domain,
        "items": int(np.mean([len(run.tables[run.rows["final"][0]][domain, "greedy"]) for run in runs])),
        "counts": {kind: float(np.mean([len(found[kind]) for found in by_run])) for kind in first},
        "run": runs[0].name,
        "samples": {kind: texts(runs[0], domain, first[kind][:SHOWN_ITEMS]) for kind in ("recovered", "still lost", "fell") if first[kind]},
    }
