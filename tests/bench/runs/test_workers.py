"""How many workers fit, the cards they are put on, and what the environment gives them."""

from __future__ import annotations

import math
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import hardware
from bench.errors import UserError
from bench.runs import pool, preflight, workers
from bench.suite import Suite, load_suite

A, B = "NVIDIA A100-SXM4-80GB", "NVIDIA H200"


@pytest.fixture
def cards_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes this a machine of 64 cores, a torch with CUDA, and an `nvidia-smi` that prints cards 0, 1, ... GPU-aa11, GPU-bb11, ... of
    given (type, free GB or what is printed instead, MIG mode). visible: $CUDA_VISIBLE_DEVICES."""

    def make(*cards: tuple[Any, ...], visible: str | None = None) -> None:
        lines = []
        for number, (kind, free, *sliced) in enumerate(cards):
            letters = 2 * "abcdef"[number]
            mib = free if isinstance(free, str) else math.ceil(free * 1e9 / 2**20)
            lines.append(f"{number}, GPU-{letters}11, {sliced[0] if sliced else '[N/A]'}, {mib}, {kind}")
        tool = tmp_path / "nvidia-smi"
        text, asked = "\n".join(lines or ["No devices were found"]), "index,uuid,mig.mode.current,memory.free,name"
        tool.write_text(f"#!/bin/sh\necho \"$@\" | grep -q {asked} || exit 2\ncat <<'END'\n{text}\nEND\n")
        tool.chmod(0o755)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        hardware.cards.cache_clear()

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware, "cores", lambda: 64)
    monkeypatch.setattr(hardware, "version", lambda package: "2.13.0+cu130")
    hardware.cards.cache_clear()
    yield make
    hardware.cards.cache_clear()


def uuids() -> list[str]:
    return [card.uuid for card in hardware.cards()]


def suite_of(**needs: float) -> Suite:
    return load_suite("micro").model_copy(update=needs)


@pytest.mark.parametrize(
    ("visible", "uuid"),
    [
        (None, ["GPU-aa11", "GPU-bb11", "GPU-cc11"]),
        ("2, GPU-aa11", ["GPU-cc11", "GPU-aa11"]),
        ("GPU-b", ["GPU-bb11"]),
        ("1,1", ["GPU-bb11"]),
        ("MIG-7f/1/0,0", ["MIG-7f/1/0", "GPU-aa11"]),
        ("0,-1,1", ["GPU-aa11"]),
        ("", []),
        ("GPU-ff", []),
    ],
)
def test_visible_cards_are_those_of_the_variable_whatever_names_it_mixes(
    cards_of: Callable[..., None], visible: str | None, uuid: list[str]
) -> None:
    cards_of((A, 80), (A, 80), (A, 80), visible=visible)
    assert uuids() == uuid


def test_a_card_whose_free_memory_is_not_known_takes_one_worker(cards_of: Callable[..., None]) -> None:
    cards_of((A, "[N/A]"), (A, "[Insufficient Permissions]"), (A, 80, "Enabled"))
    assert [card.free_gb for card in hardware.cards()] == [None] * 3
    assert workers.places("cuda", suite_of(gpu_memory_gb=2)) == ("GPU-aa11", "GPU-bb11", "GPU-cc11")


def test_no_cards_and_no_tool_are_no_error(cards_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    cards_of()
    assert uuids() == []
    monkeypatch.setenv("PATH", "/nowhere")
    hardware.cards.cache_clear()
    assert uuids() == []
    assert workers.on_cpu("auto")


@pytest.mark.parametrize(
    ("free", "need", "engine", "places"),
    [
        ((80, 1), 24, "hf", "aaa"),
        ((1, 80), 24, "hf", "bbb"),
        ((50, 100), 24, "hf", "ababbb"),
        ((10, 20), 24, "hf", "b"),
        ((80, 80), 24, "vllm", "ab"),
        ((80, 1), 24, "vllm", "a"),
    ],
)
def test_workers_are_counted_and_placed_by_the_room_on_each_card(
    cards_of: Callable[..., None], free: tuple[float, ...], need: float, engine: str, places: str
) -> None:
    cards_of(*((A, each) for each in free))
    found = workers.places("cuda", suite_of(gpu_memory_gb=need), engine)
    assert [uuid[4] for uuid in found] == list(places)
    assert workers.default_jobs("cuda", suite_of(gpu_memory_gb=need), engine) == len(places)


def test_workers_are_no_more_than_cores(cards_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    cards_of((A, 80))
    monkeypatch.setattr(hardware, "cores", lambda: 3)
    assert workers.default_jobs("auto", suite_of(gpu_memory_gb=2)) == 3


def test_a_run_keeps_to_cards_of_one_type(cards_of: Callable[..., None]) -> None:
    """On another type, the same seed is another draw; of two slices the types are not known."""
    cards_of((A, 30), (B, 80), (A, 30))
    assert workers.places("cuda", suite_of(gpu_memory_gb=24)) == ("GPU-bb11",) * 3
    assert workers.places("cuda", suite_of(gpu_memory_gb=24), "vllm") == ("GPU-aa11", "GPU-cc11")
    cards_of((A, 30), (B, 80))
    assert workers.places("cuda", suite_of(gpu_memory_gb=24), "vllm") == ("GPU-bb11",), "of equals the one with more memory"
    cards_of((A, 80), visible="MIG-1,MIG-2")
    assert workers.places("cuda", suite_of(gpu_memory_gb=24)) == ("MIG-1",)


def test_a_card_needs_no_less_than_a_cpu(cards_of: Callable[..., None]) -> None:
    """everyday has no `gpu_memory_gb`, and could not get one without another fingerprint."""
    cards_of((A, 80))
    assert workers.default_jobs("cuda", suite_of(gpu_memory_gb=2, memory_gb=8)) == 10
    assert workers.default_jobs("cuda", load_suite("everyday")) == 16
    assert workers.default_jobs("cuda", load_suite("gym")) == 1


@pytest.mark.parametrize("command", [bench.run, bench.tune])
def test_commands_start_one_vllm_worker_a_card(
    cards_of: Callable[..., None], command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards_of((A, 80), (A, 80), (A, 1))
    asked: list[tuple[int, Sequence[str]]] = []

    def asks(size: int, cache: Path, logs: Path, listen: Any, places: Sequence[str], *rest: Any) -> None:
        asked.append((size, places))
        raise UserError("asked")

    monkeypatch.setattr(pool, "Pool", asks)
    monkeypatch.setattr(preflight, "find_spec", lambda name: True)
    out = {"out": tmp_path / "runs"} if command is bench.run else {}
    with pytest.raises(UserError, match="asked"):
        command("refresh", device="cuda", engine="vllm", display=False, cache=tmp_path / "cache", **out)
    assert asked == [(2, ("GPU-aa11", "GPU-bb11"))]


def test_a_run_on_a_cpu_sees_no_card(cards_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    cards_of((A, 80))
    assert set(workers.places("cpu", suite_of())) == {""}
    monkeypatch.setattr(hardware, "version", lambda package: "2.13.0+cpu")
    assert set(workers.places("auto", suite_of())) == {""}, "a torch without CUDA"


@pytest.mark.parametrize(
    ("free", "jobs", "said"),
    [
        (322.0, 64, ""),
        (100.0, 20, "memory for 20 of 64 workers (100.0 GB free, 5 GB each)"),
        (4.94, 1, "a worker needs about 5 GB of memory, and 4.9 GB are free: close other programs if it is killed"),
    ],
)
def test_as_many_workers_as_memory_holds_or_cores_there_are(
    cards_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch, free: float, jobs: int, said: str
) -> None:
    cards_of((A, 80))
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
