"""Suite gym end to end, as a user runs it: a model in a folder, two domains, few steps, a repair, a report. And a domain of one's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.suite import load_suite

ROOT = Path(__file__).parents[3]

needs_gym = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason='needs reasoning-gym: pip install -e ".[gym]"')


def bench(*words: str, cwd: Path) -> str:
    command = [sys.executable, "-P", "-m", "bench", *words]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=500,
        env=os.environ | {"BENCH_CACHE": str(cwd / "cache"), "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def long_model(chat_model: Path, tmp_path: Path) -> Path:
    """The model with a context window for gym's prompts, which its small tokenizer cuts into more than a thousand tokens."""
    folder = Path(shutil.copytree(chat_model, tmp_path / "Tiny-Qwen3"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 2048}))
    return folder


@needs_gym
def test_gym_goes_the_whole_way_on_a_model_in_a_folder(long_model: Path, tmp_path: Path) -> None:
    words = ["run", "--suite", "gym", "--model", str(long_model), "--quick", "--sequence", "math-qa", "--device", "cpu", "--jobs", "1"]
    printed = bench(*words, "--method", "refresh", "--set", "steps=1", cwd=tmp_path)
    assert "refresh on gym/2" in printed
    bench("report", "runs", "--out", "report", cwd=tmp_path)
    stored = json.loads((tmp_path / "report" / "report.json").read_text())
    (board,) = stored["boards"]
    assert board["title"].startswith("gym/2 Tiny-Qwen3 · math-qa · targets single")
    assert board["target_domains"] == ["math"]
    scores = {row["title"]: row["score"]["greedy"] for row in board["matrices"][0]["rows"]}
    assert all(0 <= score <= 100 for row in scores.values() for score in row)
    assert any(entry["label"].startswith("refresh") for entry in board["entries"])


def test_gym_has_micros_sequences() -> None:
    gym, micro = load_suite("gym"), load_suite("micro")
    assert gym.sequences == micro.sequences
    assert gym.designs == micro.designs
    assert gym.base is None
