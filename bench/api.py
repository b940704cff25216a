"""The same from Python as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from bench.registry import tuned_settings
from bench.results.run import Run
from bench.runs.execute import execute
from bench.spec import RunSpec
from bench.suite import load_suite


@overload
def run(method: str = ..., *, seed: int = ..., seeds: None = ..., **options: Any) -> Run: ...
@overload
def run(method: str = ..., *, seeds: int | Sequence[int], **options: Any) -> list[Run]: ...
def run(
    method: str = "none",
    *,
    suite: str = "micro",
    model: str = "",
    sequence: str = "paper",
    targets: str = "single",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    device: str = "auto",
    quick: bool = False,
    null: str = "",
    out: str | Path = "runs",
    cache: str | Path | None = None,
    jobs: int | None = None,
    display: bool = True,
    log_to: str | None = None,
) -> Run | list[Run]:
    """Train a sequence, repair it, score it; the run, or with `seeds` a list of them.

    method: a name (`refresh`) or "path/to/file.py:Class"; model: an HF folder or a repository of the hub, for suites without a base;
    settings: the method's; seeds: how many from `seed` on, or which; targets: `single` or `all`; quick: a minute, not comparable; null:
    a domain, after whose stage rewards are permuted; out: where run folders go; cache: where checkpoints go ($BENCH_CACHE or the user's
    cache folder); jobs: worker processes; log_to: "tensorboard". Tuned settings of the method are used where there are any, as on the
    command line. Raises `bench.errors.UserError` with one line that says what to do.
    """
    chosen = [seed] if seeds is None else list(range(seed, seed + seeds)) if isinstance(seeds, int) else list(seeds)
    tuned = tuned_settings(method, load_suite(suite, quick=quick).board(sequence, targets, model))
    specs = [
        RunSpec(
            suite=suite,
            model=model,
            quick=quick,
            sequence=sequence,
            targets=targets,
            method=method,
            settings=tuned | dict(settings or {}),
            seed=each,
            device=device,
            null=null,
        )
        for each in chosen
    ]
    runs = execute(specs, out=Path(out), cache=Path(cache) if cache else None, jobs=jobs, display=display, log_to=log_to)
    return runs[0] if seeds is None else runs
