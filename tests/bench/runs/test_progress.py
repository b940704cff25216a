"""The live display, and that no text in it is taken for markup."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bench.runs.plan import Plan, plan
from bench.runs.pool import Event
from bench.runs.progress import Display
from bench.spec import RunSpec
from bench.worker.jobs import Recover, Score, Stage
from bench.worker.outcomes import Made, Scored

ODD = "[/x] [red]"


def display(plans: list[Plan], *, terminal: bool) -> tuple[Display, io.StringIO]:
    """A display that draws into a text."""
    written = io.StringIO()
    shown = Display(plans)
    shown._console = Console(file=written, force_terminal=terminal, width=200)
    shown._drawn = terminal
    return shown, written


def step(planned: Plan, number: int) -> Event:
    (stage, *_) = [job for job in planned.jobs.values() if isinstance(job, Stage)]
    return Event("step", stage.key, {"what": ODD, "step": number, "of": 10, "reward": {ODD: 0.5}})


def finished(planned: Plan) -> list[Event]:
    events = []
    for job in planned.jobs.values():
        result = Scored("", {"greedy": 0.5}, 0) if isinstance(job, Score) else Made("c" * 64)
        events.append(Event("done", job.key, {"result": result}))
    return events


@pytest.mark.parametrize("terminal", [True, False])
def test_brackets_in_texts_are_printed_as_they_are(terminal: bool) -> None:
    planned = plan(RunSpec(sequence="math-qa", method="rollback", settings={"rank": "magnitude"}))
    odd = plan(planned.spec.model_copy(update={"seed": 1}))
    object.__setattr__(odd.spec, "settings", {"rank": ODD})
    shown, written = display([planned, odd], terminal=terminal)
    failed = next(iter(odd.jobs.values()))
    with shown:
        shown.hear(step(planned, 3))
        shown.hear(Event("died", failed.key, {"code": 1}))
        shown.hear(Event("failed", failed.key, {"error": f"RuntimeError: {ODD}"}))
        for event in finished(planned):
            shown.hear(event)
        if terminal:
            shown._console.print(shown._render())
    assert f"start failed: RuntimeError: {ODD}" in written.getvalue()
    if terminal:
        assert f"rollback rank={ODD}" in written.getvalue()


def test_a_long_message_stays_one_line() -> None:
    planned = plan(RunSpec(sequence="math-qa"))
    shown, written = display([planned], terminal=False)
    with shown:
        shown.hear(Event("failed", next(iter(planned.jobs)), {"error": "word " * 200}))
    assert len(written.getvalue().splitlines()) == 1


def test_each_row_is_a_line_once_it_is_known() -> None:
    planned = plan(RunSpec(sequence="math-qa", method="refresh"))
    shown, written = display([planned], terminal=False)
    with shown:
        shown.hear(step(planned, 10))
        for event in finished(planned):
            shown.hear(event)
    lines = [line.split() for line in written.getvalue().splitlines()]
    assert [line[:3] for line in lines if line[0] == "seed"] == [
        ["seed", "0", name] for name in ("baseline-0-base", "baseline-1-math", "baseline-2-qa", "repaired")
    ]
    assert lines[-1][3:] == ["math", "50.0", "qa", "50.0"]
    assert "10 steps, last reward" in written.getvalue()


def test_every_training_of_a_repair_is_a_line() -> None:
    planned = plan(RunSpec(sequence="math-qa", method="refresh"))
    shown, written = display([planned], terminal=False)
    (repair,) = [job for job in planned.jobs.values() if isinstance(job, Recover)]
    with shown:
        for domain, steps in (("math", 2), ("qa", 3)):
            for number in range(1, steps + 1):
                shown.hear(Event("step", repair.key, {"what": domain, "step": number, "of": steps, "reward": {domain: number / 4}}))
        shown.hear(Event("done", repair.key, {"result": Made("c" * 64)}))
    assert written.getvalue().splitlines() == [
        "trained math: 2 steps, last reward math 0.500", "trained qa: 3 steps, last reward qa 0.750",
    ]  # fmt: skip


def test_a_terminal_shows_trainings_in_the_bar_alone() -> None:
    planned = plan(RunSpec(sequence="math-qa"))
    shown, written = display([planned], terminal=True)
    with shown:
        shown.hear(step(planned, 10))
    assert "last reward" not in written.getvalue()


def test_a_quiet_display_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(RunSpec(sequence="math-qa"))
    with Display([planned], enabled=False) as shown:
        shown.hear(Event("failed", next(iter(planned.jobs)), {"error": "x"}))
    assert capsys.readouterr() == ("", "")
