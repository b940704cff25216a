"""Does jobs: each is typed values in, typed values out, and may be done twice with the same result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.checkpoint import Checkpoint
from bench.diagnostics.findings import Finding
from bench.errors import UserError
from bench.method import Method, Training
from bench.method import Stage as MethodStage
from bench.registry import make_method
from bench.spec import MethodRecord, ModelRecord
from bench.storage.cache import Cache
from bench.training.sampling import NotFiniteError
from bench.worker import method_steps
from bench.worker.history import RunHistory
from bench.worker.jobs import Diagnose, Distances, Job, LMEval, Recover, Score, Setup, Stage, Start
from bench.worker.keys import Numerics
from bench.worker.outcomes import Diagnosed, Evaluated, Log, Made, MeasuredNorms, Scored, Started
from bench.worker.subject import StagesOfRun
from bench.worker.workbench import Workbench
from tasks.source import class_hash

Report = Callable[[dict[str, Any]], None]


class Performer:
    """Does the jobs of one worker process, which keeps what it loaded. report: hears small dicts as work goes on."""

    def __init__(self, cache: Cache, report: Report) -> None:
        self._cache = cache
        self._report = report
        self._benches: dict[Setup, Workbench] = {}

    def perform(self, job: Job, made: Mapping[str, str]) -> Any:
        """The result of a job. made: the checkpoints of what it needs, by key."""
        bench = self._bench(job.setup)
        match job:
            case Start():
                return self._start(job, bench)
            case Stage():
                return self._stage(job, bench, made)
            case Recover():
                return self._recover(job, bench, made)
            case Score():
                try:
                    entry = bench.answers(bench.checkpoint(made[job.of.key]), job.domain, job.split, job.draw)
                except NotFiniteError as error:
                    raise UserError(f"{error}: what made the model ({job.of.kind}) gave it damaged or diverged weights") from error
                means = {name: value for name, value in entry.value.items() if name != "cut"}
                return Scored(str(entry.folder / "answers.jsonl.gz"), means, entry.value["cut"])
            case LMEval():
                return Evaluated(bench.lm_eval(bench.checkpoint(made[job.of.key]), job.tasks, job.limit))
            case Distances():
                rows = [bench.checkpoint(made[row.key]) for row in job.rows]
                return MeasuredNorms(tuple(tuple(bench.distance(rows[anchor], row) for row in rows) for anchor in job.anchors))
            case Diagnose():
                return Diagnosed(tuple(self._diagnose(job, bench, made)))
        raise TypeError(f"no worker does a {type(job).__name__}")

    def _start(self, job: Start, bench: Workbench) -> Started:
        imported = job.setup.imported
        model = ModelRecord(name="", revision="", content=imported[0]) if imported else bench.named_model
        for content in imported:
            bench.checkpoint(content)
        if job.setup.model and not imported:
            bench.check_context()
        return Started(model.content, model, bench.numerics.described())

    def _stage(self, job: Stage, bench: Workbench, made: Mapping[str, str]) -> Made:
        previous = [bench.checkpoint(made[need.key]) for need in job.needs]
        if job.runs is None:
            return self._baseline_stage(job, bench, previous[-1])
        stage = MethodStage(job.index, job.domain, job.sequence)
        history = _history(bench, job.sequence, job.seed, previous)
        method = _method(job.runs)
        training = method_steps.stage(job.runs.name, method, stage, history)
        history.draws("stage", training, own=stage.domain)
        entry = bench.train(previous[-1], training, seed=job.seed, null=job.null)
        trained = bench.checkpoint(entry.value["checkpoint"])
        history.given = stage.domain
        checkpoint = method_steps.after_stage(job.runs.name, method, stage, trained, history)
        logs = (Log(training.label, str(entry.folder / "log.jsonl")), *history.logs)
        return Made(checkpoint.hash, entry.flops, history.charged, history.free, history.access, logs)

    def _baseline_stage(self, job: Stage, bench: Workbench, parent: Checkpoint) -> Made:
        """A stage of the baseline run: trained here, or a user's."""
        if job.setup.imported:
            checkpoint = bench.checkpoint(job.setup.imported[job.index + 1])
            return Made(checkpoint.hash, bench.stage_flops(checkpoint, job.domain, seed=job.seed, base=job.setup.imported[0]))
        training = Training.on(job.domain)
        entry = bench.train(parent, training, seed=job.seed, null=job.null)
        return Made(entry.value["checkpoint"], entry.flops, logs=(Log(training.label, str(entry.folder / "log.jsonl")),))

    def _recover(self, job: Recover, bench: Workbench, made: Mapping[str, str]) -> Made:
        previous = [bench.checkpoint(made[need.key]) for need in job.needs]
        history = _history(bench, job.sequence, job.last.seed, previous)
        repaired = method_steps.recover(job.runs.name, _method(job.runs), previous[-1], job.targets, history)
        return Made(repaired.hash, charged=history.charged, free=history.free, access=history.access, logs=tuple(history.logs))

    def _diagnose(self, job: Diagnose, bench: Workbench, made: Mapping[str, str]) -> list[Finding]:
        sequence, stages = job.last.sequence, [need for need in job.needs if isinstance(need, Stage)]
        base, *made_by_stages = (bench.checkpoint(made[need.key]) for need in job.needs)
        subject = StagesOfRun(
            bench,
            sequence,
            job.last.seed,
            base,
            dict(zip(sequence, made_by_stages, strict=True)),
            null=frozenset(stage.domain for stage in stages if stage.null),
            imported=bool(job.setup.imported),
        )
        return subject.findings(job.about, job.domain)

    def _bench(self, setup: Setup) -> Workbench:
        if setup not in self._benches:
            numerics, suite = Numerics.choose(setup.device, setup.engine), setup.load_suite()
            if suite.fingerprint() != setup.fingerprint:
                raise UserError(f"suite {setup.suite}: its file or tasks were edited during the run; rerun the command")
            self._benches[setup] = Workbench(suite, self._cache, numerics, self._report, setup.model)
        return self._benches[setup]


def _method(record: MethodRecord) -> Method:
    """The method, if its code is still what was planned; results of other code must not go under this record."""
    method = make_method(record.reference, record.settings)
    if class_hash(type(method), "baselines") != record.source:
        raise UserError(f"method {record.name}: its code was edited during the run; rerun the command")
    return method


def _history(bench: Workbench, sequence: tuple[str, ...], seed: int, previous: list[Checkpoint]) -> RunHistory:
    return RunHistory(bench, sequence, seed, previous[0], dict(zip(sequence, previous[1:], strict=False)))
