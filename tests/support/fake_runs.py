"""Run folders without training: scores are drawn item by item from given rates, then written as a real run is (on the path by pytest's
`pythonpath`; the fixture `build_run` gives `write`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.costs import AccessRecord, Cost
from bench.results.answers import Answer, written
from bench.results.estimates import measure
from bench.results.rows import Row, Rows, rows_of
from bench.results.run import Also, Manifest, Run, SuiteRecord
from bench.results.write import Contents, write_run
from bench.spec import Device, MethodRecord, ModelRecord, RunSpec
from bench.suite import DECODINGS

ORDER = ("code", "math", "qa", "cw")
BASELINE = np.array([[20, 40, 50, 50], [70, 41, 55, 50], [68, 90, 60, 49], [66, 85, 95, 50], [60, 60, 94, 80]]) / 100
CONTROLS = ("none", "revert", "sharpen", "interpolate", "random", "longer", "shrink", "relearn")


@dataclass(frozen=True)
class FakeRun:
    """A run to write. baseline: (5, 4) rates in [0, 1], columns in the order of `ORDER` whatever the sequence; final: the final model's
    rates, None without a repair; sampled_final: those at temperature 1 where they differ; unended: rate of answers that do not stop, in
    every cell of the baseline run's end; answer: the text of every answer of that row."""

    method: str = "none"
    final: tuple[float, ...] | list[float] | None = None
    seed: int = 0
    sampled_final: tuple[float, ...] | list[float] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    track: str = "light"
    repair_cost: float = 0.0
    access: AccessRecord = field(default_factory=AccessRecord)
    null: str = ""
    baseline: np.ndarray = field(default_factory=lambda: BASELINE)
    targets: str = "single"
    quick: bool = False
    own_stages: bool = False
    order: tuple[str, ...] = ORDER
    sequence: str = "paper"
    items: int = 120
    unended: float = 0.0
    answer: str = ""
    also: Also = field(default_factory=dict)
    device: Device = "auto"
    suite: str = "micro"

    @property
    def rows(self) -> Rows[Row]:
        return rows_of(self.order, own_stages=self.own_stages, repairs=self.final is not None and not self.own_stages)

    @property
    def spec(self) -> RunSpec:
        given = {"method": self.method, "settings": dict(self.settings), "targets": self.targets, "sequence": self.sequence}
        return RunSpec(suite=self.suite, **given, null=self.null, quick=self.quick, seed=self.seed, device=self.device)

    def rates(self, row: Row, decoding: str) -> np.ndarray:
        """(4,) rates of a row, columns by `ORDER`."""
        if row == self.rows.final and self.final is not None:
            return np.array(self.sampled_final if decoding == "sampled" and self.sampled_final is not None else self.final)
        return self.baseline[row.index]

    def samples(self, row: Row) -> bytes:
        """A file of answers."""
        last = row == self.rows.baseline[-1]
        rates = tuple(tuple(self.rates(row, decoding).tolist()) for decoding in DECODINGS)
        return _samples(row.name, rates, self.order, self.seed, self.items, self.unended if last else 0.0, self.answer if last else "")

    def manifest(self) -> Manifest:
        method = MethodRecord(
            reference=self.method, name=self.method, settings=dict(self.settings), source="a" * 64, track=self.track,
            control=self.method in CONTROLS, own_stages=self.own_stages, repairs=self.final is not None and not self.own_stages,
        )  # fmt: skip
        rows = self.rows
        targets = ("math",) if self.targets == "single" else self.order[:-1]
        own = [rows.after(self.order.index(target)) for target in targets]
        return Manifest(
            spec=self.spec,
            suite=SuiteRecord(id=f"{self.suite}/1", fingerprint="f" * 64, comparable=not self.quick, settings={"rl": {"steps": 60}}),
            model=ModelRecord(name="", revision="", content="b" * 64),
            method=method,
            sequence=self.order,
            targets=targets,
            checkpoints={row.name: f"{row.name}-{self.seed}" for row in rows.distinct()},
            distances={
                anchor.name: {row.name: self.distance(anchor, row) for row in rows.distinct()} for anchor in (rows.baseline[-1], *own)
            },
            cost=Cost(stages=1.0, repair=self.repair_cost, access=self.access),
            cut={},
            numerics={"device": "cpu", "torch": "2.13.0"},
            versions={"interference-bench": "0.1.0"},
        )

    def distance(self, anchor: Row, row: Row) -> float:
        """Every baseline row lies 3 (null: 2) from the next; another row lies 4 from the last one and 5 from all others."""
        if row.part == "baseline":
            return (2.0 if self.null else 3.0) * abs(anchor.index - row.index)
        return 4.0 if anchor == self.rows.baseline[-1] else 5.0

    def log(self, row: Row) -> str:
        """Twenty steps of rising reward on the row's domain."""
        rewards = np.linspace(0.3, 0.9, 20) + 0.02 * np.sin(np.arange(20) * (self.seed + 1))
        return "".join(json.dumps({"step": step, "reward": {row.domain: reward}}) + "\n" for step, reward in enumerate(rewards, 1))


@cache
def _samples(
    name: str, rates: tuple[tuple[float, ...], ...], order: tuple[str, ...], seed: int, items: int, unended: float, answer: str
) -> bytes:
    """An item is right where its own difficulty, nudged by seed and row, is below the rate. Every tenth answer cannot be parsed; of a
    hundred items the first 100 x unended do not stop where they are wrong."""
    found = []
    for domain in order:
        column = ORDER.index(domain)
        difficulty = np.random.default_rng([column, 7]).permutation((np.arange(items) + 0.5) / items)
        nudge = np.random.default_rng([seed, column, len(name)]).normal(0, 0.05, items)
        for decoding, by_domain in zip(DECODINGS, rates, strict=True):
            right = difficulty + nudge < by_domain[column]
            for item in range(items):
                ended = bool(right[item]) or item % 100 >= 100 * unended
                given = {"prompt": f"{domain}{item}=", "answer": answer or f"{name} says", "parsed": item % 10 != 0, "ended": ended}
                found.append(Answer(domain=domain, decoding=decoding, item=item, score=float(right[item]), **given))
    return written(found)


def write(out: Path, **fields: Any) -> Path:
    """The folder of a `FakeRun` below `out`, as `bench run` would write it."""
    fake = FakeRun(**fields)
    folder = out / fake.spec.folder_name()

    def measured(run: Run) -> dict[str, Any]:
        return {d: {name: value.to_json() for name, value in measure([run], d).items()} for d in DECODINGS}

    with TemporaryDirectory() as parts:
        samples = {row: (_put(Path(parts) / f"{row.name}.jsonl.gz", fake.samples(row)),) for row in fake.rows.distinct()}
        logs = {row: (_put(Path(parts) / f"{row.name}.jsonl", fake.log(row).encode()),) for row in samples if row.domain}
        write_run(folder, fake.manifest(), Contents(samples, logs, fake.also), measured, {"seconds": 1.0})
    return folder


def _put(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file
