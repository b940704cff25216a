"""Writes a run's folder, whole or not at all: the manifest goes first and comes back last. No torch."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.files import write_bytes, write_json
from bench.results.rows import Row
from bench.results.run import MANIFEST, Also, Manifest, Run, means


@dataclass(frozen=True)
class Contents:
    """What lies behind a run's numbers. samples: files of answers, one a domain; logs: training logs, the row's own first; also: what
    lm-eval's tasks gave, empty without --also."""

    samples: Mapping[Row, tuple[Path, ...]]
    logs: Mapping[Row, tuple[Path, ...]]
    also: Also


def write_run(
    folder: Path, manifest: Manifest, contents: Contents, measure: Callable[[Run], dict[str, Any]], timing: Mapping[str, Any]
) -> Run:
    """The run, written into `folder` over whatever run was there. measure: the metrics of a run as plain data."""
    (folder / MANIFEST).unlink(missing_ok=True)
    hashes: dict[str, str] = {}

    def put(name: str, content: bytes) -> None:
        write_bytes(folder / name, content)
        hashes[name] = hashlib.sha256(content).hexdigest()

    for row, files in contents.samples.items():
        put(f"samples/{row.name}.jsonl.gz", _joined(files))
    for row, files in contents.logs.items():
        for number, file in enumerate(files, start=1):
            put(f"training/{row.name}.jsonl" if number == 1 else f"training/{row.name}-{number}.jsonl", file.read_bytes())
    if contents.also:
        put("also.json", _json(contents.also))
    run = Run(folder, manifest.model_copy(update={"files": hashes}))
    put("matrix.json", _json(means(run.tables, run.sequence)))
    put("metrics.json", _json(measure(run)))
    _remove_others(folder, set(hashes))
    write_json(folder / "timing.json", timing)
    finished = manifest.model_copy(update={"files": hashes})
    write_json(folder / MANIFEST, finished.model_dump(mode="json"))
    return Run(folder, finished)


def _remove_others(folder: Path, kept: set[str]) -> None:
    """Files of an earlier run that this one does not have."""
    for file in [folder / "also.json", *(folder / "samples").glob("*"), *(folder / "training").glob("*")]:
        if file.is_file() and str(file.relative_to(folder)) not in kept:
            file.unlink()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def _joined(files: Iterable[Path]) -> bytes:
    """Gzipped files as one, the same bytes for the same content."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as merged:
        for file in files:
            with gzip.open(file) as part:
                shutil.copyfileobj(part, merged)
    return buffer.getvalue()
