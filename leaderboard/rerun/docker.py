"""docker as a sandbox for submitted methods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import psutil

from bench.errors import UserError
from leaderboard.rerun.sandbox import NOBODY, Confined, Watched, environment, installed
from leaderboard.rerun.seccomp import filtered

_PATIENCE = 30.0
"""Seconds that docker may take to answer, and to start a container."""
_MARGIN = 600
"""Seconds after its limit at which a container ends by itself, where nobody watches it any more."""


class Docker(Confined):
    """docker without network, with gVisor (`runsc`) where it is installed, and our filter of system calls on top of docker's own. The
    daemon must run on this machine, so that what a method takes can be watched.

    image: only its folders are used: /usr is this machine's, as are Python and the packages. No card is passed into a container.
    """

    image = "debian:stable-slim"
    reaches_cards = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._docker = shutil.which("docker")
        info = json.loads(self._asked("info", "--format", "{{json .}}") or "{}") if self._docker else {}
        if not info.get("Driver"):
            raise UserError("--sandbox docker: no docker daemon answers; start it, or use --sandbox bubblewrap")
        if missing := [what for what in ("MemoryLimit", "PidsLimit") if not info.get(what)]:
            raise UserError(f"--sandbox docker: this daemon has no {missing[0]}, so it cannot limit a method; use --sandbox bubblewrap")
        self._runtimes, self._name, self._names = info.get("Runtimes", {}), "", dict[int, str]()
        self._first: dict[int, psutil.Process] = {}
        super().__init__(*args, **kwargs)

    def _asked(self, *words: str) -> str:
        """What docker prints; empty where it fails. `subprocess.TimeoutExpired` where its daemon hangs."""
        return subprocess.run([str(self._docker), *words], capture_output=True, text=True, check=False, timeout=_PATIENCE).stdout

    @staticmethod
    def _user() -> str:
        """Nobody; without the right to read what nobody writes, the caller."""
        return f"{NOBODY}:{NOBODY}" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"

    def _hand_over(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)

    def _started(self, folder: Path, inner: Sequence[str], errors: IO[bytes] | int, card: str) -> subprocess.Popen:
        """The container has a name of its own, because it outlives a client that is killed. The client has the caller's environment, which
        says where the daemon is."""
        self._name, pipe = f"rerun-{uuid.uuid4().hex}", subprocess.PIPE
        process = subprocess.Popen(self.command(folder, inner), stdin=pipe, stdout=pipe, stderr=errors)
        self._names[process.pid] = self._name
        self._first.pop(process.pid, None)
        return process

    def _above(self, mounted: Iterable[Path]) -> list[Path]:
        """Empty folders to mount in place of the image's, above what is mounted: an image's /root is closed to the method."""
        places = [path for path in mounted if len(path.parts) > 2 and path.parts[1] not in ("usr", "tmp", "etc")]
        for path in places:
            point = self.place / "above" / path.relative_to("/")
            if path.is_dir():
                point.mkdir(parents=True, exist_ok=True)
            else:
                point.parent.mkdir(parents=True, exist_ok=True)
                point.touch()
        above = sorted({self.place / "above" / path.parts[1] for path in places})
        for path in (inner for place in above for inner in (place, *place.rglob("*"))):
            path.chmod(0o755)
        return above

    def _inside(self, process: subprocess.Popen) -> list[psutil.Process]:
        """The container's processes as this machine numbers them; none before it has started. `RuntimeError` where it cannot be found."""
        if process.pid not in self._first:
            found = self._asked("inspect", "--format", "{{.Id}} {{.State.Pid}}", self._names[process.pid]).split()
            if len(found) == 2 and found[1] != "0":
                if not _is_in_container(*found):
                    raise RuntimeError("the container is not on this machine")
                self._first[process.pid] = psutil.Process(int(found[1]))
            elif time.time() - psutil.Process(process.pid).create_time() > _PATIENCE:
                raise RuntimeError("the container was not found")
            else:
                return []
        first = self._first[process.pid]
        return [first, *first.children(recursive=True)]  # NoSuchProcess where another process has its number

    def _look(self, watched: Watched) -> tuple[int, int]:
        """The container's control group counts the CPU seconds of processes that nobody saw, too."""
        seen = super()._look(watched)
        first = self._first.get(watched.process.pid)
        if first is not None:
            watched.total = max(watched.total, _cpu_of_container(first.pid))
        return seen

    def stop(self, process: subprocess.Popen) -> None:
        """End a worker's container and its client. A container that is only about to start cannot be killed yet."""
        try:
            for _ in range(50):
                self._asked("kill", self._names[process.pid])
                if process.poll() is not None:
                    return
                time.sleep(0.1)
        except subprocess.TimeoutExpired:
            pass  # a daemon that hangs; the container ends by its alarm
        finally:
            process.kill()

    def command(self, folder: Path, inner: Sequence[str]) -> list[str]:
        """A container with the name that `start` chose. Nothing keeps what it prints, and no limit is left to a default."""
        words = [str(self._docker), "run", "--rm", "--interactive", "--name", self._name, "--network", "none", "--read-only"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", self._user(), "--log-driver", "none"]
        words += ["--pids-limit", str(self.limits.processes), "--ulimit", "core=0", "--ulimit", "nofile=1024"]
        words += ["--ulimit", f"fsize={int(self.limits.disk * 1e9)}"]
        memory = str(int(self.limits.memory * 1e9))
        words += ["--memory", memory, "--memory-swap", memory, "--tmpfs", "/tmp:size=256m,mode=1777"]
        words += ["--runtime", "runsc"] if "runsc" in self._runtimes else []
        words += [word for name, value in environment().items() for word in ("--env", f"{name}={value}")]
        readable = [*dict.fromkeys([Path("/usr"), *installed(), *self.readable])]
        readable += [file for file in (Path("/etc/ld.so.cache"), Path("/etc/localtime")) if file.exists()]
        for place in self._above([*readable, folder]):
            words += ["--mount", _mount(place, Path("/") / place.name, "readonly")]
        for place in readable:
            words += ["--mount", _mount(place, place, "readonly")]
        inner = filtered(inner, int(self.limits.seconds) + _MARGIN)
        return [*words, "--mount", _mount(folder, folder), "--workdir", "/tmp", self.image, *inner]


def _mount(source: Path, target: Path, *more: str) -> str:
    """A folder or file of this machine for a container, without what is mounted below it, which "readonly" would not cover."""
    fields = ["type=bind", f"source={source}", f"target={target}", *more, "bind-nonrecursive=true"]
    return ",".join('"' + field.replace('"', '""') + '"' if set(field) & set(',"') else field for field in fields)


def _is_in_container(container: str, pid: str) -> bool:
    """Whether a process of this machine belongs to a container; not, if the number is that of another machine's process."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False


def _cpu_of_container(pid: int) -> float:
    """CPU seconds of the control group of a container's first process; 0 where they cannot be read."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, place = line.split(":", 2)
            group = place.lstrip("/")
            if "cpuacct" in controllers.split(","):
                return int((Path("/sys/fs/cgroup/cpuacct") / group / "cpuacct.usage").read_text(encoding="utf-8")) / 1e9
            if not controllers and (usage := Path("/sys/fs/cgroup") / group / "cpu.stat").exists():
                return int(usage.read_text(encoding="utf-8").split()[1]) / 1e6
    return 0.0
