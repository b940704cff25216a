"""Stored answers: one a checkpoint, domain, decoding and item, as JSON lines, gzipped. Every score can be counted from them. No torch."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from bench.errors import UserError
from bench.suite import Decoding


class DamagedRunError(UserError):
    """A run folder that cannot be read, or whose files are not those that were written."""


class Answer(BaseModel):
    """One stored answer. score in [0, 1]; parsed: the verifier could read it; ended: it was not cut at the token limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: str
    decoding: Decoding
    item: int
    prompt: str
    answer: str
    score: float = Field(ge=0, le=1)
    parsed: bool
    ended: bool


def written(answers: Iterable[Answer]) -> bytes:
    """A file of samples: one JSON object a line, gzipped, the same bytes for the same answers."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        for answer in answers:
            file.write(answer.model_dump_json().encode() + b"\n")
    return buffer.getvalue()


def read_answers(content: bytes, where: str) -> Iterator[Answer]:
    """The answers in the bytes of a file of samples. `DamagedRunError` that names `where`."""
    try:
        with gzip.open(io.BytesIO(content), "rt", encoding="utf-8") as lines:
            for line in lines:
                yield Answer.model_validate_json(line)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DamagedRunError(f"{where} cannot be read ({' '.join(str(error).split())[:120]}): rerun the command") from error


_TABLES: dict[str, dict[tuple[str, Decoding], np.ndarray]] = {}
"""Tables already read, by the hash of their bytes: the runs of a comparison share their baseline rows."""


def table_of(content: bytes, where: str) -> dict[tuple[str, Decoding], np.ndarray]:
    """(domain, decoding) -> (I, 3) by item: score, parsed, ended. Not to be written to."""
    key = hashlib.sha256(content).hexdigest()
    if key not in _TABLES:
        found: dict[tuple[str, Decoding], list[tuple[float, bool, bool]]] = {}
        for answer in sorted(read_answers(content, where), key=lambda answer: answer.item):
            found.setdefault((answer.domain, answer.decoding), []).append((answer.score, answer.parsed, answer.ended))
        _TABLES[key] = {where: np.array(values, dtype=float) for where, values in found.items()}
    return _TABLES[key]
