"""RULES.md is what the code applies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from typer.testing import CliRunner

from leaderboard import limits
from leaderboard.cli import app
from leaderboard.rules import rules
from leaderboard.verdicts import MEANINGS, Level

FOLDER = Path(limits.__file__).parent


def test_the_file_is_the_text() -> None:
    assert (FOLDER / "RULES.md").read_text(encoding="utf-8") == rules(), "python -m leaderboard rules > leaderboard/RULES.md"
    assert CliRunner().invoke(app, ["rules"]).output == rules()


def test_every_limit_is_in_it() -> None:
    text = rules()
    for number in (
        "0 to 4 or 0 to 9",
        "64 kB",
        "2,000 characters",
        "200 files",
        "5 MB",
        "15 MB",
        "5 % of the items",
        "0.1 %",
        "80 MB",
        "training-free 101 %",
    ):
        assert number in text


def test_every_level_has_a_meaning() -> None:
    assert tuple(MEANINGS) == get_args(Level)


def test_the_schema_is_for_other_programs() -> None:
    found = json.loads(CliRunner().invoke(app, ["schema"]).output)
    assert found["submission"]["additionalProperties"] is False
    assert {"schema", "name", "board", "claim", "rows", "files"} <= set(found["submission"]["required"])
    assert "cost" in found["run"]["required"]
