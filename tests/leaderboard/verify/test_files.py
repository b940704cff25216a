"""Files: plain, known, of the sizes allowed, unchanged since packing, and strict JSON."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

import pytest
from forgeries import RUN, edit, put, refused, reseal

from leaderboard import files
from leaderboard.files import packed
from leaderboard.submission import FILE, LOGS, METHOD_FILE


def test_a_file_that_was_changed_after_packing(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("scores.greedy.repaired.1", 0.99), seal=False)
    refused(submissions / "mine", r"runs/paper-s2\.json: changed since packing \(its sha256 is not the one in submission\.json\)")


def test_names_that_lead_elsewhere(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("files", {"../../reference/submission.json": "0" * 64}))
    refused(
        submissions / "mine", r"submission\.json: files: lists \.\./\.\./reference/submission\.json, which is no file of this submission"
    )
    edit(submissions / "mine", FILE, put("board.sequence", "../paper"))
    refused(submissions / "mine", r"board\.sequence: must be a name of lowercase letters")


@pytest.mark.parametrize("kind", ["link", "hard link", "socket", "pipe"])
def test_what_is_not_a_plain_file(submissions: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = submissions / "mine"
    (folder / "README.md").unlink()
    monkeypatch.chdir(folder)
    if kind == "link":
        Path("README.md").symlink_to("/etc/passwd")
    elif kind == "hard link":
        Path("README.md").hardlink_to(Path("../reference/README.md"))
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("README.md")
    else:
        os.mkfifo("README.md")
    refused(folder, r"README\.md: (is a link, a device, or a folder in a folder: only plain files|is a hard link: replace it)")


@pytest.mark.parametrize("path", [FILE, RUN, "answers/math.greedy.jsonl.xz", LOGS, METHOD_FILE])
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "/etc/passwd", "."])
def test_links_are_never_followed(submissions: Path, path: str, target: str) -> None:
    (submissions / "mine" / path).unlink()
    (submissions / "mine" / path).symlink_to(target)
    refused(submissions / "mine", rf"{re.escape(path)}: (is a link|missing)")


def test_a_folder_that_is_a_link(submissions: Path) -> None:
    (submissions / "mine" / "runs").rename(submissions.parent / "elsewhere")
    (submissions / "mine" / "runs").symlink_to(submissions.parent / "elsewhere")
    refused(submissions / "mine", r"runs: is a link, a device, or a folder in a folder")


def test_a_pointer_of_git_lfs(submissions: Path) -> None:
    path = "answers/math.greedy.jsonl.xz"
    (submissions / "mine" / path).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    reseal(submissions / "mine", path)
    refused(submissions / "mine", r"answers/math\.greedy\.jsonl\.xz: is a Git LFS pointer, not the file itself")


@pytest.mark.parametrize("name", ["weights.pkl", "runs/x.pt", "a b.json", "answers/deeper/x.jsonl.xz", ".hidden"])
def test_files_that_do_not_belong(submissions: Path, name: str) -> None:
    file = submissions / "mine" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x")
    refused(submissions / "mine", re.escape(name.partition("/x.jsonl")[0]))


@pytest.mark.parametrize("path", ["answers/weights.greedy.jsonl.xz", "answers/math.beam.jsonl.xz", "notes.md"])
def test_files_that_nobody_looks_at(submissions: Path, path: str) -> None:
    """Even where submission.json names them."""
    (submissions / "mine" / path).write_bytes(packed([b"x"]))
    reseal(submissions / "mine", path)
    refused(submissions / "mine", rf"{re.escape(path)}: not part of this submission: remove it")
    refused(submissions / "mine", rf"submission\.json: files: lists {re.escape(path)}, which is no file of this submission")


def test_too_many_files(submissions: Path) -> None:
    for number in range(200):
        (submissions / "mine" / f"{number}.txt").write_text("x")
    refused(submissions / "mine", r"\.: has more than 200 files, the limit")


def test_too_many_bytes(submissions: Path) -> None:
    (submissions / "mine" / "README.md").write_bytes(b"x" * 5_000_001)
    refused(submissions / "mine", r"\.: the folder has 5,\d\d\d,\d\d\d bytes; the limit is 5,000,000")


@pytest.mark.parametrize("bomb", ["long line", "many lines"])
def test_a_decompression_bomb(submissions: Path, bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_UNPACKED", 20_000 if bomb == "many lines" else 10**9)
    path = "answers/math.greedy.jsonl.xz"
    zeros = b"0" * 2_000_000
    (submissions / "mine" / path).write_bytes(packed([zeros, zeros] if bomb == "long line" else [b'["' + b"0" * 9000 + b'"]'] * 3))
    reseal(submissions / "mine", path)
    said = r"has a line of more than 1,000,000 bytes" if bomb == "long line" else r"unpacks to more than 20,000 bytes"
    refused(submissions / "mine", rf"answers/math\.greedy\.jsonl\.xz: {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"seed": 1, "seed": 2}', "duplicate key 'seed'"),
        ('{"x": NaN}', "NaN is not a number in JSON"),
        ('{"x": -Infinity}', "-Infinity is not a number in JSON"),
        ('{"x": 1e999}', "the number 1e999 is not finite"),
        ('{"x": -0.0}', r"-0\.0 is a negative zero: write 0"),
        ("[" * 17 + "]" * 17, "nested more than 16 deep"),
        ("[" * 100_000, "nested more than 16 deep"),
        ('{"x": ' + "1" * 5000 + "}", r"not readable as JSON: the number 11111111111111111111\.\.\. has more than 30 digits"),
        ("{", "not readable as JSON: no JSON at line 1, column 2"),
        ("\ufeff{}", "not readable as JSON"),
        (" " * 1_000_001, "has more than 1,000,000 bytes, the limit for a JSON file"),
    ],
)
@pytest.mark.parametrize("path", [FILE, RUN])
def test_json_that_is_not_strict(submissions: Path, path: str, content: str, said: str) -> None:
    (submissions / "mine" / path).write_text(content, encoding="utf-8")
    if path != FILE:
        reseal(submissions / "mine", path)
    refused(submissions / "mine", rf"{re.escape(path)}: .*{said}")


def test_a_duplicate_key_is_found_at_once() -> None:
    """Not by comparing every key with all others, which takes a minute and a half in a file of the largest size: 32 times as many keys take
    about 32 times as long, not a thousand times."""

    def seconds(count: int) -> float:
        keys = [*range(count), count - 1]
        content = ("{" + ",".join(f'"{key}":0' for key in keys) + "}").encode()
        began = time.perf_counter()
        with pytest.raises(ValueError, match=f"duplicate key '{count - 1}'"):
            files.strict_json(content)
        return time.perf_counter() - began

    assert min(seconds(32_000) for _ in range(3)) < 200 * min(seconds(1_000) for _ in range(3))
