"""From specs to finished run folders: the pool does the graph of jobs, and the outcomes become files. No torch."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench import hardware
from bench.costs import Cost, Spent, cost_of
from bench.errors import UserError
from bench.files import check_cache, default_cache, disk_error
from bench.results.estimates import measure
from bench.results.run import Manifest, Run, SuiteRecord, load_run
from bench.results.write import Contents, write_run
from bench.runs.forecast import Ledger
from bench.runs.plan import Plan, graph_of
from bench.runs.pool import Event, Failure, Sandbox, run_graph
from bench.runs.progress import Display
from bench.runs.tensorboard import curves
from bench.runs.workers import allow_open_files
from bench.suite import DECODINGS
from bench.worker.outcomes import Started

RECORDED = {"title", "base", "tasks", "rl", "test_items", "validation_items", "stage_flops"}
"""Settings of the suite that a manifest repeats."""


@dataclass(frozen=True)
class FailedRun:
    """A run that could not be finished. reason: what failed and why, in a line; retry: a rerun of the same command may help; plain: the
    reason without a stranger's words; by_method: it was a user's method that failed, and not
    the machine."""

    plan: Plan
    reason: str
    retry: bool
    plain: str = ""
    by_method: bool = False

    @classmethod
    def of(cls, planned: Plan, failure: Failure) -> FailedRun:
        """A run one of whose jobs failed."""
        hint = "" if failure.user else f" (log: {failure.log})"
        plain = f"{failure.job.kind} failed: {failure.error}"
        words = f": {failure.words}" if failure.words else ""
        return cls(planned, f"{plain}{words}{hint}", not failure.user, plain, bool(failure.job.lane) and not failure.machine)


class FailedRunsError(UserError):
    """Some runs failed; `done` are the others, finished and written."""

    def __init__(self, failed: Sequence[FailedRun], done: Sequence[Run]) -> None:
        self.failed, self.done = list(failed), list(done)
        total = len(failed) + len(done)
        if total == 1:
            super().__init__(failed[0].reason + ("; rerun the same command to resume" if failed[0].retry else ""))
            return
        head = f"{len(failed)} of {total} runs failed, {len(done)} of {total} are finished; rerun the same command to retry the failed ones"
        super().__init__("\n".join([f"{head}:", *(f"  {each.plan.spec.folder_name()}: {each.reason}" for each in failed)]))


def execute(
    plans: Sequence[Plan],
    *,
    out: Path,
    cache: Path | None = None,
    jobs: int | None = None,
    display: bool = True,
    log_to: str | None = None,
    sandbox: Sandbox | None = None,
) -> list[Run]:
    """Run all plans as one graph and write a folder each below `out`, as soon as a run's jobs are done.

    jobs: worker processes, one thread each (None: what the machine has cores and memory for); log_to: "tensorboard" writes
    training curves into the run folders as they grow; sandbox: where users' methods run (None: in workers like all others). Raises
    `UserError` where a run folder is in use, or, with all that could be finished written, `FailedRunsError` where a job failed or a folder
    could not be written.
    """
    cache = cache or default_cache()
    check_cache(cache)
    check_folders(plans, out)
    graph = graph_of(plans)
    spec = plans[0].spec
    allow_open_files(len(plans))
    with ExitStack() as held:
        for planned in plans:
            _hold(out / planned.spec.folder_name(), held)
        ledger = Ledger(cache, graph.values())
        folders = Folders(plans, out, ledger)
        listeners = [held.enter_context(Display(plans, enabled=display)).hear, ledger.hear, folders.hear]
        if log_to is not None:
            listeners.append(held.enter_context(curves(log_to, plans, out)).hear)

        suite = spec.load_suite()
        pool = run_graph(graph, suite, spec.device, spec.engine, cache=cache, listeners=listeners, jobs=jobs, sandbox=sandbox)
    failed = [*folders.failed]
    for planned in plans:
        failure = next((failure for failure in pool.failures if failure.job.key in planned.jobs), None)
        if failure is not None:
            failed.append(FailedRun.of(planned, failure))
    if failed:
        raise FailedRunsError(failed, folders.done)
    return folders.done


class Folders:
    """Hears the pool's events and writes each run's folder once all its jobs are done, so that whatever happens later does not lose it."""

    def __init__(self, plans: Sequence[Plan], out: Path, ledger: Ledger) -> None:
        self.failed: list[FailedRun] = []
        self._out = out
        self._ledger = ledger
        self._plans = list(plans)
        self._missing = [set(planned.jobs) for planned in plans]
        self._waiting: dict[str, list[int]] = {}
        for number, missing in enumerate(self._missing):
            for key in missing:
                self._waiting.setdefault(key, []).append(number)
        self._outcomes: dict[str, Any] = {}
        self._written: dict[int, Run] = {}
        self._began = time.time()

    @property
    def done(self) -> list[Run]:
        """The runs that are written, in the order of their plans."""
        return [run for _, run in sorted(self._written.items())]

    def hear(self, event: Event) -> None:
        """Take in one event of the pool."""
        if event.name != "done":
            return
        self._outcomes[event.job] = result = event.detail["result"]
        if isinstance(result, Started):
            self._check_model(event.job, result)
        for number in self._waiting.pop(event.job, ()):
            self._missing[number].discard(event.job)
            if not self._missing[number]:
                self._write(number)

    def _check_model(self, start: str, found: Started) -> None:
        """`UserError`, before anything is trained, where a run would go over one that had other weights under the model's name."""
        for planned in self._plans:
            if planned.makers.baseline[0].key == start and planned.spec.model:
                folder = self._out / planned.spec.folder_name()
                held = _run_in(folder)
                if held is not None and held.manifest.model.content != found.model.content:
                    was = f"{planned.spec.model} had other weights then"
                    raise UserError(f"{folder} holds another run ({was}): choose another --out")

    def _write(self, number: int) -> None:
        planned = self._plans[number]
        timing = {"seconds": round(time.time() - self._began, 1), "cores": hardware.cores(), "ended": time.time()}
        timing["unmetered"] = self._ledger.unmetered(planned.jobs.values())
        try:
            self._written[number] = _write(planned, self._outcomes, self._out, timing)
        except OSError as error:
            where = self._out / planned.spec.folder_name()
            self.failed.append(FailedRun(planned, str(disk_error(str(where), error)), retry=False))
        except (UserError, ValueError) as error:  # of this run alone: the others go on
            self.failed.append(FailedRun(planned, f"its folder could not be written: {' '.join(str(error).split())}", retry=True))


