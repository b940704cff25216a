"""A filter of system calls for both sandboxes: what no method needs, and what namespaces do not keep apart.

Keyrings of the kernel (the sandbox would share its caller's), new namespaces, memory, segments and queues that no limit counts, watches on
folders (which would show when the disk limit looks at them), io_uring, eBPF and the like are refused; so are sockets of other families than
those that a network namespace covers. The numbers are those of the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl;
include/uapi/asm-generic/unistd.h for 64-bit ARM).
"""

from __future__ import annotations

import errno
import platform
import struct
import sys
from collections.abc import Mapping, Sequence

_ARCHITECTURES: Mapping[str, tuple[int, Mapping[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            "socket": 41, "clone": 56, "shmget": 29, "msgget": 68, "ptrace": 101, "pivot_root": 155, "mount": 165, "umount2": 166,
            "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "memfd_create": 319, "bpf": 321, "userfaultfd": 323,
            "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435, "memfd_secret": 447,
            "inotify_init": 253, "inotify_init1": 294, "fanotify_init": 300,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "socket": 198, "clone": 220, "shmget": 194, "msgget": 186, "ptrace": 117, "pivot_root": 41, "mount": 40, "umount2": 39,
            "add_key": 217, "request_key": 218, "keyctl": 219, "unshare": 97, "perf_event_open": 241, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "memfd_create": 279, "bpf": 280, "userfaultfd": 282,
            "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435, "memfd_secret": 447,
            "inotify_init1": 26, "fanotify_init": 262,
        },
    ),
}  # fmt: skip
"""Machine -> its AUDIT_ARCH, and the numbers of system calls."""
_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6."""
_NEW_USER = 0x10000000
_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Codes of classic BPF: load a word, jump if equal, if at least, if a bit is set; return."""
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`."""


def program(machine: str = "") -> bytes:
    """The filter for a machine (default: this one), 8 bytes an instruction, as `bwrap --seccomp` takes it. ValueError for a machine whose
    numbers are not known here."""
    name = machine or platform.machine()
    if name not in _ARCHITECTURES:
        raise ValueError(f"no filter of system calls for {name}")
    architecture, numbers = _ARCHITECTURES[name]
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if name == "x86_64":
        lines += [(_AT_LEAST, 0, 1, _X32), _refused(errno.ENOSYS)]
    for call, number in numbers.items():
        if call == "clone3":  # its flags lie in memory, which a filter cannot see; without it, libraries take clone
            lines += [(_EQUAL, 0, 1, number), _refused(errno.ENOSYS)]
        elif call == "clone":
            lines += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NEW_USER), _refused(errno.EPERM), _ALLOWED]
        elif call == "socket":
            known = [(_EQUAL, len(_FAMILIES) - place, 0, family) for place, family in enumerate(_FAMILIES)]
            lines += [(_EQUAL, 0, len(known) + 3, number), (_LOAD, 0, 0, _FIRST_ARGUMENT), *known, _refused(errno.EAFNOSUPPORT), _ALLOWED]
        else:
            lines += [(_EQUAL, 0, 1, number), _refused(errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *line) for line in [*lines, _ALLOWED])


_INSTALLER = """
import ctypes, os, signal, sys
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
code, libc = bytes.fromhex(sys.argv[1]), ctypes.CDLL(None, use_errno=True)
filter = Program(len(code) // 8, code)
for call in ((4, 0, 0, 0, 0), (38, 1, 0, 0, 0), (22, 2, ctypes.byref(filter), 0, 0)):
    if libc.prctl(*call):
        sys.exit("the filter of system calls was refused: " + os.strerror(ctypes.get_errno()))
child = os.fork()
if not child:
    os.execv(sys.argv[3], sys.argv[3:])
signal.signal(signal.SIGALRM, lambda *_: os._exit(124))
signal.alarm(int(sys.argv[2]))
ended = 0
while ended != child:
    ended, status = os.wait()
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""
"""Sets PR_SET_DUMPABLE (to 0: nobody else may write to its memory), PR_SET_NO_NEW_PRIVS and PR_SET_SECCOMP, starts another program, and
waits for it and for the orphans that it leaves, until an alarm."""


def filtered(inner: Sequence[str], seconds: int) -> list[str]:
    """The command `inner`, an absolute path and its arguments, behind the filter, on top of any that is there already. Fit to be the first
    process of a container: it ends after `seconds`, with whatever runs, even where nobody watches any more."""
    return [sys.executable, "-I", "-S", "-c", _INSTALLER, program().hex(), str(seconds), *inner]


_ALLOWED = (_RETURN, 0, 0, _ALLOW)


def _refused(error: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERRNO | error)
