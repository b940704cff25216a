"""What this machine has to give: cores, cards, how many worker processes fit, and the environment they run in. No torch."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import version


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


def default_jobs(device: str, gpu_memory_gb: float) -> int:
    """Worker processes that fit: one a core, and on CUDA (`auto` takes it where it is) no more than the cards' free memory holds."""
    cores = os.cpu_count() or 1
    if device == "cpu" or not cards():
        return 1 if device == "cuda" else cores  # a card that cannot be asked holds one for sure
    return max(1, min(cores, sum(int(free // gpu_memory_gb) for _, free in cards())))


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
