"""A run that is killed again and again ends with the same bytes as one that is not.

Renames are the moments that matter: every result appears by one. A `sitecustomize.py` on the path of the subprocesses counts them in
each process and sends SIGKILL, to the process itself, to its parent or to both, right before or right after the n-th.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

SABOTAGE = """
import os, signal, time

plan = os.environ.get("TEST_KILL", "")
if plan:
    number, when, victim = plan.split(":")
    worker = "worker" in open("/proc/self/cmdline").read().split("\\0")
    state = {"count": 0}
    replace = os.replace

    def kill():
        with open(os.environ["TEST_KILL_LOG"], "a") as log:
            log.write(plan + (" worker" if worker else " parent") + chr(10))
        if victim in ("parent", "both") and worker:
            os.kill(os.getppid(), signal.SIGKILL)
        if victim in ("worker", "both") or not worker:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)  # the parent is dead: this worker must end by itself

    def sabotaged(*args, **kwargs):
        state["count"] += 1
        mine = state["count"] == int(number)
        if mine and when == "before":
            kill()
        result = replace(*args, **kwargs)
        if mine and when == "after":
            kill()
        return result

    os.replace = sabotaged
"""


def command(suite: Path, out: Path, folder: Path, method: str = "none") -> list[str]:
    settings = {"none": [], "refresh": ["--set", "steps=6"], "rollback": ["--set", "prompts=8"]}[method]
    words = ["run", "--suite", str(suite), "--sequence", "math-qa", "--method", method, *settings, "--device", "cpu"]
    return [sys.executable, "-P", "-m", "bench", *words, "--out", str(out), "--cache", str(folder), "--jobs", "1"]


def environment(tmp_path: Path, plan: str, hash_seed: int) -> dict[str, str]:
    folder = tmp_path / "sabotage"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SABOTAGE, encoding="utf-8")
    return os.environ | {
        "PYTHONPATH": str(folder),
        "TEST_KILL": plan,
        "TEST_KILL_LOG": str(tmp_path / "kills.log"),
        "PYTHONHASHSEED": str(hash_seed),
    }


def fingerprint(out: Path) -> dict[str, str]:
    """Hash of every file of the run folders but the one with times."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in ("timing.json", ".lock")]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def killed_until_done(tmp_path: Path, suite: Path, *, method: str, longest_step: int, seed: int, enough: int = 200) -> int:
    """Run with sabotage, attempts growing longer; the number of kills until one came through. (The parent writes the run folder anew in
    every attempt, so kills at a fixed distance would never let it end.) enough: so many attempts are sabotaged, and those after are not."""
    draw = random.Random(seed)
    log = tmp_path / "kills.log"
    for attempt in range(200):
        victim = ("worker", "parent", "both")[attempt % 3]
        plan = f"{draw.randint(1, longest_step + attempt // 2)}:{draw.choice(('before', 'after'))}:{victim}" if attempt < enough else ""
        done = subprocess.run(
            command(suite, tmp_path / "out", tmp_path / "cache", method),
            env=environment(tmp_path, plan, attempt),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return len(log.read_text().splitlines()) if log.exists() else 0
        assert done.returncode in (-signal.SIGKILL, 2), done.stderr
    raise AssertionError("never came through")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, tiny_suite: Path) -> Callable[[str], dict[str, str]]:
    """Fingerprint of an uninterrupted run, by method."""

    @cache
    def found(method: str) -> dict[str, str]:
        folder = tmp_path_factory.mktemp(method)
        words = command(tiny_suite, folder / "out", folder / "cache", method)
        subprocess.run(words, env=environment(folder, "", 1), check=True, capture_output=True)
        return fingerprint(folder / "out")

    return found


def test_killed_a_few_times_it_ends_the_same(tmp_path, tiny_suite, reference):
    kills = killed_until_done(tmp_path, tiny_suite, method="none", longest_step=16, seed=3, enough=3)
    assert kills >= 3
    assert fingerprint(tmp_path / "out") == reference("none")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("method", ["refresh", "rollback"])
def test_killed_twenty_times_it_ends_the_same(tmp_path, tiny_suite, reference, method):
    kills = killed_until_done(tmp_path, tiny_suite, method=method, longest_step=5, seed=7)
    assert kills >= 20
    assert fingerprint(tmp_path / "out") == reference(method)


@pytest.mark.slow  # test_cache.py has one entry made by two processes
def test_two_processes_with_one_cache_give_one_result(tmp_path, tiny_suite, reference):
    running = [
        subprocess.Popen(
            command(tiny_suite, tmp_path / f"out-{number}", tmp_path / "cache"),
            env=environment(tmp_path, "", number),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in (1, 2)
    ]
    assert [process.wait() for process in running] == [0, 0]
    for number in (1, 2):
        assert fingerprint(tmp_path / f"out-{number}") == reference("none")