def check_folders(plans: Sequence[Plan], out: Path) -> None:
    """`UserError` where two runs would go to one folder, or one over another run of that name."""
    taken: dict[Path, Plan] = {}
    for planned in plans:
        folder = out / planned.spec.folder_name()
        if folder in taken:
            raise UserError(f"{folder}: two of these runs are the same; name each method with its settings once")
        taken[folder] = planned
        held = _run_in(folder)
        if held is not None and held.manifest.spec.identity() != planned.spec.identity():
            other = held.manifest
            raise UserError(f"{folder} holds another run ({other.spec.method} on {other.suite.id}): choose another --out")


def replaced(plans: Sequence[Plan], out: Path) -> list[Path]:
    """Folders of finished runs of the same command that another version of the method, or of the suite, made. These plans write over
    them."""
    folders = []
    for planned in plans:
        folder = out / planned.spec.folder_name()
        held = _run_in(folder)
        now = (planned.method, planned.suite.fingerprint())
        if held is not None and (held.manifest.method, held.manifest.suite.fingerprint) != now:
            folders.append(folder)
    return folders


def _run_in(folder: Path) -> Run | None:
    """The run that lies in a folder; None where there is none that can be read."""
    try:
        return load_run(folder)
    except (UserError, OSError):
        return None


def _hold(folder: Path, held: ExitStack) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.enter_context(FileLock(folder / ".lock", timeout=0))
    except OSError as error:
        if not isinstance(error, Timeout):
            raise disk_error(str(folder), error) from error
        raise UserError(f"{folder} is being written by another process: wait for it, or choose another --out") from error


def _write(planned: Plan, outcomes: Mapping[str, Any], out: Path, timing: Mapping[str, Any]) -> Run:
    """The folder of a run all of whose jobs are done."""
    spec, suite = planned.spec, planned.suite
    made = {row: outcomes[job.key] for row, job in planned.maker_of.items()}
    scored = {row: [outcomes[planned.scoring(row, domain).key] for domain in planned.sequence] for row in made}
    norms = outcomes[planned.distances.key].norms
    start = outcomes[planned.makers.baseline[0].key]
    manifest = Manifest(
        spec=spec,
        suite=SuiteRecord(
            id=suite.id,
            fingerprint=suite.fingerprint(),
            comparable=suite.comparable,
            settings=suite.model_dump(mode="json", include=RECORDED | ({"levels"} if suite.levels else set())),
        ),
        model=start.model,
        method=planned.method,
        sequence=planned.sequence,
        targets=planned.targets,
        checkpoints={row.name: outcome.checkpoint for row, outcome in made.items()},
        distances={
            anchor.name: {row.name: norm for row, norm in zip(made, part, strict=True)}
            for anchor, part in zip(planned.anchors, norms, strict=True)
        },
        cost=cost(planned, outcomes),
        cut={domain: score.cut for part in scored.values() for domain, score in zip(planned.sequence, part, strict=True) if score.cut},
        numerics=start.numerics,
        versions={"interference-bench": version("interference-bench"), "python": platform.python_version()},
    )
    also = {row.name: outcomes[planned.general(row).key].scores for row in made} if spec.also else {}
    logs = {row: tuple(Path(log.file) for log in getattr(outcome, "logs", ())) for row, outcome in made.items()}
    contents = Contents({row: tuple(Path(score.answers) for score in part) for row, part in scored.items()}, logs, also)
    return write_run(out / spec.folder_name(), manifest, contents, measured, timing)


def measured(run: Run) -> dict[str, Any]:
    """metrics.json of one run: decoding -> metric -> value."""
    return {decoding: {name: value.to_json() for name, value in measure([run], decoding).items()} for decoding in DECODINGS}


def cost(planned: Plan, outcomes: Mapping[str, Any]) -> Cost:
    """What a run cost, as shares of the baseline sequence's FLOPs: a constant of the suite for its own base, and else
    what this run's baseline stages took."""
    start = outcomes[planned.makers.baseline[0].key]
    whole = planned.suite.sequence_flops(planned.sequence) if planned.suite.is_own_base(start.checkpoint) else 0.0
    whole = whole or sum(outcomes[job.key].flops for job in planned.makers.baseline[1:])

    def spent(outcome: Any) -> Spent:
        return Spent(outcome.flops, outcome.charged, outcome.access)

    stages = [spent(outcomes[job.key]) for job in planned.makers.method[1:]]
    repair = spent(outcomes[planned.makers.final.key]) if planned.method.repairs else None
    return cost_of(whole, stages, repair, own_stages=planned.method.own_stages)
