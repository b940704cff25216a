"""The command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.results.run import Run, find_runs

Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def bench() -> Bench:
    """`python -P -m bench WORDS`, its exit code checked. A refusal (code 2) is one line; nothing ever prints a traceback."""

    def run(
        *words: object, code: int = 0, cwd: Path | None = None, lines: int | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "bench", *map(str, words)]
        done = subprocess.run(
            command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False, stdin=subprocess.PIPE, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        if lines is not None:
            assert len(done.stderr.strip().splitlines()) == lines, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def run_of() -> Callable[..., Run]:
    """The one run in a folder that matches: its method's name, and any fields of its spec."""

    def find(folder: Path, method: str, **spec: object) -> Run:
        runs, unreadable = find_runs(folder)
        assert not unreadable
        (found,) = [
            run
            for run in runs
            if run.manifest.method.name == method and all(getattr(run.manifest.spec, name) == value for name, value in spec.items())
        ]
        return found

    return find
