"""The commands of docs/submitting.md lead from finished runs to a verified folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from entries import write_runs
from typer.testing import CliRunner

from bench.suite import Suite
from leaderboard.cli import app
from leaderboard.submission import FILE

DOCS = Path(__file__).parents[2] / "docs"


def commands() -> list[list[str]]:
    """compare, pack, verify, and two reruns, as words without `python -m`."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / "submitting.md").read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line)[2:] for block in blocks for line in block.splitlines()]


def write_method(folder: Path) -> None:
    source, *_ = re.findall(r"```python\n(.*?)```", (DOCS / "writing-a-method.md").read_text(encoding="utf-8"), re.DOTALL)
    (folder / "nudge.py").write_text(source, encoding="utf-8")


def fill_in(folder: Path) -> None:
    """What the page tells the author to do by hand."""
    content: dict[str, Any] = json.loads((folder / FILE).read_text())
    content |= {"title": "Nudge", "authors": ["Ada Example"], "licences": {"code": "Apache-2.0", "data": "CC-BY-4.0"}}
    content["declared"] |= {"tuning_seeds": [100], "configurations_tried": 3, "scored_runs_seen": 0}
    content["declared"] |= {"external_data": "none", "external_compute": "none"}
    (folder / "README.md").write_text("# Nudge\n")
    (folder / FILE).write_text(json.dumps(content))


def test_the_pages_commands_on_finished_runs(suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_method(tmp_path)
    compare, pack, verify, *_ = commands()
    assert compare[:2] == ["bench", "compare"]
    write_runs(tmp_path / "scored", suite, "nudge.py:Nudge")
    write_runs(tmp_path / "scored", suite, "refresh")
    assert "packed; 9 problems to fix before you submit" in CliRunner().invoke(app, pack[1:]).output
    fill_in(tmp_path / "submissions" / "nudge")
    done = CliRunner().invoke(app, verify[1:])
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "submissions/nudge: verified")


def test_the_pages_re_runs(suite: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Their options are those of the command."""
    from leaderboard.rerun import rerun

    asked: list[tuple[Any, ...]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        rerun, "rerun", lambda names, seeds, public, place, bench, first: asked.append((names, seeds, public, bench.kind)) or []
    )
    for command in commands()[3:]:
        done = CliRunner().invoke(app, command[1:])
        assert done.exit_code == 0, done.output
    assert asked == [
        (["nudge"], "same", "drand ROUND RANDOMNESS", "bubblewrap"),
        (["nudge"], "fresh", "drand ROUND RANDOMNESS", "bubblewrap"),
    ]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_page(tmp_path: Path) -> None:
    """On the real suite: about a quarter of an hour on two cores."""
    write_method(tmp_path)
    environment = os.environ | {"BENCH_CACHE": str(tmp_path / "cache")}
    for command in commands()[:3]:
        done = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        if command[1] == "pack":
            fill_in(tmp_path / "submissions" / "nudge")
        else:
            assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("submissions/nudge: verified\n")
