"""Reading an untrusted folder: a link is not followed, wherever it leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from leaderboard.files import opened, read_bytes
from leaderboard.problems import RefusedError


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_link_to_plain_files_is_not_followed(tmp_path: Path, place: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.json").write_text("secret")
    (tmp_path / "mine").mkdir()
    if place == "folder":
        (tmp_path / "mine" / "runs").symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "mine" / "runs").mkdir()
        (tmp_path / "mine" / "runs" / "x.json").symlink_to(tmp_path / "elsewhere" / "x.json")
    with pytest.raises(RefusedError, match=r"runs/x\.json: cannot be read"):
        opened(tmp_path / "mine", "runs/x.json")


def test_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path, "x", 5, "a test") == b"12345"
    with pytest.raises(RefusedError, match="x: has more than 4 bytes, the limit for a test"):
        read_bytes(tmp_path, "x", 4, "a test")
