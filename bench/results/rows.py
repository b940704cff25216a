"""The rows of a score matrix: the base and the model after each stage, of the baseline run and of the method, and the final model.

A run, its plan and a table of scores all have these rows: `Rows[Job]`, `Rows[Row]`, `Rows[scores]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Part = Literal["baseline", "method", "final"]
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Row:
    """One model of a run. part: whose; index: how many stages lie behind it (0: the base); domain: the last one trained, empty for the
    base and for a repaired model."""

    part: Part
    index: int
    domain: str = ""

    @property
    def name(self) -> str:
        """As files and tables call it: baseline-0-base, baseline-2-math, method-2-math, repaired."""
        return "repaired" if self.part == "final" else f"{self.part}-{self.index}-{self.domain or 'base'}"

    @property
    def title(self) -> str:
        """As people read it: base, after math, after math (method), repaired."""
        if self.part == "final":
            return "repaired"
        if not self.index:
            return "base"
        return f"after {self.domain}" if self.part == "baseline" else f"after {self.domain} (method)"


@dataclass(frozen=True)
class Rows(Generic[T]):
    """Something for every row. baseline, method: T + 1 each, the base first; where a method trains its stages as the baseline run does, its
    rows are the baseline's. final: the repaired model, or the method's last row where nothing is repaired."""

    baseline: tuple[T, ...]
    method: tuple[T, ...]
    final: T

    def __iter__(self) -> Iterator[T]:
        """All 2 (T + 1) + 1 of them in order, those that several parts share several times."""
        yield from (*self.baseline, *self.method, self.final)

    def distinct(self) -> tuple[T, ...]:
        """Each once, in order."""
        return tuple(dict.fromkeys(self))

    def map(self, change: Callable[[T], U]) -> Rows[U]:
        """The same rows of something else."""
        return Rows(tuple(map(change, self.baseline)), tuple(map(change, self.method)), change(self.final))

    @property
    def own_stages(self) -> bool:
        """Whether the method trained stages of its own."""
        return self.method != self.baseline

    def after(self, index: int) -> T:
        """The baseline run's row right after stage `index`, from 0."""
        return self.baseline[index + 1]


def rows_of(sequence: tuple[str, ...], *, own_stages: bool, repairs: bool) -> Rows[Row]:
    """The rows of a run over a sequence of domains."""
    baseline = tuple(Row("baseline", index, domain) for index, domain in enumerate(("", *sequence)))
    method = (baseline[0], *(Row("method", row.index, row.domain) for row in baseline[1:])) if own_stages else baseline
    return Rows(baseline, method, Row("final", len(sequence)) if repairs else method[-1])
