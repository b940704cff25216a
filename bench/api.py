"""The same from Python as on the command line: every option is one of `bench.options.Options`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.options import RUN, TUNE, Options, takes
from bench.report.diagnosis import Diagnosis
from bench.results.run import Run
from bench.runs import preflight
from bench.runs.compare import choices_of, plans_of, with_tuned
from bench.runs.diagnose import diagnose as diagnosed
from bench.runs.execute import execute
from bench.runs.plan import Plan
from bench.runs.tune import Record
from bench.runs.tune import tune as try_all


@takes(*(name for name in RUN if name != "dry_run"))
def run(method: str = "none", settings: Mapping[str, Any] | None = None, *, display: bool = True, options: Options) -> Run | list[Run]:
    """Train a sequence, repair the model with a method, score everything. The run, or a list where the options name several.

    method: a name (`refresh`) or "path/to/file.py:Class"; settings: the method's, on top of its tuned ones; display: show progress. The
    other parameters are the command line's options, as `python -m bench run --help` lists them. Raises `bench.errors.UserError`, with
    one line that says what to do.
    """
    runs = start(plans_of(with_tuned(method, [settings or {}], options), options), options, display)
    return runs[0] if len(runs) == 1 and options.seeds == 1 and options.shard == "1/1" else runs


@takes(*(name for name in RUN if name != "dry_run"), seeds=5)
def compare(methods: str = "refresh,rollback,replay,controls", *, display: bool = True, options: Options) -> list[Run]:
    """Run methods on the same stages and seeds; `bench.results.boards.boards` of the runs compares them.

    methods: as on the command line, "refresh[steps=5,30],rollback,controls,mine.py:Mine"; the baseline run is always among them. Raises
    `bench.errors.UserError`; `bench.runs.execute.FailedRunsError` holds the runs that could be finished.
    """
    return start(plans_of(choices_of(methods, options), options), options, display)


@takes(*(name for name in TUNE if name != "dry_run"))
def tune(method: str, *, display: bool = True, options: Options) -> Record:
    """Choose a method's settings on validation items and development seeds, and keep the record beside the method."""
    return try_all(method, options, display=display)


@takes("cache", "jobs")
def diagnose(
    folders: str | Path | Sequence[str | Path], only: str | Sequence[str] = (), *, display: bool = True, options: Options
) -> Diagnosis:
    """Measure the claims of 2606.02398 on the baseline stages of finished runs, seeds of one entry.

    folders: of the runs, or one; only: kinds of findings (`bench.diagnostics.findings.KINDS`; all, if empty). Raises
    `bench.errors.UserError`.
    """
    return diagnosed(folders, only, display=display, options=options)


def start(plans: Sequence[Plan], options: Options, display: bool = True) -> list[Run]:
    """Check everything that can be checked before work starts, and run the plans. `UserError` where no run falls to the shard."""
    if not plans:
        raise UserError(f"--shard {options.shard}: no run falls to this shard")
    preflight.check(plans, options)
    return execute(plans, out=options.out, cache=options.cache, jobs=options.jobs, display=display, log_to=options.log_to)
