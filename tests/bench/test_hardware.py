"""What a machine has for this process: its cores, and its memory within the limits of a container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench import hardware

GB = 10**9


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose its cores")
def test_only_cores_that_this_process_may_use_count() -> None:
    before = os.sched_getaffinity(0)
    alone = f"import os; os.sched_setaffinity(0, {{{min(before)}}}); from bench import hardware; print(hardware.cores())"
    assert subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=True).stdout.split() == ["1"]
    assert hardware.cores() <= len(before)


class Groups:
    """Control groups as the kernel shows them, in a folder of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of_this_process(self, lines: str) -> None:
        (self.root / "self").write_text(lines)

    def limit(self, group: str, limit: str | float, used: float, cached: float, *, version: int = 2) -> None:
        """A group's limit ("max" for none), its usage, and how much of that is cached files, in bytes."""
        names = ("max", "current", "inactive_file") if version == 2 else ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
        folder = self.root / "mount" / ("" if version == 2 else "memory") / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"memory.{names[0]}").write_text(f"{limit if isinstance(limit, str) else int(limit)}\n")
        (folder / f"memory.{names[1]}").write_text(f"{int(used)}\n")
        (folder / "memory.stat").write_text(f"anon {int(used - cached)}\n{names[2]} {int(cached)}\n")


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Groups:
    """A machine with 100 GB free, and no group."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 100 * GB}))
    monkeypatch.setattr(hardware, "CONTROL_GROUPS", tmp_path / "mount")
    monkeypatch.setattr(hardware, "GROUPS_OF_THIS_PROCESS", tmp_path / "self")
    return Groups(tmp_path)


def test_memory_is_the_machines_where_nothing_limits_it(groups: Groups) -> None:
    assert hardware.free_memory_gb() == 100, "no control groups at all"
    groups.of_this_process("0::/user.slice\n")
    groups.limit("user.slice", "max", 3 * GB, 0)
    assert hardware.free_memory_gb() == 100
    groups.limit("user.slice", 640 * GB, 3 * GB, 0)
    assert hardware.free_memory_gb() == 100, "a limit that the machine cannot fill"


@pytest.mark.parametrize(("version", "line"), [(2, "0::/\n"), (1, "5:cpu:/docker/3f\n4:memory,hugetlb:/docker/3f\n0::/\n")])
def test_memory_of_a_container(groups: Groups, version: int, line: str) -> None:
    """A container sees its own group as the root; under version 1 its path is the host's."""
    groups.of_this_process(line)
    groups.limit("", 16 * GB, 7 * GB, 2.5 * GB, version=version)
    assert hardware.free_memory_gb() == 11.5, "cached files can be dropped"
    groups.limit("", 16 * GB, 17 * GB, 0, version=version)
    assert hardware.free_memory_gb() == 0
    groups.limit("", 16 * GB, 4 * GB, 0, version=version)
    (groups.root / "mount" / ("" if version == 2 else "memory") / "memory.stat").write_text("anon 1\n")
    assert hardware.free_memory_gb() == 12, "a kernel that says less"


def test_the_tightest_group_counts(groups: Groups) -> None:
    """A batch job is limited as a whole; its step, inside, is not."""
    groups.of_this_process("0::/slurm/job_7/step_0\n")
    groups.limit("slurm/job_7/step_0", "max", GB, 0)
    groups.limit("slurm/job_7", 32 * GB, 2 * GB, 0)
    groups.limit("slurm", 64 * GB, 10 * GB, 0)
    groups.limit("slurm/job_8", GB, 0, 0)
    assert hardware.free_memory_gb() == 30


@pytest.mark.parametrize("line", ["", "nonsense", "0::/../elsewhere\n", "0::relative\n"])
def test_groups_that_cannot_be_read_limit_nothing(groups: Groups, line: str) -> None:
    groups.of_this_process(line)
    groups.limit("", GB, 0, 0)
    groups.limit("../elsewhere", GB, 0, 0)
    assert hardware.free_memory_gb() == 100
