"""A run's folder: what is in it and how it is read (`write.py` writes it, called by `runs/execute.py`). No torch; pandas only for frames.

manifest.json     what the run is and what it used, with the sha256 of every file below; written last, so a folder with one is complete
matrix.json       mean scores of every row, both decodings
metrics.json      every metric, both decodings, with intervals
also.json         scores of lm-eval's tasks, if --also was given
samples/*.gz      every answer of every scoring, one file a row of the matrix
training/*.jsonl  one line a step of every stage, and of what the repair trained
timing.json       wall time and what took it; the one file that differs between two runs of the same command
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.costs import AccessRecord, Cost
from bench.errors import UserError
from bench.results.answers import Answer, DamagedRunError, read_answers, table_of
from bench.results.rows import Row, Rows, rows_of
from bench.spec import MethodRecord, ModelRecord, RunSpec
from bench.suite import DECODINGS, Decoding

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 3
MANIFEST = "manifest.json"
Also = dict[str, dict[str, dict[str, tuple[float, float]]]]
"""Row's name -> task of lm-eval -> metric -> value and standard error."""


class SuiteRecord(BaseModel):
    """The suite that a run used. settings: those of its file that decide results."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    fingerprint: str
    comparable: bool
    settings: dict[str, Any]


class Manifest(BaseModel):
    """What a run is. checkpoints: a row's name -> content hash; distances: an anchor row's name -> a row's name -> Euclidean norm of the
    difference of their weights; cut: domain -> test prompts that were too long and lost their beginning; files: path -> sha256."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[3] = FORMAT
    spec: RunSpec
    suite: SuiteRecord
    model: ModelRecord
    method: MethodRecord
    sequence: tuple[str, ...]
    targets: tuple[str, ...]
    checkpoints: dict[str, str]
    distances: dict[str, dict[str, float]]
    cost: Cost
    cut: dict[str, int]
    numerics: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One finished run: its folder, read lazily and checked against the manifest's hashes, and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def seed(self) -> int:
        return self.manifest.spec.seed

    @property
    def sequence(self) -> tuple[str, ...]:
        return self.manifest.sequence

    @property
    def targets(self) -> tuple[str, ...]:
        return self.manifest.targets

    @property
    def access(self) -> AccessRecord:
        """What its method used in addition to the last checkpoint."""
        return self.manifest.cost.access.beside(self.sequence[-1])

    @cached_property
    def rows(self) -> Rows[Row]:
        """The rows of its score matrix."""
        method = self.manifest.method
        return rows_of(self.sequence, own_stages=method.own_stages, repairs=method.repairs)

    @cached_property
    def matrix(self) -> dict[Decoding, Rows[tuple[float, ...]]]:
        """Decoding -> mean score in [0, 1] of every row, a number a domain in the order of the sequence."""
        stored = self._json("matrix.json")
        try:
            return {decoding: self.rows.map(lambda row, d=decoding: tuple(map(float, stored[d][row.name]))) for decoding in DECODINGS}
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged("matrix.json", error) from error

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """Decoding -> metric -> its value, as `bench.results.estimates` stores it."""
        return self._json("metrics.json")

    @cached_property
    def also(self) -> Also:
        """What tasks of lm-eval gave each row; empty without --also."""
        return self._json("also.json") if "also.json" in self.manifest.files else {}

    @cached_property
    def unmetered(self) -> tuple[str, ...]:
        """A line for each part of the method that computed more than it was charged for; empty where timing.json is gone."""
        try:
            return tuple(map(str, json.loads((self.folder / "timing.json").read_text(encoding="utf-8"))["unmetered"]))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return ()

    def answers(self, row: Row) -> Iterator[Answer]:
        """The answers of a row, by decoding, domain and item."""
        return read_answers(self.file(f"samples/{row.name}.jsonl.gz"), f"{self.folder}/samples/{row.name}.jsonl.gz")

    def training_files(self, row: Row) -> list[str]:
        """The logs of all trainings that led to a row, by name."""
        return sorted(name for name in self.manifest.files if name.startswith((f"training/{row.name}.", f"training/{row.name}-")))

    def logs(self, row: Row) -> list[dict[str, Any]]:
        """The lines of the first training that led to a row, one a step; empty for a checkpoint that was not trained here."""
        name = f"training/{row.name}.jsonl"
        if name not in self.manifest.files:
            return []
        try:
            return [json.loads(line) for line in self.file(name).decode().splitlines()]
        except ValueError as error:
            raise self._damaged(name, error) from error

    @cached_property
    def tables(self) -> dict[Row, dict[tuple[str, Decoding], np.ndarray]]:
        """Row -> (domain, decoding) -> (I, 3) by item: score, and 1 where the answer could be parsed, and where it ended."""
        return {row: self._table(row) for row in self.rows.distinct()}

    def _table(self, row: Row) -> dict[tuple[str, Decoding], np.ndarray]:
        name = f"samples/{row.name}.jsonl.gz"
        table = table_of(self.file(name), f"{self.folder}/{name}")
        sizes = {len(table.get((domain, decoding), ())) for domain in self.sequence for decoding in DECODINGS}
        if len(sizes) != 1 or min(sizes) < 2:
            raise self._damaged(name, "it lacks answers")
        return table

    def scores(self, decoding: Decoding) -> dict[str, np.ndarray]:
        """Domain -> (R, I): the rows of the baseline run, of the method, then the final model, by item."""
        return {domain: np.stack([self.tables[row][domain, decoding][:, 0] for row in self.rows]) for domain in self.sequence}

    def scores_frame(self) -> pd.DataFrame:
        """One line a row, domain and decoding: row, title, part, index, domain, decoding, items, score in [0, 1], and the shares of answers
        that could be parsed and that ended."""
        import pandas as pd

        lines = []
        for row, table in self.tables.items():
            where = {"row": row.name, "title": row.title, "part": row.part, "index": row.index}
            for (domain, decoding), values in table.items():
                means = dict(zip(("score", "parsed", "ended"), values.mean(0).tolist(), strict=True))
                lines.append(where | {"domain": domain, "decoding": decoding, "items": len(values)} | means)
        return pd.DataFrame(lines)

    def check(self) -> None:
        """Read everything once. `DamagedRunError` in one line where a file is missing, was changed, or cannot be read."""
        for name in self.manifest.files:
            self.file(name)
        for row in self.rows.distinct():
            self.logs(row)
        _ = self.matrix, self.metrics, self.also, self.tables

    def file(self, name: str) -> bytes:
        """A file's bytes. `DamagedRunError` where it is missing or not the one that the manifest names."""
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise DamagedRunError(f"{self.folder / name} cannot be read ({error.strerror}): rerun the command") from error
        if hashlib.sha256(content).hexdigest() != self.manifest.files.get(name):
            raise DamagedRunError(f"{self.folder / name} is not the file that the run wrote (its sha256 differs): rerun the command")
        return content

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self.file(name))
        except (ValueError, RecursionError) as error:
            raise self._damaged(name, error) from error

    def _damaged(self, name: str, why: object) -> DamagedRunError:
        return DamagedRunError(f"{self.folder / name} cannot be read ({' '.join(str(why).split())[:120]}): rerun the command")


