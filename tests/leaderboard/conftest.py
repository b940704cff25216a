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


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Place]:
    """The folder of suites, and the board on them. Made once: it takes seconds."""
    folder = tmp_path_factory.mktemp("package")
    write_suites(folder / "suites")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.suite, "FOLDER", folder / "suites")
        return folder / "suites", _board(load_suite("small"), folder)


def _board(suite: Suite, folder: Path) -> Place:
    method = folder / "mine.py"
    method.write_text(MINE, encoding="utf-8")
    pack(write_runs(folder / "runs", suite, seeds=range(10)), "reference", folder / "submissions", WORDS)
    reference = Submission.model_validate_json((folder / "submissions" / "reference" / FILE).read_bytes())
    pack(write_runs(folder / "runs", suite, "refresh"), "refresh-4", folder / "submissions", WORDS, reference)
    pack(write_runs(folder / "runs", suite, f"{method}:Mine"), "mine", folder / "submissions", WORDS)
    place = Place(folder / "submissions", folder / "verified")
    judge(place, "reference", OWN)
    return place


@pytest.fixture(scope="module", autouse=True)
def suite(package: tuple[Path, Place]) -> Iterator[Suite]:
    """`small` is the only suite of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.suite, "FOLDER", package[0])
        yield load_suite("small")


@pytest.fixture(scope="module")
def board(package: tuple[Path, Place]) -> Place:
    """Accepted submissions, not to be changed: reference (the maintainers'), refresh-4 with rows of it, mine with its own rows."""
    return package[1]


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
