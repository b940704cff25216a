"""A graph of jobs and the workers that do them. No torch: the parent only hands out work and listens."""

from __future__ import annotations

import heapq
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from bench.errors import UserError
from bench.files import cache_in_use, disk_error
from bench.runs.workers import MEMORY, THREADS, default_jobs, places
from bench.suite import Suite
from bench.worker import outcomes
from bench.worker.jobs import Job, to_json

RETRIES = 1
"""How often a job is given to another worker after its worker died."""
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Codes of a process that was killed, and of one that ran it and tells so."""
MAX_EVENT = 64_000_000
"""Bytes of one event: scores of lm-eval may be long."""
MAX_STRANGE_EVENT = 1_000_000
"""Of a worker in a sandbox."""
MAX_WORDS = 300
"""Characters of an error that a worker in a sandbox reports."""


class Ended(NamedTuple):
    """Why a sandbox ended a worker, in words. machine: the machine had no room left, or failed; otherwise the worker passed a limit."""

    why: str
    machine: bool = False


class Sandbox(Protocol):
    """Where the workers of users' methods run, apart from everything that this process trusts. A worker there does one job."""

    def start(self, job: Job, errors: IO[bytes], card: str) -> subprocess.Popen:
        """A worker for a job, with pipes for jobs and events; errors: takes its standard error; card: the one it sees, "" for none."""

    def begin(self, process: subprocess.Popen, checkpoints: Iterable[str]) -> None:
        """A worker gets its job: put the checkpoints that it starts from, by content hash and the base first, where it finds them.
        `UserError` where that cannot be done."""

    def stop(self, process: subprocess.Popen) -> None:
        """End a worker and all that it started."""

    def admit(self, process: subprocess.Popen, job: Job, said: Any) -> outcomes.Made:
        """What a worker says that it made, once it is found to be what that job can make and was taken over. `UserError` otherwise."""

    def cpu(self, process: subprocess.Popen) -> float:
        """CPU seconds of a worker and everything that it started, as seen from outside."""

    def ended(self, process: subprocess.Popen) -> Ended | None:
        """Why it had to end a worker; None where the worker ended by itself."""


@dataclass(frozen=True)
class Event:
    """What a worker reports. name: step, scoring, statistic, done, failed, died; job: its key, empty for a worker that died idle; detail:
    what comes with it."""

    name: str
    job: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why a job failed, and where its worker's log lies. user: it is something that a user can put right; words: a stranger's own, of which
    `error` says only that there are some; machine: the machine failed, and not what was computed (a dead process, a full disk)."""

    job: Job
    error: str
    log: Path
    user: bool = False
    words: str = ""
    machine: bool = False


@dataclass(frozen=True)
class _Died:
    """In place of an event: the process has ended. code: of the process, negative for a signal."""

    code: int


@dataclass
class _Worker:
    process: subprocess.Popen
    log: Path
    stream: IO[bytes]
    lane: str
    slot: int
    job: Job | None = None
    began: float = 0.0
    """When it was given its job, where it does one only."""
    retired: bool = False

    @property
    def idle(self) -> bool:
        return self.job is None and not self.retired


class _Ready:
    """The jobs that can start: by lane, the lower rank first, and within a rank in the order in which they became ready."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[tuple[int, int, Job]]] = {}
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def add(self, job: Job) -> None:
        self._added += 1
        self._put((job.rank, self._added, job))

    def put_back(self, entries: Iterable[tuple[int, int, Job]]) -> None:
        """Jobs that were taken and could not start, at their old places."""
        for entry in entries:
            self._put(entry)

    def _put(self, entry: tuple[int, int, Job]) -> None:
        heapq.heappush(self._lanes.setdefault(entry[2].lane, []), entry)

    def take(self, skipped: Collection[str]) -> tuple[int, int, Job] | None:
        """The most pressing job outside some lanes; None where there is none."""
        lane = min((lane for lane in self._lanes if lane not in skipped), key=lambda lane: self._lanes[lane][0][:2], default=None)
        if lane is None:
            return None
        entry = heapq.heappop(self._lanes[lane])
        if not self._lanes[lane]:
            del self._lanes[lane]
        return entry

    def has(self, lane: str, rank: int) -> bool:
        """Whether a lane has a job of this rank or a more pressing one."""
        return lane in self._lanes and self._lanes[lane][0][0] <= rank


def worker_command(cache: Path, lane: str) -> list[str]:
    """The command line of a worker."""
    return [sys.executable, "-P", "-m", "bench", "worker", "--cache", str(cache), "--lane", lane]


def to_all(listeners: Sequence[Callable[[Event], None]]) -> Callable[[Event], None]:
    """One listener that passes every event on to all of these, in order."""

    def listen(event: Event) -> None:
        for hear in listeners:
            hear(event)

    return listen


