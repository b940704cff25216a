"""Rows of answers as a submission stores them: one file per domain and decoding, one line per item, in it the answers of all models.

A row of answers is one model's answers to all test items under both decodings; in a file it is a column. Models answer one item alike, so
this takes a third of the space of one file per model, and an answer that several gave is scored once. An answer is a string, or a list with
one string where it was cut at the token limit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.suite import DECODINGS, Decoding
from leaderboard.files import packed, strict_json, unpacked_lines
from leaderboard.problems import RefusedError


class Written(NamedTuple):
    """An answer. ended: it was not cut at the token limit."""

    text: str
    ended: bool


Cell = tuple[str, Decoding]
"""Domain and decoding."""
RowOfAnswers = Mapping[Cell, Sequence[Written]]
"""A model's answers by cell, in order of the items."""


def cells_of(domains: Iterable[str]) -> list[Cell]:
    """In the order in which a row's digest takes them."""
    return [(domain, decoding) for domain in sorted(domains) for decoding in DECODINGS]


def cell_file(cell: Cell) -> str:
    """The file of a cell in a submission's folder."""
    return f"answers/{cell[0]}.{cell[1]}.jsonl.xz"


class CellDigest:
    """sha256 of the answers of one model in one cell, as they come."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, answer: Written) -> None:
        self._hash.update(_json(answer) + b"\n")

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def row_digest(cells: Mapping[Cell, str]) -> str:
    """The digest of a row, from those of its cells."""
    content = "".join(f"{domain} {decoding} {digest}\n" for (domain, decoding), digest in sorted(cells.items()))
    return hashlib.sha256(content.encode()).hexdigest()


def digest_of(row: RowOfAnswers) -> str:
    """The digest of a row."""
    digests = {}
    for cell, answers in row.items():
        digest = CellDigest()
        for answer in answers:
            digest.add(answer)
        digests[cell] = digest.hexdigest()
    return row_digest(digests)


def pack_rows(rows: Sequence[RowOfAnswers], cells: Iterable[Cell]) -> dict[str, bytes]:
    """Path -> content of the files that store rows, in this order; none for no rows."""
    return {cell_file(cell): packed(map(_line, zip(*(row[cell] for row in rows), strict=True))) for cell in cells if rows}


def unpack_cell(folder: Path, cell: Cell, columns: int, items: int) -> Iterator[list[Written]]:
    """The answers to each item, one of each model. `RefusedError` where the file is damaged or has another shape."""
    path, count = cell_file(cell), 0
    for count, line in enumerate(unpacked_lines(folder, path), start=1):
        where = f"line {count}"
        if count > items:
            raise RefusedError(path, where, f"too many lines: the suite has {items:,} test items")
        try:
            found = strict_json(line, deep=False)
            if not isinstance(found, list):
                raise ValueError("must be a list of answers")
            answers = [_answer(each) for each in found]
        except ValueError as error:
            raise RefusedError(path, where, str(error)) from error
        if len(answers) != columns:
            raise RefusedError(path, where, f"has {len(answers)} answers, but submission.json lists {columns} rows")
        yield answers
    if count < items:
        raise RefusedError(path, "", f"only {count:,} lines: the suite has {items:,} test items")


def _answer(value: object) -> Written:
    text, ended = (value[0], False) if isinstance(value, list) and len(value) == 1 else (value, True)
    if not isinstance(text, str):
        raise ValueError("an answer must be a string, or a list with one string if it was cut")
    text.encode()  # UnicodeEncodeError, a ValueError, for half a character
    return Written(text, ended)


def _line(answers: Iterable[Written]) -> bytes:
    return b"[" + b",".join(map(_json, answers)) + b"]"


def _json(answer: Written) -> bytes:
    return json.dumps(answer.text if answer.ended else [answer.text], ensure_ascii=False, separators=(",", ":")).encode()
