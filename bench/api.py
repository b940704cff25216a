"""The same from Python as on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from bench.results import Run
from bench.runner import execute
from bench.spec import RunSpec


@overload
def run(method: str = ..., *, seed: int = ..., seeds: None = ..., **options: Any) -> Run: ...
@overload
def run(method: str = ..., *, seeds: int | Sequence[int], **options: Any) -> list[Run]: ...
def run(
    method: str = "none",
    *,
    suite: str = "micro",
    sequence: str = "paper",
    targets: str = "single",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    device: str = "auto",
    quick: bool = False,
    null: bool = False,
    out: str | Path = "runs",
    cache: str | Path | None = None,
    workers: int | None = None,
    display: bool = True,
) -> Run | list[Run]:
    """Train a sequence, repair it, score it; the run, or with `seeds` a list of them.

    method: a name (`refresh`) or "path/to/file.py:Class"; settings: the method's; seeds: how many from `seed` on, or which; targets:
    `single` or `all`; quick: a minute, not comparable; null: permuted rewards in every stage; out: where run folders go; cache: where
    checkpoints go ($BENCH_CACHE or the user's cache folder). Raises `bench.suite.UserError` with one line that says what to do.
    """
    chosen = [seed] if seeds is None else list(range(seed, seed + seeds)) if isinstance(seeds, int) else list(seeds)
    specs = [
        RunSpec(
            suite=suite,
            quick=quick,
            sequence=sequence,
            targets=targets,
            method=method,
            settings=dict(settings or {}),
            seed=each,
            device=device,
            null=null,
        )
        for each in chosen
    ]
    runs = execute(specs, out=Path(out), cache=Path(cache) if cache else None, workers=workers, display=display)
    return runs[0] if seeds is None else runs
