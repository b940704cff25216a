"""What a submission's folder holds, as types.

    README.md              what the method does; may be edited at any time
    submission.json        who, what, on which board, and the sha256 of every file below
    method.py              the method, unless it comes with this package
    runs/SEQUENCE-sSEED.json           one for each run: checkpoints, cost, machine, and which rows of answers are its models'
    answers/DOMAIN.DECODING.jsonl.xz   one line per item: the answers of all models that the submission stores, in the order of `rows`
    logs.jsonl.xz          one line per training: its sha256 and the lines of its log

Answers are stored without prompts and scores: verification makes the items again and scores every answer. A row of answers is one model's
answers to all test items under both decodings; equal rows are stored once, and rows that a maintainers' entry stores (`rows_from`) not at
all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, WrapValidator

from bench.costs import AccessRecord, Cost
from bench.method import Track
from bench.suite import Sha256
from leaderboard.limits import MAX_ROWS
from leaderboard.plain import NAME, NAME_WORDS, flaw_of_text, flaw_of_url

FILE = "submission.json"
SCHEMA = "interference-bench submission 1"
PLACEHOLDER = "FILL IN"
"""How every text begins that `pack` leaves to the author; numbers that it leaves are null."""
README = "README.md"
METHOD_FILE = "method.py"
LOGS = "logs.jsonl.xz"
_NAME = re.compile(NAME)


def _filled(form: str) -> Callable[[Any], Any]:
    """A check that a value was filled in. form: what it should be."""

    def check(value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.startswith(PLACEHOLDER)):
            raise ValueError(f"fill it in: {form}")
        return value

    return check


def _plain(text: str) -> str:
    if flaw := flaw_of_text(text):
        raise ValueError(flaw)
    return text


def _url(text: str) -> str:
    return text and _address(text)


def _address(text: str) -> str:
    if flaw := flaw_of_url(text):
        raise ValueError(flaw)
    return text


def is_name(text: str) -> bool:
    """Whether a text has the form of an entry's name."""
    return _NAME.fullmatch(text) is not None


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"{text!r}: use {NAME_WORDS}")
    return text


def _setting(value: Any, check: Callable[[Any], Any]) -> Any:
    try:
        return check(value)
    except ValidationError:
        raise ValueError(
            "must be a text of at most 200 characters, a number, true, false, null, or a list of these or of lists of these"
        ) from None


Filled = BeforeValidator(_filled(f"a text without {PLACEHOLDER}"))
Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"})]
Line = Annotated[str, Field(max_length=120), AfterValidator(_plain), Filled]
Note = Annotated[str, Field(max_length=400), AfterValidator(_plain), Filled]
Url = Annotated[
    str, Field(max_length=200), AfterValidator(_url), WithJsonSchema({"type": "string", "maxLength": 200, "pattern": "^(https://.*)?$"})
]
_SEQUENCE = r"^[a-z][a-z0-9_-]{0,39}$"
_LICENCE = r"^[A-Za-z0-9][A-Za-z0-9.+-]{1,39}$"
_REFERENCE = r"^([a-z][a-z0-9_]{1,40}|method\.py:[A-Za-z_][A-Za-z0-9_]{0,60})$"
_EARLIER = r"^[a-z0-9][a-z0-9_-]{1,39}$"
FORMS = {
    "^[0-9a-f]{64}$": "a sha256, 64 of the digits 0-9 and a-f",
    _SEQUENCE: "a name of lowercase letters, digits, - and _ that begins with a letter",
    _LICENCE: "an identifier of SPDX, such as Apache-2.0",
    _REFERENCE: f"the name of a method of this package, or {METHOD_FILE}:Class",
    _EARLIER: "the name of an entry or of a method of this package",
}
"""Patterns of fields, in words."""
Address = Annotated[str, Field(max_length=200), AfterValidator(_address)]
"""A URL that must be there."""
Licence = Annotated[str, Field(pattern=_LICENCE), Filled]
"""An identifier of SPDX."""
Count = Annotated[int, Field(ge=0, le=1_000_000), BeforeValidator(_filled("a whole number, 0 if there was none"))]
Seed = Annotated[int, Field(ge=0, le=1_000_000)]
Scalar = bool | int | float | Annotated[str, Field(max_length=200)] | None
Setting = Annotated[Scalar | list[Scalar | list[Scalar]], WrapValidator(_setting)]
Word = Annotated[str, Field(max_length=100)]
Sequence = Annotated[str, Field(pattern=_SEQUENCE)]