def load_run(folder: str | Path) -> Run:
    """The run in a folder. `UserError` where there is none or it is not finished, `DamagedRunError` where its manifest cannot be read."""
    path = Path(folder)
    manifest = path / MANIFEST
    if not manifest.exists():
        raise UserError(f"{path}: no finished run there (no {MANIFEST}); `python -m bench list runs` lists those here")
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        found = content["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRunError(f"{manifest} cannot be read ({' '.join(str(error).split())[:120]}): rerun the command") from error
    if found != FORMAT:
        raise UserError(f"{path}: a run of format {found}, and this version reads format {FORMAT}: rerun the command, or remove the folder")
    try:
        return Run(path, Manifest.model_validate(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedRunError(f"{manifest}: {where}: {first['msg']}; rerun the command") from error


def find_runs(folder: Path) -> tuple[list[Run], list[str]]:
    """The finished runs directly below a folder, by name, and a line for each folder with a manifest that cannot be read."""
    found: list[Run] = []
    unreadable: list[str] = []
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        try:
            found.append(load_run(path.parent))
        except UserError as error:
            unreadable.append(str(error))
    return found, unreadable


def distinct_seeds(runs: list[Run]) -> list[Run]:
    """The runs, if they are different seeds of one entry: one suite, sequence, targets, method and settings. `UserError` otherwise."""
    first = runs[0]
    for run in runs[1:]:
        for kind, one, other in (
            ("suites", first.manifest.suite.fingerprint, run.manifest.suite.fingerprint),
            ("models", first.manifest.model, run.manifest.model),
            ("sequences", first.sequence, run.sequence),
            ("targets", first.targets, run.targets),
            ("methods", first.manifest.method.name, run.manifest.method.name),
            ("settings", first.manifest.method, run.manifest.method),
            ("devices", first.manifest.numerics.get("device"), run.manifest.numerics.get("device")),
            ("engines", first.manifest.spec.engine, run.manifest.spec.engine),
            ("null stages", first.manifest.spec.null, run.manifest.spec.null),
        ):
            if one != other:
                raise UserError(f"{first.name} and {run.name} have different {kind}: show seeds of one entry, or use `report`")
    seeds = [run.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"seed {next(s for s in seeds if seeds.count(s) > 1)} is there twice: show each seed of an entry once")
    return runs


def means(tables: Mapping[Row, Mapping[tuple[str, Decoding], np.ndarray]], sequence: tuple[str, ...]) -> dict[str, Any]:
    """matrix.json: decoding -> row's name -> mean score a domain."""
    return {
        decoding: {row.name: [float(table[domain, decoding][:, 0].mean()) for domain in sequence] for row, table in tables.items()}
        for decoding in DECODINGS
    }
