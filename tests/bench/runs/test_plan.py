"""From a spec to the jobs of a run."""

from __future__ import annotations

import pytest

from bench import hardware
from bench.errors import UserError
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.worker.jobs import LMEval, Recover, Score, Stage


def counts(**given: object) -> dict[str, int]:
    planned = plan(RunSpec(sequence="math-qa", **given))
    found: dict[str, int] = {}
    for job in planned.jobs.values():
        found[job.kind] = found.get(job.kind, 0) + 1
    return found


def test_the_jobs_of_each_kind_of_run() -> None:
    baseline = {"start": 1, "stage": 2, "score": 6, "distances": 1}
    assert counts() == baseline
    assert counts(method="refresh") == baseline | {"recover": 1, "score": 8}
    assert counts(method="replay") == baseline | {"stage": 4, "score": 10}
    assert counts(also=("mmlu",)) == baseline | {"lm-eval": 3}


def test_a_row_is_scored_on_every_domain_and_general_task() -> None:
    planned = plan(RunSpec(sequence="math-qa", method="refresh", also=("mmlu",), also_limit=7))
    jobs = planned.jobs.values()
    scored = {(job.of.key, job.domain) for job in jobs if isinstance(job, Score)}
    assert scored == {(maker.key, domain) for maker in planned.makers for domain in ("math", "qa")}
    assert {(job.tasks, job.limit) for job in jobs if isinstance(job, LMEval)} == {(("mmlu",), 7)}
    assert {job.of.key for job in jobs if isinstance(job, LMEval)} == {maker.key for maker in planned.makers}


def test_distances_are_measured_from_the_end_and_from_each_target() -> None:
    planned = plan(RunSpec(method="refresh", targets="all"))
    assert [row.name for row in planned.anchors] == ["baseline-4-cw", "baseline-1-code", "baseline-2-math", "baseline-3-qa"]
    distances = planned.distances
    assert [distances.rows[anchor].key for anchor in distances.anchors] == [planned.maker_of[row].key for row in planned.anchors]


def test_the_default_device_is_the_same_work_as_cpu_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys(device: str) -> set[str]:
        return set(plan(RunSpec(device=device)).jobs)

    monkeypatch.setattr(hardware, "cards", tuple)
    assert keys("auto") == keys("cpu")
    monkeypatch.setattr(hardware, "cards", lambda: (hardware.Card("GPU-aa", "NVIDIA H200", 40.0),))
    monkeypatch.setattr(hardware, "version", lambda package: "2.13.0+cu130")
    assert not keys("auto") & keys("cpu")


def test_null_stages_come_after_their_domain() -> None:
    stages = plan(RunSpec(null="math")).makers.baseline[1:]
    assert [(stage.domain, stage.null) for stage in stages] == [("code", False), ("math", False), ("qa", True), ("cw", True)]


def test_choosing_is_done_on_validation_items_of_the_rows_that_matter() -> None:
    jobs = plan(RunSpec(sequence="math-qa", method="replay"), "validation").jobs.values()
    assert {job.split for job in jobs if isinstance(job, Score)} == {"validation"}
    assert sum(isinstance(job, Score) for job in jobs) == 2 * 4, "the baseline's three rows and the method's last"
    assert sum(isinstance(job, Stage) for job in jobs) == 4
    assert not any(isinstance(job, Recover) for job in jobs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"null": "cw"}, "unknown domain before the last 'cw'"),
        ({"null": "math", "imported": ("a", "b"), "imported_sequence": ("math", "qa")}, "leave out --null"),
        ({"suite": "gym"}, "add --model"),
        ({"method": "refresh", "settings": {"steps": 0}}, "steps=0"),
        ({"method": "longer", "settings": {"steps": -1}}, "steps=-1"),
        ({"method": "relearn", "settings": {"steps": 0}}, "steps=0"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_planned(given: dict, message: str) -> None:
    with pytest.raises(UserError) as error:
        plan(RunSpec(**given))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_another_model_goes_to_a_suite_without_a_base() -> None:
    with pytest.raises(UserError, match="has a base of its own"):
        plan(RunSpec(model="somebody/model"))