class Strict(BaseModel):
    """What strangers write: no unknown fields, no numbers that are not finite, no conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Licences(Strict):
    code: Licence
    data: Licence


class MethodEntry(Strict):
    """reference: the name of a method of this package, or "method.py:Class"; settings: all of them; source: hash of the code that decides
    what it does (`tasks.source`), as the runs recorded it; control: shown without a place, which only methods of the package may be."""

    reference: Annotated[str, Field(pattern=_REFERENCE)]
    settings: dict[Word, Setting]
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


class BoardEntry(Strict):
    """Where it competes. sequence: of the suite, or a design of several; base: content hash of the base model."""

    suite: Sequence
    fingerprint: Sha256
    base: Sha256
    sequence: Sequence
    targets: Literal["single", "all"]
    device: Literal["cpu", "cuda"]


class Declared(Strict):
    """What nobody can recompute. tuning_seeds: seeds on which settings were chosen (an empty list if none were tried);
    configurations_tried: how many variants of the method and its settings, the submitted one included; scored_runs_seen: runs of any
    variant on scored seeds whose results were known before the settings were final (0 if the first such run was the submitted one);
    external_data, external_compute: what was used that the harness does not count ("none" if nothing was); earlier_entries: names of
    entries, or of methods of this package, of which this one is a variant."""

    tuning_seeds: Annotated[
        Annotated[tuple[Seed, ...], Field(max_length=1000)] | None, AfterValidator(_filled("a list of whole numbers, [] if there was none"))
    ]
    configurations_tried: Count
    scored_runs_seen: Count
    external_data: Note
    external_compute: Note
    earlier_entries: tuple[Annotated[str, Field(pattern=_EARLIER)], ...] = Field(max_length=50)


class Claim(Strict):
    """A metric as the author's runs gave it. None: undefined, or no finite interval."""

    estimate: float | None
    low: float | None
    high: float | None


class Evidence(Strict):
    """What is too large for the folder, such as checkpoints: its address, and its sha256. It is not checked and ranks nothing."""

    address: Address
    sha256: Sha256


class Submission(Strict):
    """submission.json."""

    schema_id: Literal["interference-bench submission 1"] = Field(alias="schema")
    name: Name
    title: Line
    authors: tuple[Line, ...] = Field(min_length=1, max_length=50)
    licences: Licences
    paper: Url
    code: Url
    method: MethodEntry
    board: BoardEntry
    seeds: tuple[Seed, ...]
    hardware: Line
    declared: Declared
    claim: dict[Literal["greedy", "sampled"], dict[Word, Claim]]
    rows_from: Annotated[str, AfterValidator(lambda text: text and _name(text))]
    evidence: Evidence | None = None
    rows: tuple[Sha256, ...] = Field(max_length=MAX_ROWS)
    files: dict[Annotated[str, Field(max_length=220)], Sha256]


class Machine(Strict):
    """The arithmetic of a run, as `bench.worker.keys.Numerics` describes it."""

    device: Literal["cpu", "cuda"]
    bf16: bool
    torch: Word
    transformers: Word
    threads: int
    capability: Word
    arithmetic: Word = ""
    engine: Word = "hf"


class RunAccess(AccessRecord):
    """A run's access, without conversions."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RunCost(Cost):
    """A run's cost, finite and not negative."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)

    stages: float = Field(ge=0)
    repair: float = Field(ge=0)
    access: RunAccess


class RunEntry(Strict):
    """runs/SEQUENCE-sSEED.json. checkpoints, rows: content hash of each model, and digest of its row of answers, by the row's name; logs:
    sha256 of the training logs that led to it; scores: decoding -> row's name -> mean score of each domain in the order of the sequence."""

    sequence: Sequence
    seed: Seed
    checkpoints: dict[Word, Sha256]
    rows: dict[Word, Sha256]
    logs: dict[Word, tuple[Sha256, ...]]
    scores: dict[Literal["greedy", "sampled"], dict[Word, tuple[Annotated[float, Field(ge=0, le=1)], ...]]]
    cost: RunCost
    numerics: Machine
    versions: dict[Word, Word]


def schema() -> dict[str, Any]:
    """JSON Schema of submission.json and of a run's file, for other programs."""
    return {"submission": Submission.model_json_schema(by_alias=True), "run": RunEntry.model_json_schema(by_alias=True)}
