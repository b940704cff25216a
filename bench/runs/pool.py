"""A graph of jobs and the workers that do them. No torch: the parent only hands out work and listens."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.runs.machine import THREADS, card_of
from bench.worker import outcomes
from bench.worker.jobs import Job, to_json

RETRIES = 1
"""How often a job is given to another worker after its worker died."""


@dataclass(frozen=True)
class Event:
    """What a worker reports. name: step, scoring, statistic, done, failed, died; job: its key, empty for a worker that died idle; detail:
    what comes with it."""

    name: str
    job: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """Why a job failed, and where its worker's log lies. user: it is something that a user can put right."""

    job: Job
    error: str
    log: Path
    user: bool = False


@dataclass
class _Worker:
    process: subprocess.Popen
    log: Path
    stream: IO[bytes]
    lane: str
    slot: int
    job: Job | None = None
    retired: bool = False

    @property
    def idle(self) -> bool:
        return self.job is None and not self.retired


@dataclass
class Pool:
    """Runs a graph on at most `size` worker processes. `listen(event)` hears every event; `logs` takes the workers' standard error;
    `device` places them on cards. A worker keeps to one lane (`Job.lane`); where another lane has more pressing work, an idle worker ends
    and a fresh one starts."""

    size: int
    cache: Path
    logs: Path
    listen: Callable[[Event], None]
    device: str = "cpu"
    results: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    _workers: list[_Worker] = field(default_factory=list)
    _events: queue.Queue[tuple[_Worker, dict[str, Any]]] = field(default_factory=queue.Queue)
    _tries: dict[str, int] = field(default_factory=dict)
    _ready: dict[str, Job] = field(default_factory=dict)
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
                self._ready[job.key] = job
        try:
            while self._ready or any(worker.job for worker in self._workers):
                self._hand_out()
                if not any(worker.job or worker.retired for worker in self._workers):
                    break
                self._handle(*self._events.get())
        finally:
            self.close()

    def _hand_out(self) -> None:
        for job in sorted(self._ready.values(), key=lambda job: job.rank):
            worker = self._worker_for(job)
            if worker is not None:
                self._give(worker, job)
            elif not any(worker.idle for worker in self._workers):
                return

    def _worker_for(self, job: Job) -> _Worker | None:
        """An idle worker of the job's lane, a fresh one where there is room, or one in the place of an idle worker whose lane has nothing
        as pressing to do; None where it has to wait."""
        idle = [worker for worker in self._workers if worker.idle]
        for worker in idle:
            if worker.lane == job.lane:
                return worker
        if len(self._workers) < self.size:
            return self._start(job.lane)
        for worker in idle:
            if not any(other.lane == worker.lane and other.rank <= job.rank for other in self._ready.values()):
                self._retire(worker)
        return None

    def _give(self, worker: _Worker, job: Job) -> None:
        worker.job = job
        del self._ready[job.key]
        made = {need.key: self.results[need.key].checkpoint for need in job.needs}
        line = json.dumps({"job": to_json(job), "made": made}) + "\n"
        with suppress(OSError):  # where it died, its reader reports that
            worker.process.stdin.write(line.encode())
            worker.process.stdin.flush()

    def _start(self, lane: str) -> _Worker:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._started += 1
        log = self.logs / f"worker-{self._started}.log"
        stream = log.open("wb")
        slot = next(number for number in range(self.size) if number not in [worker.slot for worker in self._workers])
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench", "worker", "--cache", str(self.cache), "--lane", lane],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=os.environ | THREADS | card_of(slot, self.device),
        )
        worker = _Worker(process, log, stream, lane, slot)
        self._workers.append(worker)
        threading.Thread(target=self._listen_to, args=(worker,), daemon=True).start()
        return worker

    def _retire(self, worker: _Worker) -> None:
        """Let a worker end; it counts until it has."""
        worker.retired = True
        with suppress(OSError):
            worker.process.stdin.close()

    def _listen_to(self, worker: _Worker) -> None:
        for line in worker.process.stdout:
            self._events.put((worker, json.loads(line)))
        self._events.put((worker, {"event": "died", "code": worker.process.wait()}))

    def _handle(self, worker: _Worker, detail: dict[str, Any]) -> None:
        name = detail["event"]
        job = worker.job
        if name == "died":
            self._bury(worker, detail["code"])
        elif name == "done":
            detail["result"] = self.results[detail["job"]] = outcomes.from_json(detail["result"])
            self._release(detail["job"])
        elif name == "failed":
            self.failures.append(Failure(job, detail["error"], worker.log, detail["user"]))
        if name in ("done", "failed"):
            worker.job = None
            if job.holds_card:
                self._retire(worker)
        self.listen(Event(name, job.key if job is not None else "", detail))

    def _release(self, done: str) -> None:
        for follower in self._followers.get(done, ()):
            missing = self._missing[follower.key]
            missing.discard(done)
            if not missing and follower.key not in self.results:
                self._ready[follower.key] = follower

    def _bury(self, worker: _Worker, code: int) -> None:
        """A worker has ended; what it was doing goes to another one, once."""
        self._workers.remove(worker)
        worker.stream.close()
        job = worker.job
        if job is None:
            return
        self._tries[job.key] = self._tries.get(job.key, 0) + 1
        if self._tries[job.key] <= RETRIES:
            self._ready[job.key] = job
        else:
            self.failures.append(Failure(job, f"its worker ended with code {code}", worker.log))

    def close(self) -> None:
        """End the workers; whatever they were doing can be done again."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.wait()
            worker.stream.close()
        self._workers.clear()
