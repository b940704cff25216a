"""Findings about the theory as tables: means over seeds with intervals, and a verdict for each quantity that has bounds."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from bench.diagnostics.findings import KINDS, Finding, Neurons, Quantity, Routes, to_json
from bench.files import check_folder, write_texts
from bench.report.words import not_comparable, rounded, seeds_words
from bench.results.boards import FULL_SEEDS
from bench.results.run import Run
from bench.results.statistics import quantile

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
_NO_MLPS = "the model has no MLPs with gate, up and down projections"
_WHY_NOT: dict[type[Finding], str] = {Neurons: _NO_MLPS, Routes: _NO_MLPS}
_COLUMNS = 4
"""Of a table on a terminal."""


@dataclass(frozen=True)
class Line:
    """One quantity over the seeds. of: what it is about; values: of the seeds where it could be measured."""

    of: str
    quantity: Quantity
    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        return float(np.mean(self.values)) if self.values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over seeds (Student's t); None for fewer than two."""
        count = len(self.values)
        if count < 2:
            return None
        half = float(quantile(count - 1)) * float(np.std(self.values, ddof=1)) / count**0.5
        mean = float(np.mean(self.values))
        return mean - half, mean + half

    @property
    def verdict(self) -> str:
        """Whether the claim holds for it: see `bench.diagnostics.findings`. Empty without bounds or below five seeds."""
        interval = self.interval
        if not self.quantity.bounded or interval is None or len(self.values) < FULL_SEEDS:
            return ""
        low, high = interval
        if self.quantity.low <= low and high <= self.quantity.high:
            return HOLDS
        return FAILS if high < self.quantity.low or low > self.quantity.high else UNDECIDED

    def shown(self, seeds: int) -> str:
        """The mean and its interval, how many seeds it rests on where that is not all of them, and the verdict; a line each."""
        mean, interval, digits = self.mean, self.interval, 2 if self.quantity.share else 1
        if mean is None:
            return "–"
        small = self.quantity.share and 0 < abs(mean) < 0.005
        text = f"{mean:.1e}" if small else rounded(mean, digits)
        if interval is not None:
            text += f"\n[{rounded(interval[0], digits)}, {rounded(interval[1], digits)}]"
        text += f"\n{len(self.values)} of {seeds} seeds" if len(self.values) < seeds else ""
        return text + (f"\n{self.verdict}" if self.verdict else "")


@dataclass(frozen=True)
class Diagnosis:
    """What was found on runs, seeds of one entry. kinds: what was looked for, in the order of `KINDS`; findings: of each run."""

    runs: tuple[Run, ...]
    kinds: tuple[str, ...]
    findings: tuple[tuple[Finding, ...], ...]


def lines(diagnosis: Diagnosis, kind: type[Finding]) -> Iterator[tuple[str, list[Line]]]:
    """What the findings of a kind are about, with a line for each quantity."""
    own = [[each for each in findings if isinstance(each, kind)] for findings in diagnosis.findings]
    for of in dict.fromkeys(each.of for findings in own for each in findings):
        same = [each for findings in own for each in findings if each.of == of]
        per_quantity = ((quantity, [getattr(each, quantity.name) for each in same]) for quantity in kind.quantities())
        yield of, [Line(of, quantity, tuple(v for v in values if v is not None)) for quantity, values in per_quantity]


def text(diagnosis: Diagnosis, *, markdown: bool = False) -> str:
    """All tables: for a terminal, or as Markdown."""
    runs = diagnosis.runs
    first = runs[0].manifest
    title = f"diagnosis of {first.suite.id}, {' → '.join(first.sequence)}, {seeds_words(run.seed for run in runs)}"
    notes = [f"null stages after {first.spec.null}"] if first.spec.null else []
    if not first.suite.comparable:
        notes.append(not_comparable(first.suite.id, first.spec.quick))
    if len(runs) < FULL_SEEDS:
        notes.append(f"no verdicts: fewer than {FULL_SEEDS} seeds")
    else:
        notes.append("brackets: 95 % intervals over seeds, not corrected for the number of quantities")
        notes.append("a claim holds if the whole interval lies within its bounds, and fails if the whole interval lies outside")
    parts = [f"# {title}" if markdown else title, "\n".join(notes) if not markdown else "; ".join(notes) + "."]
    for kind in (KINDS[name] for name in diagnosis.kinds):
        parts.append(f"## {kind.claim}" if markdown else kind.claim)
        table = list(lines(diagnosis, kind))
        if not table:
            parts.append(f"Not measured: {_WHY_NOT.get(kind, 'nothing was trained after these domains')}.")
            continue
        parts += _tables(table, len(runs), markdown)
    return "\n\n".join(parts) + "\n"


def _tables(found: Sequence[tuple[str, list[Line]]], seeds: int, markdown: bool) -> Iterator[str]:
    """A row for each quantity, a column for what it is about; on a terminal in parts of equal width, at most `_COLUMNS` columns."""
    width = len(found) if markdown else math.ceil(len(found) / math.ceil(len(found) / _COLUMNS))
    for start in range(0, len(found), width):
        part = found[start : start + width]
        rows = []
        for place, quantity in enumerate(line.quantity for line in part[0][1]):
            title = f"{quantity.title}{_bounds(quantity)}"
            cells = [own[place].shown(seeds) for _, own in part]
            rows.append([title, *(cell.replace("\n", " ") for cell in cells)] if markdown else [textwrap.fill(title, 44), *cells])
        header = ["", *(of if markdown else textwrap.fill(of, 16) for of, _ in part)]
        yield tabulate(rows, header, tablefmt="github" if markdown else "simple", disable_numparse=True)


def _bounds(quantity: Quantity) -> str:
    """Within which the claim holds, in words."""
    low, high = quantity.low, quantity.high
    if not quantity.bounded:
        return ""
    if low > float("-inf") and high < float("inf"):
        return f" (claim: {low:g} to {high:g})"
    return f" (claim: at least {low:g})" if low > float("-inf") else f" (claim: at most {high:g})"


def _about(diagnosis: Diagnosis) -> dict[str, Any]:
    """What was diagnosed, and the bounds of each quantity that has some."""
    first = diagnosis.runs[0].manifest
    bounds = {
        name: {
            each.name: [None if math.isinf(end) else end for end in (each.low, each.high)]
            for each in KINDS[name].quantities()
            if each.bounded
        }
        for name in diagnosis.kinds
    }
    what = {"suite": first.suite.id, "model": first.model.model_dump(), "sequence": first.sequence, "null": first.spec.null}
    return what | {"numerics": first.numerics, "versions": first.versions, "bounds": bounds}


def write(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """diagnosis.md and diagnosis.json in a folder, each whole or not at all. `UserError` where they cannot be written."""
    check_folder(folder, "--out")
    by_run: list[dict[str, Any]] = [
        {"run": run.name, "seed": run.seed, "findings": to_json(list(own))}
        for run, own in zip(diagnosis.runs, diagnosis.findings, strict=True)
    ]
    files = {
        "diagnosis.md": text(diagnosis, markdown=True),
        "diagnosis.json": json.dumps(_about(diagnosis) | {"runs": by_run}, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    return write_texts(folder, files, "--out")
