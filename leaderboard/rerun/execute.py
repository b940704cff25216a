"""Runs a verified submission again: the stages of the baseline run and all scoring here, the method in a sandbox."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.checkpoint import Store
from bench.registry import describe
from bench.results.run import Run
from bench.runs.execute import execute
from bench.runs.plan import plan
from bench.runs.workers import places
from bench.suite import Suite
from leaderboard.limits import Limits
from leaderboard.rerun.sandbox import Confined
from leaderboard.runs import record_of, spec_of
from leaderboard.submission import METHOD_FILE, Submission


@dataclass(frozen=True)
class Bench:
    """Where reruns happen. kind, sandbox: where methods run (None: in workers like all others); cache: of the maintainers, whose baseline
    stages are used again; work: a folder for run folders and sandboxes."""

    kind: str
    sandbox: type[Confined] | None
    cache: Path
    work: Path
    jobs: int | None = None
    limits: Limits = field(default_factory=Limits)

    def sandbox_for(self, submission: Submission) -> type[Confined] | None:
        """Where a submission's method runs: those of this package need no sandbox."""
        return None if submission.method.from_package else self.sandbox


def run_again(folder: Path, submission: Submission, suite: Suite, seeds: Sequence[int], draw: int, bench: Bench) -> list[Run]:
    """The runs of a submission's method on some seeds, on the suite's test items or on a draw from the reserve.

    folder: the submission's, already verified: what `submission` says of its code is taken from there, and the code itself is read by
    sandboxed workers only. `FailedRunsError` where the method fails or passes a limit.
    """
    work = bench.work / submission.name
    work.mkdir(parents=True, exist_ok=True)
    method = submission.method
    file = work / METHOD_FILE
    if not method.from_package:
        shutil.copyfile(folder / METHOD_FILE, file)
    reference = method.reference if method.from_package else f"{file.resolve()}:{method.name}"
    # Of the package's methods this version's code runs, whatever the submission was made with.
    record = describe(reference, dict(method.settings)).record if method.from_package else record_of(submission, reference)
    orders = suite.orders(submission.board.sequence)
    plans = [plan(spec_of(submission, reference, order, seed, draw), method=record) for order in orders for seed in seeds]
    kind = bench.sandbox_for(submission)
    with ExitStack() as held:
        sandbox = None
        if kind is not None:
            place = Path(held.enter_context(TemporaryDirectory(prefix="sandbox-", dir=work, ignore_cleanup_errors=True)))
            card = places(submission.board.device, suite)[0]
            sandbox = kind(place / "box", Store(bench.cache / "checkpoints"), [file], bench.limits, card)
            held.callback(sandbox.close)
        return execute(plans, out=work / "runs", cache=bench.cache, jobs=bench.jobs, sandbox=sandbox)
