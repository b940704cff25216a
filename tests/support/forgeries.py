"""Forges submissions as a careful author would, and asks verification what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.files import file_hash
from bench.suite import Suite
from leaderboard.rows import Written, cell_file, cells_of, pack_rows, unpack_cell
from leaderboard.submission import FILE, Submission
from leaderboard.verify import Place, verify

RUN = "runs/paper-s2.json"


def place_of(folder: Path) -> Place:
    """The place of a copy of the board."""
    return Place(folder.parent, folder.parents[1] / "verified")


def refusals(folder: Path) -> list[str]:
    return [str(problem) for problem in verify(folder, place_of(folder)).refusals]


def warnings(folder: Path) -> list[str]:
    return [str(problem) for problem in verify(folder, place_of(folder)).warnings]


def refused(folder: Path, pattern: str) -> None:
    """One of the refusals matches; all are single lines."""
    lines = refusals(folder)
    assert any(re.search(pattern, line) for line in lines), lines
    assert all("\n" not in line for line in lines)


def edit(folder: Path, path: str, change: Callable[[Any], None], *, seal: bool = True) -> None:
    """Change a JSON file; with `seal`, its sha256 in submission.json too, as a forger would."""
    content = json.loads((folder / path).read_text())
    change(content)
    (folder / path).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    if seal and path != FILE:
        reseal(folder, path)


def reseal(folder: Path, *paths: str) -> None:
    def sign(content: dict[str, Any]) -> None:
        content["files"] |= {path: file_hash(folder / path) for path in paths}

    edit(folder, FILE, sign)


def put(path: str, value: Any) -> Callable[[Any], None]:
    """Sets a value by its place, as in "board.device" or "rows.0"."""

    def change(content: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            content = content[int(step) if isinstance(content, list) else step]
        content[int(last) if isinstance(content, list) else last] = value

    return change


def rewrite_answers(folder: Path, suite: Suite, change: Callable[[tuple[str, str], int, list[Written]], list[Written]]) -> None:
    """Changes answers cell by cell and item by item, and states the new digests everywhere, as a careful forger would."""
    from leaderboard.rows import digest_of

    submission = Submission.model_validate_json((folder / FILE).read_bytes())
    rows: list[dict[tuple[str, str], list[Written]]] = [{} for _ in submission.rows]
    cells = cells_of(suite.tasks)
    for cell in cells:
        for place, answers in enumerate(unpack_cell(folder, cell, len(rows), suite.test_items)):
            for row, answer in zip(rows, change(cell, place, answers), strict=True):
                row.setdefault(cell, []).append(answer)
    new = [digest_of(row) for row in rows]
    names = dict(zip(submission.rows, new, strict=True))
    for path, content in pack_rows(rows, cells).items():
        (folder / path).write_bytes(content)
    edit(folder, FILE, put("rows", new))
    for file in sorted((folder / "runs").iterdir()):
        edit(folder, f"runs/{file.name}", lambda run: run["rows"].update({name: names.get(d, d) for name, d in run["rows"].items()}))
    reseal(folder, *(cell_file(cell) for cell in cells))
