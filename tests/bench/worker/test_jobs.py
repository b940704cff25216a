"""Jobs as values: their JSON form, their needs, and what makes two of them the same work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.registry import described
from bench.runs.plan import graph_of, plan
from bench.spec import MethodRecord, ModelRecord, RunSpec
from bench.suite import load_suite
from bench.worker import outcomes
from bench.worker.jobs import Distances, Job, LMEval, Recover, Score, Stage, Start, from_json, to_json
from bench.worker.outcomes import Evaluated, Log, Made, MeasuredNorms, Scored, Started

RECORD = MethodRecord(
    reference="refresh",
    name="refresh",
    settings={"steps": 3},
    source="a" * 64,
    track="light",
    control=False,
    own_stages=False,
    repairs=True,
)


def jobs_of(**given: object) -> list[Job]:
    return list(plan(RunSpec(**given)).jobs.values())


def keys_of(kind: type[Job], **given: object) -> set[str]:
    return {job.key for job in jobs_of(**given) if isinstance(job, kind)}


@pytest.mark.parametrize("method", ["none", "refresh", "replay"])
def test_a_job_is_the_same_after_a_trip_through_json(method: str) -> None:
    jobs = jobs_of(method=method, also=("mmlu",), also_limit=3)
    assert {type(job) for job in jobs} >= {Start, Stage, Score, LMEval, Distances} | ({Recover} if method == "refresh" else set())
    for job in jobs:
        again = from_json(json.loads(json.dumps(to_json(job))))
        assert type(again) is type(job)
        assert again.key == job.key
        assert again == job
        assert [need.key for need in again.needs] == [need.key for need in job.needs]
        assert (again.lane, again.like, again.rank) == (job.lane, job.like, job.rank)


def test_a_job_needs_what_it_starts_from() -> None:
    planned = plan(RunSpec(method="refresh"))
    start, *stages = planned.makers.baseline
    assert start.needs == ()
    assert stages[2].needs == (start, *stages[:2]), "a method may look at every checkpoint so far"
    assert planned.makers.final.needs == (start, *stages)
    assert planned.scoring(planned.rows.final, "math").needs == (planned.makers.final,)
    known = set(planned.jobs)
    assert all(need.key in known for job in planned.jobs.values() for need in job.needs)


def test_runs_share_what_does_not_differ() -> None:
    assert keys_of(Stage, method="refresh") == keys_of(Stage, method="rollback") == keys_of(Stage)
    assert keys_of(Stage, targets="all") == keys_of(Stage)
    assert len(keys_of(Stage, method="replay") & keys_of(Stage)) == 4, "the baseline run's stages are there too"
    for kind in (Stage, Score):
        graph = graph_of([plan(RunSpec(method=name)) for name in ("none", "refresh")])
        assert sum(isinstance(job, kind) for job in graph.values()) == {Stage: 4, Score: 24}[kind]


def test_orders_share_what_they_begin_with() -> None:
    """math-qa begins as math-cw-code-qa does: the base, its scores, and the stage on math."""
    suite = load_suite("micro")
    begins_alike = [name for name in ("balanced-2", "math-qa") if suite.sequence(name)[0] == "math"]
    assert len(begins_alike) == 2
    one, other = (keys_of(Stage, sequence=name) for name in begins_alike)
    assert len(one & other) == 1
    assert len(keys_of(Start, sequence="paper") & keys_of(Start, sequence="math-qa")) == 1


@pytest.mark.parametrize("changed", [{"seed": 1}, {"null": "code"}, {"device": "cuda"}, {"quick": True}])
def test_other_work_has_another_key(changed: dict[str, object]) -> None:
    before, after = keys_of(Stage), keys_of(Stage, **changed)
    shared = 1 if "null" in changed else 0  # the stages up to the domain's own are the real ones
    assert len(before & after) == shared


def test_the_key_of_a_repair_follows_its_settings_and_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    first = keys_of(Recover, method="refresh", settings={"steps": 3})
    assert first == keys_of(Recover, method="refresh", settings={"steps": "3"})
    assert first.isdisjoint(keys_of(Recover, method="refresh", settings={"steps": 4}))
    assert first.isdisjoint(keys_of(Recover, method="refresh", settings={"steps": 3}, targets="all"))
    monkeypatch.setattr("bench.registry.class_hash", lambda cls, package: "0" * 64)
    assert first.isdisjoint(keys_of(Recover, method="refresh", settings={"steps": 3}))


def test_every_key_follows_the_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {job.key for job in jobs_of(method="refresh")}
    monkeypatch.setattr("bench.suite.Suite.fingerprint", lambda self: "0" * 64)
    assert before.isdisjoint(job.key for job in jobs_of(method="refresh"))


def test_what_a_method_was_called_by_is_not_what_it_is(tmp_path: Path) -> None:
    text = "from bench.method import Method\nclass Mine(Method):\n    def recover(self, checkpoint, *rest):\n        return checkpoint\n"
    records = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(text)
        records.append(described(f"{tmp_path / name / 'mine.py'}:Mine", {}).record)
    last = plan(RunSpec()).makers.baseline[-1]
    one, other = (Recover(last, ("code", "math"), ("code",), record) for record in records)
    assert records[0].reference != records[1].reference
    assert one == other


def test_lanes_keep_methods_apart() -> None:
    mine = RECORD.model_copy(update={"reference": "mine.py:Mine", "name": "Mine", "source": "b" * 64})
    twin = mine.model_copy(update={"reference": "mine.py:Twin", "name": "Twin"})
    edited = mine.model_copy(update={"source": "c" * 64})
    last = plan(RunSpec()).makers.baseline[-1]
    repairs = [Recover(last, ("code",), ("code",), record) for record in (RECORD, mine, twin, edited)]
    assert repairs[0].lane == ""
    assert len({job.lane for job in repairs}) == 4
    assert {Score(job, "code", "test").lane for job in repairs} == {""}, "scoring happens in a process that ran no user's method"
    assert last.lane == ""


@pytest.mark.parametrize(
    "outcome",
    [
        Started("a" * 64, ModelRecord(name="", revision="", content="a" * 64), {"device": "cpu"}),
        Made("b" * 64, 3.0, {"k": 2.0}, 1.0, logs=(Log("math", "/x"),)),
        Scored("/answers.gz", {"greedy": 0.5, "sampled": 0.25}, 0),
        Evaluated({"mmlu": {"acc": (0.5, 0.01)}}),
        MeasuredNorms(((0.0, 1.5), (1.5, 0.0))),
    ],
)
def test_an_outcome_is_the_same_after_a_trip_through_json(outcome: object) -> None:
    stored = outcomes.to_json(outcome)
    again = outcomes.from_json(json.loads(json.dumps(stored)))
    assert type(again) is type(outcome)
    assert outcomes.to_json(again) == stored


def test_everything_a_method_got_is_accounted_for() -> None:
    assert Made("b" * 64, 3.0, {"k": 2.0, "l": 5.0}, free=1.0).accounted == 11.0
