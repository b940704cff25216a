"""A graph of jobs and the workers that do them. No torch: the parent only hands out work and listens."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.runs.machine import card_of
from bench.runs.machine import THREADS

RETRIES = 1
"""How often a job is given to another worker after its worker died."""


@dataclass
class Job:
    """A node: `payload(results)` makes the job from the results of `needs`. Lower `rank` goes first. kind: what jobs that take about as
    long share; stamp: hash of the code and settings behind it, for the forecast; alone: its worker ends with it, and gives back whatever
    it holds of a card."""

    id: str
    payload: Callable[[Mapping[str, dict[str, Any]]], dict[str, Any]]
    needs: tuple[str, ...] = ()
    rank: int = 0
    kind: str = ""
    stamp: str = ""
    alone: bool = False
    tries: int = 0

    @property
    def sort(self) -> str:
        """start, stage, recover or score."""
        return self.id.partition("/")[0]


@dataclass
class Failure:
    """Why a job failed, and where its worker's log lies."""

    job: str
    error: str
    log: Path
    user: bool = False


@dataclass
class _Worker:
    process: subprocess.Popen
    log: Path
    stream: IO[bytes]
    job: str | None = None
    retired: bool = False


@dataclass
class Pool:
    """Runs a graph on `size` workers. `listen(event)` hears every event; `logs` takes the workers' standard error; `device` places them
    on cards."""

    size: int
    cache: Path
    logs: Path
    listen: Callable[[dict[str, Any]], None]
    device: str = "cpu"
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    _workers: list[_Worker] = field(default_factory=list)
    _events: queue.Queue = field(default_factory=queue.Queue)

    def run(self, jobs: Mapping[str, Job]) -> None:
        """Do all jobs whose needs succeed. Results and failures are in the fields of those names afterwards."""
        waiting = dict(jobs)
        try:
            while waiting or any(worker.job for worker in self._workers):
                self._hand_out(waiting)
                if not any(worker.job or worker.retired for worker in self._workers):
                    break  # what still waits needs something that failed
                self._handle(*self._events.get(), jobs, waiting)
        finally:
            self.close()

    def _hand_out(self, waiting: dict[str, Job]) -> None:
        if len(self._workers) >= self.size and all(worker.job or worker.retired for worker in self._workers):
            return
        ready = [job for job in waiting.values() if all(need in self.results for need in job.needs)]
        for job in sorted(ready, key=lambda job: job.rank):
            worker = next((worker for worker in self._workers if worker.job is None and not worker.retired), None)
            if worker is None and len(self._workers) < self.size:
                worker = self._start()
            if worker is None:
                return
            worker.job = job.id
            del waiting[job.id]
            line = json.dumps({"id": job.id, **job.payload(self.results)}) + "\n"
            try:
                worker.process.stdin.write(line.encode())
                worker.process.stdin.flush()
            except OSError:
                pass  # it died; its reader says so

    def _start(self) -> _Worker:
        self.logs.mkdir(parents=True, exist_ok=True)
        number = len(list(self.logs.glob("worker-*.log")))
        log = self.logs / f"worker-{number + 1}.log"
        stream = log.open("wb")
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench", "worker", "--cache", str(self.cache)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            env=os.environ | THREADS | card_of(number, self.device),
        )
        worker = _Worker(process, log, stream)
        self._workers.append(worker)
        threading.Thread(target=self._listen_to, args=(worker,), daemon=True).start()
        return worker

    def _listen_to(self, worker: _Worker) -> None:
        for line in worker.process.stdout:
            self._events.put((worker, json.loads(line)))
        self._events.put((worker, {"event": "died", "code": worker.process.wait()}))

    def _handle(self, worker: _Worker, event: dict[str, Any], jobs: Mapping[str, Job], waiting: dict[str, Job]) -> None:
        kind = event["event"]
        if kind == "died":
            self._workers.remove(worker)
            if worker.job is not None:
                job = jobs[worker.job]
                job.tries += 1
                if job.tries <= RETRIES:
                    waiting[job.id] = job
                else:
                    self.failures.append(Failure(job.id, f"its worker ended with code {event['code']}", worker.log))
            event = event | {"job": worker.job}
        elif kind == "done":
            self.results[event["job"]] = event["result"]
            worker.job = None
        elif kind == "failed":
            self.failures.append(Failure(event["job"], event["error"], worker.log, event["user"]))
            worker.job = None
        if kind in ("done", "failed") and jobs[event["job"]].alone:
            worker.retired = True
            worker.process.stdin.close()
        self.listen(event)

    def close(self) -> None:
        """End the workers; what they were doing is lost to nobody."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.wait()
            worker.stream.close()
        self._workers.clear()
