"""How long jobs took and which are done, for the forecast before a start. No torch.

A line of JSON a job in <cache>/jobs.jsonl. It is a memory aid: what is really taken from the cache is decided by the cache's keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.files import key_hash
from bench.runs.pool import Job

FILE = "jobs.jsonl"


@dataclass(frozen=True)
class Forecast:
    """What a graph of jobs will take. counts, done: jobs by sort (stage, recover, score); seconds: of one worker, None where nothing
    like it was ever timed here."""

    counts: dict[str, int]
    done: dict[str, int]
    seconds: float | None

    def text(self, workers: int) -> str:
        """In words: 95 stages (20 in the cache), ..., about 43 min on 2 workers."""
        names = {"stage": "stages", "recover": "repairs", "score": "scorings"}
        parts = [f"{self.counts[sort]} {name} ({self.done[sort]} in the cache)" for sort, name in names.items() if self.counts[sort]]
        if self.seconds is None:
            time = "how long is not known before some of it was done here once"
        else:
            minutes = self.seconds / workers / 60
            time = "nothing left to compute" if not self.seconds else f"about {minutes:.0f} min" if minutes >= 1.5 else "about a minute"
        return f"{', '.join(parts)}; {time} on {workers} worker{'s' if workers > 1 else ''}"


class Ledger:
    """The ledger of one cache folder; hears the pool's events."""

    def __init__(self, cache: Path, jobs: Iterable[Job]) -> None:
        self._file = cache / FILE
        self._jobs = {job.id: job for job in jobs}
        self._seconds: dict[str, float] = {}
        self._by_kind: dict[str, list[float]] = {}
        for line in self._lines():
            self._seconds[line["key"]] = line["seconds"]
            if line["fresh"]:
                self._by_kind.setdefault(line["kind"], []).append(line["seconds"])

    def _lines(self) -> Iterable[dict[str, Any]]:
        if not self._file.exists():
            return
        for text in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
                if (
                    isinstance(line["key"], str)
                    and isinstance(line["kind"], str)
                    and line["seconds"] >= 0
                    and line["fresh"] in (True, False)
                ):
                    yield line
            except (ValueError, KeyError, TypeError):
                continue  # half a line, from a process that was killed while writing it

    def hear(self, event: dict[str, Any]) -> None:
        """Write down a job that is done."""
        if event["event"] != "done":
            return
        job = self._jobs[event["job"]]
        key = _key(job)
        if key in self._seconds and not event["fresh"]:
            return
        self._seconds[key] = event["seconds"]
        line = {"key": key, "kind": job.kind, "seconds": round(event["seconds"], 2), "fresh": bool(event["fresh"])}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # one write a line: processes do not mix theirs
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)

    def forecast(self) -> Forecast:
        """Of all the jobs. A job's time is the median of its kind here, or else of its sort."""
        counts = dict.fromkeys(("start", "stage", "recover", "score", "distances"), 0)
        done = dict(counts)
        total: float | None = 0.0
        for job in self._jobs.values():
            counts[job.sort] += 1
            if _key(job) in self._seconds:
                done[job.sort] += 1
            elif job.sort in ("stage", "recover", "score") and total is not None:
                times = self._by_kind.get(job.kind) or [t for kind, ts in self._by_kind.items() if kind.startswith(job.sort) for t in ts]
                total = total + median(times) if times else None
        return Forecast(counts, done, total)


def _key(job: Job) -> str:
    return key_hash({"id": job.id, "stamp": job.stamp})
