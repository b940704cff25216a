"""How many worker processes fit on this machine, and the environment they run in. No torch."""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from contextlib import suppress

from bench import hardware
from bench.hardware import Card
from bench.suite import Suite


def on_cpu(device: str) -> bool:
    """Whether workers compute on the CPU: `auto` takes CUDA where it is."""
    return device == "cpu" or (device == "auto" and not hardware.has_cuda())


def places(device: str, suite: Suite, engine: str = "hf") -> tuple[str, ...]:
    """One entry for each worker of a suite that memory holds, at least one: the UUID of the card it is put on, "" on a CPU.

    On CUDA (`auto` takes it where it is) workers are spread over the cards. A card takes as many as its free memory holds, and one where
    that is not known. With another generation backend than hf it takes one: vLLM stops where others use its card as it starts. All cards
    are of one type, the one that holds most workers: on another type, the same seed is another draw.
    """
    if on_cpu(device):
        return ("",) * max(1, int(hardware.free_memory_gb() // suite.memory_gb))
    need = max(suite.gpu_memory_gb, suite.memory_gb)

    def room(card: Card) -> int:
        fit = 1 if card.free_gb is None else int(card.free_gb // need)
        return fit if engine == "hf" else min(fit, 1)

    by_kind: dict[str, list[Card]] = {}
    for card in hardware.cards():
        by_kind.setdefault(card.kind, []).append(card)
    if not by_kind:  # no `nvidia-smi` to ask
        return (os.environ.get("CUDA_VISIBLE_DEVICES", "0"),)
    same = max(by_kind.values(), key=lambda cards: (sum(map(room, cards)), _free(cards)))
    spread = [card.uuid for turn in range(max(map(room, same))) for card in same if turn < room(card)]
    return tuple(spread) or (max(same, key=lambda card: _free([card])).uuid,)


def _free(cards: Sequence[Card]) -> float:
    """GB that are known to be free on cards."""
    return sum(card.free_gb or 0.0 for card in cards)


def default_jobs(device: str, suite: Suite, engine: str = "hf") -> int:
    """Worker processes of a suite that fit: one a core, and no more than there are `places`."""
    return min(hardware.cores(), len(places(device, suite, engine)))


def short_of_memory(device: str, suite: Suite) -> str:
    """What main memory keeps from running, in words: workers of a suite on all cores, or even one; empty where nothing is kept."""
    free, need = hardware.free_memory_gb(), suite.memory_gb
    if not on_cpu(device) or free >= need * hardware.cores():
        return ""
    if free < need:
        return f"a worker needs about {need:g} GB of memory, and {free:.1f} GB are free: close other programs if it is killed"
    return f"memory for {int(free // need)} of {hardware.cores()} workers ({free:.1f} GB free, {need:g} GB each)"


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