@dataclass
class Pool:
    """Runs a graph on at most `size` worker processes. `listen(event)` hears every event; `logs` takes the workers' standard error;
    `places` are the cards on which workers are put in turn (`bench.runs.workers.places`). A worker keeps to one lane (`Job.lane`); where
    another lane has more pressing work, an idle worker ends and a fresh one starts. With a sandbox, workers of users' methods run in there,
    and nothing that they say is taken on trust."""

    size: int
    cache: Path
    logs: Path
    listen: Callable[[Event], None]
    places: Sequence[str] = ("",)
    sandbox: Sandbox | None = None
    results: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    _workers: list[_Worker] = field(default_factory=list)
    _events: queue.Queue[tuple[_Worker, Any]] = field(default_factory=lambda: queue.Queue(1_000))
    _tries: dict[str, int] = field(default_factory=dict)
    _ready: _Ready = field(default_factory=_Ready)
    _missing: dict[str, set[str]] = field(default_factory=dict)
    _followers: dict[str, list[Job]] = field(default_factory=dict)
    _started: int = 0

    def run(self, jobs: Mapping[str, Job]) -> None:
        """Do all jobs whose needs succeed. Results (by key) and failures are in the fields of those names afterwards."""
        for job in jobs.values():
            needs = {need.key for need in job.needs}
            self._missing[job.key] = needs
            for need in needs:
                self._followers.setdefault(need, []).append(job)
            if not needs:
                self._ready.add(job)
        with cache_in_use(self.cache):
            try:
                while self._ready or any(worker.job for worker in self._workers):
                    self._hand_out()
                    self._handle(*self._events.get())
            finally:
                self.close()

    def _hand_out(self) -> None:
        """Give every ready job a worker of its lane, as far as they go. Where there is no room for a fresh one, an idle worker of another
        lane ends, unless its own lane has work as pressing; each job that waits for a place claims one that is about to be free."""
        waiting: list[tuple[int, int, Job]] = []
        full: set[str] = set()
        leaving = sum(worker.retired for worker in self._workers)
        while (entry := self._ready.take(full)) is not None:
            job = entry[2]
            idle = [worker for worker in self._workers if worker.idle]
            worker = next((worker for worker in idle if worker.lane == job.lane), None)
            if worker is None and len(self._workers) < self.size:
                worker = self._start(job)
            if worker is not None:
                self._give(worker, job)
                continue
            waiting.append(entry)
            if len(waiting) > leaving:
                spare = next((worker for worker in idle if not self._ready.has(worker.lane, job.rank)), None)
                if spare is None:
                    full.add(job.lane)
                else:
                    self._retire(spare)
                    leaving += 1
        self._ready.put_back(waiting)

    def _give(self, worker: _Worker, job: Job) -> None:
        worker.job = job
        made = {need.key: self.results[need.key].checkpoint for need in job.needs}
        if self.sandbox is not None and worker.lane:
            worker.began = time.monotonic()
            try:
                self.sandbox.begin(worker.process, made.values())
            except UserError as error:
                self.failures.append(Failure(job, _plain(str(error)), worker.log, user=True))
                worker.job = None
                self._retire(worker)
                return
        line = json.dumps({"job": to_json(job), "made": made}) + "\n"
        with suppress(OSError):  # where it died, its reader reports that
            worker.process.stdin.write(line.encode())
            worker.process.stdin.flush()

    def _start(self, job: Job) -> _Worker:
        lane = job.lane
        self.logs.mkdir(parents=True, exist_ok=True)
        self._started += 1
        log = self.logs / f"worker-{self._started}.log"
        stream = log.open("wb")
        slot = next(number for number in range(self.size) if number not in [worker.slot for worker in self._workers])
        card = self.places[slot % len(self.places)]
        if self.sandbox is not None and lane:
            process = self.sandbox.start(job, stream, card)
        else:
            process = subprocess.Popen(
                worker_command(self.cache, lane),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                env=MEMORY | os.environ | THREADS | {"CUDA_VISIBLE_DEVICES": card},
            )
        worker = _Worker(process, log, stream, lane, slot)
        self._workers.append(worker)
        threading.Thread(target=self._listen_to, args=(worker,), daemon=True).start()
        return worker

    def _retire(self, worker: _Worker) -> None:
        """Let a worker end; it counts until it has."""
        worker.retired = True
        if self.sandbox is not None and worker.lane:
            self.sandbox.stop(worker.process)
        with suppress(OSError):
            worker.process.stdin.close()

    def _listen_to(self, worker: _Worker) -> None:
        strange = self.sandbox is not None and bool(worker.lane)
        most = MAX_STRANGE_EVENT if strange else MAX_EVENT
        try:
            for line in iter(lambda: worker.process.stdout.readline(most), b""):
                with suppress(ValueError, RecursionError):  # half a line, from a process that was killed while writing it
                    event = json.loads(line)
                    if not strange or (isinstance(event, dict) and event.get("event") in ("done", "failed")):
                        self._events.put((worker, event))
        finally:
            self._events.put((worker, _Died(worker.process.wait())))

    def _handle(self, worker: _Worker, detail: Any) -> None:
        job = worker.job
        if isinstance(detail, _Died):
            self._bury(worker, detail.code)
            self.listen(Event("died", job.key if job is not None else "", {"code": detail.code}))
            return
        if self.sandbox is not None and worker.lane:
            detail = self._checked(self.sandbox, worker, detail)
            if detail is None:
                return
        name = detail["event"]
        if name == "done":
            detail["result"] = self.results[detail["job"]] = outcomes.from_json(detail["result"])
            self._release(detail["job"])
        elif name == "failed":
            machine = detail.get("machine", False)
            self.failures.append(Failure(job, detail["error"], worker.log, detail["user"], detail.get("words", ""), machine))
        if name in ("done", "failed"):
            worker.job = None
            if job.holds_card or (self.sandbox is not None and worker.lane):
                self._retire(worker)
        self.listen(Event(name, job.key if job is not None else "", detail))

    @staticmethod
    def _checked(sandbox: Sandbox, worker: _Worker, detail: Any) -> dict[str, Any] | None:
        """An event of a worker in the sandbox: only the end of its own job counts, None for all others. Its words are apart and plain."""
        job = worker.job
        if job is None or not isinstance(detail, dict) or detail.get("job") != job.key:
            return None
        failed = {"event": "failed", "job": job.key, "user": True}
        if detail.get("event") != "done":
            words = detail.get("error")
            told = {"error": "the method raised an error", "words": _plain(words) if isinstance(words, str) else ""}
            # It may say so falsely: that leaves it without a result, and is never held against it.
            return failed | told | ({"user": False, "machine": True} if detail.get("machine") is True else {})
        try:
            made = sandbox.admit(worker.process, job, detail.get("result"))
        except UserError as error:
            return failed | {"error": _plain(str(error))}
        except Exception as error:  # a stranger's bytes found a way that nobody thought of: it is the job's end, not ours
            return failed | {"error": f"what its worker made could not be read ({type(error).__name__})"}
        took = {"seconds": time.monotonic() - worker.began, "cpu": sandbox.cpu(worker.process), "fresh": True, "flops": made.accounted}
        return {"event": "done", "job": job.key, "result": outcomes.to_json(made), **took}

    def _release(self, done: str) -> None:
        for follower in self._followers.get(done, ()):
            missing = self._missing[follower.key]
            missing.discard(done)
            if not missing and follower.key not in self.results:
                self._ready.add(follower)

    def _bury(self, worker: _Worker, code: int) -> None:
        """A worker has ended; what it was doing goes to another one, once."""
        self._workers.remove(worker)
        worker.stream.close()
        job = worker.job
        if job is None:
            return
        if self.sandbox is not None and worker.lane:
            ended = self.sandbox.ended(worker.process)
            if ended is None:  # a kill that nobody here ordered is the kernel's, for want of memory
                ended = Ended(f"its process ended with {_code(code)}", machine=code in KILLED)
            self.failures.append(Failure(job, ended.why, worker.log, user=not ended.machine, machine=ended.machine))
            return
        self._tries[job.key] = self._tries.get(job.key, 0) + 1
        if self._tries[job.key] <= RETRIES:
            self._ready.add(job)
        else:
            self.failures.append(Failure(job, _ending(code), worker.log, machine=True))

    def close(self) -> None:
        """End the workers; whatever they were doing can be done again."""
        for worker in self._workers:
            if self.sandbox is not None and worker.lane:
                self.sandbox.stop(worker.process)
            worker.process.kill()
            worker.process.wait()
            worker.stream.close()
        self._workers.clear()


