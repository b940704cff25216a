"""What a worker can be asked to do. Each job is plain values in, plain values out, and may be done twice with the same result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.method import Method, Stage
from bench.registry import make_method
from bench.spec import RunSpec
from bench.storage.cache import Cache
from bench.worker.history import RunHistory
from bench.worker.workbench import Numerics, Workbench
from tasks.task import Split

Report = Callable[[dict[str, Any]], None]


class Jobs:
    """The jobs of one worker process, which keeps what it loaded."""

    def __init__(self, cache: Cache, report: Report) -> None:
        self._cache = cache
        self._report = report
        self._benches: dict[tuple[str, str, bool, str, str], Workbench] = {}

    def do(self, job: dict[str, Any]) -> dict[str, Any]:
        """Run a job by its "do" and return its result."""
        return getattr(self, job["do"])(**{key: value for key, value in job.items() if key != "do"})

    def start(self, spec: dict[str, Any]) -> dict[str, Any]:
        """The base's checkpoint, and what the manifest says of the machine."""
        run = RunSpec(**spec)
        bench = self._bench(run)
        model = {"name": "", "revision": "", "content": run.imported[0]} if run.imported else bench.named_model
        return {"checkpoint": model["content"], "model": model, "numerics": bench.numerics.described()}

    def stage(self, spec: dict[str, Any], plain: bool, index: int, previous: list[str]) -> dict[str, Any]:
        """Stage `index` after the checkpoints `previous` (the base's first)."""
        run = RunSpec(**spec)
        bench = self._bench(run)
        if plain and run.imported:
            return {
                "checkpoint": run.imported[index + 1],
                "flops": bench.stage_flops(bench.storage.cache.checkpoint(run.imported[index + 1]), run.domains()[index], seed=run.seed),
                "charged": {},
                "logs": [],
            }
        sequence = run.domains()
        stage = Stage(index, sequence[index], sequence)
        history = self._history(run, bench, previous)
        method = Method() if plain else make_method(run.method, run.settings)
        training = method.stage(stage, history)
        history.trains(training, own=stage.domain)
        entry = bench.train(bench.storage.cache.checkpoint(previous[-1]), training, seed=run.seed, null=run.null in stage.earlier)
        checkpoint = method.after_stage(stage, bench.storage.cache.checkpoint(entry.value["checkpoint"]), history)
        return {
            "checkpoint": checkpoint.hash,
            "flops": entry.flops,
            "charged": history.charged,
            "access": history.access.described(),
            "logs": [("+".join(sorted(training.mixture)), str(entry.folder / "log.jsonl")), *history.logs],
        }

    def recover(self, spec: dict[str, Any], previous: list[str]) -> dict[str, Any]:
        """The repair after the last stage."""
        run = RunSpec(**spec)
        bench = self._bench(run)
        history = self._history(run, bench, previous)
        method = make_method(run.method, run.settings)
        repaired = method.recover(bench.storage.cache.checkpoint(previous[-1]), run.target_domains(), history)
        return {"checkpoint": repaired.hash, "charged": history.charged, "access": history.access.described(), "logs": history.logs}

    def score(self, spec: dict[str, Any], checkpoint: str, domain: str, split: Split) -> dict[str, Any]:
        """Every answer of a checkpoint on a domain's items of a split."""
        bench = self._bench(RunSpec(**spec))
        entry = bench.answers(bench.storage.cache.checkpoint(checkpoint), domain, split)
        return {"answers": str(entry.folder / "answers.jsonl.gz"), **entry.value}

    def also(self, spec: dict[str, Any], checkpoint: str) -> dict[str, Any]:
        """What tasks of lm-eval give a checkpoint: {task: {metric: [value, standard error]}}."""
        run = RunSpec(**spec)
        bench = self._bench(run)
        return {"also": bench.also(bench.storage.cache.checkpoint(checkpoint), run.also, run.also_limit)}

    def distances(self, spec: dict[str, Any], rows: dict[str, str], anchors: list[str]) -> dict[str, Any]:
        """Norm of the difference between each row's checkpoint and each anchor's: {anchor: {row: norm}}."""
        bench = self._bench(RunSpec(**spec))
        found = {key: bench.storage.cache.checkpoint(content) for key, content in rows.items()}
        return {"distances": {anchor: {row: bench.distance(found[anchor], found[row]) for row in rows} for anchor in anchors}}

    def _bench(self, run: RunSpec) -> Workbench:
        key = (run.suite, run.model, run.quick, run.device, run.engine)
        if key not in self._benches:
            self._benches[key] = Workbench(run.load_suite(), self._cache, Numerics.choose(run.device, run.engine), self._report, run.model)
        return self._benches[key]

    @staticmethod
    def _history(run: RunSpec, bench: Workbench, previous: list[str]) -> RunHistory:
        sequence = run.domains()
        stages = {domain: bench.storage.cache.checkpoint(content) for domain, content in zip(sequence, previous[1:], strict=False)}
        return RunHistory(bench, sequence, run.seed, bench.storage.cache.checkpoint(previous[0]), stages)
