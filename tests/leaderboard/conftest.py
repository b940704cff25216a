"""A board with three submissions: the baseline run, refresh, and a method in a file of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from entries import MINE, WORDS, write_runs, write_suites
from verdict_files import judge

import bench.suite
from bench.suite import Suite, load_suite
from leaderboard.pack import pack
from leaderboard.submission import FILE, Submission
from leaderboard.verdicts import OWN
from leaderboard.verify import Place


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
def board(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Accepted submissions, not to be changed: reference (the maintainers'), refresh-4 with rows of it, mine with its own rows."""
    folder = tmp_path_factory.mktemp("board")
    method = folder / "mine.py"
    method.write_text(MINE, encoding="utf-8")
    pack(write_runs(folder / "runs", suite, seeds=range(10)), "reference", folder / "submissions", WORDS)
    reference = Submission.model_validate_json((folder / "submissions" / "reference" / FILE).read_bytes())
    pack(write_runs(folder / "runs", suite, "refresh"), "refresh-4", folder / "submissions", WORDS, reference)
    pack(write_runs(folder / "runs", suite, f"{method}:Mine"), "mine", folder / "submissions", WORDS)
    place = Place(folder / "submissions", folder / "verified")
    judge(place, "reference", OWN)
    return place


@pytest.fixture
def place(board: Place, tmp_path: Path) -> Place:
    """A copy of the board, to forge in."""
    shutil.copytree(board.submissions, tmp_path / "submissions")
    shutil.copytree(board.verdicts, tmp_path / "verified")
    return Place(tmp_path / "submissions", tmp_path / "verified")


@pytest.fixture
def submissions(place: Place) -> Path:
    """The folder of its submissions."""
    return place.submissions
