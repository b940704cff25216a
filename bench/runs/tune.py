"""Choosing a method's settings: every combination of its declared search space, on validation items and development seeds alone.

Scored seeds and test items are out of reach here by construction: neither is an argument. The record of all trials, good and bad,
is kept beside the method, and `run` and `compare` take the chosen settings from there unless others are given.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from tabulate import tabulate

from bench.costs import over_limit
from bench.errors import UserError
from bench.files import default_cache, write_json
from bench.registry import make_method, method_class, method_identity, tuned_file
from bench.results.boards import RANKED_BY
from bench.results.estimates import Measured, Order
from bench.results.run import read_table
from bench.results.statistics import crossed_interval
from bench.runs.execute import cost_of, graph_of
from bench.runs.machine import default_jobs
from bench.runs.plan import Plan, plan, scoring_id
from bench.runs.pool import Pool
from bench.runs.progress import Display
from bench.spec import RunSpec
from bench.suite import DEVELOPMENT_SEEDS, Suite, load_suite

SEEDS = tuple(DEVELOPMENT_SEEDS[:3])
MAX_TRIALS = 12
"""The most settings that a method may try, the same for all."""


def trials_of(method: str) -> list[dict[str, Any]]:
    """Every combination of a method's declared search space. `UserError` where it declares none, or too many."""
    search = method_class(method).search
    if not search or not all(search.values()):
        raise UserError(f'method {method} declares no search space: give its class search = {{"setting": (value, value)}}')
    found = [dict(zip(search, values, strict=True)) for values in product(*search.values())]
    if len(found) > MAX_TRIALS:
        raise UserError(f"method {method} declares {len(found)} combinations to try: {MAX_TRIALS} are allowed")
    return [{key: make_method(method, trial).settings()[key] for key in trial} for trial in found]


def tune(
    method: str,
    *,
    suite: str = "micro",
    model: str = "",
    quick: bool = False,
    sequence: str = "paper",
    targets: str = "single",
    device: str = "auto",
    cache: Path | None = None,
    jobs: int | None = None,
    display: bool = True,
) -> dict[str, Any]:
    """Run all trials, keep the record in `bench.registry.tuned_file(method)`, and return it.

    Chosen is the trial with the most points by the board's metric, greedily, among those within the method's track; the cheaper one of
    equals. Goes on where it was stopped, by the cache. `UserError` where no trial came through.
    """
    cache = cache or default_cache()
    loaded = load_suite(suite, quick=quick)
    given = {"suite": suite, "model": model, "quick": quick, "sequence": sequence, "targets": targets, "method": method, "device": device}
    trials = trials_of(method)
    board = loaded.board(sequence, targets, model)
    _records(method)  # what cannot be kept is not begun
    plans = [[plan(RunSpec(**given, settings=trial, seed=seed), "validation") for seed in SEEDS] for trial in trials]
    flat = [planned for part in plans for planned in part]
    with Display(flat, enabled=display) as shown:
        logs = cache / "logs" / f"tune-{time.strftime('%Y%m%d-%H%M%S')}"
        pool = Pool(jobs or default_jobs(device, loaded.gpu_memory_gb), cache, logs, shown.hear, device)
        pool.run(graph_of(flat))
    rows = []
    for trial, part in zip(trials, plans, strict=True):
        failure = next((f for f in pool.failures for planned in part if f.job in planned.jobs), None)
        if failure is not None:
            rows.append({"settings": _plain(trial), "verdict": f"failed: {failure.error}"})
        else:
            rows.append({"settings": _plain(trial)} | _judged(part, pool.results, loaded))
    allowed = [row for row in rows if row["verdict"] == "allowed"]
    record = {
        "method": method_identity(method, make_method(method, {})),
        "suite": {"id": loaded.id, "fingerprint": loaded.fingerprint()},
        "sequence": sequence,
        "targets": targets,
        "device": device,
        "ranked_by": RANKED_BY[targets],
        "search": {name: _plain(values) for name, values in method_class(method).search.items()},
        "seeds": list(SEEDS),
        "split": "validation",
        "items": loaded.validation_items,
        "trials": rows,
        "chosen": max(allowed, key=lambda row: (row["points"], -row["cost"]))["settings"] if allowed else {},
    }
    if not quick:
        keep(method, board, record)
    if not allowed:
        raise UserError(f"method {method}: no trial came through within its track; the last one: {rows[-1]['verdict']}")
    return record


def keep(method: str, board: str, record: Mapping[str, Any]) -> Path:
    """Put a board's record into the method's file, beside those of other boards."""
    file = tuned_file(method)
    with FileLock(file.with_name(f".{file.name}.lock")):
        write_json(file, _records(method) | {board: record})
    return file


def _records(method: str) -> dict[str, Any]:
    """The records that are there; `UserError` where they cannot be read, or none could be written."""
    file = tuned_file(method)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(file.parent, os.W_OK):
            raise PermissionError("the folder is not writable: tune from a checkout of your own")
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file}: no place for the record of trials ({error})") from error


def table(record: Mapping[str, Any]) -> str:
    """The trials of a record, the chosen one marked."""
    lines = []
    for row in record["trials"]:
        mark = "*" if row["settings"] == record["chosen"] else ""
        points = f"{row['points']:.1f} [{row['low']:.1f}, {row['high']:.1f}]" if "points" in row else ""
        cost = f"{100 * row['cost']:.1f} %" if "cost" in row else ""
        lines.append([mark, " ".join(f"{key}={value}" for key, value in row["settings"].items()), points, cost, row["verdict"]])
    head = f"{record['method']['name']} on {record['suite']['id']}, targets {record['targets']}"
    seeds = f"development seeds {', '.join(map(str, record['seeds']))}, {record['items']} validation items a domain, greedy"
    header = ["", "settings", f"points ({record['ranked_by']})", "cost", ""]
    return f"{head}; {seeds}\n\n" + tabulate(lines, header, tablefmt="simple", disable_numparse=True)


def _judged(plans: Sequence[Plan], results: Mapping[str, dict[str, Any]], suite: Suite) -> dict[str, Any]:
    """points (of 100, by the board's metric) with their interval, cost, and whether the trial is within its track."""
    measured = _measured(plans, results)
    strata = measured.net if plans[0].spec.targets == "single" else measured.retention
    interval = crossed_interval([100 * stratum for stratum in strata.points])
    cost = float(np.mean([cost_of(planned, results)["total"] for planned in plans]))
    verdict = (over_limit(plans[0].method.track, cost) if suite.comparable else "") or "allowed"
    return {"points": interval.estimate, "low": interval.low, "high": interval.high, "cost": cost, "verdict": verdict}


def _measured(plans: Sequence[Plan], results: Mapping[str, dict[str, Any]]) -> Measured:
    """The scores of plans. The plain run's rows stand in for those of the method's stages, which no board's metric looks at."""
    first = plans[0]
    cells = []
    for domain in first.sequence:
        by_seed = []
        for planned in plans:
            jobs = [job for part in ("baseline", "baseline", "final") for _, job in planned.rows[part]]
            files = [results[scoring_id(job, domain, planned.split)]["answers"] for job in jobs]
            by_seed.append(np.stack([read_table(Path(file))[domain, "greedy"][:, 0] for file in files]))
        cells.append(np.stack(by_seed))
    targets = tuple(first.sequence.index(target) for target in first.spec.target_domains())
    return Measured((Order(first.sequence, targets, tuple(cells)),), tuple(planned.spec.seed for planned in plans))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple | list) else value
