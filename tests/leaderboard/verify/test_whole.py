"""All of a submission: what `pack` made is accepted, and every problem is reported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from entries import write_runs
from forgeries import RUN, edit, put, refusals

import bench.suite
from bench.suite import Suite
from leaderboard.submission import FILE, METHOD_FILE
from leaderboard.verify import Place, verify


def test_what_pack_made_is_accepted(board: Place) -> None:
    for name in ("reference", "refresh-4", "mine"):
        assert [str(problem) for problem in verify(board.submissions / name, board).problems] == []


def test_the_same_numbers_as_the_runs(board: Place, suite: Suite, tmp_path: Path) -> None:
    from bench.results.estimates import measure

    runs = write_runs(tmp_path / "runs", suite, "refresh")
    found = verify(board.submissions / "refresh-4", board)
    for decoding in ("greedy", "sampled"):
        assert measure(found.runs, decoding) == measure(runs, decoding)
    assert found.runs[0].manifest.cost == runs[0].manifest.cost


def test_every_problem_is_reported(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, FILE, put("seeds", [0, 1]))
    edit(folder, FILE, put("board.base", "0" * 64))
    (folder / "a b.txt").write_text("x")
    lines = refusals(folder)
    for said in ("seeds", "board.base", "a b.txt"):
        assert any(said in line for line in lines), (said, lines)


def test_every_problem_of_the_files_is_reported(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, "runs/paper-s0.json", put("cost.stages", 0.1))
    edit(folder, RUN, put("checkpoints.baseline-0-base", "1" * 64))
    (folder / "extra.txt").write_text("x")
    (folder / METHOD_FILE).write_text("x = (")
    lines = refusals(folder)
    for said in ("cost.stages", "baseline-0-base", "extra.txt", "method.py: line 1"):
        assert any(said in line for line in lines), (said, lines)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert refusals(tmp_path / "nothing") == [".: no such folder"]
    assert refusals(tmp_path) == ["submission.json: missing: `python -m leaderboard pack` writes it"]


def test_without_torch(board: Place) -> None:
    """The whole of verification, ranking and the page."""
    script = f"""
import sys, pathlib, bench.suite
bench.suite.FOLDER = pathlib.Path({str(bench.suite.FOLDER)!r})
from leaderboard.page import page
from leaderboard.rank import leaderboard
from leaderboard.verify import Place
found = leaderboard(Place(pathlib.Path({str(board.submissions)!r}), pathlib.Path({str(board.verdicts)!r})))
assert len(found.rankings[0].standings) == 3 and page(found)
sys.exit('torch' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
