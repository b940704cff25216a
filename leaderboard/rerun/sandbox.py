"""Where a submitted method runs: apart from the network, from every file that it does not need, and from the processes that score it.

Its worker sees Python, the packages bench, tasks and baselines, its own file, and one folder that it can write to, which holds a cache with
the checkpoints of its baseline run. It is given no test answers, no other submissions, and not the draw of fresh items. It speaks to the
pool through its standard input and output only, and what it says is checked (`bench.runs.pool.Pool`, `leaderboard.rerun.admission`).

A watcher in this process ends a worker that takes more memory, disk, files or time than `Limits` allows. RULES.md says what none of this
stops.
"""

from __future__ import annotations

import os
import re
import shutil
import site
import stat
import subprocess
import sys
import sysconfig
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

import baselines
import bench
import tasks
from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.files import check_cache
from bench.runs.machine import MEMORY, THREADS
from bench.runs.pool import worker_command
from bench.worker.jobs import Job
from bench.worker.outcomes import Made
from leaderboard.limits import Limits
from leaderboard.rerun.admission import checked, take_over, with_logs
from leaderboard.rerun.seccomp import filtered, program

NOBODY = 65534
"""User and group that a method runs as."""
_POLL = 0.2
"""Seconds between two looks of the watcher."""
_DEEPEST = 64
"""Folders in folders."""
_WORKING: set[type] = set()
"""Kinds of sandboxes in which Python was found to start."""


@dataclass
class _Watched:
    """A worker. box: of its run; base: the checkpoint that its job starts from; why: the limit that it passed; own, total: CPU seconds of
    each process that was seen, and the most that all living ones had taken together with the children that they waited for."""

    process: subprocess.Popen
    errors: Path
    box: _Box
    since: float
    base: str = ""
    why: str = ""
    own: dict[tuple[int, float], float] = field(default_factory=dict)
    total: float = 0.0


class _Box:
    """What the workers of one run share. folder: a cache, and all that they can write to; known: checkpoints that they were given, or that
    came out: whatever else they name must come out first."""

    def __init__(self, place: Path, hand_over: Callable[[Path], None]) -> None:
        self.place, self.folder = place, place / "cache"
        self.known: set[str] = set()
        check_cache(self.folder)
        (self.folder / "checkpoints").mkdir()
        hand_over(self.folder)
        # By descriptor: the method may put a link in the folder's place.
        self._checkpoints = os.open(self.folder / "checkpoints", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)

    def put(self, checkpoint: Path, hand_over: Callable[[Path], None]) -> None:
        """A copy of a checkpoint. The workers may do with it what they like: nobody reads it again. `UserError` where they prevent it."""
        if checkpoint.name in self.known:
            return
        copy = self.place / checkpoint.name
        shutil.copytree(checkpoint, copy)
        hand_over(copy)
        try:
            os.rename(copy, checkpoint.name, dst_dir_fd=self._checkpoints)
        except OSError as error:
            raise UserError("the method made it impossible to put a checkpoint where it needs it") from error
        self.known.add(checkpoint.name)

    def close(self) -> None:
        os.close(self._checkpoints)


