"""Where a submitted method runs: apart from the network, from every file that it does not need, and from the processes that score it.

Its worker sees Python, the packages bench, tasks and baselines, its own file, and one folder that it can write to, which holds a cache with
the checkpoints of its baseline run. It is given no test answers, no other submissions, and not the draw of fresh items. It speaks to the
pool through its standard input and output only, and what it says is checked (`bench.runs.pool.Pool`, `leaderboard.rerun.admission`).

A watcher in this process ends a worker that takes more memory, disk, files or time than `Limits` allows. RULES.md says what none of this
stops.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, ClassVar

import psutil

import baselines
import bench
import tasks
from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.files import check_cache
from bench.runs.pool import Ended, worker_command
from bench.runs.workers import MEMORY, THREADS
from bench.worker.jobs import Job
from bench.worker.outcomes import Made
from leaderboard.limits import Limits
from leaderboard.rerun.admission import checked, take_over, with_logs
from leaderboard.rerun.watching import DEEPEST, nameless, resident, taken

NOBODY = 65534
"""User and group that a method runs as."""
_POLL = 0.2
"""Seconds between two looks of the watcher."""
_WORKING: set[tuple[type, bool]] = set()
"""Kinds of sandboxes in which Python was found to start, and whether with a card."""


@dataclass
class Watched:
    """A worker. box: of its run; base: the checkpoint that its job starts from; ended: why it was ended; own, total: CPU seconds of
    each process that was seen, and the most that all living ones had taken together with the children that they waited for."""

    process: subprocess.Popen
    errors: Path
    box: _Box
    since: float
    base: str = ""
    ended: Ended | None = None
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
    read, beside Python and the packages; card: one that workers use, as `bench.runs.workers.places` names it, "" on a CPU. Each run has a
    folder of its own in which it can write, and each job a process of its own."""

    reaches_cards: ClassVar[bool] = True

    def __init__(self, place: Path, store: Store, readable: Sequence[Path], limits: Limits | None = None, card: str = "") -> None:
        self.place, self.store, self.readable = place.resolve(), store, tuple(path.resolve() for path in readable)
        self.limits = limits or Limits()
        self._watched: dict[int, Watched] = {}
        self._boxes: dict[str, _Box] = {}
        for folder in (self.place, store.folder.resolve()):
            if seen := [place for place in (Path("/usr"), *installed()) if folder.is_relative_to(place)]:
                raise UserError(f"{folder}: the method could read it, because it lies in {seen[0]}; choose another folder")
        self.place.mkdir(parents=True)
        self._check(card)

    def _check(self, card: str) -> None:
        """`UserError` unless Python starts in it and loads torch, and that uses the card. Tried once a process."""
        if (type(self), bool(card)) in _WORKING:
            return
        use = "; torch.zeros(1, device='cuda')" if card else ""
        trial = _Box(self.place / "trial", self._hand_over)
        trial.close()
        process = self._started(trial.folder, [sys.executable, "-c", f"import torch{use}"], subprocess.PIPE, card)
        errors = process.communicate()[1].decode(errors="replace").strip().splitlines()
        if process.returncode != 0:
            why = errors[-1] if errors else f"code {process.returncode}"
            failed = "torch cannot use the GPU" if card else "Python and torch do not start"
            raise UserError(f"--sandbox {type(self).__name__.lower()}: {failed} in there ({why[:200]})")
        _WORKING.add((type(self), bool(card)))

    @abstractmethod
    def _hand_over(self, folder: Path) -> None:
        """Let the method's user write to a folder, and to all below it, that the method cannot reach yet."""

    @abstractmethod
    def command(self, folder: Path, inner: Sequence[str]) -> list[str]:
        """The command that runs `inner` in the sandbox. folder: in which it can write."""

    @abstractmethod
    def _started(self, folder: Path, inner: Sequence[str], errors: IO[bytes] | int, card: str) -> subprocess.Popen:
        """Start `inner` in the sandbox, where it sees one card, or none."""

    def start(self, job: Job, errors: IO[bytes], card: str) -> subprocess.Popen:
        """A worker for a job. What it may take is watched from now on."""
        if job.run not in self._boxes:
            self._boxes[job.run] = _Box(self.place / f"run-{len(self._boxes)}", self._hand_over)
        box = self._boxes[job.run]
        process = self._started(box.folder, worker_command(box.folder, job.lane), errors, card)
        watched = self._watched[process.pid] = Watched(process, Path(errors.name), box, time.monotonic())
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

    def ended(self, process: subprocess.Popen) -> Ended | None:
        """Why a worker was ended; None where it ended by itself."""
        return self._watched[process.pid].ended

    def _watch(self, watched: Watched) -> None:
        while watched.process.poll() is None:
            try:
                found = self._over(watched) or self._crowded()
            except Exception as error:  # a watcher that is gone would leave no limit
                found = Ended(f"its limits could not be watched ({type(error).__name__})", machine=True)
            if found:
                watched.ended = found
                self.stop(watched.process)
                return
            time.sleep(_POLL)

    def _crowded(self) -> Ended | None:
        """What this machine has too little of, whoever takes it."""
        if psutil.virtual_memory().available < self.limits.free * 1e9:
            return Ended("this machine was almost out of memory", machine=True)
        if shutil.disk_usage(self.place).free < self.limits.free * 1e9:
            return Ended("this machine's disk was almost full", machine=True)
        return None

    def _over(self, watched: Watched) -> Ended | None:
        """The limit that a worker has passed."""
        limits = self.limits
        if time.monotonic() - watched.since > limits.seconds:
            return Ended(f"it took longer than {limits.seconds:,.0f} s")
        memory, open_files = self._look(watched)
        if memory > limits.memory * 1e9:
            return Ended(f"it took more than {limits.memory:g} GB of memory")
        if watched.errors.stat().st_size > limits.log:
            return Ended(f"it wrote more than {limits.log / 1e6:g} MB to its standard error")
        used = taken(watched.box.folder, limits.files)
        if used is None:
            return Ended(f"it hid files in folders that are closed or more than {DEEPEST} deep")
        size, count = used
        if size + open_files > limits.disk * 1e9:
            return Ended(f"it wrote more than {limits.disk:g} GB")
        return Ended(f"it made more than {limits.files:,} files") if count > limits.files else None

    def _inside(self, process: subprocess.Popen) -> list[psutil.Process]:
        """The processes in a worker's sandbox. `psutil.NoSuchProcess` where it has ended."""
        return psutil.Process(process.pid).children(recursive=True)

    def _look(self, watched: Watched) -> tuple[int, int]:
        """Bytes of memory, and of files that are open and have no name any more. Notes the CPU seconds."""
        memory, unlisted, total = 0, 0, 0.0
        with suppress(psutil.NoSuchProcess):
            for process in self._inside(watched.process):
                with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError), process.oneshot():
                    memory += resident(process.pid)
                    times = process.cpu_times()
                    watched.own[process.pid, process.create_time()] = times.user + times.system
                    total += times.user + times.system + times.children_user + times.children_system
                    unlisted += nameless(process.pid)
        watched.total = max(watched.total, total)
        return memory, unlisted


def environment(card: str = "") -> dict[str, str]:
    """Of a worker: only what torch needs, and the card it sees."""
    return {
        **MEMORY,
        **THREADS,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": card,
        **({"PYTHONUSERBASE": site.getuserbase()} if site.ENABLE_USER_SITE else {}),
    }


def installed() -> list[Path]:
    """What a worker has to read: Python, its libraries, and our packages."""
    paths = sysconfig.get_paths()
    places = [Path(sys.prefix), Path(sys.base_prefix), *map(Path, (paths["stdlib"], paths["purelib"], paths["platlib"]))]
    if site.ENABLE_USER_SITE:
        places.append(Path(site.getusersitepackages()))
    places += [Path(module.__file__).parent for module in (bench, tasks, baselines)]  # type: ignore[arg-type]
    real = [place for place in dict.fromkeys([*places, *(place.resolve() for place in places)]) if place.exists()]
    held = [Path("/usr"), *real]
    return [place for place in real if not any(place.is_relative_to(other) for other in held if other != place)]
