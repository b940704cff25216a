"""From outcomes to folders, with a pool that makes them up: runs are written as they finish, and nothing later loses them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.results.answers import Answer, written
from bench.results.run import Run, find_runs, load_run
from bench.runs import execute as module
from bench.runs import pool as pool_module
from bench.runs.execute import FailedRunsError, execute, replaced
from bench.runs.plan import Plan, plan
from bench.runs.pool import Event, Failure
from bench.spec import ModelRecord, RunSpec
from bench.suite import DECODINGS, load_suite
from bench.worker.jobs import Distances, Job, LMEval, Score, Stage, Start
from bench.worker.outcomes import Evaluated, Log, Made, MeasuredNorms, Scored, Started


class MadeUp:
    """A pool that invents results. broken: the kind of job that fails; last: called before the last job."""

    base = load_suite("micro").base.content
    broken = ""
    last: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, size: int, cache: Path, logs: Path, listen: Callable[[Event], None], device: str, sandbox: None) -> None:
        self.folder, self.logs, self.listen = cache / "made up", logs, listen
        self.folder.mkdir(exist_ok=True)
        self.failures: list[Failure] = []

    def run(self, jobs: Mapping[str, Job]) -> None:
        for number, job in enumerate(jobs.values(), 1):
            if number == len(jobs):
                self.last()
            if job.kind == self.broken:
                self.failures.append(Failure(job, "on purpose [/x]", self.logs))
                self.listen(Event("failed", job.key, {"error": "on purpose [/x]", "user": False}))
                continue
            detail = {"result": self.outcome(job), "seconds": 1.0, "cpu": 1.0, "fresh": True, "flops": 1e9}
            self.listen(Event("done", job.key, detail))

    def outcome(self, job: Job) -> Any:
        if isinstance(job, Start):
            return Started(self.base, ModelRecord(name="", revision="", content=self.base), {"device": "cpu"})
        if isinstance(job, Score):
            file = self.folder / f"{job.key}.gz"
            given = {"domain": job.domain, "prompt": "p", "answer": "a", "parsed": True, "ended": True}
            file.write_bytes(
                written([Answer(decoding=d, item=n, score=float((n + len(job.key)) % 2), **given) for d in DECODINGS for n in range(4)])
            )
            return Scored(str(file), {"greedy": 0.5}, 0)
        if isinstance(job, LMEval):
            return Evaluated({"mmlu": {"acc": (0.5, 0.01)}})
        if isinstance(job, Distances):
            return MeasuredNorms(tuple(tuple(1.0 for _ in job.rows) for _ in job.anchors))
        log = self.folder / f"{job.key}.jsonl"
        log.write_text('{"step": 1}\n')
        return Made(job.key, 1e9, {} if isinstance(job, Stage) else {"k": 1e9}, logs=(Log("math", str(log)),))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> type[MadeUp]:
    class Own(MadeUp):
        pass

    monkeypatch.setattr(pool_module, "Pool", Own)
    return Own


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Run]]:
    return lambda plans: execute(plans, out=tmp_path / "runs", cache=tmp_path / "cache", jobs=1, display=False)


def planned(method: str = "none", **fields: Any) -> Plan:
    return plan(RunSpec(sequence="math-qa", method=method, **fields))


def test_every_plan_becomes_a_sound_folder(pool: type[MadeUp], run: Callable[..., list[Run]]) -> None:
    runs = run([planned(), planned("refresh"), planned("replay", seed=3)])
    assert [(each.manifest.method.name, each.seed) for each in runs] == [("none", 0), ("refresh", 0), ("replay", 3)]
    for each in runs:
        load_run(each.folder).check()
        assert json.loads((each.folder / "timing.json").read_text())["unmetered"] == []
    assert runs[1].manifest.checkpoints["repaired"]
    assert runs[1].logs(runs[1].rows.after(0)) == [{"step": 1}]


def test_the_run_of_an_edited_method_is_named_before_it_is_replaced(
    pool: type[MadeUp], run: Callable[..., list[Run]], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    source = "from bench.method import Method\nclass Mine(Method):\n    alpha: float = 0.3\n    def recover(self, c, t, h): return c\n"
    file.write_text(source)
    before = [planned(f"{file}:Mine"), planned("refresh")]
    assert replaced(before, tmp_path / "runs") == []
    folder = run(before)[0].folder
    assert replaced(before, tmp_path / "runs") == []
    file.write_text(source.replace("0.3", "0.55"))
    after = [planned(f"{file}:Mine"), planned("refresh")]
    assert replaced(after, tmp_path / "runs") == [folder]
    assert replaced(after, tmp_path / "elsewhere") == []


def test_a_rerun_without_general_tasks_leaves_none_of_their_scores(pool: type[MadeUp], run: Callable[..., list[Run]]) -> None:
    (before,) = run([planned(also=("mmlu",))])
    assert before.also["baseline-0-base"] == {"mmlu": {"acc": [0.5, 0.01]}}
    (after,) = run([planned()])
    assert after.folder == before.folder
    assert after.also == {}
    assert not (after.folder / "also.json").exists()
    load_run(after.folder).check()


def test_the_same_results_give_the_same_bytes(pool: type[MadeUp], run: Callable[..., list[Run]]) -> None:
    first = (run([planned("refresh")])[0].folder / "manifest.json").read_bytes()
    assert (run([planned("refresh")])[0].folder / "manifest.json").read_bytes() == first


def test_a_run_is_written_before_the_others_are_done(pool: type[MadeUp], run: Callable[..., list[Run]], tmp_path: Path) -> None:
    def fall_over() -> None:
        raise KeyboardInterrupt

    pool.last = staticmethod(fall_over)
    with pytest.raises(KeyboardInterrupt):
        run([planned(), planned(seed=1)])
    (found,) = find_runs(tmp_path / "runs")[0]
    assert found.seed == 0


def test_a_disk_that_fails_on_the_way_is_one_line_and_loses_no_finished_run(
    pool: type[MadeUp], run: Callable[..., list[Run]], tmp_path: Path
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "cache" / "logs"))

    pool.last = staticmethod(full)
    with pytest.raises(UserError) as error:
        run([planned(), planned(seed=1)])
    assert str(error.value).startswith(f"{tmp_path}/cache/logs: cannot be used (No space left on device)")
    assert [found.seed for found in find_runs(tmp_path / "runs")[0]] == [0]


def test_a_failure_is_reported_with_brackets_and_the_others_are_written(pool: type[MadeUp], run: Callable[..., list[Run]]) -> None:
    pool.broken = "recover"
    with pytest.raises(FailedRunsError) as error:
        run([planned(), planned("refresh"), planned("replay")])
    assert [each.manifest.method.name for each in error.value.done] == ["none", "replay"]
    assert "1 of 3 runs failed, 2 of 3 are finished" in str(error.value)
    assert "recover failed: on purpose [/x] (log: " in str(error.value)


def test_a_folder_that_cannot_be_written_costs_that_run_alone(
    pool: type[MadeUp], run: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run = module.write_run

    def full(folder: Path, *rest: Any) -> Run:
        if "refresh" in folder.name:
            raise OSError(28, "No space left on device")
        return write_run(folder, *rest)

    monkeypatch.setattr(module, "write_run", full)
    with pytest.raises(FailedRunsError) as error:
        run([planned(), planned("refresh"), planned("rollback")])
    assert [each.manifest.method.name for each in error.value.done] == ["none", "rollback"]
    assert "No space left on device); free some space" in str(error.value)
    with pytest.raises(FailedRunsError, match="No space left on device"):
        run([planned("refresh")])


def test_a_folder_in_use_is_refused(pool: type[MadeUp], run: Callable[..., list[Run]], tmp_path: Path) -> None:
    from filelock import FileLock

    folder = tmp_path / "runs" / planned().spec.folder_name()
    folder.mkdir(parents=True)
    with FileLock(folder / ".lock"), pytest.raises(UserError, match="being written by another process"):
        run([planned()])


def test_the_same_run_twice_is_refused(pool: type[MadeUp], run: Callable[..., list[Run]]) -> None:
    with pytest.raises(UserError, match="two of these runs are the same"):
        run([planned(), planned()])


def test_costs_are_shares_of_the_suites_constant(pool: type[MadeUp], run: Callable[..., list[Run]]) -> None:
    first = planned("refresh")
    whole = first.spec.load_suite().sequence_flops(first.sequence)
    refreshed, replayed = run([first, planned("replay")])
    assert refreshed.manifest.cost.stages == 1.0
    assert refreshed.manifest.cost.repair == pytest.approx(1e9 / whole)
    assert replayed.manifest.cost.stages == pytest.approx(2e9 / whole)
    assert replayed.manifest.cost.repair == 0


def test_costs_of_another_base_are_shares_of_its_own_stages(
    pool: type[MadeUp], run: Callable[..., list[Run]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MadeUp, "base", "a" * 64)
    (refreshed,) = run([planned("refresh")])
    assert refreshed.manifest.cost.repair == pytest.approx(1 / len(refreshed.sequence))
