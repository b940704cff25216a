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
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import metrics
from bench.metrics import Outcome
from bench.stats import Interval, crossed_interval, ratio_interval, resampled_interval
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
        for answer in sorted(self.answers(row), key=lambda answer: answer["item"]):
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
    found = []
    for path in sorted(folder.glob("*/manifest.json")):
        with suppress(UserError):
            found.append(load_run(path.parent))
    return found


def outcome(scores: Sequence[np.ndarray], targets: Sequence[int]) -> Outcome:
    """The outcome of per-domain means: scores[d] (..., R), R = plain rows, method rows, end."""
    table = np.stack(scores, -1)  # (..., R, T)
    rows = (table.shape[-2] - 1) // 2
    return Outcome(table[..., :rows, :], table[..., rows : 2 * rows, :], table[..., -1, :], tuple(targets))


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

    def undefined(name: str, why: str) -> None:
        found[name] = {"estimate": None, "why": why, "seeds": len(runs)}

    def weighted(metric: Any, columns: Sequence[int]) -> list[np.ndarray]:
        return _strata(cells, targets, metric, columns)

    if significant:
        ends = ratio_interval(weighted(metrics.recovered, targets), weighted(metrics.damage, targets))
        found["recovery ratio"] = _shown(Interval(float(metrics.recovery_ratio(mean)), *ends, len(runs)), 1)
    else:
        undefined("recovery ratio", "the damage is not significant")
    if mean.others:
        found["collateral"] = _shown(linear_interval(cells, targets, metrics.collateral), 100)
        found["collateral, worst"] = {"estimate": 100 * float(metrics.worst_collateral(mean)), "seeds": len(runs)}
        last = len(first.sequence) - 1
        found["collateral, last"] = _shown(linear_interval(cells, targets, lambda o: -metrics.recovered(o)[..., last]), 100)
    columns = range(len(first.sequence))
    why = "the stages' gain is not significant"
    if crossed_interval(weighted(metrics.gain, columns)).low > 0:
        ends = resampled_interval(lambda means: metrics.kept(outcome(means, targets)), cells)
        found["kept"] = _shown(Interval(float(metrics.kept(mean)), *ends, len(runs)), 1)
    else:
        undefined("kept", why)
    found["surplus"] = {"estimate": 100 * float(metrics.surplus(mean)), "seeds": len(runs)}
    earlier = weighted(metrics.gain, columns[:-1])
    if crossed_interval(earlier).low > 0:
        ends = ratio_interval(weighted(metrics.damage, columns[:-1]), earlier)
        found["normalized forgetting"] = _shown(Interval(float(metrics.normalized_forgetting(mean)), *ends, len(runs)), 1)
    else:
        undefined("normalized forgetting", why)
    found["BWT"] = _shown(linear_interval(cells, targets, metrics.backward_transfer), 100)
    found["FWT"] = _shown(linear_interval(cells, targets, metrics.forward_transfer), 100)
    found["final average"] = _shown(linear_interval(cells, targets, metrics.final_average), 100)
    return found


def linear_interval(cells: Sequence[np.ndarray], targets: Sequence[int], metric: Any, columns: Sequence[int] | None = None) -> Interval:
    """Interval of a metric that is linear in the scores; the mean over `columns` where it gives one value a domain."""
    return crossed_interval(_strata(cells, targets, metric, columns))


def _strata(cells: Sequence[np.ndarray], targets: Sequence[int], metric: Any, columns: Sequence[int] | None) -> list[np.ndarray]:
    """(S, I) a domain, whose means add up to the metric.

    The weights are read off by applying the metric to unit matrices, so that rules and intervals have one source.
    """
    rows, width = cells[0].shape[1], len(cells)
    units = np.eye(rows * width).reshape(rows * width, rows, width)
    values = metric(outcome([units[:, :, d] for d in range(width)], targets))
    if columns is not None:
        values = values[..., list(columns)].mean(-1)
    weights = values.reshape(rows, width)
    return [np.einsum("r,sri->si", weights[:, d], cells[d]) for d in range(width)]


def _shown(interval: Interval, scale: float) -> dict[str, Any]:
    def plain(value: float) -> float | None:
        return None if np.isnan(value) else scale * value

    return {
        "estimate": plain(interval.estimate),
        "low": plain(interval.low),
        "high": plain(interval.high),
        "seeds": interval.seeds,
    }
