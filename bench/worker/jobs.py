"""What a worker can be asked to do, as values: a graph of frozen dataclasses, each with its needs, its key and its JSON form. No torch.

Two jobs with equal keys are the same work, so runs share stages and scorings. Whoever plans, forecasts, shows or does a job dispatches on
its type.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter

from bench.files import key_hash
from bench.spec import Device, Engine, MethodRecord
from bench.suite import Suite, load_suite
from tasks.task import Split


@dataclass(frozen=True)
class Setup:
    """What a job computes with. fingerprint: of the suite, so that keys follow its settings and its tasks' code; imported: a user's
    checkpoints by content hash, the base's first."""

    suite: str
    quick: bool
    model: str
    device: Device
    engine: Engine
    imported: tuple[str, ...]
    fingerprint: str

    def load_suite(self) -> Suite:
        return load_suite(self.suite, quick=self.quick)


class Job:
    """A node of the graph. rank: lower ones go first where workers are short; generates: it samples answers, by the setup's engine."""

    rank: ClassVar[int] = 0
    generates: ClassVar[bool] = False
    kind: str
    setup: Setup

    @property
    def needs(self) -> tuple[Job, ...]:
        """The jobs whose results this one starts from."""
        return ()

    @property
    def method(self) -> MethodRecord | None:
        """The method whose code this job runs."""
        return None

    @property
    def lane(self) -> str:
        """Whose code a process that does this job has run: "" for the package's only, otherwise the class and the source hash of a user's
        method. A process keeps to one lane, so a user's code shares no process with scoring or with another method."""
        method = self.method
        return "" if method is None or method.from_package else f"{method.name}-{method.source}"

    @property
    def run(self) -> str:
        """Of a job that runs a method: the run that it belongs to, by its domains and seed."""
        return ""

    @property
    def like(self) -> str:
        """What jobs that take about as long have in common."""
        return self.kind

    @property
    def holds_card(self) -> bool:
        """Whether its process keeps a card's memory until it ends."""
        return self.generates and self.setup.engine != "hf"

    @cached_property
    def key(self) -> str:
        """Hash of the work: its own fields, and the keys of what it needs."""
        own = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return key_hash(own)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True, eq=False)
class Start(Job):
    """The base's checkpoint, and what the manifest records of the machine."""

    rank: ClassVar[int] = -1
    setup: Setup
    kind: Literal["start"] = "start"


@dataclass(frozen=True, eq=False)
class Stage(Job):
    """Stage `index` of a sequence, after `previous`. runs: the method that decides how it is trained, None for a stage of the baseline run;
    sequence: for the baseline run the domains up to here, so that sequences share what they begin with; null: rewards are permuted."""

    generates: ClassVar[bool] = True
    previous: Annotated[Start | Stage, Field(discriminator="kind")]
    sequence: tuple[str, ...]
    index: int
    seed: int
    null: bool
    runs: MethodRecord | None
    kind: Literal["stage"] = "stage"

    @property
    def setup(self) -> Setup:  # type: ignore[override]
        return self.previous.setup

    @property
    def domain(self) -> str:
        return self.sequence[self.index]

    @property
    def needs(self) -> tuple[Job, ...]:
        return chain(self.previous)

    @property
    def method(self) -> MethodRecord | None:
        return self.runs

    @property
    def run(self) -> str:
        return "" if self.runs is None else f"{'-'.join(self.sequence)} {self.seed}"

    @property
    def like(self) -> str:
        return self.kind if self.runs is None else f"{self.kind} {self.runs.name}"


@dataclass(frozen=True, eq=False)
class _OfStages(Job):
    """A job on all stages up to `last`."""

    generates: ClassVar[bool] = True
    last: Stage

    @property
    def setup(self) -> Setup:  # type: ignore[override]
        return self.last.setup

    @property
    def needs(self) -> tuple[Job, ...]:
        return chain(self.last)


@dataclass(frozen=True, eq=False)
class Recover(_OfStages):
    """A method's repair after the last stage."""

    sequence: tuple[str, ...]
    targets: tuple[str, ...]
    runs: MethodRecord
    kind: Literal["recover"] = "recover"

    @property
    def method(self) -> MethodRecord:
        return self.runs

    @property
    def run(self) -> str:
        return f"{'-'.join(self.sequence)} {self.last.seed}"

    @property
    def like(self) -> str:
        return f"{self.kind} {self.runs.name}"


MakesCheckpoint = Annotated[Start | Stage | Recover, Field(discriminator="kind")]


@dataclass(frozen=True, eq=False)
class _OfCheckpoint(Job):
    """A job on the checkpoint that another one makes."""

    of: MakesCheckpoint

    @property
    def setup(self) -> Setup:  # type: ignore[override]
        return self.of.setup

    @property
    def needs(self) -> tuple[Job, ...]:
        return (self.of,)


@dataclass(frozen=True, eq=False)
class Score(_OfCheckpoint):
    """Every answer of a checkpoint on a domain's items of a split. draw: which items of the reserve; 0 elsewhere. No job that runs a method
    knows it."""

    rank: ClassVar[int] = 1
    generates: ClassVar[bool] = True
    domain: str
    split: Split
    draw: int = 0
    kind: Literal["score"] = "score"

    @property
    def like(self) -> str:
        return f"{self.kind} {self.domain}"


@dataclass(frozen=True, eq=False)
class LMEval(_OfCheckpoint):
    """Tasks of lm-eval on a checkpoint. limit: items a task (None: all)."""

    rank: ClassVar[int] = 2
    tasks: tuple[str, ...]
    limit: int | None
    kind: Literal["lm-eval"] = "lm-eval"


@dataclass(frozen=True, eq=False)
class Distances(Job):
    """How far a run's checkpoints lie from one another: Euclidean norms between each of `rows` and each of `anchors` (places in `rows`)."""

    rank: ClassVar[int] = 2
    rows: tuple[MakesCheckpoint, ...]
    anchors: tuple[int, ...]
    kind: Literal["distances"] = "distances"

    @property
    def setup(self) -> Setup:  # type: ignore[override]
        return self.rows[0].setup

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.rows


@dataclass(frozen=True, eq=False)
class Diagnose(_OfStages):
    """Findings of one kind (`bench.diagnostics.findings.KINDS`) about the stages up to `last`. domain: of kinds that are measured domain by
    domain, else empty."""

    rank: ClassVar[int] = 2
    about: str
    domain: str
    kind: Literal["diagnose"] = "diagnose"

    @property
    def like(self) -> str:
        return f"{self.kind} {self.about}"


def chain(last: Start | Stage) -> tuple[Start | Stage, ...]:
    """The jobs from the base up to `last`, in order."""
    return (last,) if isinstance(last, Start) else (*chain(last.previous), last)


def _plain(value: Any) -> Any:
    if isinstance(value, Job):
        return value.key
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, MethodRecord):  # the name or path that a user typed does not change the work
        return value.model_dump(mode="json", exclude={"reference"})
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)} if isinstance(value, Setup) else value


AnyJob = Annotated[Start | Stage | Recover | Score | LMEval | Distances | Diagnose, Field(discriminator="kind")]
_JOBS: TypeAdapter[Job] = TypeAdapter(AnyJob)


def to_json(job: Job) -> dict[str, Any]:
    """A job with all that it needs, as JSON."""
    return _JOBS.dump_python(job, mode="json")


def from_json(value: dict[str, Any]) -> Job:
    """The job again; its key is the same."""
    return _JOBS.validate_python(value)
