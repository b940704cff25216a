"""A finished run on disk: what is in its folder, how it is written and read. No torch.

manifest.json     what the run is and what it used; written last, so a folder with one is complete
matrix.json       mean scores: plain rows, method rows, the end; both decodings
metrics.json      every metric, both decodings, with intervals
samples/*.gz      every answer of every scoring, one file a row of the matrix
training/*.jsonl  one line a step of every stage
timing.json       wall time; the one file that differs between two runs of the same command
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import metrics
from bench.metrics import Outcome
from bench.stats import Interval, crossed_interval, resampled_interval
from bench.suite import UserError

FORMAT = 1
DECODINGS = ("greedy", "sampled")


@dataclass(frozen=True)
class Run:
    """One run: its folder, read lazily, and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @cached_property
    def matrix(self) -> dict[str, Any]:
        return json.loads((self.folder / "matrix.json").read_text(encoding="utf-8"))

    @cached_property
    def metrics(self) -> dict[str, Any]:
        return json.loads((self.folder / "metrics.json").read_text(encoding="utf-8"))

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def sequence(self) -> tuple[str, ...]:
        return tuple(self.manifest["sequence"])

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.manifest["targets"])

    @property
    def rows(self) -> dict[str, list[str]]:
        """Part (plain, method, end) -> names of the sample files of its rows, in order."""
        return self.manifest["rows"]

    def answers(self, row: str) -> Iterator[dict[str, Any]]:
        """The answers of a row: domain, decoding, item, prompt, answer, score, parsed."""
        with gzip.open(self.folder / "samples" / f"{row}.jsonl.gz", "rt", encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def scores(self, decoding: str) -> dict[str, np.ndarray]:
        """Domain -> (R, I): the rows of the plain matrix, of the method's, then the end, by item."""
        needed = [*self.rows["plain"], *self.rows["method"], *self.rows["end"]]
        by_row = {row: self._row_scores(row) for row in dict.fromkeys(needed)}
        return {domain: np.stack([by_row[row][domain, decoding] for row in needed]) for domain in self.sequence}

    def _row_scores(self, row: str) -> dict[tuple[str, str], np.ndarray]:
        found: dict[tuple[str, str], list[float]] = {}
        for answer in self.answers(row):
            found.setdefault((answer["domain"], answer["decoding"]), []).append(answer["score"])
        return {key: np.array(values) for key, values in found.items()}


def load_run(folder: str | Path) -> Run:
    """The run in a folder; `UserError` where there is none or it is not finished."""
    path = Path(folder)
    if not (path / "manifest.json").exists():
        raise UserError(f"{path}: no finished run there (no manifest.json); `python -m bench list runs` lists those here")
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        found = manifest["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path / 'manifest.json'} cannot be read ({error}): run the command again") from error
    if found != FORMAT:
        raise UserError(f"{path}: format {found} of another version: run the command again")
    return Run(path, manifest)


def find_runs(folder: Path) -> list[Run]:
    """Finished runs directly below a folder, by name."""
    return [load_run(path.parent) for path in sorted(folder.glob("*/manifest.json"))]


def outcome(scores: Sequence[np.ndarray], targets: Sequence[int]) -> Outcome:
    """The outcome of per-domain means: scores[d] (..., R), R = plain rows, method rows, end."""
    table = np.stack(scores, -1)  # (..., R, T)
    rows = (table.shape[-2] - 1) // 2
    return Outcome(table[..., :rows, :], table[..., rows : 2 * rows, :], table[..., -1, :], tuple(targets))


LINEAR = ("damage", "collateral", "collateral, last", "BWT", "FWT", "final average")
"""Metrics whose intervals come from the crossed analysis of variance; the others are resampled."""


def measure(runs: Sequence[Run], decoding: str) -> dict[str, dict[str, Any]]:
    """Every metric of one or more runs that differ in their seed alone: name -> estimate, low, high, seeds (and why, where undefined).

    Points (0 to 100) for damage, collateral, transfer, average and surplus; shares for the ratios.
    """
    first = runs[0]
    targets = [first.sequence.index(target) for target in first.targets]
    loaded = [run.scores(decoding) for run in runs]
    cells = [np.stack([scores[domain] for scores in loaded]) for domain in first.sequence]  # (S, R, I) a domain
    mean = outcome([cell.mean((0, 2)) for cell in cells], targets)
    lost = linear_interval(cells, targets, metrics.damage, targets)
    found = {"damage": _shown(lost, 100)}
    significant = lost.low > 0

    def ratio(name: str, function: Any, defined: bool, why: str) -> None:
        if not defined:
            found[name] = {"estimate": None, "why": why, "seeds": len(runs)}
            return
        low, high = resampled_interval(lambda means: function(outcome(means, targets)), cells)
        found[name] = _shown(Interval(float(function(mean)), low, high, len(runs)), 1)

    ratio("recovery ratio", metrics.recovery_ratio, significant, "the damage is not significant")
    if mean.others:
        found["collateral"] = _shown(linear_interval(cells, targets, metrics.collateral), 100)
        found["collateral, worst"] = {"estimate": 100 * float(metrics.worst_collateral(mean)), "seeds": len(runs)}
        last = len(first.sequence) - 1
        found["collateral, last"] = _shown(linear_interval(cells, targets, lambda o: -metrics.recovered(o)[..., last]), 100)
    won = linear_interval(cells, targets, lambda o: (o.own - o.plain[..., 0, :]).mean(-1))
    why = "the stages' gain is not significant"
    ratio("kept", metrics.kept, won.low > 0, why)
    found["surplus"] = {"estimate": 100 * float(metrics.surplus(mean)), "seeds": len(runs)}
    earlier = linear_interval(cells, targets, lambda o: (o.own - o.plain[..., 0, :])[..., :-1].mean(-1))
    ratio("normalized forgetting", metrics.normalized_forgetting, earlier.low > 0, why)
    found["BWT"] = _shown(linear_interval(cells, targets, metrics.backward_transfer), 100)
    found["FWT"] = _shown(linear_interval(cells, targets, metrics.forward_transfer), 100)
    found["final average"] = _shown(linear_interval(cells, targets, metrics.final_average), 100)
    return found


def linear_interval(cells: Sequence[np.ndarray], targets: Sequence[int], metric: Any, columns: Sequence[int] | None = None) -> Interval:
    """Interval of a metric that is linear in the scores; the mean over `columns` where it gives one value a domain.

    Its weights are read off by applying it to unit matrices, so that rules and intervals have one source.
    """
    rows, width = cells[0].shape[1], len(cells)
    units = np.eye(rows * width).reshape(rows * width, rows, width)
    values = metric(outcome([units[:, :, d] for d in range(width)], targets))
    if columns is not None:
        values = values[..., columns].mean(-1)
    weights = values.reshape(rows, width)
    used = [d for d in range(width) if np.any(weights[:, d])]
    return crossed_interval([np.einsum("r,sri->si", weights[:, d], cells[d]) for d in used])


def _shown(interval: Interval, scale: float) -> dict[str, Any]:
    def plain(value: float) -> float | None:
        return None if np.isnan(value) else scale * value

    return {
        "estimate": plain(interval.estimate),
        "low": plain(interval.low),
        "high": plain(interval.high),
        "seeds": interval.seeds,
    }
