"""A report as data. Terminal, Markdown, CSV, JSON and the page show this and nothing else. No torch; pandas only for frames.

Scores, forgetting and collateral damage are in points of 100; metrics in `Report.shares` are shares. `ByDecoding` maps "greedy" and
"sampled" (temperature 1) to a value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel

from bench.costs import Cost
from bench.results.comparisons import Family, Places, Verdict
from bench.results.estimates import DomainOutcome, Value
from bench.results.frames import metrics_frame
from bench.suite import Decoding

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 2
"""Of report.json."""
T = TypeVar("T")
ByDecoding = dict[Decoding, T]
Kind = Literal["recovered", "still lost", "newly lost"]
Front = Literal["", "cost", "access"]


@dataclass(frozen=True)
class Cell:
    """A domain's answers under one decoding by one model of a run, in percent: mean score, answers that could not be parsed, answers that
    did not stop before the token limit. row: the model, as files call it."""

    row: str
    domain: str
    decoding: Decoding
    score: float
    unparsed: float
    unended: float


@dataclass(frozen=True)
class RunReport:
    """One run that a board counts."""

    name: str
    entry: str
    seed: int
    order: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class EntryReport:
    """A method with its settings on a board.

    places: None for an entry without one, `unranked` is the reason; reverted: share of the later stages' squared weight update that the
    final model no longer has, None where the method trains its own stages; sharpening: the board's metric improves at temperature 1 but not
    greedily; front: on the Pareto front of retention against cost ("cost"), or among the entries with no more access ("access").
    """

    label: str
    method: str
    places: Places | None
    unranked: str
    provisional: bool
    track: str
    control: bool
    seeds: tuple[int, ...]
    trainings: int
    metrics: ByDecoding[dict[str, Value]]
    domains: ByDecoding[dict[str, DomainOutcome]]
    cost: Cost
    reverted: float | None
    sharpening: bool
    front: Front
    own_stages: bool
    settings: dict[str, Any]
    source: str


@dataclass(frozen=True)
class Test:
    """One entry minus another by the board's metric. p: adjusted within the family, None without a verdict."""

    difference: Value
    p: float | None
    verdict: Verdict


@dataclass(frozen=True)
class ComparisonReport:
    """Two entries under both decodings. holds: significant and with the same verdict under both."""

    one: str
    other: str
    family: Family
    tests: ByDecoding[Test]
    holds: bool


@dataclass(frozen=True)
class MatrixRow:
    """One model's scores, means over the seeds, a number a domain. part: whose; own: the column of the stage that the row ends, from 0."""

    title: str
    part: Literal["baseline", "stage", "final"]
    own: int | None
    score: ByDecoding[tuple[float, ...]]
    unparsed: ByDecoding[tuple[float, ...]]
    unended: ByDecoding[tuple[float, ...]]


@dataclass(frozen=True)
class Matrix:
    """The score matrix of one order: the baseline run's rows, the entries' own stages, then their final models."""

    order: tuple[str, ...]
    targets: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class Curve:
    """Training reward in percent by step, of one stage and rewarded domain: mean, lowest and highest over the seeds. label: whose
    stages."""

    label: str
    order: tuple[str, ...]
    stage: int
    trained: str
    domain: str
    seeds: int
    steps: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class FlipCounts:
    """Greedy items, means over the runs. lost: the score fell from the domain's own stage to the end of the baseline run; recovered,
    still_lost: those of them whose score did or did not rise again; gained, newly_lost: all items whose score rose or fell through the
    repair."""

    lost: float
    recovered: float
    still_lost: float
    gained: float
    newly_lost: float


@dataclass(frozen=True)
class FlipSample:
    """An item that flipped: its prompt, and the answers after the domain's own stage, at the end of the baseline run, and of the final
    model."""

    kind: Kind
    item: int
    prompt: str
    own: str
    baseline: str
    final: str


@dataclass(frozen=True)
class FlipReport:
    """What happened to a domain's items, with the first few of each kind in one run."""

    entry: str
    domain: str
    items: int
    counts: FlipCounts
    run: str
    samples: tuple[FlipSample, ...]


