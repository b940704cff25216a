"""What diagnostics get from a workbench: which training, which prompts, and findings that are remembered by all they depend on."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bench.method import Training
from bench.worker import subject as module
from bench.worker.subject import StagesOfRun
from bench.worker.workbench import Workbench


class Recorder:
    """A workbench that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple, dict[str, Any]]] = []
        self.cache = SimpleNamespace(tensors=lambda content: content)

    def __getattr__(self, name: str) -> Any:
        def ask(*given: Any, **named: Any) -> Any:
            self.asked.append((name, given, named))
            return SimpleNamespace(value={"checkpoint": name, "tensors": name})

        return ask

    def checkpoint(self, content: str) -> str:
        return content


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def subject(recorder: Recorder) -> StagesOfRun:
    return StagesOfRun(recorder, ("a", "b", "c"), 7, "base", {"a": "A", "b": "B", "c": "C"}, null=frozenset({"c"}))


def test_a_refresh_is_a_repair_and_may_be_null(recorder: Recorder, subject: StagesOfRun) -> None:
    subject.refreshed("C", "b", 5, null=False)
    subject.refreshed("C", "b", 5, null=True)
    expected = ("C", Training.on("b", steps=5))
    assert recorder.asked == [("train", expected, {"seed": 7, "purpose": "repair", "null": null}) for null in (False, True)]


def test_a_stage_is_trained_again_from_where_it_began_on_other_prompts(recorder: Recorder, subject: StagesOfRun) -> None:
    for domain in ("a", "b", "c"):
        subject.trained_again(domain)
    expected = [("base", "a", False), ("A", "b", False), ("B", "c", True)]  # c was a null stage
    assert recorder.asked == [
        ("train", (start, Training.on(domain)), {"seed": 7, "draw": 1, "null": null}) for start, domain, null in expected
    ]
    assert replace(subject, imported=True).trained_again("a") is None


def test_gradients_and_fishers_are_of_the_counts_and_draws_that_were_asked_for(recorder: Recorder, subject: StagesOfRun) -> None:
    subject.gradient("A", "a", 64, 1)
    subject.fisher("A", "a", 32)
    assert recorder.asked == [("gradient", ("A", "a", 64), {"seed": 7, "draw": 1}), ("fisher", ("A", "a", 32), {"seed": 7})]


def test_findings_are_made_again_for_another_input_only(tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two domains whose checkpoints are the base: an input changed at a time."""
    made: list[tuple[str, str]] = []

    def load(name: str) -> Any:
        kind = name.rpartition(".")[2]
        return SimpleNamespace(diagnose=lambda subject, domain="": made.append((kind, domain)) or [])

    monkeypatch.setattr(module.importlib, "import_module", load)
    base = tiny_bench.base
    other = base.map(lambda name, tensor: tensor + 1)
    one = StagesOfRun(tiny_bench, ("math", "qa"), 100, base, {"math": base, "qa": base})
    for changed in (
        one, one, replace(one, seed=101), replace(one, stages={"math": base, "qa": other}), replace(one, null=frozenset({"qa"})),
        replace(one, imported=True), replace(one, sequence=("qa", "math"), stages={"qa": base, "math": base}),
    ):  # fmt: skip
        assert changed.findings("path", "math") == []
    one.findings("conflict", "math")
    one.findings("path", "qa")
    fewer = replace(tiny_bench, suite=tiny_bench.suite.model_copy(update={"validation_items": tiny_bench.suite.validation_items - 1}))
    replace(one, bench=fewer).findings("path", "math")
    assert made == [("path", "math")] * 6 + [("conflict", "math"), ("path", "qa"), ("path", "math")]


def test_the_code_that_decides_is_in_the_key() -> None:
    assert {"bench.worker.subject", "bench.diagnostics.reward", "bench.diagnostics.gradients"} <= set(module._CODE)


def test_rows_follow_the_suites_bound(tiny_bench: Workbench) -> None:
    grpo = SimpleNamespace(groups_at_once=2, group=8)
    bounded = StagesOfRun(SimpleNamespace(suite=SimpleNamespace(grpo=grpo)), (), 0, tiny_bench.base, {})
    assert bounded.rows_at_once == 16
    grpo.groups_at_once = None
    assert bounded.rows_at_once == 128
