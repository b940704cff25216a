"""From specs to finished run folders: the pool does the graph of jobs, and the results become files. No torch."""

from __future__ import annotations

import gzip
import io
import os
import platform
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.files import default_cache, write_bytes, write_json
from bench.methods import method_identity
from bench.plan import Plan, plan, scoring_id
from bench.pool import Pool
from bench.report.live import Display
from bench.results import DECODINGS, FORMAT, Run, measure
from bench.spec import RunSpec
from bench.suite import UserError


def execute(
    specs: Sequence[RunSpec],
    *,
    out: Path,
    cache: Path | None = None,
    workers: int | None = None,
    display: bool = True,
) -> list[Run]:
    """Run all specs as one graph and write a folder each below `out`.

    workers: processes, one thread each (None: the machine's cores, two at least where it has two). Raises `UserError` where a run
    folder is in use, or, with all that could be finished written, where a job failed.
    """
    cache = cache or default_cache()
    plans = [plan(spec) for spec in specs]
    jobs = {job.id: job for planned in plans for job in planned.jobs.values()}
    began = time.time()
    with ExitStack() as held:
        for planned in plans:
            _hold(out / planned.spec.folder_name(), held)
        shown = held.enter_context(Display(plans, enabled=display))
        logs = cache / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        pool = Pool(workers or os.cpu_count() or 1, cache, logs, shown.hear)
        pool.run(jobs)
        done = []
        for planned in plans:
            if all(job in pool.results for job in planned.jobs):
                done.append(_write(planned, pool.results, out, time.time() - began))
    if pool.failures:
        first = pool.failures[0]
        finished = f"; {len(done)} of {len(plans)} runs are finished" if len(plans) > 1 else ""
        hint = "" if first.user else f" (log: {first.log}); the same command goes on where this one stopped"
        raise UserError(f"{first.job.split('/')[0]} failed: {first.error}{finished}{hint}")
    return done


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
    files: set[str] = set()
    for name, job in {name: job for pairs in planned.rows.values() for name, job in pairs}.items():
        scored = [results[scoring_id(job, domain)] for domain in planned.sequence]
        write_bytes(folder / "samples" / f"{name}.jsonl.gz", _merged(Path(score["answers"]) for score in scored))
        files.add(f"{name}.jsonl.gz")
        means[name] = {decoding: [score[decoding] for score in scored] for decoding in DECODINGS}
        if results[job].get("log"):
            write_bytes(folder / "training" / f"{name}.jsonl", Path(results[job]["log"]).read_bytes())
    for stale in (folder / "samples").iterdir():
        if stale.name not in files:
            stale.unlink()
    matrix = {"sequence": list(planned.sequence), "rows": rows}
    for decoding in DECODINGS:
        matrix[decoding] = {part: [means[name][decoding] for name in names] for part, names in rows.items()}
    write_json(folder / "matrix.json", matrix)
    manifest = {
        "format": FORMAT,
        "spec": spec.model_dump(mode="json"),
        "suite": {"id": suite.id, "fingerprint": suite.fingerprint(), "comparable": suite.comparable},
        "method": method_identity(spec.method, planned.method),
        "sequence": list(planned.sequence),
        "targets": list(spec.target_domains()),
        "rows": rows,
        "checkpoints": {name: results[job]["checkpoint"] for pairs in planned.rows.values() for name, job in pairs},
        "cost": _cost(planned, results, suite.stage_flops),
        "numerics": results[planned.rows["plain"][0][1]]["numerics"],
        "versions": {"interference-bench": version("interference-bench"), "python": platform.python_version()},
    }
    write_json(folder / "timing.json", {"seconds": round(seconds, 1), "cores": os.cpu_count(), "ended": time.time()})
    run = Run(folder, manifest)
    write_json(folder / "metrics.json", {decoding: measure([run], decoding) for decoding in DECODINGS})
    write_json(folder / "manifest.json", manifest)
    return run


def _cost(planned: Plan, results: Mapping[str, dict[str, Any]], stage_flops: float) -> dict[str, Any]:
    """Shares of the plain sequence's FLOPs, a constant of the suite: stages (1 where they are plain), repair (every verb), total."""
    whole = stage_flops * len(planned.sequence)
    stages = [results[job] for _, job in planned.rows["method"][1:]]
    own = 1.0 if planned.method.plain_stages() else sum(stage["flops"] for stage in stages) / whole
    verbs = [*stages, *(results[job] for _, job in planned.rows["end"])] if planned.method.repairs() else stages
    repair = sum(result.get("verbs", 0.0) for result in verbs) / whole
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
