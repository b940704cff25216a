"""The filter, run by a small machine for classic BPF; `test_hostile.py` has the kernel run it."""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
import time

import pytest

from leaderboard.rerun.seccomp import filtered, program

ALLOW, KILL = "allow", "kill"


def decided(machine: str, number: int, first: int = 0, architecture: int | None = None) -> str | int:
    """What the filter says of a call: allow, kill, or the errno."""
    own = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    data = struct.pack("=IIQQ", number, own if architecture is None else architecture, 0, first)
    code, at, word = program(machine), 0, 0
    while True:
        kind, yes, no, value = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if kind == 0x20:
            (word,) = struct.unpack_from("=I", data, value)
        elif kind == 0x06:
            return ALLOW if value == 0x7FFF0000 else KILL if value == 0x80000000 else value & 0xFFFF
        else:
            holds = {0x15: word == value, 0x35: word >= value, 0x45: bool(word & value)}[kind]
            at += yes if holds else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_other_call_is_allowed(machine: str) -> None:
    refused = {number for number in range(460) if decided(machine, number) != ALLOW}
    counts = {"x86_64": 26, "aarch64": 25}
    assert len(refused) == counts[machine], "all of the table but clone, whose flags decide; socket(0) is refused"


@pytest.mark.parametrize(("machine", "clone", "socket"), [("x86_64", 56, 41), ("aarch64", 220, 198)])
def test_what_arguments_decide(machine: str, clone: int, socket: int) -> None:
    assert decided(machine, clone, 0x003D0F00) == ALLOW, "a thread"
    assert decided(machine, clone, 0x10000000) == errno.EPERM, "a user namespace"
    assert [decided(machine, socket, family) for family in (1, 2, 10)] == [ALLOW] * 3
    assert [decided(machine, socket, family) for family in (16, 17, 40)] == [errno.EAFNOSUPPORT] * 3
    assert decided(machine, 435) == errno.ENOSYS, "clone3: libraries then take clone"


def test_calls_of_another_architecture_end_the_process() -> None:
    assert decided("x86_64", 250, architecture=0x40000003) == KILL
    assert decided("x86_64", 0x40000000 + 250) == errno.ENOSYS


def test_an_unknown_machine_is_no_machine_without_a_filter() -> None:
    with pytest.raises(ValueError, match="no filter of system calls for riscv64"):
        program("riscv64")


def test_a_command_behind_the_filter_keeps_its_arguments_and_its_exit_code_and_loses_the_calls() -> None:
    attempt = "import os, sys; print(sys.argv[1:]); os.memfd_create('x')"
    plain = [sys.executable, "-c", attempt, "a b", "--c"]
    free, behind = (subprocess.run(words, capture_output=True, text=True, check=False) for words in (plain, filtered(plain, 60)))
    assert (free.returncode, behind.returncode) == (0, 1)
    assert free.stdout == behind.stdout == "['a b', '--c']\n"
    assert "PermissionError: [Errno 1]" in behind.stderr


def test_a_command_behind_the_filter_ends_by_itself_where_nobody_watches() -> None:
    began = time.monotonic()
    done = subprocess.run(filtered([sys.executable, "-c", "import time; time.sleep(50)"], 1), check=False)
    assert done.returncode == 124
    assert time.monotonic() - began < 40
