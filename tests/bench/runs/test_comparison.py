"""A comparison from the outside: one failure does not stop the others, and a rerun computes what is missing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from bench.results.run import Run, find_runs

Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def suite(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ten-step suite with a design of two orders."""
    content = yaml.safe_load(tiny_suite.read_text())
    content |= {"sequences": {"math-qa": ["math", "qa"], "qa-math": ["qa", "math"]}, "designs": {"both": ["math-qa", "qa-math"]}}
    path = tmp_path_factory.mktemp("suite") / "two.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_comparison_survives_a_failure_and_goes_on(suite: Path, tmp_path: Path, bench: Bench, run_of: Callable[..., Run]) -> None:
    own = tmp_path / "mine.py"
    text = "from bench.method import Method\nclass Broken(Method):\n    def recover(self, checkpoint, targets, history):\n        "
    own.write_text(text + "raise RuntimeError('on purpose [/x]')\n")
    place = ["--suite", suite, "--device", "cpu", "--out", tmp_path / "runs", "--cache", tmp_path / "cache", "--targets", "all"]
    words = ["compare", "--methods", f"rollback[prompts=8],{own}:Broken", "--sequence", "both", "--seeds", "1", *place]

    planned = bench(*words, "--dry-run").stdout
    assert "6 runs: 4 stages (0 in the cache), 4 repairs (0 in the cache)" in planned
    assert not (tmp_path / "runs").exists()

    done = bench(*words, code=2)
    assert "rollback" in done.stdout, "the finished runs are compared"
    printed = done.stdout + done.stderr
    assert "2 of 6 runs failed, 4 of 6 are finished" in printed
    failed = [
        line for line in printed.splitlines() if "recover failed: RuntimeError: on purpose [/x] (mine.py:4 in recover) (log: " in line
    ]
    assert len([line for line in failed if line.startswith("  two-")]) == 2
    log = Path(failed[-1].split("(log: ")[1].split(")")[0])
    assert "on purpose" in log.read_text()
    assert len(find_runs(tmp_path / "runs")[0]) == 4

    own.write_text(text + "return checkpoint\n")
    done = bench(*words, *(["--log-to", "tensorboard"] if find_spec("tensorboard") else []))
    assert "6 runs: 4 stages (4 in the cache), 4 repairs (2 in the cache)" in done.stdout
    assert "steps, last reward" not in done.stderr, "a stage was trained again"
    assert len(find_runs(tmp_path / "runs")[0]) == 6
    if find_spec("tensorboard"):
        folder = run_of(tmp_path / "runs", "none", sequence="math-qa").folder
        assert _curve(folder / "tensorboard" / "baseline-1-math") == list(range(1, 11))


def _curve(folder: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Tensors("math/reward/math")]
