"""The ledger: what is left to do and how long it takes, and work that nobody was charged for."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.runs.forecast import FILE, UNMETERED_SECONDS, Ledger
from bench.runs.plan import Plan, plan
from bench.runs.pool import Event
from bench.spec import RunSpec
from bench.worker.jobs import Job, LMEval, Recover, Score, Stage
from bench.worker.outcomes import Made, Scored


@pytest.fixture(scope="module")
def planned() -> Plan:
    """math-qa, with a repair: two stages, eight scores."""
    return plan(RunSpec(sequence="math-qa", method="refresh"))


def of_kind(planned: Plan, kind: type[Job]) -> list[Job]:
    return [job for job in planned.jobs.values() if isinstance(job, kind)]


def done(ledger: Ledger, job: Job, seconds: float, *, fresh: bool = True, flops: float = 0.0, charged: float | None = None) -> None:
    """A job is done after so many seconds of its process; charged: what the method was charged for, by default what was computed."""
    result = Scored("", {}, 0) if isinstance(job, Score) else Made("c" * 64, charged={"k": flops if charged is None else charged})
    detail = {"seconds": seconds, "cpu": seconds, "fresh": fresh, "flops": flops, "result": result}
    ledger.hear(Event("done", job.key, detail))


def test_a_forecast_adds_up_what_is_left(tmp_path: Path, planned: Plan) -> None:
    jobs = planned.jobs.values()
    ledger = Ledger(tmp_path, jobs)
    assert ledger.forecast().seconds is None
    first, second = of_kind(planned, Stage)
    scores = [job for job in of_kind(planned, Score) if job.domain == "math"]
    done(ledger, first, 10.0)
    for score, seconds in zip(scores[:3], (1.0, 5.0, 2.0), strict=True):
        done(ledger, score, seconds)
    done(ledger, of_kind(planned, Recover)[0], 7.0)
    found = Ledger(tmp_path, jobs).forecast()
    assert found.counts == {Stage: 2, Recover: 1, Score: 8, LMEval: 0}
    assert found.done == {Stage: 1, Recover: 1, Score: 3, LMEval: 0}
    # A stage as long as the one known; a score of math by the median of 1, 5, 2; four of qa by the scores of any domain.
    assert found.seconds == 10.0 + 2.0 + 4 * 2.0
    assert "2 stages (1 in the cache), 1 repair (1 in the cache), 8 scorings (3 in the cache)" in found.text(2)
    assert second.key not in Ledger(tmp_path, jobs)._lines


def test_scorings_by_lm_eval_are_counted(tmp_path: Path) -> None:
    graph = plan(RunSpec(sequence="math-qa", also=("mmlu",))).jobs.values()
    found = Ledger(tmp_path, graph).forecast()
    assert found.counts[LMEval] == 3
    assert "3 scorings by lm-eval (0 in the cache)" in found.text(1)


def test_what_came_from_the_cache_says_nothing_of_time(tmp_path: Path, planned: Plan) -> None:
    first, _ = of_kind(planned, Stage)
    done(Ledger(tmp_path, planned.jobs.values()), first, 0.01, fresh=False)
    found = Ledger(tmp_path, planned.jobs.values()).forecast()
    assert found.done[Stage] == 1
    assert found.seconds is None


def test_half_a_line_is_passed_over(tmp_path: Path, planned: Plan) -> None:
    first, second = of_kind(planned, Stage)
    done(Ledger(tmp_path, planned.jobs.values()), first, 10.0)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"key": "x", "li\n[]\n7\n\xff\xfe\n{"key": 1, "like": "stage", "seconds": "long", "fresh": true}\n')
    done(Ledger(tmp_path, planned.jobs.values()), second, 20.0)
    assert Ledger(tmp_path, planned.jobs.values()).forecast().done[Stage] == 2


def test_a_ledger_that_cannot_be_written_stops_nothing(tmp_path: Path, planned: Plan) -> None:
    (tmp_path / FILE).mkdir()
    ledger = Ledger(tmp_path, planned.jobs.values())
    done(ledger, of_kind(planned, Stage)[0], 10.0)
    assert ledger.forecast().done[Stage] == 1


def test_nothing_left_is_said(tmp_path: Path, planned: Plan) -> None:
    ledger = Ledger(tmp_path, planned.jobs.values())
    for job in planned.jobs.values():
        done(ledger, job, 10.0)
    assert "nothing left to compute" in ledger.forecast().text(2)


# --- unmetered computing


def told(tmp_path: Path, planned: Plan, seconds: float, *, flops: float, charged: float, stage_seconds: float = 10.0) -> list[str]:
    """What is reported of a repair where a stage takes 1e9 FLOPs a second."""
    ledger = Ledger(tmp_path, planned.jobs.values())
    for stage in of_kind(planned, Stage):
        done(ledger, stage, stage_seconds, flops=1e9 * stage_seconds)
    (repair,) = of_kind(planned, Recover)
    done(ledger, repair, seconds, fresh=flops > 0, flops=flops, charged=charged)
    return Ledger(tmp_path, planned.jobs.values()).unmetered(planned.jobs.values())


def test_a_repair_that_pays_for_what_it_computes_is_not_reported(tmp_path: Path, planned: Plan) -> None:
    assert told(tmp_path, planned, 12.0, flops=5e9, charged=5e9) == []


def test_weight_arithmetic_is_free(tmp_path: Path, planned: Plan) -> None:
    assert told(tmp_path, planned, UNMETERED_SECONDS - 1, flops=0, charged=0) == []


def test_a_large_model_has_more_weights_to_do_arithmetic_on(tmp_path: Path, planned: Plan) -> None:
    assert told(tmp_path, planned, 250.0, flops=0, charged=0, stage_seconds=600.0) == []


def test_a_result_from_the_cache_is_not_reported(tmp_path: Path, planned: Plan) -> None:
    assert told(tmp_path, planned, 1.0, flops=0, charged=5e9) == []


def test_computing_past_the_history_shows_in_cpu_seconds(tmp_path: Path, planned: Plan) -> None:
    (line,) = told(tmp_path, planned, 100.0, flops=0, charged=1e9)
    assert line == "recover of refresh: took 100 CPU s; the FLOPs it was charged for take about 1 s"


def test_flops_that_nobody_was_charged_for_are_reported_however_few_seconds_they_take(tmp_path: Path, planned: Plan) -> None:
    (line,) = told(tmp_path, planned, 2.0, flops=3e9, charged=2e9)
    assert line == "recover of refresh: computed 3e+09 FLOPs and was charged for 2e+09"


def test_a_rerun_from_the_cache_does_not_wipe_out_what_was_seen(tmp_path: Path, planned: Plan) -> None:
    told(tmp_path, planned, 2.0, flops=3e9, charged=2e9)
    ledger = Ledger(tmp_path, planned.jobs.values())
    done(ledger, of_kind(planned, Recover)[0], 0.1, fresh=False, flops=0, charged=2e9)
    assert len(ledger.unmetered(planned.jobs.values())) == 1
