"""A finished run on disk: what is in its folder, how it is written and read. No torch.

manifest.json     what the run is and what it used; written last, so a folder with one is complete
matrix.json       mean scores: plain rows, method rows, the end; both decodings
metrics.json      every metric, both decodings, with intervals
samples/*.gz      every answer of every scoring, one file a row of the matrix
training/*.jsonl  one line a step of every stage, and of what the repair trained
timing.json       wall time; the one file that differs between two runs of the same command
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.files import file_hash

FORMAT = 2


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

    @cached_property
    def also(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """Row -> task of lm-eval -> metric -> value and standard error; empty where none was asked for."""
        file = self.folder / "also.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def seed(self) -> int:
        return self.manifest["spec"]["seed"]

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
        """The answers of a row, as `read_answers` gives them."""
        return read_answers(self.folder / "samples" / f"{row}.jsonl.gz")

    @cached_property
    def tables(self) -> dict[str, dict[tuple[str, str], np.ndarray]]:
        """Row -> (domain, decoding) -> (I, 2) by item: score, and 1 where the answer could be parsed."""
        needed = dict.fromkeys([*self.rows["baseline"], *self.rows["method"], *self.rows["final"]])
        return {row: read_table(self.folder / "samples" / f"{row}.jsonl.gz") for row in needed}

    def scores(self, decoding: str) -> dict[str, np.ndarray]:
        """Domain -> (R, I): the rows of the plain matrix, of the method's, then the end, by item."""
        needed = [*self.rows["baseline"], *self.rows["method"], *self.rows["final"]]
        return {domain: np.stack([self.tables[row][domain, decoding][:, 0] for row in needed]) for domain in self.sequence}


def read_answers(file: Path) -> Iterator[dict[str, Any]]:
    """The answers of a file of samples: domain, decoding, item, prompt, answer, score, parsed."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


_TABLES: dict[str, dict[tuple[str, str], np.ndarray]] = {}
"""Tables already read, by the file's hash: the runs of a comparison share their plain rows."""


def read_table(file: Path) -> dict[tuple[str, str], np.ndarray]:
    """(domain, decoding) -> (I, 2) by item, of a file of samples: score, and 1 where the answer could be parsed. Not to be written to."""
    content = file_hash(file)
    if content not in _TABLES:
        found: dict[tuple[str, str], list[tuple[float, bool]]] = {}
        for answer in sorted(read_answers(file), key=lambda answer: answer["item"]):
            found.setdefault((answer["domain"], answer["decoding"]), []).append((answer["score"], answer["parsed"]))
        _TABLES[content] = {key: np.array(values, dtype=float) for key, values in found.items()}
    return _TABLES[content]


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
    manifest.setdefault("model", {"name": "", "revision": "", "content": ""})  # before suites without a base, nobody named one
    return Run(path, manifest)


def find_runs(folder: Path) -> list[Run]:
    """Finished runs directly below a folder, by name."""
    found = []
    for path in sorted(folder.glob("*/manifest.json")):
        with suppress(UserError):
            found.append(load_run(path.parent))
    return found
