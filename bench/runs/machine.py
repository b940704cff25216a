"""What this machine has to give: cores, memory, cards, how many worker processes fit, and the environment they run in. No torch."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import version

import psutil

from bench.suite import Suite


@cache
def cards() -> tuple[tuple[str, float], ...]:
    """(uuid, free memory in GB) of every NVIDIA card that $CUDA_VISIBLE_DEVICES leaves visible; empty without `nvidia-smi`."""
    if shutil.which("nvidia-smi") is None:
        return ()
    asked = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    allowed = None if visible is None else [part.strip() for part in visible.split(",")]
    found = []
    for line in done.stdout.splitlines() if done.returncode == 0 else []:
        index, uuid, free = (part.strip() for part in line.split(","))
        if (allowed is None or index in allowed or uuid in allowed) and free.isdigit():
            found.append((uuid, int(free) * 2**20 / 1e9))
    return tuple(found)


def has_cuda() -> bool:
    """Whether torch may find a CUDA device here, judged without loading it: a build for CUDA, and a card."""
    return not version("torch").endswith("+cpu") and bool(cards())


def cores() -> int:
    """Cores that this process may use: on a shared machine, often fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory_gb() -> float:
    """Main memory that processes can still take, in GB (1e9 bytes)."""
    return psutil.virtual_memory().available / 1e9


def on_cpu(device: str) -> bool:
    """Whether workers compute on the CPU: `auto` takes CUDA where a card is."""
    return device == "cpu" or (device == "auto" and not cards())


def default_jobs(device: str, suite: Suite) -> int:
    """Worker processes of a suite that fit: one a core, and no more than memory holds, on CUDA (`auto` takes it where it is) the cards'. At
    least one."""
    on_cards = sum(int(free // suite.gpu_memory_gb) for _, free in cards())  # none where cards cannot be asked: one holds a worker for sure
    fit = int(free_memory_gb() // suite.memory_gb) if on_cpu(device) else on_cards
    return max(1, min(cores(), fit))


def short_of_memory(device: str, suite: Suite) -> str:
    """What main memory keeps from running, in words: workers of a suite on all cores, or even one; empty where nothing is kept."""
    free, need = free_memory_gb(), suite.memory_gb
    if not on_cpu(device) or free >= need * cores():
        return ""
    if free < need:
        return f"a worker needs about {need:g} GB of memory, and {free:.1f} GB are free: close other programs if it is killed"
    return f"memory for {int(free // need)} of {cores()} workers ({free:.1f} GB free, {need:g} GB each)"


def card_of(worker: int, device: str) -> dict[str, str]:
    """Environment that puts worker number `worker` (from 0) on a card, round robin; empty where there is none to choose."""
    if device == "cpu" or len(cards()) < 2:
        return {}
    return {"CUDA_VISIBLE_DEVICES": cards()[worker % len(cards())][0]}


THREADS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment of a worker: one thread each. Two spinning threads on a busy machine were 40 times slower."""

MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**26), "MALLOC_TRIM_THRESHOLD_": str(2**30)}
"""More of it, for glibc: blocks up to 64 MiB come from the heap, and up to 1 GiB of freed heap stays with the process. By default glibc
returns every large tensor to the kernel, which has to clear its pages for the next one."""


def limit_threads() -> None:
    """The same for this process; before torch is loaded."""
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)


def allow_open_files(count: int) -> None:
    """Let this process hold `count` files open besides those it needs anyway: a comparison locks the folders of all its runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 256
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard))
