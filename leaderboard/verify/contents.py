"""What lies in a submission's folder: the files that submission.json names, each as it was packed, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from bench.suite import Suite
from leaderboard.files import file_digest, read_json
from leaderboard.limits import MAX_BYTES, MAX_BYTES_DESIGN
from leaderboard.problems import Problem, RefusedError
from leaderboard.submission import FILE, LOGS, METHOD_FILE, PLACEHOLDER, README, Submission

_KNOWN = re.compile(
    rf"{re.escape(METHOD_FILE)}|{re.escape(LOGS)}|runs/[a-z0-9_-]+-s[0-9]+\.json|answers/[a-z_]+\.(greedy|sampled)\.jsonl\.xz"
)
Model = TypeVar("Model", bound=BaseModel)


def read_model(folder: Path, path: str, kind: type[Model]) -> tuple[Model | None, list[Problem]]:
    """A JSON file as a type, or all that is wrong with it."""
    try:
        read_json(folder, path)
        return kind.model_validate_json((folder / path).read_bytes(), strict=True), []
    except RefusedError as refused:
        return None, [refused.problem]
    except OSError as error:
        return None, [Problem(path, "", "missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}")]
    except ValidationError as error:
        flaws = error.errors(include_url=False, include_input=False)
        inner = {flaw["loc"][: len(flaw["loc"]) - 1] for flaw in flaws if len(flaw["loc"]) > 1}
        flaws = [flaw for flaw in flaws if flaw["loc"] not in inner]  # a list without its bad items is not too short as well
        return None, [Problem(path, ".".join(map(str, flaw["loc"])), flaw["msg"].removeprefix("Value error, ")) for flaw in flaws]


def check_files(folder: Path, submission: Submission, sizes: Mapping[str, int]) -> Iterator[Problem]:
    """sizes: the plain files that are there."""
    for path in sorted({README, *submission.files} - set(sizes)):
        yield Problem(path, "", "missing")
    if README in sizes and PLACEHOLDER in (folder / README).read_text(encoding="utf-8", errors="replace"):
        yield Problem(README, "", f"still has a placeholder ({PLACEHOLDER}): fill it in")
    for path in sorted(set(sizes) - {FILE, README}):
        if not _KNOWN.fullmatch(path):
            yield Problem(path, "", "no file of a submission: remove it")
        elif path not in submission.files:
            yield Problem(path, "", f"not named in {FILE}: files")
        else:
            try:
                if file_digest(folder, path) != submission.files[path]:
                    yield Problem(path, "", f"not the file that was packed: its sha256 differs from {FILE}: files")
            except RefusedError as refused:
                yield refused.problem


def check_size(submission: Submission, suite: Suite, sizes: Mapping[str, int]) -> Iterator[Problem]:
    """The folder's limit, by seeds and orders."""
    most = MAX_BYTES_DESIGN if submission.board.sequence in suite.designs else MAX_BYTES
    most *= max(1, len(submission.seeds) // 5)
    if sum(sizes.values()) > most:
        yield Problem(".", "", f"{sum(sizes.values()):,} bytes: the rules allow {most:,}")
