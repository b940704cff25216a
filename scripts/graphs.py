"""Graphs of jobs that a script does into the cache, apart from run folders."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.errors import UserError
from bench.files import default_cache
from bench.runs.forecast import Ledger
from bench.runs.plan import Plan
from bench.runs.pool import run_graph
from bench.runs.progress import Display
from bench.worker.jobs import Job


def needed(jobs: Iterable[Job]) -> dict[str, Job]:
    """The jobs and all that they need, by key."""
    found: dict[str, Job] = {}
    waiting = list(jobs)
    while waiting:
        job = waiting.pop()
        if job.key not in found:
            found[job.key] = job
            waiting += job.needs
    return found


def computed(jobs: Mapping[str, Job], plans: Sequence[Plan], *, log: str, workers: int | None = None) -> dict[str, Any]:
    """The results of jobs, by key, from the cache where they are there. plans: whose jobs they are, of one suite and device; log: begins
    the name of the folder of logs; workers: processes (None: what the machine has cores and memory for). `UserError` where a job fails."""
    cache, spec = default_cache(), plans[0].spec
    ledger = Ledger(cache, jobs.values())
    with Display(plans, enabled=sys.stderr.isatty()) as shown:
        listeners = [shown.hear, ledger.hear]
        pool = run_graph(jobs, plans[0].suite, spec.device, spec.engine, cache=cache, listeners=listeners, jobs=workers, log=log)
    if pool.failures:
        raise UserError(f"failed: {pool.failures[0].error} (log: {pool.failures[0].log})")
    return pool.results
