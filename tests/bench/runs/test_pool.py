"""The pool with workers that only pretend: lanes, deaths, order, and what handing out a job costs."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar, Literal

import pytest

from bench.errors import UserError
from bench.runs import pool as module
from bench.runs.execute import FailedRun
from bench.runs.pool import Ended, Event, Pool
from bench.runs.workers import MEMORY, THREADS
from bench.spec import MethodRecord
from bench.storage.cache import Cache
from bench.worker.jobs import Job, Setup

SETUP = Setup("micro", False, "", "cpu", "hf", (), "0" * 64)
WORKER = r"""
import json, os, sys, time
log, lane = sys.argv[1:]
with open(log + ".environment", "w") as file:
    json.dump(dict(os.environ), file)
for line in sys.stdin:
    job = json.loads(line)["job"]
    with open(log, "a") as file:
        file.write(json.dumps({"pid": os.getpid(), "lane": lane, "job": job["name"], "card": os.environ["CUDA_VISIBLE_DEVICES"]}) + "\n")
    marker = log + "." + job["name"]
    if job["deaths"] > (os.path.getsize(marker) if os.path.exists(marker) else 0):
        open(marker, "a").write("x")
        sys.stdout.write('{"event": "do')  # half a line
        sys.stdout.flush()
        os._exit(3)
    if job["fails"]:
        event = {"job": job["key"], "event": "failed", "error": "on purpose", "user": False}
    else:
        result = {"kind": "made", "checkpoint": "c" * 64}
        event = {"job": job["key"], "event": "done", "result": result, "seconds": 0.0, "cpu": 0.0, "fresh": True, "flops": 0.0}
    print(json.dumps(event), flush=True)
