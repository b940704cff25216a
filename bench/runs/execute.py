"""From specs to finished run folders: the pool does the graph of jobs, and the results become files. No torch."""

from __future__ import annotations

import gzip
import io
import os
import platform
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.files import default_cache, write_bytes, write_json
from bench.runs.forecast import Ledger
from bench.runs.machine import default_jobs
from bench.results.estimates import measure
from bench.registry import method_identity
from bench.runs.plan import Plan, also_id, distances_id, plan, scoring_id
from bench.runs.pool import Failure, Job, Pool
from bench.runs.tensorboard import curves
from bench.runs.progress import Display
from bench.suite import DECODINGS
from bench.results.run import FORMAT, Run, load_run
from bench.spec import RunSpec
from bench.errors import UserError

RECORDED = {"title", "base", "tasks", "rl", "test_items", "validation_items", "stage_flops"}
"""Settings of the suite that a manifest repeats."""


class FailedRunsError(UserError):
    """Some runs failed; `done` are the others, finished and written."""

    def __init__(self, failed: Sequence[tuple[Plan, Failure]], done: Sequence[Run]) -> None:
        self.done = list(done)
        parts = [f"{failure.job.split('/')[0]} failed: {failure.error}" for _, failure in failed]
        hints = ["" if failure.user else f" (log: {failure.log})" for _, failure in failed]
        if len(failed) + len(done) == 1:
            super().__init__(f"{parts[0]}{hints[0]}{'' if failed[0][1].user else '; the same command goes on where this one stopped'}")
            return
        named = [f"  {planned.spec.folder_name()}: {part}{hint}" for (planned, _), part, hint in zip(failed, parts, hints, strict=True)]
        total = len(failed) + len(done)
        head = f"{len(failed)} of {total} runs failed, {len(done)} of {total} runs are finished; the same command goes on with the failed"
        super().__init__("\n".join([f"{head}:", *named]))


def execute(
    specs: Sequence[RunSpec],
    *,
    out: Path,
    cache: Path | None = None,
    jobs: int | None = None,
    display: bool = True,
    log_to: str | None = None,
) -> list[Run]:
    """Run all specs as one graph and write a folder each below `out`.

    jobs: worker processes, one thread each (None: what the machine has cores for, or its cards memory); log_to: "tensorboard" writes
    training curves into the run folders as they grow. Raises `UserError` where a run folder is in use, or, with all that could be
    finished written, `FailedRunsError` where a job failed.
    """
    cache = cache or default_cache()
    plans = [plan(spec) for spec in specs]
    _check_folders(specs, out)
    graph = graph_of(plans)
    suite = specs[0].load_suite()
    began = time.time()
    with ExitStack() as held:
        for planned in plans:
            _hold(out / planned.spec.folder_name(), held)
        listeners = [held.enter_context(Display(plans, enabled=display)).hear, Ledger(cache, graph.values()).hear]
        if log_to is not None:
            listeners.append(held.enter_context(curves(log_to, plans, out)).hear)

        def listen(event: dict[str, Any]) -> None:
            for hear in listeners:
                hear(event)

        logs = cache / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        device = specs[0].device
        pool = Pool(jobs or default_jobs(device, suite.gpu_memory_gb), cache, logs, listen, device)
        pool.run(graph)
        done = []
        for planned in plans:
            if _whole(planned, pool):
                done.append(_write(planned, pool.results, out, time.time() - began))
    failed = [(planned, next(f for f in pool.failures if f.job in planned.jobs)) for planned in plans if not _whole(planned, pool)]
    if failed:
        raise FailedRunsError(failed, done)
    return done


def graph_of(plans: Iterable[Plan]) -> dict[str, Job]:
    """The jobs of all plans, each once."""
    return {job.id: job for planned in plans for job in planned.jobs.values()}


def _whole(planned: Plan, pool: Pool) -> bool:
    return all(job in pool.results for job in planned.jobs)


def _check_folders(specs: Sequence[RunSpec], out: Path) -> None:
    """`UserError` where two runs would go to one folder, or one over the run of another method of that name."""
    taken: dict[Path, RunSpec] = {}
    for spec in specs:
        folder = out / spec.folder_name()
        other = taken.setdefault(folder, spec)
        if other == spec and other is not spec:
            raise UserError(f"{folder} is asked for twice")
        held = other.method if other is not spec else _method_in(folder)
        if held and not _same_method(held, spec.method):
            raise UserError(f"{folder} is the folder of {held} too: choose another --out for {spec.method}")


def _method_in(folder: Path) -> str:
    """The method whose run lies in a folder; empty without a run."""
    with suppress(UserError):
        return load_run(folder).manifest["spec"]["method"]
    return ""


def _same_method(one: str, other: str) -> bool:
    """Whether two names mean one method; a file that is gone may have been the other one."""
    if ".py" not in one or ".py" not in other:
        return one == other
    files = [Path(name.partition(":")[0]) for name in (one, other)]
    return not all(file.exists() for file in files) or files[0].samefile(files[1])


