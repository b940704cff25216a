"""scripts/stage_gains.py: one stage from the base at a rate of its own, and what each domain scores before and after it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import stage_gains as script
import yaml

from bench.errors import UserError
from bench.suite import load_suite

ROOT = Path(__file__).parents[2]


def test_a_stage_is_trained_from_the_base_and_nothing_else(tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rate that was asked for: one so small that no answer changes."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    settings = yaml.safe_load(tiny_suite.read_text())
    suite = tmp_path / "tinier.yaml"
    suite.write_text(yaml.safe_dump(settings | {"validation_items": 8, "rl": settings["rl"] | {"steps": 2}}))
    command = [sys.executable, "scripts/stage_gains.py", "--suite", str(suite), "math:1e-30"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    header, _, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines())
    assert header == ["stage", "learning rate", *load_suite(str(tiny_suite)).domains]
    assert row[:2] == ["math", "1e-30"]
    scores = [re.fullmatch(r"(\d+\.\d) → (\d+\.\d)", cell) for cell in row[2:]]
    assert all(scores)
    assert all(before == after for before, after in (found.groups() for found in scores))
    kinds = [json.loads(file.read_text())["kind"] for file in (tmp_path / "cache" / "entries").rglob("entry.json")]
    assert kinds.count("training") == 1


def test_the_suite_of_a_trial_differs_in_its_rate_alone(tmp_path: Path) -> None:
    other, own = (
        yaml.safe_load(file.read_text()) for file in (script.with_rate("everyday", 3e-6, tmp_path), script.FOLDER / "everyday.yaml")
    )
    assert other["rl"].pop("learning_rate") == 3e-6
    del own["rl"]["learning_rate"]
    assert other == own
    assert load_suite(str(tmp_path / "everyday-3e-06.yaml")).base_folder.resolve() == (script.FOLDER / "everyday").resolve()


def test_a_domain_that_begins_no_order_is_named() -> None:
    assert script.order_of(load_suite("everyday"), "qa") == "balanced-4"
    with pytest.raises(UserError, match="no sequence of suite everyday begins with 'chess': take one of "):
        script.order_of(load_suite("everyday"), "chess")