@dataclass(frozen=True)
class NullDomain:
    """Forgetting of a domain under real and under null stages of the same orders and seeds, in points. interference: real minus null (no
    decoding where they share no order and seed; then real stands for all real stages); moved_real, moved_null: Euclidean norm of the
    weight update since the domain's own stage, None where not stored; orders, seeds: of the runs with null stages."""

    domain: str
    orders: tuple[tuple[str, ...], ...]
    seeds: tuple[int, ...]
    real: ByDecoding[Value]
    null: ByDecoding[Value]
    interference: ByDecoding[Value]
    moved_real: float | None
    moved_null: float | None


@dataclass(frozen=True)
class NullReport:
    """Runs with null stages."""

    domains: tuple[NullDomain, ...]


@dataclass(frozen=True)
class AlsoReport:
    """Results of lm-eval's tasks for one model, means over the seeds, as lm-eval reports them: "task: metric" -> value."""

    order: tuple[str, ...]
    title: str
    values: dict[str, float]


@dataclass(frozen=True)
class Used:
    """Numerics or versions, and how many runs used them."""

    runs: int
    values: dict[str, Any]


@dataclass(frozen=True)
class SettingsReport:
    """What the runs used."""

    fingerprint: str
    suite: dict[str, Any]
    numerics: tuple[Used, ...]
    versions: tuple[Used, ...]


@dataclass(frozen=True)
class BoardReport:
    """A board. entries: in order of standing; targets: single or all; domains, earlier_domains (trained before another one in some order),
    target_domains; baseline, baseline_metrics: the baseline run's domains and metrics; null: None where there are no null runs, then
    `null_command` makes them (empty for imported checkpoints)."""

    title: str
    suite: str
    sequence: str
    targets: str
    device: str
    comparable: bool
    ranked_by: str
    orders: tuple[tuple[str, ...], ...]
    domains: tuple[str, ...]
    earlier_domains: tuple[str, ...]
    target_domains: tuple[str, ...]
    seeds: tuple[int, ...]
    entries: tuple[EntryReport, ...]
    baseline: ByDecoding[dict[str, DomainOutcome]]
    baseline_metrics: ByDecoding[dict[str, Value]]
    comparisons: tuple[ComparisonReport, ...]
    families: tuple[Family, ...]
    matrices: tuple[Matrix, ...]
    training: tuple[Curve, ...]
    flips: tuple[FlipReport, ...]
    null: NullReport | None
    null_command: str
    also: tuple[AlsoReport, ...]
    settings: SettingsReport
    runs: tuple[RunReport, ...]
    warnings: tuple[str, ...]
    headline: str = ""
    standfirst: str = ""

    def frame(self) -> pd.DataFrame:
        """`bench.results.frames.metrics_frame` of the entries, each described by board, place and entry."""
        described = (({"board": self.title, "place": place_words(e.places), "entry": e.label}, e.metrics) for e in self.entries)
        return metrics_frame(described)

    def cells_frame(self) -> pd.DataFrame:
        """One line a run, row, domain and decoding: board, run, entry, seed, order, then the fields of `Cell`."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"board": self.title, "run": run.name, "entry": run.entry, "seed": run.seed, "order": "-".join(run.order)} | vars(cell)
                for run in self.runs
                for cell in run.cells
            ]
        )


@dataclass(frozen=True)
class Report:
    """A report on finished runs. meaning: metric -> what it means; shares: metrics that are shares; left_out: a line for each folder that
    could not be used."""

    version: str
    meaning: Mapping[str, str]
    shares: tuple[str, ...]
    left_out: tuple[str, ...]
    boards: tuple[BoardReport, ...]
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """The fields by name as plain JSON data; values as `Value.to_json` gives them."""
        return _plain(self)


def place_words(places: Places | None) -> str:
    """`2`, `1–3`, or a dash for an entry without a place."""
    if places is None:
        return "–"
    return str(places.first) if places.first == places.last else f"{places.first}–{places.last}"


def _plain(value: Any) -> Any:
    if isinstance(value, Value):
        return value.to_json()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
