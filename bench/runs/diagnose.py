"""From finished runs to findings about the theory: their stages are taken from the cache or trained again, and workers diagnose them. No
torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.diagnostics.findings import KINDS, OF_A_DOMAIN
from bench.errors import UserError, nearest
from bench.files import check_checkpoints, default_cache
from bench.options import Options
from bench.report.diagnosis import Diagnosis
from bench.results.run import Run, distinct_seeds, load_run
from bench.runs import preflight
from bench.runs.plan import Plan, plan
from bench.runs.pool import Event, run_graph
from bench.runs.progress import Display
from bench.worker.jobs import Diagnose, Job, Stage
from bench.worker.outcomes import Made, Started


def diagnose(
    folders: str | Path | Sequence[str | Path], only: str | Sequence[str] = (), *, display: bool = True, options: Options
) -> Diagnosis:
    """Measure the paper's claims on the baseline stages of finished runs, seeds of one entry. only: kinds of findings (all, if empty).

    Of a run, only the baseline stages matter. Those that are not in the cache are trained again. `UserError` where they would come out
    otherwise (on another type of CPU), for runs of different entries, and where a job fails; rerun to resume.
    """
    only = [only] if isinstance(only, str) else only
    for name in only:
        if name not in KINDS:
            raise nearest("kind of finding", name, KINDS)
    kinds = [name for name in KINDS if not only or name in only]
    folders = [folders] if isinstance(folders, str | Path) else folders
    runs = sorted(distinct_seeds([load_run(folder) for folder in folders]), key=lambda run: run.seed)
    plans = [_plan(run) for run in runs]
    spec, suite = plans[0].spec, plans[0].suite
    for run in runs:
        check_checkpoints(run.manifest.spec.imported, options.cache, str(run.folder))
    options = options.but(device=spec.device, engine=spec.engine)
    preflight.check(plans, options, writes_runs=False)
    wanted = [_jobs(planned, kinds) for planned in plans]
    graph: dict[str, Job] = {job.key: job for jobs in wanted for job in jobs}
    graph |= {job.key: job for planned in plans for job in planned.makers.baseline}
    cache = options.cache or default_cache()
    with Display(plans, enabled=display, jobs=graph) as shown:
        listeners = [shown.hear, _Same(runs, plans).hear]
        pool = run_graph(graph, suite, spec.device, spec.engine, cache=cache, listeners=listeners, jobs=options.jobs, log="diagnose-")
    for failure in pool.failures:
        hint = "" if failure.user else f" (log: {failure.log}); rerun the same command to resume"
        raise UserError(f"{_what(failure.job)} failed: {failure.error}{hint}")
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


def _what(job: Job) -> str:
    """A job in words: `diagnose path of math, seed 3`."""
    if isinstance(job, Diagnose):
        return f"{job.like}{f' of {job.domain}' if job.domain else ''}, seed {job.last.seed}"
    return f"stage {job.domain}, seed {job.seed}" if isinstance(job, Stage) else job.kind


class _Same:
    """Hears the pool's events. `UserError` where stages would have to be trained again on another type of machine than their run's, before
    that is begun, and where a stage comes out as another checkpoint than its run recorded."""

    def __init__(self, runs: Sequence[Run], plans: Sequence[Plan]) -> None:
        self._recorded: dict[str, list[tuple[Run, str]]] = {}
        for run, planned in zip(runs, plans, strict=True):
            for row, maker in zip(planned.rows.baseline, planned.makers.baseline, strict=True):
                self._recorded.setdefault(maker.key, []).append((run, row.name))  # all seeds share the first

    def hear(self, event: Event) -> None:
        """Take in one event of the pool."""
        if event.name == "done":
            for run, row in self._recorded.get(event.job, ()):
                self._check(run, row, event.detail["result"])

    @staticmethod
    def _check(run: Run, row: str, outcome: Started | Made) -> None:
        recorded = run.manifest.numerics
        if isinstance(outcome, Started) and not run.manifest.spec.imported and outcome.numerics != recorded:
            other = ", ".join(f"{name} {recorded.get(name)}" for name, here in outcome.numerics.items() if recorded.get(name) != here)
            raise UserError(
                f"{run.folder}: made with {other}, so its stages are others here; diagnose it there, or rerun it here into another --out"
            )
        if outcome.checkpoint != run.manifest.checkpoints[row]:
            raise UserError(
                f"{run.folder}: training {row} again gave other weights than the run recorded; its code has changed since: "
                "rerun it into another --out"
            )