def _ending(code: int) -> str:
    """How a worker ended, in words. code: of the process, negative for a signal."""
    if code == -signal.SIGKILL:
        return "its process was killed twice; the memory may not hold so many workers: try a smaller --jobs"
    return f"its process ended twice, with {_code(code)}"


def _code(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"


def _plain(text: str) -> str:
    """A stranger's words on one line, cut, without characters that could change what a terminal shows."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:MAX_WORDS])


def run_graph(
    graph: Mapping[str, Job],
    suite: Suite,
    device: str,
    engine: str,
    *,
    cache: Path,
    listeners: Sequence[Callable[[Event], None]],
    jobs: int | None = None,
    log: str = "",
    sandbox: Sandbox | None = None,
) -> Pool:
    """Do a graph of jobs, and return the pool with its results and failures. jobs: worker processes (None: what the machine has cores and
    memory for); log: begins the name of the folder of the workers' logs. `UserError` where a listener's file cannot be written; what was
    finished is in the cache."""
    logs = cache / "logs" / f"{log}{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    needs = (device, suite, engine)
    pool = Pool(jobs or default_jobs(*needs), cache, logs, to_all(listeners), places(*needs), sandbox)
    try:
        pool.run(graph)
    except OSError as error:
        raise disk_error(str(error.filename or cache), error) from error
    return pool
