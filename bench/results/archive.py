"""An archive: the scores of many runs in one small file, without prompts, answers and logs. No torch.

A zip with two kinds of members: manifests.jsonl, a line a run, and tables/SHA256.npz, the scores counted from one file of samples, under
that file's hash, which the manifests name. A table that several runs share (the rows of one baseline run) is stored once. Boards and
comparisons need nothing else, so every number of a result can be recomputed from its archive.
"""

from __future__ import annotations

import io
import json
import lzma
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.errors import UserError
from bench.files import write_bytes
from bench.results.rows import Row
from bench.results.run import Manifest, Run
from bench.suite import Decoding

_MANIFESTS = "manifests.jsonl"
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
