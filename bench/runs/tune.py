"""Choosing a method's settings: every combination of its declared search space, on validation items and development seeds alone.

Scored seeds and test items are out of reach here by construction: neither is an option. The record of all trials, good and bad,
is kept beside the method, and `run` and `compare` take the chosen settings from there unless others are given.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from tabulate import tabulate

from bench.costs import over_limit
from bench.errors import UserError
from bench.files import default_cache, lock_for, write_json
from bench.options import Options
from bench.registry import describe, describe_all, tuned_file
from bench.results.answers import table_of
from bench.results.boards import RANKED_BY
from bench.results.estimates import Measured, Order
from bench.results.rows import Rows
from bench.results.statistics import crossed_interval
from bench.runs import preflight
from bench.runs.compare import board_of, plans_of
from bench.runs.execute import FailedRun, FailedRunsError, cost
from bench.runs.forecast import Ledger
from bench.runs.plan import Plan, graph_of
from bench.runs.pool import Pool, run_graph
from bench.runs.progress import Display
from bench.spec import MethodRecord
from bench.suite import DEVELOPMENT_SEEDS, load_suite

SEEDS = tuple(DEVELOPMENT_SEEDS[:3])
MAX_TRIALS = 12
"""The most settings that a method may try, the same for all."""
ALLOWED = "allowed"


class Trial(BaseModel):
    """One choice of settings. points: of 100, what the board's metric is before it is divided, with their interval; cost: in all, as a
    share of the baseline sequence's FLOPs; verdict: `allowed`, or why the trial does not count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: dict[str, Any]
    verdict: str
    points: float | None = None
    low: float | None = None
    high: float | None = None
    cost: float | None = None


class Record(BaseModel):
    """All trials of a method on a board, and the settings that were chosen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: MethodRecord
    suite: str
    fingerprint: str
    sequence: str
    targets: str
    device: str
    ranked_by: str
    search: dict[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    items: int
    trials: tuple[Trial, ...]
    chosen: dict[str, Any]


def trials_of(method: str) -> list[dict[str, Any]]:
    """Every combination of a method's declared search space. `UserError` where it declares none, or too many."""
    search = describe(method).search
    if not search or not all(search.values()):
        raise UserError(f'method {method} declares no search space: give its class search = {{"setting": (value, value)}}')
    found = [dict(zip(search, values, strict=True)) for values in product(*search.values())]
    if len(found) > MAX_TRIALS:
        raise UserError(f"method {method} declares {len(found)} combinations to try: {MAX_TRIALS} are allowed")
    return [description.given for description in describe_all(method, found)]


def plans_for(method: str, options: Options) -> list[list[Plan]]:
    """The plans of each trial, one a development seed, scored on validation items."""
    apart = options.but(seed=SEEDS[0], seeds=len(SEEDS))
    if options.source is None:  # a design is tuned on its first order, which its settings are kept for
        suite = load_suite(options.suite, quick=options.quick)
        apart = apart.but(sequence=suite.orders(options.sequence)[0])
    return [plans_of([(method, trial)], apart, "validation") for trial in trials_of(method)]


def check(method: str, plans: Sequence[Plan], options: Options) -> None:
    """`UserError` for what cannot be run, or whose record could not be kept."""
    preflight.check(plans, options, writes_runs=False)
    if not options.quick:
        _records(describe(method).record)


def tune(method: str, options: Options, *, display: bool = True) -> Record:
    """Run all trials, keep the record in `bench.registry.tuned_file` (but for --quick), and return it.

    Chosen is the trial with the most points by the board's metric, greedily, among those within the method's track; the cheaper one of
    equals. A rerun resumes, by the cache. `UserError` where no trial came through, or where the machine failed one: then an earlier record
    stays as it is.
    """
    record = describe(method).record
    plans = plans_for(method, options)
    flat = [planned for part in plans for planned in part]
    check(method, flat, options)
    suite = load_suite(flat[0].spec.suite, quick=flat[0].spec.quick)
    with Display(flat, enabled=display) as shown:
        cache = options.cache or default_cache()
        graph = graph_of(flat)
        listeners = [shown.hear, Ledger(cache, graph.values()).hear]
        pool = run_graph(graph, suite, options.device, options.engine, cache=cache, listeners=listeners, jobs=options.jobs, log="tune-")
    broken = next((failure for failure in pool.failures if failure.machine), None)
    if broken is not None:
        part = next(planned for planned in flat if broken.job.key in planned.jobs)
        raise FailedRunsError([FailedRun.of(part, broken)], [])
    trials = tuple(_trial(part, pool, suite.comparable) for part in plans)
    allowed = [trial for trial in trials if trial.verdict == ALLOWED]
    if not allowed:
        raise UserError(f"method {method}: no trial came through within its track, so none is kept; the last one: {trials[-1].verdict}")
    found = Record(
        method=record,
        suite=suite.id,
        fingerprint=suite.fingerprint(),
        sequence=flat[0].spec.sequence,
        targets=options.targets,
        device=options.device,
        ranked_by=RANKED_BY[options.targets],
        search=describe(method).search,
        seeds=SEEDS,
        items=suite.validation_items,
        trials=trials,
        chosen=max(allowed, key=lambda trial: (trial.points, -trial.cost)).settings,
    )
    if not options.quick:
        keep(record, board_of(options), found, cache)
    return found


