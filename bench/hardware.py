"""What this machine has for this process: cores, memory, cards. In a container or a batch job that is less than there is. No torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import psutil

CONTROL_GROUPS = Path("/sys/fs/cgroup")
GROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")


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
    """Cores that this process may use: by its affinity (which batch systems set), by its container's share of CPU time, rounded up, and by
    $LOKY_MAX_CPU_COUNT."""
    from joblib import cpu_count  # takes a quarter of a second

    return cpu_count()


def free_memory_gb() -> float:
    """Main memory that this process and its children can still take, in GB (1e9 bytes), within the limits of a container or job."""
    return min([psutil.virtual_memory().available, *_room()]) / 1e9


def _room() -> Iterator[float]:
    """What every control group that this process is in may still take, in bytes; nothing where there are no such limits.

    Cached files that nobody has read for a while count as free: the kernel drops them first.
    """
    for folder, (limit, used, cached) in _memory_groups():
        with suppress(OSError, ValueError):  # no group of this process, or "max"
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            taken = int((folder / used).read_text()) - int(statistics.get(cached, 0))
            yield max(0, int((folder / limit).read_text()) - taken)


def _memory_groups() -> Iterator[tuple[Path, tuple[str, str, str]]]:
    """Folders of the control groups that this process is in, with the files of limit and usage, and the statistic of cached files. In a
    container the group's path may be the host's; then only the root is there, and is the container's own."""
    with suppress(OSError, ValueError):  # no such file, or none of the form that we know
        for line in GROUPS_OF_THIS_PROCESS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                mount, names = CONTROL_GROUPS, ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                mount, names = CONTROL_GROUPS / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            inside = PurePosixPath(path).relative_to("/")
            if ".." not in inside.parts:  # else it lies outside what is mounted here
                yield from ((mount / group, names) for group in (inside, *inside.parents))