class Confined(ABC):
    """A sandbox (`bench.runs.pool.Sandbox`). place: a new folder; store: the checkpoints of the runs; readable: files that the method may
    read, beside Python and the packages. Each run has a folder of its own in which it can write, and each job a process of its own."""

    def __init__(self, place: Path, store: Store, readable: Sequence[Path], limits: Limits | None = None) -> None:
        self.place, self.store, self.readable = place.resolve(), store, tuple(path.resolve() for path in readable)
        self.limits = limits or Limits()
        self._watched: dict[int, _Watched] = {}
        self._boxes: dict[str, _Box] = {}
        self.place.mkdir(parents=True)
        self._check()

    def _check(self) -> None:
        """`UserError` unless Python starts in it and loads torch. Tried once a process."""
        if type(self) in _WORKING:
            return
        trial = _Box(self.place / "trial", self._hand_over)
        trial.close()
        process = self._started(trial.folder, [sys.executable, "-c", "import torch"], subprocess.PIPE)
        errors = process.communicate()[1].decode(errors="replace").strip().splitlines()
        if process.returncode != 0:
            why = errors[-1] if errors else f"code {process.returncode}"
            raise UserError(f"--sandbox {type(self).__name__.lower()}: Python and torch do not start in there ({why[:200]})")
        _WORKING.add(type(self))

    @abstractmethod
    def _hand_over(self, folder: Path) -> None:
        """Let the method's user write to a folder, and to all below it, that the method cannot reach yet."""

    @abstractmethod
    def command(self, folder: Path, inner: Sequence[str]) -> list[str]:
        """The command that runs `inner` in the sandbox. folder: in which it can write."""

    def _started(self, folder: Path, inner: Sequence[str], errors: IO[bytes] | int) -> subprocess.Popen:
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(folder, inner), stdin=pipe, stdout=pipe, stderr=errors, env=_environment())

    def start(self, job: Job, errors: IO[bytes]) -> subprocess.Popen:
        """A worker for a job. What it may take is watched from now on."""
        if job.run not in self._boxes:
            self._boxes[job.run] = _Box(self.place / f"run-{len(self._boxes)}", self._hand_over)
        box = self._boxes[job.run]
        process = self._started(box.folder, worker_command(box.folder, job.lane), errors)
        watched = self._watched[process.pid] = _Watched(process, Path(errors.name), box, time.monotonic())
        threading.Thread(target=self._watch, args=(watched,), daemon=True).start()
        return process

    def begin(self, process: subprocess.Popen, checkpoints: Iterable[str]) -> None:
        """Copy the checkpoints to where the worker finds them."""
        watched, needed = self._watched[process.pid], list(checkpoints)
        for content in needed:
            watched.box.put(self.store.folder / content, self._hand_over)
        watched.since, watched.base = time.monotonic(), needed[0]

    def admit(self, process: subprocess.Popen, job: Job, said: Any) -> Made:
        """What a worker says that it made (`leaderboard.rerun.admission`)."""
        watched = self._watched[process.pid]
        box, made = watched.box, checked(job, said)
        if made.checkpoint not in box.known:
            take_over(made.checkpoint, box.folder, Checkpoint(self.store.folder / watched.base), self.store)
            box.known.add(made.checkpoint)
        return with_logs(made, box.folder, self.place / "logs")

    def stop(self, process: subprocess.Popen) -> None:
        """End a worker and all that it started."""
        process.kill()

    def close(self) -> None:
        """End what still runs, and remove the folder."""
        for watched in self._watched.values():
            self.stop(watched.process)
            watched.process.wait()
        for box in self._boxes.values():
            box.close()
        # Not shutil: folders in folders can be deeper than Python recurses.
        subprocess.run(["rm", "-rf", "--", str(self.place)], check=False)

    def cpu(self, process: subprocess.Popen) -> float:
        """CPU seconds of a worker and all that it started, as far as the watcher saw them."""
        watched = self._watched[process.pid]
        return max(watched.total, sum(list(watched.own.values())))

    def ended(self, process: subprocess.Popen) -> str:
        """The limit that a worker passed, in words; empty where it ended by itself."""
        return self._watched[process.pid].why

    def _watch(self, watched: _Watched) -> None:
        while watched.process.poll() is None:
            try:
                why = self._over(watched)
            except Exception as error:  # a watcher that is gone would leave no limit
                why = f"its limits could not be watched ({type(error).__name__})"
            if why:
                watched.why = why
                self.stop(watched.process)
                return
            time.sleep(_POLL)

    def _over(self, watched: _Watched) -> str:
        """The limit that a worker has passed."""
        limits = self.limits
        memory, open_files = self._look(watched)
        if memory > limits.memory * 1e9:
            return f"it took more than {limits.memory:g} GB of memory"
        if time.monotonic() - watched.since > limits.seconds:
            return f"it took longer than {limits.seconds:,.0f} s"
        if watched.errors.stat().st_size > limits.log:
            return f"it wrote more than {limits.log / 1e6:g} MB to its standard error"
        taken = _taken(watched.box.folder, limits.files)
        if taken is None:
            return f"it hid files in folders that are closed or more than {_DEEPEST} deep"
        size, count = taken
        if size + open_files > limits.disk * 1e9:
            return f"it wrote more than {limits.disk:g} GB"
        return f"it made more than {limits.files:,} files" if count > limits.files else ""

    def _inside(self, process: subprocess.Popen) -> list[psutil.Process]:
        """The processes in a worker's sandbox. `psutil.NoSuchProcess` where it has ended."""
        return psutil.Process(process.pid).children(recursive=True)

    def _look(self, watched: _Watched) -> tuple[int, int]:
        """Bytes of memory, and of files that are open and have no name any more. Notes the CPU seconds."""
        memory, nameless, total = 0, 0, 0.0
        with suppress(psutil.NoSuchProcess):
            for process in self._inside(watched.process):
                with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError), process.oneshot():
                    memory += process.memory_info().rss
                    times = process.cpu_times()
                    watched.own[process.pid, process.create_time()] = times.user + times.system
                    total += times.user + times.system + times.children_user + times.children_system
                    nameless += _nameless(process.pid)
        watched.total = max(watched.total, total)
        return memory, nameless


def _nameless(pid: int) -> int:
    """Bytes of the ordinary files that a process holds open and that no folder lists."""
    size = 0
    for name in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208 (a file may vanish while it is looked at)
        with suppress(OSError):
            found = Path(f"/proc/{pid}/fd/{name}").stat()
            size += found.st_blocks * 512 if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 else 0
    return size


def _taken(folder: Path, most: int) -> tuple[int, int] | None:
    """Bytes on disk and number of files below a folder, up to one more than `most` files; None where a folder is closed or too deep. Links
    count as themselves."""
    size, count, waiting = 0, 0, [(folder, 0)]
    while waiting and count <= most:
        place, depth = waiting.pop()
        if depth > _DEEPEST:
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


