"""Archives: many runs in small files, their scores in one, what the models wrote and their training logs in another. No torch.

An archive of scores is a zip with two kinds of members: manifests.jsonl, a line a run, and tables/SHA256.npz, the scores counted from one
file of samples, under that file's hash, which the manifests name. A table that several runs share (the rows of one baseline run) is stored
once. Boards and comparisons need nothing else, so every number of a result can be recomputed from its archive.

An archive of texts is a zip of texts/DOMAIN/DECODING.jsonl, a line an item with the answers of all models, and logs.jsonl, a line a
training. Models answer one item alike, so this takes a third of the space of a file a model. Prompts are left out: the suite gives them.
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UserError
from bench.files import write_bytes
from bench.results.rows import Row
from bench.results.run import Manifest, Run
from bench.suite import Decoding

_MANIFESTS = "manifests.jsonl"
_MODELS, _LOGS = "models.jsonl", "logs.jsonl"
_DAMAGE = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, lzma.LZMAError)
"""What reading a damaged archive raises; RuntimeError where a member seems to be encrypted or packed in an unknown way."""
Table = Mapping[tuple[str, Decoding], np.ndarray]
"""(domain, decoding) -> (I, 3) by item: score, parsed, ended."""


@dataclass(frozen=True)
class ArchivedRun(Run):
    """A run of which only the manifest and the scores are there. `folder` is its name below the archive; asking for another of its files
    raises `DamagedRunError`."""

    archived: Mapping[str, Table] = field(default_factory=dict, repr=False, compare=False)

    def _table(self, row: Row) -> Table:
        return self.archived[_samples(self, row)]


def write_archive(path: Path, runs: Iterable[Run]) -> None:
    """Store the manifests and scores of finished runs, whole or not at all: the same bytes for the same runs."""
    buffer = io.BytesIO()
    stored: set[str] = set()
    lines = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        for run in runs:
            lines.append(json.dumps({"name": run.name, "manifest": run.manifest.model_dump(mode="json")}, sort_keys=True))
            for row, table in run.tables.items():
                if _samples(run, row) not in stored:
                    stored.add(_samples(run, row))
                    archive.writestr(zipfile.ZipInfo(_member(_samples(run, row))), _packed(table), zipfile.ZIP_LZMA)
        archive.writestr(zipfile.ZipInfo(_MANIFESTS), "\n".join(lines), zipfile.ZIP_LZMA)
    write_bytes(path, buffer.getvalue())


def read_archive(path: Path) -> list[Run]:
    """The runs in an archive. `UserError` where there is none or it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [json.loads(line) for line in archive.read(_MANIFESTS).decode().splitlines()]
            tables: dict[str, Table] = {}
            runs = [ArchivedRun(path / line["name"], Manifest.model_validate(line["manifest"]), archived=tables) for line in found]
            for run in runs:
                for row in run.rows.distinct():
                    name = _samples(run, row)
                    if name not in tables:
                        tables[name] = _unpacked(archive.read(_member(name)))
    except _DAMAGE as error:
        raise UserError(f"{path}: not an archive of runs ({' '.join(str(error).split())[:120]})") from error
    return list(runs)


# --- texts


@dataclass(frozen=True)
class Texts:
    """What an archive of texts holds. answers: sha256 of a file of samples -> (domain, decoding) -> the answers by item; logs: sha256 of a
    training log -> its lines, one a step."""

    answers: Mapping[str, Mapping[tuple[str, Decoding], Sequence[str]]]
    logs: Mapping[str, Sequence[str]]


def archive_texts(path: Path, runs: Iterable[Run]) -> None:
    """Store the answers and training logs of finished runs, each once, whole or not at all: the same bytes for the same runs. The runs are
    of the same domains and numbers of items (ValueError otherwise)."""
    answers: dict[str, dict[tuple[str, Decoding], list[str]]] = {}
    logs: dict[str, list[str]] = {}
    for run in runs:
        for row in run.rows.distinct():
            if _samples(run, row) not in answers:
                own = answers[_samples(run, row)] = {}
                for answer in sorted(run.answers(row), key=lambda answer: answer.item):
                    own.setdefault((answer.domain, answer.decoding), []).append(answer.answer)
        for name, sha in run.manifest.files.items():
            if name.startswith("training/") and sha not in logs:
                logs[sha] = run.file(name).decode().splitlines()
    cells = sorted({cell for own in answers.values() for cell in own})
    if any(sorted(own) != cells for own in answers.values()):
        raise ValueError("the runs are not all of the same domains")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:

        def put(name: str, lines: Iterable[object]) -> None:
            content = "\n".join(json.dumps(line, separators=(",", ":")) for line in lines)
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_LZMA)

        put(_MODELS, list(answers))
        put(_LOGS, logs.items())
        for domain, decoding in cells:
            put(f"texts/{domain}/{decoding}.jsonl", zip(*(own[domain, decoding] for own in answers.values()), strict=True))
    write_bytes(path, buffer.getvalue())


def archived_texts(path: Path) -> Texts:
    """The texts in an archive of texts. `UserError` where there is none or it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:

            def lines(name: str) -> list[Any]:
                return [json.loads(line) for line in archive.read(name).decode().splitlines()]

            models = list(map(str, lines(_MODELS)))
            answers: dict[str, dict[tuple[str, Decoding], Sequence[str]]] = {model: {} for model in models}
            for name in archive.namelist():
                if name not in (_MODELS, _LOGS):
                    _, domain, decoding = name.removesuffix(".jsonl").split("/")
                    for model, texts in zip(models, zip(*lines(name), strict=True), strict=True):
                        answers[model][domain, decoding] = texts
            return Texts(answers, {str(sha): list(map(str, steps)) for sha, steps in lines(_LOGS)})
    except _DAMAGE as error:
        raise UserError(f"{path}: not an archive of texts ({' '.join(str(error).split())[:120]})") from error


def _samples(run: Run, row: Row) -> str:
    """The sha256 of the file of samples that a row's scores come from."""
    return run.manifest.files[f"samples/{row.name}.jsonl.gz"]


def _member(name: str) -> str:
    return f"tables/{name}.npz"


def _packed(table: Table) -> bytes:
    """The arrays of a table as an .npz, by "domain/decoding". Not compressed: the archive does that."""
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{domain}/{decoding}": values for (domain, decoding), values in table.items()})
    return buffer.getvalue()


def _unpacked(content: bytes) -> Table:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        keys = {name: name.partition("/") for name in arrays.files}
        return {(domain, decoding): arrays[name] for name, (domain, _, decoding) in keys.items()}
