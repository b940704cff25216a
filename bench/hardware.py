"""What this machine has for this process: cores, memory, cards. In a container or a batch job that is less than there is. No torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import psutil

CONTROL_GROUPS = Path("/sys/fs/cgroup")
GROUPS_OF_THIS_PROCESS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Card:
    """An NVIDIA card, or a MIG slice of one. uuid: whole, as $CUDA_VISIBLE_DEVICES takes it; kind: its type, of a slice its UUID, since
    `nvidia-smi` lists no types of slices; free_gb: free memory in GB (1e9 bytes), None where it is not known."""

    uuid: str
    kind: str
    free_gb: float | None


@cache
def cards() -> tuple[Card, ...]:
    """The cards that $CUDA_VISIBLE_DEVICES leaves visible, in its order; its numbers are those of `nvidia-smi`, and the first entry that
    names no card ends it. Empty without `nvidia-smi`."""
    found = _all_cards()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or not found:
        return tuple(found.values())
    chosen: list[Card] = []
    for name in map(str.strip, visible.split(",")):
        if name.startswith("MIG-"):
            chosen.append(Card(name, name, None))
        elif name in found:
            chosen.append(found[name])
        elif name.startswith("GPU-") and (same := [card for card in found.values() if card.uuid.startswith(name)]):
            chosen.append(same[0])  # a UUID may be shortened
        else:
            break
    return tuple(dict.fromkeys(chosen))


def _all_cards() -> dict[str, Card]:
    """Number -> card, as `nvidia-smi` prints them. The free memory of a card that is cut into slices does not apply to a slice."""
    if shutil.which("nvidia-smi") is None:
        return {}
    asked = ["nvidia-smi", "--query-gpu=index,uuid,mig.mode.current,memory.free,name", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines() if done.returncode == 0 else []:
        fields = [field.strip() for field in line.split(",", 4)]
        if len(fields) == 5:  # else "No devices were found"
            index, uuid, sliced, free, kind = fields
            known = free.isdigit() and sliced != "Enabled"  # else "[N/A]" and the like
            found[index] = Card(uuid, kind, int(free) * 2**20 / 1e9 if known else None)
    return found


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