def _environment() -> dict[str, str]:
    """Of a worker: only what torch needs."""
    return {
        **MEMORY,
        **THREADS,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _installed() -> list[Path]:
    """What a worker has to read: Python, its libraries, and our packages."""
    paths = sysconfig.get_paths()
    places = [Path(sys.prefix), Path(sys.base_prefix), *map(Path, (paths["stdlib"], paths["purelib"], paths["platlib"]))]
    if site.ENABLE_USER_SITE:
        places.append(Path(site.getusersitepackages()))
    places += [Path(module.__file__).parent for module in (bench, tasks, baselines)]  # type: ignore[arg-type]
    real = [place for place in dict.fromkeys([*places, *(place.resolve() for place in places)]) if place.exists()]
    held = [Path("/usr"), *real]
    return [place for place in real if not any(place.is_relative_to(other) for other in held if other != place)]


class Bubblewrap(Confined):
    """bubblewrap with namespaces of its own and no network. As root, the method runs as user `NOBODY`; otherwise as that user in a user
    namespace, where the limit on processes counts those of the caller too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if missing := [name for name in ("bwrap", "setpriv", "prlimit") if shutil.which(name) is None]:
            raise UserError(f"--sandbox bubblewrap: {missing[0]} is not installed; apt-get install bubblewrap util-linux")
        super().__init__(*args, **kwargs)

    def _started(self, folder: Path, inner: Sequence[str], errors: IO[bytes] | int) -> subprocess.Popen:
        """With a filter of system calls, which bwrap reads from a descriptor."""
        descriptor = os.memfd_create("filter")
        try:
            os.write(descriptor, program())
            os.lseek(descriptor, 0, os.SEEK_SET)
            command, pipe = self.command(folder, inner, descriptor), subprocess.PIPE
            return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, env=_environment(), pass_fds=(descriptor,))
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
        readable = [*_installed(), *self.readable]
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


class Docker(Confined):
    """docker without network, with gVisor (`runsc`) where it is installed, and our filter of system calls on top of docker's own.

    image: only its folders are used: /usr is this machine's, as are Python and the packages. CPU time is measured where the daemon runs on
    this machine.
    """

    image = "debian:stable-slim"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        asked = ["docker", "info", "--format", "{{json .Runtimes}}"]
        done = subprocess.run(asked, capture_output=True, text=True, check=False) if shutil.which("docker") else None
        if done is None or done.returncode:
            raise UserError("--sandbox docker: no docker daemon answers; start it, or use --sandbox bubblewrap")
        self._runtimes, self._name, self._names = done.stdout, "", dict[int, str]()
        self._first: dict[int, int] = {}
        super().__init__(*args, **kwargs)

    @staticmethod
    def _user() -> str:
        """Nobody; without the right to read what nobody writes, the caller."""
        return f"{NOBODY}:{NOBODY}" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"

    def _hand_over(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o666)

    def _started(self, folder: Path, inner: Sequence[str], errors: IO[bytes] | int) -> subprocess.Popen:
        """The container has a name of its own, because it outlives a client that is killed."""
        self._name = f"rerun-{uuid.uuid4().hex}"
        process = super()._started(folder, inner, errors)
        self._names[process.pid] = self._name
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
        """The container's processes as this machine numbers them; none where it has not started, or runs on another machine."""
        if process.pid not in self._first:
            asked = ["docker", "inspect", "--format", "{{.Id}} {{.State.Pid}}", self._names[process.pid]]
            found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
            if len(found) != 2 or not _is_in_container(*found):
                return []
            self._first[process.pid] = int(found[1])
        first = psutil.Process(self._first[process.pid])
        return [first, *first.children(recursive=True)]

    def stop(self, process: subprocess.Popen) -> None:
        """End a worker's container and its client."""
        subprocess.run(["docker", "kill", self._names[process.pid]], capture_output=True, check=False)
        process.kill()

    def command(self, folder: Path, inner: Sequence[str]) -> list[str]:
        """A container with the name that `start` chose."""
        words = ["docker", "run", "--rm", "--interactive", "--name", self._name, "--network", "none", "--read-only"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", self._user()]
        words += ["--pids-limit", str(self.limits.processes), "--ulimit", "core=0", "--ulimit", "nofile=1024"]
        memory = str(int(self.limits.memory * 1e9))
        words += ["--memory", memory, "--memory-swap", memory, "--tmpfs", "/tmp:size=256m,mode=1777"]
        words += ["--runtime", "runsc"] if re.search(r'"runsc"', self._runtimes) else []
        words += [word for name, value in _environment().items() for word in ("--env", f"{name}={value}")]
        readable = [*dict.fromkeys([Path("/usr"), *_installed(), *self.readable])]
        readable += [file for file in (Path("/etc/ld.so.cache"), Path("/etc/localtime")) if file.exists()]
        for place in self._above([*readable, folder]):
            words += ["--volume", f"{place}:/{place.name}:ro"]
        for place in readable:
            words += ["--volume", f"{place}:{place}:ro"]
        return [*words, "--volume", f"{folder}:{folder}", "--workdir", "/tmp", self.image, *filtered(inner)]


def _is_in_container(container: str, pid: str) -> bool:
    """Whether a process of this machine belongs to a container; not, if the number is that of another machine's process."""
    try:
        return pid != "0" and container in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False