def _hold(folder: Path, held: ExitStack) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        held.enter_context(FileLock(folder / ".lock", timeout=0))
    except Timeout as error:
        raise UserError(f"{folder} is being written by another process: wait for it, or choose another --out") from error


def _write(planned: Plan, results: Mapping[str, dict[str, Any]], out: Path, seconds: float) -> Run:
    spec, suite = planned.spec, planned.spec.load_suite()
    folder = out / spec.folder_name()
    (folder / "manifest.json").unlink(missing_ok=True)
    rows = {part: [name for name, _ in pairs] for part, pairs in planned.rows.items()}
    means: dict[str, dict[str, list[float]]] = {}
    cut: dict[str, int] = {}
    files: set[str] = set()
    for name, job in planned.row_jobs().items():
        scored = [results[scoring_id(job, domain)] for domain in planned.sequence]
        write_bytes(folder / "samples" / f"{name}.jsonl.gz", _merged(Path(score["answers"]) for score in scored))
        files.add(f"{name}.jsonl.gz")
        cut |= {domain: score["cut"] for domain, score in zip(planned.sequence, scored, strict=True) if score["cut"]}
        means[name] = {decoding: [score[decoding] for score in scored] for decoding in DECODINGS}
        for number, (_, log) in enumerate(results[job].get("logs", ())):
            own = f"{name}.jsonl" if number == 0 else f"{name}-{number + 1}.jsonl"
            write_bytes(folder / "training" / own, Path(log).read_bytes())
            files.add(own)
    for stale in (*(folder / "samples").iterdir(), *(folder / "training").glob("*")):
        if stale.name not in files:
            stale.unlink()
    matrix: dict[str, Any] = {"sequence": list(planned.sequence), "rows": rows}
    for decoding in DECODINGS:
        matrix[decoding] = {part: [means[name][decoding] for name in names] for part, names in rows.items()}
    write_json(folder / "matrix.json", matrix)
    if spec.also:
        write_json(folder / "also.json", {name: results[also_id(job, spec)]["also"] for name, job in planned.row_jobs().items()})
    manifest = {
        "format": FORMAT,
        "spec": spec.model_dump(mode="json"),
        "suite": {
            "id": suite.id,
            "fingerprint": suite.fingerprint(),
            "comparable": suite.comparable,
            "settings": suite.model_dump(mode="json", include=RECORDED),
        },
        "model": results[planned.rows["baseline"][0][1]]["model"],
        "method": method_identity(spec.method, planned.method),
        "sequence": list(planned.sequence),
        "targets": list(spec.target_domains()),
        "rows": rows,
        "checkpoints": {name: results[job]["checkpoint"] for name, job in planned.row_jobs().items()},
        "distances": results[distances_id(planned)]["distances"],
        "cost": cost_of(planned, results),
        "cut": cut,
        "numerics": results[planned.rows["baseline"][0][1]]["numerics"],
        "versions": {"interference-bench": version("interference-bench"), "python": platform.python_version()},
    }
    write_json(folder / "timing.json", {"seconds": round(seconds, 1), "cores": os.cpu_count(), "ended": time.time()})
    run = Run(folder, manifest)
    write_json(folder / "metrics.json", {decoding: measure([run], decoding) for decoding in DECODINGS})
    write_json(folder / "manifest.json", manifest)
    return run


def cost_of(planned: Plan, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Shares of the plain sequence's FLOPs: stages (1 where they are plain), repair (every verb), total. Those FLOPs are a constant of the
    suite where it has a base of its own, and else what this run's plain stages took."""
    whole = planned.spec.load_suite().sequence_flops(planned.sequence)
    whole = whole or sum(results[job]["flops"] for _, job in planned.rows["baseline"][1:])
    stages = [results[job] for _, job in planned.rows["method"][1:]]
    own = 1.0 if planned.method.plain_stages() else sum(stage["flops"] for stage in stages) / whole
    verbs = [*stages, *(results[job] for _, job in planned.rows["final"])] if planned.method.repairs() else stages
    charged = {key: flops for result in verbs for key, flops in result.get("charged", {}).items()}  # what two stages ask for costs once
    repair = sum(charged.values()) / whole
    access: dict[str, Any] = {"checkpoints": set(), "experts": set(), "prompts": {}}
    for result in verbs:
        for kind in ("checkpoints", "experts"):
            access[kind] |= set(result.get("access", {}).get(kind, ()))
        for domain, count in result.get("access", {}).get("prompts", {}).items():
            access["prompts"][domain] = max(count, access["prompts"].get(domain, 0))
    described = {kind: sorted(value) if isinstance(value, set) else value for kind, value in access.items()}
    return {"stages": own, "repair": repair, "total": own + repair, "access": described}


def _merged(files: Iterable[Path]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as merged:
        for file in files:
            with gzip.open(file) as part:
                shutil.copyfileobj(part, merged)
    return buffer.getvalue()