def keep(method: MethodRecord, board: str, record: Record, cache: Path) -> Path:
    """Put a board's record into the method's file, beside those of other boards."""
    file = tuned_file(method)
    with lock_for(file, cache):
        write_json(file, _records(method) | {board: record.model_dump(mode="json")})
    return file


def _records(method: MethodRecord) -> dict[str, Any]:
    """The records that are there; `UserError` where they cannot be read, or none could be written."""
    file = tuned_file(method)
    try:
        folder = next(folder for folder in file.parents if folder.exists())
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder")
        if not os.access(folder, os.W_OK):
            raise PermissionError("the folder is not writable: tune from a checkout of your own")
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file}: the record of trials cannot be kept there ({error})") from error


def table(record: Record) -> str:
    """The trials of a record, the chosen one marked."""
    lines = []
    for trial in record.trials:
        mark = "*" if trial.settings == record.chosen else ""
        points = "" if trial.points is None else f"{trial.points:.1f} [{trial.low:.1f}, {trial.high:.1f}]"
        price = "" if trial.cost is None else f"{100 * trial.cost:.1f} %"
        lines.append([mark, " ".join(f"{key}={value}" for key, value in trial.settings.items()), points, price, trial.verdict])
    head = f"{record.method.name} on {record.suite}, targets {record.targets}"
    seeds = f"development seeds {', '.join(map(str, record.seeds))}, {record.items} validation items a domain, greedy"
    divided_by = "forgetting" if record.targets == "single" else "gain"
    header = ["", "settings", f"points ({record.ranked_by} x {divided_by})", "cost", ""]
    return f"{head}; {seeds}\n\n" + tabulate(lines, header, tablefmt="simple", disable_numparse=True)


def _trial(plans: Sequence[Plan], pool: Pool, comparable: bool) -> Trial:
    """One trial's points by the board's metric, its cost, and whether it is within its track."""
    settings = plans[0].spec.settings
    failure = next((f for f in pool.failures for planned in plans if f.job.key in planned.jobs), None)
    if failure is not None:
        return Trial(settings=settings, verdict=f"failed: {failure.error}")
    measured = measured_on_validation(plans, pool.results)
    strata = measured.net if plans[0].spec.targets == "single" else measured.retention
    interval = crossed_interval([100 * stratum for stratum in strata.points])
    price = float(np.mean([cost(planned, pool.results).total for planned in plans]))
    verdict = (over_limit(plans[0].method.track, price) if comparable else "") or ALLOWED
    return Trial(settings=settings, verdict=verdict, points=interval.estimate, low=interval.low, high=interval.high, cost=price)


def measured_on_validation(plans: Sequence[Plan], outcomes: Mapping[str, Any]) -> Measured:
    """The greedy scores of plans, one a seed. The baseline's rows stand in for the method's own stages, which no board's metric uses and
    which are not scored on validation items."""
    first = plans[0]
    cells = []
    for domain in first.sequence:
        by_seed = []
        for planned in plans:
            rows = Rows(planned.rows.baseline, planned.rows.baseline, planned.rows.final)
            files = [Path(outcomes[planned.scoring(row, domain).key].answers) for row in rows]
            by_seed.append(np.stack([table_of(file.read_bytes(), str(file))[domain, "greedy"][:, 0] for file in files]))
        cells.append(np.stack(by_seed))
    targets = tuple(first.sequence.index(target) for target in first.targets)
    return Measured((Order(first.sequence, targets, tuple(cells)),), tuple(planned.spec.seed for planned in plans))
