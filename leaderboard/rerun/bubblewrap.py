"""bubblewrap as a sandbox for submitted methods."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

from bench.errors import UserError
from leaderboard.rerun.sandbox import NOBODY, Confined, environment, installed
from leaderboard.rerun.seccomp import program


class Bubblewrap(Confined):
    """bubblewrap with namespaces of its own and no network. As root, the method runs as user `NOBODY`; otherwise as that user in a user
    namespace, where the limit on processes counts those of the caller too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if missing := [name for name in ("bwrap", "setpriv", "prlimit") if shutil.which(name) is None]:
            raise UserError(f"--sandbox bubblewrap: {missing[0]} is not installed; apt-get install bubblewrap util-linux")
        super().__init__(*args, **kwargs)

    def _started(self, folder: Path, inner: Sequence[str], errors: IO[bytes] | int, card: str) -> subprocess.Popen:
        """With a filter of system calls, which bwrap reads from a descriptor."""
        descriptor = os.memfd_create("filter")
        try:
            os.write(descriptor, program())
            os.lseek(descriptor, 0, os.SEEK_SET)
            command, pipe = self.command(folder, inner, descriptor), subprocess.PIPE
            return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, env=environment(card), pass_fds=(descriptor,))
        finally:
            os.close(descriptor)

    def _hand_over(self, folder: Path) -> None:
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                os.lchown(path, NOBODY, NOBODY)

    def command(self, folder: Path, inner: Sequence[str], seccomp: int | None = None) -> list[str]:
        """seccomp: descriptor of the filter. As root, bwrap needs no user namespace: the method becomes another user inside, and the limit
        on processes counts that user's alone."""
        root = os.geteuid() == 0
        words = ["bwrap", "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        words += ["--unshare-cgroup-try", "--hostname", "sandbox"]
        words += [] if seccomp is None else ["--seccomp", str(seccomp)]
        words += [] if root else ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
        words += ["--ro-bind", "/usr", "/usr"]
        for name in ("bin", "sbin", "lib", "lib64"):
            place = Path("/") / name
            if place.is_symlink():
                words += ["--symlink", str(place.readlink()), str(place)]
            elif place.is_dir():
                words += ["--ro-bind", str(place), str(place)]
        for file in ("/etc/ld.so.cache", "/etc/localtime"):
            words += ["--ro-bind-try", file, file]
        words += ["--proc", "/proc", "--dev", "/dev"]
        for temporary in ("/dev/shm", "/tmp"):
            words += ["--perms", "1777", "--size", str(256 << 20), "--tmpfs", temporary]
        readable = [*installed(), *self.readable]
        above = dict.fromkeys(path for place in (*readable, folder) for path in reversed(place.parents) if path != Path("/"))
        for path in above:  # bwrap would make them for root alone
            words += [] if path.is_relative_to("/usr") else ["--perms", "0755", "--dir", str(path)]
        for place in readable:
            words += ["--ro-bind", str(place), str(place)]
        for card in sorted(Path("/dev").glob("nvidia*")):
            words += ["--dev-bind", str(card), str(card)]
        words += ["--bind", str(folder), str(folder), "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--cap-drop", "ALL"]
        drop = ["--no-new-privs", "--inh-caps=-all"]
        if root:
            words += [word for name in ("SETUID", "SETGID", "SETPCAP", "SYS_RESOURCE") for word in ("--cap-add", f"CAP_{name}")]
            drop += ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--bounding-set=-all"]
        largest = int(self.limits.disk * 1e9)
        limits = [
            f"--nproc={self._processes(root)}",
            f"--fsize={largest}",
            f"--data={int(self.limits.memory * 1e9)}",
            "--core=0",
            "--nofile=1024",
        ]
        return [*words, "--", "setpriv", *drop, "prlimit", *limits, "--", *inner]

    def _processes(self, root: bool) -> int:
        """The limit counts all threads of a user."""
        user = NOBODY if root else os.geteuid()
        return self.limits.processes + sum(_threads(process) for process in psutil.process_iter() if _user_of(process) == user)


def _threads(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.num_threads()
    return 0


def _user_of(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.uids().real
    return -1
