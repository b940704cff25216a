"""The runs of a submission as `bench.results` knows them: manifests put together from checked files, and scores that were counted anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.costs import Cost
from bench.results.archive import Table
from bench.results.rows import Row, Rows, rows_of
from bench.results.run import Manifest, Run, SuiteRecord
from bench.spec import MethodRecord, ModelRecord, RunSpec
from bench.suite import Suite
from leaderboard.submission import RunEntry, Submission


@dataclass(frozen=True)
class SubmittedRun(Run):
    """A run of which a submission has the answers. counted: digest of a row of answers -> its scores; digests: by the row's name."""

    counted: Mapping[str, Table] = field(default_factory=dict, repr=False, compare=False)
    digests: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def _table(self, row: Row) -> Table:
        return self.counted[self.digests[row.name]]


def run_file(sequence: str, seed: int) -> str:
    """A run's file in a submission's folder."""
    return f"runs/{sequence}-s{seed}.json"


def rows_in(submission: Submission, sequence: tuple[str, ...]) -> Rows[Row]:
    """The rows of a run of a submission over a sequence of domains."""
    return rows_of(sequence, own_stages=submission.method.own_stages, repairs=submission.method.repairs)


def spec_of(submission: Submission, reference: str, sequence: str, seed: int, draw: int = 0) -> RunSpec:
    """What one of its runs is. reference: the method's name or where its file lies; draw: as in `RunSpec`."""
    board = submission.board
    return RunSpec(
        suite=board.suite,
        sequence=sequence,
        targets=board.targets,
        method=reference,
        settings=dict(submission.method.settings),
        seed=seed,
        device=board.device,
        draw=draw,
    )


def record_of(submission: Submission, reference: str) -> MethodRecord:
    """Its method, as verification found it in the code."""
    method = submission.method
    return MethodRecord(
        reference=reference,
        name=method.name,
        settings=dict(method.settings),
        source=method.source,
        track=method.track,
        control=method.control,
        own_stages=method.own_stages,
        repairs=method.repairs,
    )


def submitted_run(folder: Path, submission: Submission, run: RunEntry, suite: Suite, counted: Mapping[str, Table]) -> SubmittedRun:
    """One run. counted: the scores of every row that it names, by digest."""
    board = submission.board
    sequence = suite.sequence(run.sequence)
    manifest = Manifest(
        spec=spec_of(submission, submission.method.reference, run.sequence, run.seed),
        suite=SuiteRecord(id=suite.id, fingerprint=board.fingerprint, comparable=suite.comparable, settings={}),
        model=ModelRecord(name="", revision="", content=board.base),
        method=record_of(submission, submission.method.reference),
        sequence=sequence,
        targets=suite.targets(sequence, board.targets),
        checkpoints=run.checkpoints,
        distances={},
        cost=Cost(**run.cost.model_dump()),
        cut={},
        numerics=run.numerics.model_dump(),
        versions=run.versions,
    )
    return SubmittedRun(folder / run_file(run.sequence, run.seed), manifest, counted=counted, digests=run.rows)
