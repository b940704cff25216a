"""The one-folder rule."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.errors import UserError
from leaderboard.change import submitted

MINE = "leaderboard/submissions/mine/"


def test_a_change_of_one_folder() -> None:
    assert submitted([f"{MINE}submission.json", f"{MINE}runs/paper-s0.json"]) == "leaderboard/submissions/mine"


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([], "nothing below leaderboard/submissions/ was changed"),
        ([f"{MINE}method.py", "leaderboard/submissions/yours/method.py"], r"several submissions \(mine, yours\)"),
        (
            [f"{MINE}method.py", "leaderboard/verified/mine.json"],
            "leaderboard/verified/mine.json: a submission changes only its own folder",
        ),
        ([f"{MINE}method.py", "leaderboard/verify/whole.py"], "leaderboard/verify/whole.py"),
        ([f"{MINE}method.py", ".github/workflows/submission.yml"], r"\.github/workflows"),
        ([f"{MINE}method.py", "leaderboard/submissions/README.md"], "README.md: a submission changes only"),
        (["leaderboard/submissions/../verified/x"], "must be 3 to 40"),
        (["leaderboard/submissions/Mine/x"], "must be 3 to 40"),
        (["leaderboard/submissions/mi\x1b[2Jne/x"], r"mi\\x1b\[2Jne"),
    ],
)
def test_what_else_is_touched_is_named(paths: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        submitted(paths)


def test_a_change_of_one_evaluation() -> None:
    assert submitted(["leaderboard/evaluations/harder.json"]) == "leaderboard/evaluations/harder.json"
    for paths in (
        ["leaderboard/evaluations/harder.json", f"{MINE}method.py"],
        ["leaderboard/evaluations/a.py"],
        ["leaderboard/evaluations/../x.json"],
    ):
        with pytest.raises(UserError):
            submitted(paths)


def test_the_command_reads_what_git_prints() -> None:
    def change(paths: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-m", "leaderboard", "change"], input=paths, capture_output=True, check=False)

    done = change(b"leaderboard/submissions/mine/a b\0leaderboard/submissions/mine/\xff\0")
    assert (done.returncode, done.stdout) == (0, b"leaderboard/submissions/mine\n")
    refused = change(b"README.md\0")
    assert refused.returncode != 0
    assert b"README.md" in refused.stderr
