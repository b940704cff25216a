"""How many workers fit, the cards they are put on, and what the environment gives them."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import hardware
from bench.runs import workers
from bench.suite import Suite, load_suite


@pytest.fixture
def three_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of 64 cores and three cards, the last one hidden."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aa, 40000'\necho '1, GPU-bb, 9000'\necho '2, GPU-cc, 40000'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, GPU-bb")
    monkeypatch.setattr(hardware, "cores", lambda: 64)
    hardware.cards.cache_clear()
    yield
    hardware.cards.cache_clear()


def test_cards_are_shared_out(three_cards: None) -> None:
    assert [uuid for uuid, _ in hardware.cards()] == ["GPU-aa", "GPU-bb"]
    assert [workers.card_of(n, "cuda")["CUDA_VISIBLE_DEVICES"] for n in range(3)] == ["GPU-aa", "GPU-bb", "GPU-aa"]
    assert workers.card_of(0, "cpu") == {}


def suite_of(**needs: float) -> Suite:
    return load_suite("micro").model_copy(update=needs)


def test_as_many_workers_as_cards_have_memory_for(three_cards: None) -> None:
    assert workers.default_jobs("cuda", suite_of(gpu_memory_gb=2.0)) == 20 + 4  # 41.9 and 9.4 GB
    assert workers.default_jobs("auto", suite_of(gpu_memory_gb=100.0)) == 1


@pytest.mark.parametrize(
    ("free", "jobs", "said"),
    [
        (322.0, 64, ""),
        (100.0, 20, "memory for 20 of 64 workers (100.0 GB free, 5 GB each)"),
        (4.94, 1, "a worker needs about 5 GB of memory, and 4.9 GB are free: close other programs if it is killed"),
    ],
)
def test_as_many_workers_as_memory_holds_or_cores_there_are(
    three_cards: None, monkeypatch: pytest.MonkeyPatch, free: float, jobs: int, said: str
) -> None:
    monkeypatch.setattr(hardware, "free_memory_gb", lambda: free)
    assert workers.default_jobs("cpu", suite_of(memory_gb=5)) == jobs
    assert workers.short_of_memory("cpu", suite_of(memory_gb=5)) == said
    assert workers.short_of_memory("auto", suite_of(memory_gb=5)) == "", "the cards take the work"


CHURN = """
import resource, numpy
for _ in range(20):
    blocks = [numpy.ones(2**18) for _ in range(32)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""
"""64 MiB in blocks of 2 MiB, taken and freed twenty times; prints the page faults."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory settings are for glibc")
def test_freed_memory_stays_with_a_worker() -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    words = [sys.executable, "-c", CHURN]
    faults = [int(subprocess.run(words, env=env, capture_output=True, check=True).stdout) for env in (plain, plain | workers.MEMORY)]
    assert faults[1] < faults[0] / 4


def test_a_comparison_may_hold_more_files_open_than_the_shell_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 2000:
        pytest.skip("the hard limit is low here")
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        workers.allow_open_files(1000)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1256
        workers.allow_open_files(1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 1256, "never lowered"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
