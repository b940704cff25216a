"""How long jobs took and which are done: for the forecast before a start, and to see work that was not metered. No torch.

A line of JSON a job in <cache>/jobs.jsonl. It is a memory aid: what is really taken from the cache is decided by the cache's keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.runs.pool import Event
from bench.worker.jobs import Job, LMEval, Recover, Score, Stage
from bench.worker.outcomes import Made

FILE = "jobs.jsonl"
TITLES: dict[type[Job], str] = {Stage: "stage{s}", Recover: "repair{s}", Score: "scoring{s}", LMEval: "scoring{s} by lm-eval"}
"""The jobs that take time, as a forecast names them; {s} where there are several."""
UNMETERED_RATIO = 4.0
"""How many times the CPU seconds of its metered FLOPs, at the rate of the baseline run's stages, a method's process may take ..."""
UNMETERED_SECONDS = 20.0
"""... plus these (imports, weight arithmetic) or half a stage of the baseline run, whichever is more, before it is reported."""
UNCHARGED_SHARE = 0.01
"""The share of a method's FLOPs that may be measured by its process and not charged, before it is reported: rounding."""


@dataclass(frozen=True)
class Forecast:
    """What a graph of jobs will take. counts, done: jobs by type; seconds: of one worker, None where nothing like it was ever timed
    here."""

    counts: dict[type[Job], int]
    done: dict[type[Job], int]
    seconds: float | None

    def text(self, workers: int) -> str:
        """In words: 95 stages (20 in the cache), ..., about 43 min on 2 workers."""
        named = {kind: name.format(s="s" if self.counts[kind] > 1 else "") for kind, name in TITLES.items() if self.counts[kind]}
        parts = [f"{self.counts[kind]} {name} ({self.done[kind]} in the cache)" for kind, name in named.items()]
        if self.seconds is None:
            time = "duration unknown until some of it has run here once"
        else:
            minutes = self.seconds / workers / 60
            time = "nothing left to compute" if not self.seconds else f"about {minutes:.0f} min" if minutes >= 1.5 else "about a minute"
        return f"{', '.join(parts)}; {time} on {workers} worker{'s' if workers > 1 else ''}"


@dataclass(frozen=True)
class Line:
    """A finished job. like: what jobs that take about as long share; seconds: wall; cpu: seconds of its process; flops: of what it computed
    and the cache did not have; fresh: whether there was any; accounted: FLOPs that were charged for it, cached or not."""

    key: str
    like: str
    seconds: float
    fresh: bool
    cpu: float = 0.0
    flops: float = 0.0
    accounted: float = 0.0


class Ledger:
    """The ledger of one cache folder; hears the pool's events."""

    def __init__(self, cache: Path, jobs: Iterable[Job]) -> None:
        self._file = cache / FILE
        self._jobs = {job.key: job for job in jobs}
        self._lines: dict[str, Line] = {}
        self._times: dict[str, list[float]] = {}
        self._stages: list[Line] = []
        for line in self._stored():
            self._take(line)

    def _stored(self) -> Iterable[Line]:
        if not self._file.is_file():
            return
        for text in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                line = Line(**json.loads(text))
                if (
                    isinstance(line.key, str)
                    and isinstance(line.like, str)
                    and min(line.seconds, line.cpu, line.flops, line.accounted) >= 0
                ):
                    yield line
            except (ValueError, TypeError):
                continue  # half a line, from a process that was killed while writing it

    def _take(self, line: Line) -> None:
        self._lines[line.key] = line
        if line.fresh:
            self._times.setdefault(line.like, []).append(line.seconds)
            if line.like == "stage" and line.cpu and line.flops:
                self._stages.append(line)

    def hear(self, event: Event) -> None:
        """Write down a job that is done. A full disk loses the line, and nothing else."""
        if event.name != "done":
            return
        job, took = self._jobs[event.job], event.detail
        if job.key in self._lines and not took["fresh"] and self._lines[job.key].cpu >= took["cpu"]:
            return
        accounted = took["result"].accounted if isinstance(took["result"], Made) else took["flops"]
        times = round(took["seconds"], 2), bool(took["fresh"]), round(took["cpu"], 2)
        line = Line(job.key, job.like, *times, took["flops"], accounted)
        self._take(line)
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)  # one write a line: processes do not mix theirs
            try:
                os.write(descriptor, (json.dumps(asdict(line)) + "\n").encode())
            finally:
                os.close(descriptor)

    def forecast(self) -> Forecast:
        """Of all the jobs. A job's time is the median of those like it here, or else of its kind."""
        counts = dict.fromkeys(TITLES, 0)
        done = dict(counts)
        total: float | None = 0.0
        for job in self._jobs.values():
            if type(job) not in TITLES:
                continue
            counts[type(job)] += 1
            if job.key in self._lines:
                done[type(job)] += 1
            elif total is not None:
                times = self._times.get(job.like) or [t for like, ts in self._times.items() if like.split(" ")[0] == job.kind for t in ts]
                total = total + median(times) if times else None
        return Forecast(counts, done, total)

    def unmetered(self, jobs: Iterable[Job]) -> list[str]:
        """A line for each job of a method that computed more than it was charged for. Python cannot forbid that; it shows in two ways: the
        process measured FLOPs that its `History` did not charge, or it worked far longer than the charged FLOPs take."""
        found = []
        for job in jobs:
            line = self._lines.get(job.key)
            if job.method is None or line is None:
                continue
            name = f"{job.kind} of {job.method.name}"
            if line.flops > (1 + UNCHARGED_SHARE) * line.accounted:
                found.append(f"{name}: computed {line.flops:.3g} FLOPs and was charged for {line.accounted:.3g}")
                continue
            expected = self._seconds(line.accounted)
            if expected is not None and line.cpu > UNMETERED_RATIO * expected + self._allowance():
                found.append(f"{name}: took {line.cpu:.0f} CPU s; the FLOPs it was charged for take about {expected:.0f} s")
        return found

    def _seconds(self, flops: float) -> float | None:
        """CPU seconds of so many FLOPs at the rate of the baseline run's stages; None where none was timed here."""
        return flops / median(line.flops / line.cpu for line in self._stages) if self._stages else None

    def _allowance(self) -> float:
        """CPU seconds that a job of a method may take for nothing that is charged."""
        return max(UNMETERED_SECONDS, median(line.cpu for line in self._stages) / 2)
