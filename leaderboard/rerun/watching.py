"""What processes take, as /proc and the disk show it: memory, files, and files that no folder lists."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

DEEPEST = 64
"""Folders in folders."""


def living(pid: int) -> list[str]:
    """The folders in /proc of a process's threads. The first thread can end before the others, and its folder then shows nothing."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 (a file may vanish while it is looked at)
        folder = f"/proc/{pid}/task/{thread}"
        with suppress(FileNotFoundError, ProcessLookupError):
            state = Path(f"{folder}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
            found += [folder] if state not in "ZX" else []
    return found


def resident(pid: int) -> int:
    """Bytes of memory of a process."""
    pages = [0]
    for folder in living(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            pages.append(int(Path(f"{folder}/statm").read_text(encoding="utf-8").split()[1]))
    return max(pages) * os.sysconf("SC_PAGE_SIZE")


def nameless(pid: int) -> int:
    """Bytes of the ordinary files that a process holds open and that no folder lists."""
    sizes = {}
    for folder in living(pid):
        for name in os.listdir(f"{folder}/fd"):  # noqa: PTH208
            with suppress(OSError):
                found = Path(f"{folder}/fd/{name}").stat()
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0:
                    sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(sizes.values())


def taken(folder: Path, most: int) -> tuple[int, int] | None:
    """Bytes on disk and number of files below a folder, up to one more than `most` files; None where a folder is closed or too deep. Links
    count as themselves."""
    size, count, waiting = 0, 0, [(folder, 0)]
    while waiting and count <= most:
        place, depth = waiting.pop()
        if depth > DEEPEST:
            return None
        try:
            entries = os.scandir(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        with entries:
            for entry in entries:
                count += 1
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((Path(entry.path), depth + 1))
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
                if count > most:
                    break
    return size, count
