"""What comes back from a worker, a type for each kind of job, each with its JSON form. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from bench.costs import Access
from bench.diagnostics.findings import AnyFinding
from bench.spec import ModelRecord
from bench.suite import Decoding


@dataclass(frozen=True)
class Started:
    """The base's checkpoint (content hash), the model it is, and the numerics of the machine."""

    checkpoint: str
    model: ModelRecord
    numerics: dict[str, Any]
    kind: Literal["started"] = "started"


@dataclass(frozen=True)
class Log:
    """A training's log. what: the domains, joined by +; file: one JSON line a step."""

    what: str
    file: str


@dataclass(frozen=True)
class Made:
    """A stage's or a repair's checkpoint (content hash), and what it took. flops: of the stage's own training (0 for a repair); charged:
    FLOPs of each distinct computation that the method requested, by cache key; free: FLOPs of those that cost it nothing."""

    checkpoint: str
    flops: float = 0.0
    charged: dict[str, float] = field(default_factory=dict)
    free: float = 0.0
    access: Access = field(default_factory=Access)
    logs: tuple[Log, ...] = ()
    kind: Literal["made"] = "made"

    @property
    def accounted(self) -> float:
        """FLOPs of everything that its stage and the method's requests took, cached or not."""
        return self.flops + sum(self.charged.values()) + self.free


@dataclass(frozen=True)
class Scored:
    """Where the answers lie, their mean scores in [0, 1], and how many prompts were cut."""

    answers: str
    means: dict[Decoding, float]
    cut: int
    kind: Literal["scored"] = "scored"


@dataclass(frozen=True)
class Evaluated:
    """Task of lm-eval -> metric -> value and standard error."""

    scores: dict[str, dict[str, tuple[float, float]]]
    kind: Literal["evaluated"] = "evaluated"


@dataclass(frozen=True)
class MeasuredNorms:
    """norms[a][r]: between anchor a and row r, in the job's order."""

    norms: tuple[tuple[float, ...], ...]
    kind: Literal["measured"] = "measured"


@dataclass(frozen=True)
class Diagnosed:
    """What was found of a claim."""

    findings: tuple[AnyFinding, ...]
    kind: Literal["diagnosed"] = "diagnosed"


Outcome = Annotated[Started | Made | Scored | Evaluated | MeasuredNorms | Diagnosed, Field(discriminator="kind")]
_OUTCOMES: TypeAdapter[Any] = TypeAdapter(Outcome)


def to_json(outcome: Any) -> dict[str, Any]:
    """An outcome as JSON."""
    return _OUTCOMES.dump_python(outcome, mode="json")


def from_json(value: dict[str, Any]) -> Any:
    """The outcome again."""
    return _OUTCOMES.validate_python(value)
