"""A board with three submissions: the baseline run, refresh, and a method in a file of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from entries import MINE, WORDS, write_runs, write_suites

import bench.suite
from bench.suite import Suite, load_suite
from leaderboard.pack import pack
from leaderboard.submission import FILE, Submission


@pytest.fixture(scope="module", autouse=True)
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """`small` is the only suite of the package."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("package") / "suites"
    write_suites(folder)
    patch.setattr(bench.suite, "FOLDER", folder)
    yield load_suite("small")
    patch.undo()


@pytest.fixture(scope="module")
def board(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of accepted submissions, not to be changed: reference, refresh-4 with rows of the reference, mine with rows of its own."""
    folder = tmp_path_factory.mktemp("board")
    method = folder / "mine.py"
    method.write_text(MINE, encoding="utf-8")
    pack(write_runs(folder / "runs", suite), "reference", folder / "submissions", WORDS)
    reference = Submission.model_validate_json((folder / "submissions" / "reference" / FILE).read_bytes())
    pack(write_runs(folder / "runs", suite, "refresh"), "refresh-4", folder / "submissions", WORDS, reference)
    pack(write_runs(folder / "runs", suite, f"{method}:Mine"), "mine", folder / "submissions", WORDS)
    return folder / "submissions"


@pytest.fixture
def submissions(board: Path, tmp_path: Path) -> Path:
    """A copy of the board, to forge in."""
    return Path(shutil.copytree(board, tmp_path / "submissions"))
