"""Folders that users name: usable, or one line that says why not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import Timeout

from bench.errors import UserError
from bench.files import MARKER, check_cache, check_checkpoints, check_folder, is_cache, lock_for, remove


def refused(path: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        check_folder(path, "--out")
    assert str(error.value).startswith("--out ")
    assert "\n" not in str(error.value)


def test_a_folder_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", "--out")
    check_folder(tmp_path / "a" / "b", "--out")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("check", [check_folder, check_cache])
def test_a_check_that_makes_nothing_leaves_a_folder_and_its_parents_alone(check: Callable[..., None], tmp_path: Path) -> None:
    check(tmp_path / "a" / "b", "--cache", make=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a" / "b").mkdir(parents=True)
    check(tmp_path / "a" / "b", "--cache", make=False)
    assert list((tmp_path / "a" / "b").iterdir()) == []
    for name, message in (("x" * 300, "name too long"), ("file/below", "is a file")):
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match=f"(?i){message}"):
            check(tmp_path / name, "--cache", make=False)


def test_a_file_in_its_place_or_on_its_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "file is a file, not a folder")
    refused(tmp_path / "file" / "below", "file is a file, not a folder")
    refused(Path(os.devnull), "is a file, not a folder")


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    refused(tmp_path / "link" / "below", "link is a link to a folder that does not exist")


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / ("x" * 300), "name too long")


def test_a_place_where_no_folder_can_be_made_is_refused() -> None:
    refused(Path("/proc/interference-bench"), "cannot be used")


@pytest.mark.parametrize(("number", "hint"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "choose another folder")])
def test_a_disk_that_takes_no_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str) -> None:
    def fail(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    refused(tmp_path, f"{os.strerror(number)}.*{hint}")


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs root, to become somebody else")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from bench.errors import UserError; from bench.files import check_cache\n"
        "os.setuid(65534)\ntry: check_cache(Path(sys.argv[1]))\nexcept UserError as error: print(error)"
    )
    tmp_path.chmod(0o755)
    (tmp_path / "ours").mkdir(mode=0o700)
    for place in (tmp_path / "ours", tmp_path / "ours" / "below", tmp_path / "new"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(place)],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.stdout.startswith(f"--cache {place}: cannot be used (Permission denied)"), done.stderr


def test_a_cache_is_marked_and_another_folder_is_not_made_one(tmp_path: Path) -> None:
    check_cache(tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [MARKER]
    (tmp_path / "new" / "entries").mkdir()
    check_cache(tmp_path / "new")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="not empty, and not a cache of interference-bench") as error:
        check_cache(tmp_path / "own")
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["thesis.tex"]


def test_the_marker_of_another_program_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# This file was created by pytest\n")
    with pytest.raises(UserError, match="not a cache of interference-bench"):
        check_cache(tmp_path)


def test_a_marker_that_another_process_is_writing_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".{MARKER}abc").write_text("")
    check_cache(tmp_path)
    assert (tmp_path / MARKER).exists()


def test_a_cache_that_another_process_marks_meanwhile_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees no marker, then the other's marker and folders."""
    (tmp_path / "entries").mkdir()
    seen = iter([False, True])
    monkeypatch.setattr("bench.files.is_cache", lambda folder: next(seen))
    check_cache(tmp_path)
    assert next(seen, None) is None


def test_checkpoints_of_another_cache_are_missed_by_name(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "abc").mkdir(parents=True)
    check_checkpoints(["abc"], tmp_path, "--from runs/x")
    with pytest.raises(UserError, match=r"--from runs/x: its checkpoints are not in the cache .*; pass the --cache"):
        check_checkpoints(["abc", "def"], tmp_path, "--from runs/x")


def test_one_command_at_a_time_changes_a_file_and_leaves_no_lock_beside_it(tmp_path: Path) -> None:
    file, cache = tmp_path / "verdicts" / "mine.json", tmp_path / "cache"
    file.parent.mkdir()
    with lock_for(file, cache):
        with pytest.raises(Timeout):
            lock_for(file.parent / ".." / "verdicts" / "mine.json", cache).acquire(timeout=0.1)
        lock_for(file.parent / "other.json", cache).acquire(timeout=0.1).lock.release()
    assert not list(file.parent.iterdir())
    assert is_cache(cache)


def test_remove_takes_whatever_is_there_and_no_links_target(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for name in ("link", "file", "dangling", "nothing"):
        remove(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target"]
    assert (target / "inner").exists()
    remove(target)
    assert list(tmp_path.iterdir()) == []
