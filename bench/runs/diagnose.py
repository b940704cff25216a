"""From finished runs to findings about the theory: their stages are taken from the cache or trained again, and workers diagnose them. No
torch."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.diagnostics.findings import KINDS, OF_A_DOMAIN
from bench.errors import UserError, nearest
from bench.files import default_cache
from bench.options import Options
from bench.report.diagnosis import Diagnosis
from bench.results.run import Run, distinct_seeds, load_run
from bench.runs import preflight
from bench.runs.plan import Plan, plan
from bench.runs.pool import Event, Pool, to_all
from bench.runs.progress import Display
from bench.runs.workers import default_jobs, places
from bench.worker.jobs import Diagnose, Job, Stage


def diagnose(folders: Sequence[str | Path], only: Sequence[str] = (), *, display: bool = True, options: Options) -> Diagnosis:
    """Measure the paper's claims on the baseline stages of finished runs. only: kinds of findings (all, if empty).

    The method of the runs does not matter. Stages that are not in the cache are trained again. `UserError` where they come out otherwise
    than when the run was made (on another type of CPU), for runs of different entries, and where a job fails; rerun to resume.
    """
    for name in only:
        if name not in KINDS:
            raise nearest("kind of finding", name, KINDS)
    kinds = [name for name in KINDS if not only or name in only]
    runs = sorted(distinct_seeds([load_run(folder) for folder in folders]), key=lambda run: run.seed)
    plans = [_plan(run) for run in runs]
    spec, suite = plans[0].spec, plans[0].suite
    options = options.but(device=spec.device, engine=spec.engine)
    preflight.check(plans, options, writes_runs=False)
    wanted = [_jobs(planned, kinds) for planned in plans]
    graph: dict[str, Job] = {job.key: job for jobs in wanted for job in jobs}
    graph |= {job.key: job for planned in plans for job in planned.makers.baseline}
    cache = options.cache or default_cache()
    with Display(plans, enabled=display, jobs=graph) as shown:
        logs = cache / "logs" / f"diagnose-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        needs = (spec.device, suite, spec.engine)
        pool = Pool(options.jobs or default_jobs(*needs), cache, logs, to_all([shown.hear, _Same(runs, plans).hear]), places(*needs))
        pool.run(graph)
    for failure in pool.failures:
        hint = "" if failure.user else f" (log: {failure.log}); rerun the same command to resume"
        raise UserError(f"{failure.job.like} failed: {failure.error}{hint}")
    findings = (tuple(found for job in jobs for found in pool.results[job.key].findings) for jobs in wanted)
    return Diagnosis(tuple(runs), tuple(kinds), tuple(findings))


def _plan(run: Run) -> Plan:
    """The baseline run behind a run. `UserError` where its suite has changed since."""
    planned = plan(run.manifest.spec.model_copy(update={"method": "none", "settings": {}, "also": (), "also_limit": None}))
    if planned.suite.fingerprint() != run.manifest.suite.fingerprint:
        raise UserError(f"{run.folder}: made with another version of suite {planned.suite.name}; rerun it first, into another --out")
    return planned


def _jobs(planned: Plan, kinds: Sequence[str]) -> list[Diagnose]:
    last = planned.makers.baseline[-1]
    assert isinstance(last, Stage)
    return [Diagnose(last, kind, domain) for kind in kinds for domain in (planned.sequence[:-1] if kind in OF_A_DOMAIN else ("",))]


class _Same:
    """Hears the pool's events; `UserError` as soon as a stage comes out as another checkpoint than its run recorded."""

    def __init__(self, runs: Sequence[Run], plans: Sequence[Plan]) -> None:
        self._recorded: Mapping[str, tuple[Run, str]] = {
            maker.key: (run, row.name)
            for run, planned in zip(runs, plans, strict=True)
            for row, maker in zip(planned.rows.baseline, planned.makers.baseline, strict=True)
        }

    def hear(self, event: Event) -> None:
        """Take in one event of the pool."""
        if event.name != "done" or event.job not in self._recorded:
            return
        run, row = self._recorded[event.job]
        if event.detail["result"].checkpoint != run.manifest.checkpoints[row]:
            raise UserError(
                f"{run.folder}: its stages are not in this cache, and {row} comes out otherwise here (another type of CPU or version); "
                "pass the --cache that the run was made with, or rerun it here into another --out"
            )
