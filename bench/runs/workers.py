"""How many worker processes fit on this machine, and the environment they run in. No torch."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from bench import hardware
from bench.suite import Suite


def on_cpu(device: str) -> bool:
    """Whether workers compute on the CPU: `auto` takes CUDA where a card is."""
    return device == "cpu" or (device == "auto" and not hardware.cards())


def default_jobs(device: str, suite: Suite) -> int:
    """Worker processes of a suite that fit: one a core, and no more than memory holds, on CUDA (`auto` takes it where it is) the cards'. At
    least one."""
    on_cards = sum(int(free // suite.gpu_memory_gb) for _, free in hardware.cards())  # none where cards cannot be asked
    fit = int(hardware.free_memory_gb() // suite.memory_gb) if on_cpu(device) else on_cards
    return max(1, min(hardware.cores(), fit))


def short_of_memory(device: str, suite: Suite) -> str:
    """What main memory keeps from running, in words: workers of a suite on all cores, or even one; empty where nothing is kept."""
    free, need = hardware.free_memory_gb(), suite.memory_gb
    if not on_cpu(device) or free >= need * hardware.cores():
        return ""
    if free < need:
        return f"a worker needs about {need:g} GB of memory, and {free:.1f} GB are free: close other programs if it is killed"
    return f"memory for {int(free // need)} of {hardware.cores()} workers ({free:.1f} GB free, {need:g} GB each)"


def card_of(worker: int, device: str) -> dict[str, str]:
    """Environment that puts worker number `worker` (from 0) on a card, round robin; empty where there is none to choose."""
    if device == "cpu" or len(hardware.cards()) < 2:
        return {}
    return {"CUDA_VISIBLE_DEVICES": hardware.cards()[worker % len(hardware.cards())][0]}


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