"""


@dataclass(frozen=True, eq=False)
class Fake(Job):
    """A job of a lane. deaths: how many workers die of it."""

    name: str
    of: str = ""
    needed: tuple[Fake, ...] = ()
    place: int = 0
    deaths: int = 0
    fails: bool = False
    keeps_card: bool = False
    setup: ClassVar[Setup] = SETUP
    kind: Literal["fake"] = "fake"

    @property
    def needs(self) -> tuple[Job, ...]:
        return self.needed

    @property
    def method(self) -> MethodRecord | None:
        return None

    @property
    def lane(self) -> str:
        return self.of

    @property
    def rank(self) -> int:  # type: ignore[override]
        return self.place

    @property
    def holds_card(self) -> bool:
        return self.keeps_card


@dataclass
class Done:
    """What a pool did."""

    pool: Pool
    lines: list[dict]
    events: list[Event]

    def names(self) -> list[str]:
        return [line["job"] for line in self.lines]


@pytest.fixture
def done_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Runs jobs on a pool of pretending workers."""
    log = tmp_path / "log"
    monkeypatch.setattr(module, "worker_command", lambda cache, lane: [sys.executable, "-I", "-S", "-c", WORKER, str(log), lane])
    monkeypatch.setattr(module, "to_json", lambda job: {"key": job.key, "name": job.name, "deaths": job.deaths, "fails": job.fails})

    def run(jobs: list[Fake], size: int, hear: Callable[[Event], None] = lambda event: None, places: tuple[str, ...] = ("",)) -> Done:
        events: list[Event] = []
        pool = Pool(size, tmp_path, tmp_path / "logs", module.to_all([events.append, hear]), places)
        thread = threading.Thread(target=pool.run, args=({job.key: job for job in jobs},), daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive(), "the pool waits for ever"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return Done(pool, lines, events)

    return run


def comparison(lanes: int, seeds: int) -> list[Fake]:
    """A comparison's shape: for each seed a chain of two stages, a repair in each lane, a score of each checkpoint."""
    jobs = []
    start = Fake("start", place=-1)
    for seed in range(seeds):
        first = Fake(f"first {seed}", needed=(start,))
        last = Fake(f"last {seed}", needed=(start, first))
        repairs = [Fake(f"repair {seed} {lane}", f"lane {lane}", (start, first, last)) for lane in range(1, lanes)]
        scores = [Fake(f"score {made.name}", needed=(made,), place=1) for made in (first, last, *repairs)]
        jobs += [first, last, *repairs, *scores]
    return [start, *jobs]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_every_job_is_done_once_and_a_worker_keeps_to_its_lane(done_by: Callable[..., Done], size: int) -> None:
    jobs = comparison(lanes=4, seeds=2)
    done = done_by(jobs, size)
    assert sorted(done.names()) == sorted(job.name for job in jobs)
    assert not done.pool.failures
    by_process: dict[int, set[str]] = {}
    for line in done.lines:
        by_process.setdefault(line["pid"], set()).add(line["lane"])
    assert all(len(lanes) == 1 for lanes in by_process.values())
    lane_of = {job.name: job.lane for job in jobs}
    assert all(line["lane"] == lane_of[line["job"]] for line in done.lines)


def test_the_cache_is_not_emptied_meanwhile(done_by: Callable[..., Done], tmp_path: Path) -> None:
    said: list[str] = []

    def prune(event: Event) -> None:
        with pytest.raises(UserError) as error:
            Cache(tmp_path).prune()
        said.append(str(error.value))

    done = done_by([Fake("only")], 1, prune)
    assert [event.name for event in done.events] == ["done"]
    assert said == [f"cache {tmp_path} is in use by a running command: wait for it to end"]


def test_a_dead_process_is_the_machines_failure_and_an_exception_is_not(done_by: Callable[..., Done]) -> None:
    done = done_by([Fake("dies", deaths=2), Fake("fails", fails=True)], 2)
    assert {failure.job.name: failure.machine for failure in done.pool.failures} == {"dies": True, "fails": False}


def test_a_worker_has_one_thread_and_keeps_its_memory_unless_the_user_decides(
    done_by: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, *others = MEMORY
    monkeypatch.setenv(name, "12345")
    monkeypatch.delenv(others[0], raising=False)
    done_by([Fake("one")], 1)
    environment = json.loads((tmp_path / "log.environment").read_text())
    assert environment.items() >= ({other: MEMORY[other] for other in others} | {name: "12345"} | THREADS).items()


def test_one_worker_changes_lanes_as_rarely_as_the_order_allows(done_by: Callable[..., Done]) -> None:
    done = done_by(comparison(lanes=4, seeds=3), 1)
    assert len({line["pid"] for line in done.lines}) == 5, "all stages, three lanes of repairs, all scores"


def test_an_idle_worker_ends_only_where_its_place_is_needed(done_by: Callable[..., Done]) -> None:
    """Four idle workers and one job of another lane: three stay, and do what comes after it."""
    starts = [Fake(f"start {number}") for number in range(4)]
    repair = Fake("repair", "mine", tuple(starts))
    scores = [Fake(f"score {number}", needed=(repair,), place=1) for number in range(3)]
    done = done_by([*starts, repair, *scores], 4)
    assert len({line["pid"] for line in done.lines if line["lane"] == ""}) <= 4
    assert len({line["pid"] for line in done.lines}) <= 5


def test_needs_come_first_and_lower_ranks_before_higher(done_by: Callable[..., Done]) -> None:
    first = Fake("first")
    jobs = [first, Fake("late", needed=(first,), place=2), Fake("middle", needed=(first,), place=1), Fake("soon", needed=(first,))]
    assert done_by(jobs, 1).names() == ["first", "soon", "middle", "late"]


def test_a_job_whose_worker_dies_goes_to_another_one_once(done_by: Callable[..., Done]) -> None:
    jobs = [Fake("fine"), Fake("once", deaths=1), Fake("always", deaths=9), Fake("after", needed=(Fake("always", deaths=9),))]
    done = done_by(jobs, 2)
    assert done.names().count("once") == done.names().count("always") == 2
    assert {job.name for job in jobs if job.key in done.pool.results} == {"fine", "once"}
    (failure,) = done.pool.failures
    assert failure.job.name == "always"
    assert failure.error == "its process ended twice, with code 3"
    assert "after" not in done.names()
    assert sum(event.name == "died" and bool(event.job) for event in done.events) == 3


class Watched:
    """A sandbox that says why it ended a worker."""

    def __init__(self, ended: Ended | None) -> None:
        self.reason = ended

    def ended(self, process: object) -> Ended | None:
        return self.reason


@pytest.mark.parametrize(
    ("ended", "code", "machine"),
    [
        (None, 3, False),
        (None, -9, True),  # nobody here killed it
        (None, 137, True),
        (Ended("it took longer than 20 s"), -9, False),
        (Ended("this machine's disk was almost full", machine=True), -9, True),
    ],
)
def test_a_method_is_not_blamed_for_a_machine_that_failed(ended: Ended | None, code: int, machine: bool, tmp_path: Path) -> None:
    pool, job = Pool(1, tmp_path / "cache", tmp_path / "logs", lambda event: None), Fake("repair", "mine")
    pool.sandbox = Watched(ended)
    worker = SimpleNamespace(process=None, log=tmp_path / "log", stream=io.BytesIO(), lane="mine", job=job)
    pool._workers = [worker]
    pool._bury(worker, code)
    (failure,) = pool.failures
    assert (failure.machine, failure.user) == (machine, not machine)
    assert FailedRun.of(None, failure).by_method is not machine


@pytest.mark.parametrize(("said", "machine"), [({}, False), ({"machine": True}, True), ({"machine": "yes"}, False)])
def test_a_worker_in_a_sandbox_may_say_that_the_machine_failed(said: dict[str, object], machine: bool) -> None:
    job = Fake("repair", "mine")
    detail = {"event": "failed", "job": job.key, "error": "no space left"} | said
    found = Pool._checked(Watched(None), SimpleNamespace(job=job), detail)
    assert (found.get("machine", False), found["user"]) == (machine, not machine)


def test_a_failure_stops_only_what_needs_it(done_by: Callable[..., Done]) -> None:
    broken = Fake("broken", fails=True)
    done = done_by([broken, Fake("after", needed=(broken,)), Fake("beside")], 2)
    assert sorted(done.names()) == ["beside", "broken"]
    assert [failure.error for failure in done.pool.failures] == ["on purpose"]


def test_a_worker_that_holds_a_card_ends_with_its_job(done_by: Callable[..., Done]) -> None:
    done = done_by([Fake(f"job {number}", keeps_card=True) for number in range(3)], 1)
    assert len({line["pid"] for line in done.lines}) == 3


def test_workers_are_put_on_their_cards_in_turn(done_by: Callable[..., Done]) -> None:
    """Each lane has its worker; there are more of them than places."""
    jobs = [Fake(f"job {number}", f"lane {number}") for number in range(3)]
    assert sorted(line["card"] for line in done_by(jobs, 3, places=("GPU-aa", "GPU-bb")).lines) == ["GPU-aa", "GPU-aa", "GPU-bb"]


def test_workers_on_a_cpu_see_no_card(done_by: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert [line["card"] for line in done_by([Fake("job")], 1).lines] == [""]


def test_a_worker_that_was_killed_is_named_as_such() -> None:
    assert "--jobs" in module._ending(-9)
    assert "signal 11" in module._ending(-11)


def test_handing_out_a_job_costs_no_more_in_a_large_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ten times the jobs take at most twenty times as long; work that grows with the square would take a hundred times."""

    def seconds(seeds: int) -> float:
        jobs = comparison(lanes=5, seeds=seeds)
        for job in jobs:
            assert job.key
        pool = Pool(4, tmp_path, tmp_path, lambda event: None)
        monkeypatch.setattr(Pool, "_start", lambda self, job: _pretend(self, job.lane))
        monkeypatch.setattr(Pool, "_give", lambda self, worker, job: _answer(self, worker, job))
        monkeypatch.setattr(Pool, "_retire", lambda self, worker: _leave(self, worker))
        began = time.process_time()
        pool.run({job.key: job for job in jobs})
        assert len(pool.results) == len(jobs)
        return time.process_time() - began

    few, many = (min(seconds(seeds) for _ in range(3)) for seeds in (42, 420))  # 505 and 5,041 jobs
    assert many < 20 * few


class _NoProcess:
    def kill(self) -> None: ...

    def wait(self) -> None: ...

    def close(self) -> None: ...


def _pretend(pool: Pool, lane: str) -> module._Worker:
    worker = module._Worker(_NoProcess(), Path("log"), _NoProcess(), lane, 0)  # type: ignore[arg-type]
    pool._workers.append(worker)
    return worker


def _answer(pool: Pool, worker: module._Worker, job: Job) -> None:
    worker.job = job
    pool._events.put((worker, {"event": "done", "job": job.key, "result": {"kind": "made", "checkpoint": "c"}}))


def _leave(pool: Pool, worker: module._Worker) -> None:
    worker.retired = True
    pool._events.put((worker, module._Died(0)))
