"""What lies in a submission's folder: exactly the files that its board and method call for, each as it was packed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.suite import Suite
from leaderboard.files import file_digest, read_bytes, read_json
from leaderboard.flaws import flaws
from leaderboard.limits import MAX_BYTES, MAX_BYTES_DESIGN, MAX_README
from leaderboard.problems import Problem, RefusedError
from leaderboard.rows import cell_file, cells_of
from leaderboard.runs import run_file
from leaderboard.submission import FILE, LOGS, METHOD_FILE, PLACEHOLDER, README, Submission

Model = TypeVar("Model", bound=BaseModel)


def read_model(folder: Path, path: str, kind: type[Model]) -> tuple[Model | None, list[Problem]]:
    """A JSON file as a type, or all that is wrong with it."""
    try:
        return kind.model_validate_json(read_json(folder, path), strict=True), []
    except RefusedError as refused:
        return None, [refused.problem]
    except ValidationError as error:
        return None, flaws(path, error)


def expected_files(submission: Submission, runs: Iterable[tuple[str, int]], domains: Iterable[str]) -> set[str]:
    """The paths that `files` names. Logs are there where any were written."""
    found = {run_file(*key) for key in runs}
    found |= {cell_file(cell) for cell in cells_of(domains)} if submission.rows else set()
    found |= set() if submission.method.from_package else {METHOD_FILE}
    return found | ({LOGS} if LOGS in submission.files else set())


def check_files(folder: Path, submission: Submission, sizes: Mapping[str, int], expected: set[str]) -> Iterator[Problem]:
    """sizes: the plain files that are there."""
    for path in sorted((expected | {README}) - set(sizes)):
        yield Problem(path, "", "missing")
    for path in sorted(set(submission.files) - expected):
        yield Problem(FILE, "files", f"lists {path}, which is no file of this submission")
    for path in sorted(set(sizes) - expected - {FILE, README}):
        yield Problem(path, "", "not part of this submission: remove it")
    for path in sorted(set(sizes) & expected):
        if path not in submission.files:
            yield Problem(path, "", f"not listed in `files` of {FILE}")
            continue
        try:
            if file_digest(folder, path) != submission.files[path]:
                yield Problem(path, "", f"changed since packing (its sha256 is not the one in {FILE}): restore it or pack again")
        except RefusedError as refused:
            yield refused.problem
    if README in sizes:
        yield from _check_readme(folder)


def _check_readme(folder: Path) -> Iterator[Problem]:
    try:
        text = read_bytes(folder, README, MAX_README, "a README").decode("utf-8", errors="replace")
    except RefusedError as refused:
        yield refused.problem
        return
    if PLACEHOLDER in text:
        yield Problem(README, "", f"still has a placeholder ({PLACEHOLDER}): replace it")


def check_size(submission: Submission, suite: Suite, sizes: Mapping[str, int]) -> Iterator[Problem]:
    """The folder's limit, by seeds and orders."""
    most = MAX_BYTES_DESIGN if submission.board.sequence in suite.designs else MAX_BYTES
    most *= max(1, len(submission.seeds) // 5)
    if sum(sizes.values()) > most:
        yield Problem(".", "", f"the folder has {sum(sizes.values()):,} bytes; the limit is {most:,}")
