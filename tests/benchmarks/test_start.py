"""What starting costs: `--help` against an empty Python in the same run, and which modules the parent process loads.

python -m pytest tests/benchmarks/test_start.py -n 0
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("torch", "pandas", "scipy", "transformers")
MOST = 12
"""`--help` may take so many times as long as an empty Python."""
ROUNDS = 5
MINE = "from bench.method import Method\nimport torch, scipy\nclass Mine(Method):\n    def recover(self, *rest):\n        return rest[0]\n"


def seconds(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def test_help_takes_a_few_times_as_long_as_python() -> None:
    """The two take turns, so that both meet the same machine."""
    seconds("-P", "-m", "bench", "--help")  # compiles
    ratios = []
    for _ in range(ROUNDS):
        empty = seconds("-P", "-c", "pass")
        ratios.append(seconds("-P", "-m", "bench", "--help") / empty)
    assert statistics.median(ratios) <= MOST, ratios


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["run", "--dry-run"],
        ["compare", "--methods", "all,mine.py:Mine", "--dry-run"],
        ["run", "--method", "mine.py:Mine", "--dry-run"],
        ["tune", "--method", "refresh", "--dry-run"],
        ["run", "--suite", "gym", "--model", "absent/model", "--dry-run"],
    ],
    ids=" ".join,
)
def test_the_parent_process_loads_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    code = (
        f"import sys; sys.argv = ['bench', *{words!r}]\nfrom bench.cli import app\ntry:\n    app()\nexcept SystemExit as end:\n"
        f"    print('ENDED', end.code)\nprint('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    environment = os.environ | {"BENCH_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "HEAVY []" in done.stdout, done.stdout[-500:] + done.stderr[-500:]
    assert f"ENDED {2 if 'absent/model' in words else 0}" in done.stdout, done.stdout + done.stderr
