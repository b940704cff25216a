"""What a submission's folder holds, as types.

    README.md              what the method does, for people; may be edited at any time
    submission.json        who, what, on which board, and the sha256 of every file below
    method.py              the method, unless it comes with this package
    runs/ORDER-sSEED.json  one for each run: checkpoints, cost, machine, and which rows of answers are its models'
    answers/DOMAIN.DECODING.jsonl.xz   a line an item: the answers of all models that the submission stores, in the order of `rows`
    logs.jsonl.xz          a line a training: its sha256 and the lines of its log

Answers are stored without prompts and scores: the suite makes the items again, and verification scores every answer anew. A row of answers
is the model's answers to all items under both decodings; equal rows are stored once, and rows that another submission stores (`rows_from`)
not at all.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bench.costs import Cost
from bench.method import Track
from bench.suite import Sha256
from leaderboard.plain import NAME, flaw_of_address, flaw_of_text

FILE = "submission.json"
SCHEMA = "interference-bench submission 1"
PLACEHOLDER = "FILL IN"
"""How every text begins that `pack` leaves to the author."""
README = "README.md"
METHOD_FILE = "method.py"
LOGS = "logs.jsonl.xz"


def _checked(text: str) -> str:
    flaw = "is still a placeholder: fill it in" if text.startswith(PLACEHOLDER) else flaw_of_text(text)
    if flaw:
        raise ValueError(flaw)
    return text


def _address(text: str) -> str:
    if text and flaw_of_address(text):
        raise ValueError(flaw_of_address(text))
    return text


Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Line = Annotated[str, Field(max_length=120), AfterValidator(_checked)]
Note = Annotated[str, Field(max_length=400), AfterValidator(_checked)]
Address = Annotated[str, Field(max_length=200), AfterValidator(_address)]
Licence = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{1,39}$")]
"""An identifier of SPDX."""
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, le=1_000_000)]
Setting = bool | int | float | Annotated[str, Field(max_length=200)] | None
Word = Annotated[str, Field(max_length=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Licences(_Strict):
    code: Licence
    data: Licence


class MethodEntry(_Strict):
    """reference: the name of a method of this package, or "method.py:Class"; settings: all of them; source: hash of the code that decides
    what it does (`tasks.source`), as the runs recorded it; control: shown without a place, which only methods of the package may be."""

    reference: Annotated[str, Field(pattern=r"^([a-z][a-z0-9_]{1,40}|method\.py:[A-Za-z_][A-Za-z0-9_]{0,60})$")]
    settings: dict[Word, Setting | list[Setting]]
    source: Sha256
    track: Track
    control: bool
    own_stages: bool
    repairs: bool

    @property
    def from_package(self) -> bool:
        return not self.reference.startswith(METHOD_FILE)

    @property
    def name(self) -> str:
        """As boards call it."""
        return self.reference.partition(":")[2] or self.reference


class BoardEntry(_Strict):
    """Where it competes. sequence: of the suite, or a design of several; base: content hash of the base model."""

    suite: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    fingerprint: Sha256
    base: Sha256
    sequence: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    targets: Literal["single", "all"]
    device: Literal["cpu", "cuda"]


class Declared(_Strict):
    """What nobody can recompute. tuning_seeds: seeds on which settings were chosen; configurations_tried: how many variants of the method
    and its settings; scored_runs_seen: runs on scored seeds whose results were known before the settings were final; external_data,
    external_compute: what was used that the harness does not count ("none" if nothing was); earlier_entries: names of entries of which this
    one is a variant."""

    tuning_seeds: tuple[Seed, ...] = Field(max_length=1000)
    configurations_tried: Count
    scored_runs_seen: Count
    external_data: Note
    external_compute: Note
    earlier_entries: tuple[Name, ...] = Field(max_length=50)


class Claim(_Strict):
    """A metric as the author's runs gave it. None: undefined, or no finite interval."""

    estimate: float | None
    low: float | None
    high: float | None


class Submission(_Strict):
    """submission.json."""

    schema_id: Literal["interference-bench submission 1"] = Field(alias="schema")
    name: Name
    title: Line
    authors: tuple[Line, ...] = Field(min_length=1, max_length=50)
    licences: Licences
    paper: Address
    code: Address
    method: MethodEntry
    board: BoardEntry
    seeds: tuple[Seed, ...]
    hardware: Line
    declared: Declared
    claim: dict[Literal["greedy", "sampled"], dict[Word, Claim]]
    rows_from: Name | Literal[""]
    rows: tuple[Sha256, ...] = Field(max_length=400)
    files: dict[Annotated[str, Field(max_length=220)], Sha256]


class RunEntry(_Strict):
    """runs/ORDER-sSEED.json. checkpoints, rows: content hash of each model, and digest of its row of answers, by the row's name; logs:
    sha256 of the training logs that led to it; scores: decoding -> row's name -> mean score of each domain in the order of the sequence."""

    sequence: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
    seed: Seed
    checkpoints: dict[Word, Sha256]
    rows: dict[Word, Sha256]
    logs: dict[Word, tuple[Sha256, ...]]
    scores: dict[Literal["greedy", "sampled"], dict[Word, tuple[Annotated[float, Field(ge=0, le=1)], ...]]]
    cost: Cost
    numerics: dict[Word, Annotated[str, Field(max_length=200)] | bool | int]
    versions: dict[Word, Word]


def schema() -> dict[str, Any]:
    """JSON Schema of submission.json and of a run's file, for other programs."""
    return {"submission": Submission.model_json_schema(by_alias=True), "run": RunEntry.model_json_schema(by_alias=True)}
