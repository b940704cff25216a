"""scripts/everyday_result.py on made-up runs: its parts name what exists, and its tables say what the runs were made to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import declared
import everyday_result as script
import numpy as np
import pytest
from declared import Result
from result_tables import Expectation, points_expected

from bench.errors import UserError
from bench.registry import describe
from bench.results.archive import read_archive, write_archive
from bench.results.estimates import NO_FORGETTING, Value
from bench.results.run import Run, load_run
from bench.runs.compare import choices_of
from bench.suite import DECODINGS, load_suite

END = {"code": 60, "math": 60, "qa": 94, "cw": 80}
"""Points at the end of the baseline run as `build_run` makes it; code fell from 70, math from 90."""
NULL = {
    "code": [[20, 40, 50, 50], [70, 41, 55, 50], [70, 43, 54, 50], [69, 42, 54, 50], [69, 41, 55, 50]],
    "math": [[20, 40, 50, 50], [70, 41, 55, 50], [70, 90, 60, 49], [70, 89, 60, 50], [70, 87, 60, 50]],
    "qa": [[20, 40, 50, 50], [70, 41, 55, 50], [66, 90, 60, 49], [63, 75, 95, 50], [63, 75, 95, 50]],
}
"""Points along a baseline run whose stages after the domain are null."""
REPAIRED = {"refresh": {"code": 68, "math": 84}, "revert": {"code": 70, "math": 90}, "opd": {"code": 68, "math": 86}}
"""Points after a repair; other methods give none back. On the curve, a refresh of n steps gives back a third of n of code's 10."""


@pytest.fixture(scope="module")
def result(build_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Result:
    out = tmp_path_factory.mktemp("runs")
    archives, suite = out / "archives", load_suite("everyday")
    for name, part in script.PARTS.items():
        common = {"suite": "everyday", "order": suite.sequence("paper"), "targets": part.targets, "device": "cpu", "items": 60}
        runs = []
        for seed in range(part.seeds):
            for method, settings in choices_of(part.methods or "none", part.options()):
                targets = suite.targets(suite.sequence("paper"), part.targets)
                repaired = {"code": 60 + settings["steps"] / 3} if name == "curve" and settings else REPAIRED.get(method, {})
                points = END | {domain: value for domain, value in repaired.items() if domain in targets}
                final = None if method == "none" else [value / 100 for value in points.values()]
                fields = {"method": method, "settings": settings, "final": final, "repair_cost": settings.get("steps", 0) / 1000}
                for null in [{}] if part.methods else [{"null": domain, "baseline": np.array(NULL[domain]) / 100} for domain in targets]:
                    run = load_run(build_run(out / name, seed=seed, **fields, **common, **null))
                    runs.append(replace(run, manifest=run.manifest.model_copy(update={"method": describe(method, settings).record})))
        write_archive(archives / f"{name}-s0-2.zip", runs)
    return Result.read(script.PARTS, archives)


def cells(table: str, start: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.replace("*", "").split("|")[1:2] and line.split("|")[1].split()[:1] == [start]]
    return [cell.strip() for cell in line.strip("|").split("|")]


def outcomes(table: str) -> dict[str, str]:
    """Of expectations, by their words."""
    rows = [line.strip("|").split("|") for line in table.partition("\n\n")[0].splitlines()[2:]]
    return {row[0].strip(): row[-1].strip() for row in rows}


def declared_result() -> declared.Declaration:
    return declared.Declaration("everyday-result", "A result", script.PARTS, tuned=False, answers=script.answers)


def points(cell: str) -> float:
    return float(cell.split()[0].replace("\N{MINUS SIGN}", "-"))


def test_parts_run_on_everyday_with_the_packages_own_settings() -> None:
    assert set(script.PARTS) == {"single", "all", "null", "curve"}
    for part in script.PARTS.values():
        assert (part.suite, part.sequence, part.seeds) == ("everyday", "paper", 5)
        assert all(name.startswith("everyday-paper-") for name in part.names())
    assert len(script.PARTS["single"].names()) == 5 * 9
    nulls = [name.partition("null-after-")[2].partition("-")[0] for name in script.PARTS["null"].names()]
    assert sorted(nulls) == sorted(5 * ["code", "math", "qa"])
    few = [name.partition("null-after-")[2].partition("-")[0] for name in replace(script.PARTS["null"], nulls=("code",)).names(seed=3)]
    assert few == ["code"]
    assert not [name for name in script.PARTS["all"].names() if "=" in name], "no setting is given"


def test_forgetting_is_told_by_domain(result: Result) -> None:
    table = script.is_anything_forgotten(result)
    assert outcomes(table) == {"code forgets (points)": "supported", "math forgets (points)": "supported"}
    math = cells(table.partition("\n\n")[2], "math")
    assert [points(cell) for cell in math[1:4]] == pytest.approx([40, 50, 30], abs=3)
    assert points(cells(table.partition("\n\n")[2], "cw")[3]) == 0
    assert "[" not in math[1], "the base is one model"


def test_interference_is_what_null_stages_do_not_take(result: Result) -> None:
    expected, tests, _, levels = script.how_much_is_interference(result).split("\n\n")
    assert list(outcomes(expected).values()) == ["open", "open", "supported", "supported"], "nine points, on 60 items"
    assert [points(line.split("|")[2].strip()) for line in expected.splitlines()[2:]] == pytest.approx([9, 4, 27, 12], abs=2)
    assert points(cells(tests, "math")[1]) == pytest.approx(27, abs=2)
    assert all(0 < float(p) < 0.05 for p in cells(tests, "math")[2::2])
    assert cells(tests, "math")[-1] == "above 0"
    assert [line.split("|")[1].strip() for line in levels.splitlines()[2:]] == ["code", "math", "qa"]


def test_clauses_about_null_stages_that_were_not_run_are_undefined(result: Result) -> None:
    without = replace(result, null=[one for one in result.null if one.manifest.spec.null != "math"])
    expected, _, _, levels = script.how_much_is_interference(without).split("\n\n")
    assert [line.count(script.NOT_RUN) for line in expected.splitlines()[2:]] == [0, 0, 2, 2]
    assert list(outcomes(expected).values())[2:] == ["open", "open"]
    assert [line.split("|")[1].strip() for line in levels.splitlines()[2:]] == ["code", "qa"]


def test_the_curve_rises_with_its_steps(result: Result) -> None:
    expected, table = script.does_a_longer_refresh_recover_more(result).split("\n\n")
    pairs = [*pairwise(script.STEPS), (3, 24)]
    assert list(outcomes(expected)) == [f"code is higher after {longer} steps than after {shorter} (points)" for shorter, longer in pairs]
    rises = [points(line.split("|")[2].strip()) for line in expected.splitlines()[2:]]
    assert rises == pytest.approx([(longer - shorter) / 3 for shorter, longer in pairs], abs=2)
    rows = {line.split("|")[1].strip(): line.split("|")[2:] for line in table.splitlines()[2:]}
    assert set(rows) == {"none", "refresh", *(f"refresh steps={steps}" for steps in script.STEPS)}
    reached = [points(rows[f"refresh steps={steps}"][0].strip()) for steps in script.STEPS]
    assert reached == pytest.approx([60 + steps / 3 for steps in script.STEPS], abs=2)


def test_what_was_expected_of_repairs(result: Result) -> None:
    """The made-up runs agree with all that a repair was expected to do, but rollback and random, which give nothing back, are the same."""
    found = outcomes(script.what_do_repairs_recover(result).partition("\n\n")[0])
    assert len(found) == 10
    assert {words for words, outcome in found.items() if outcome != "supported"} == {"`rollback` retains more than `random` (`all`)"}
    assert set(found.values()) == {"supported", "open"}


@pytest.mark.parametrize(
    ("greedy", "sampled", "outcome"),
    [
        ((1, 3), (2, 4), "supported"),
        ((1, 3), (-1, 4), "open"),
        ((1, 3), (None, None), "open"),
        ((1, 3), (-4, -1), "contradicted"),
        ((None, None), (-4, -1), "contradicted"),
        ((0, 3), (2, 4), "open"),
    ],
)
def test_the_outcome_of_an_expectation(greedy: tuple[Any, Any], sampled: tuple[Any, Any], outcome: str) -> None:
    values = {
        d: Value(None if low is None else (low + high) / 2, low, high, 3)
        for d, (low, high) in zip(DECODINGS, (greedy, sampled), strict=True)
    }
    assert Expectation("it holds", "retention", values).outcome == outcome


def test_an_expectation_about_what_was_not_forgotten_is_open() -> None:
    steady, lost = ([np.full((3, 60), share) + np.arange(60) % 2 / 100] for share in (0.1, -0.1))
    assert points_expected("it holds", lambda d: steady, lambda d: steady).outcome == "supported"
    undefined = points_expected("it holds", lambda d: steady, lambda d: lost)
    assert undefined.outcome == "open"
    assert {value.why for value in undefined.values.values()} == {NO_FORGETTING}


def test_a_part_runs_what_it_declares_and_archives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build_run: Callable[..., Path]
) -> None:
    asked = []

    def start(plans: list[Any], options: Any) -> list[Run]:
        asked.extend((plan.spec.seed, plan.spec.null, plan.spec.device, options.out) for plan in plans)
        return [load_run(build_run(options.out, suite="everyday", device="cpu", seed=1))]

    monkeypatch.setattr(declared, "start", start)
    monkeypatch.setattr(declared, "computed", lambda jobs, plans, **given: asked.append(len(plans)))
    monkeypatch.setattr(declared, "load_suite", lambda name: load_suite("micro"))
    parts = {"null": replace(script.PARTS["null"], nulls=("code", "qa"))}
    declared.run(replace(declared_result(), parts=parts), ["null"], 1, 1, tmp_path, tmp_path / "archives")
    assert asked == [2, (1, "code", "cpu", tmp_path / "null"), (1, "qa", "cpu", tmp_path / "null")]
    assert len(read_archive(tmp_path / "archives" / "null-s1-1.zip")) == 1


def test_no_scored_seed_is_run_on_a_suite_in_the_making(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "load_suite", lambda name: load_suite("everyday").model_copy(update={"comparable": False}))
    with pytest.raises(UserError, match="suite everyday is still in the making: scored seeds wait"):
        declared.run(declared_result(), ["single"], 0, 1, tmp_path, tmp_path / "archives")


def test_seeds_of_two_versions_are_told_apart(result: Result, tmp_path: Path) -> None:
    runs = [run for entry in result.boards["curve"].entries for run in entry.runs]

    def changed(run: Run) -> Run:
        if run.seed != 2 or run.manifest.method.name == "none":
            return run
        method = run.manifest.method.model_copy(update={"source": "f" * 64})
        return replace(run, manifest=run.manifest.model_copy(update={"method": method}))

    with pytest.raises(UserError, match=r"part curve: refresh.* was changed between seeds"):
        declared.only_board(tmp_path, "curve", script.PARTS["curve"], [changed(run) for run in runs])


def test_the_page_of_tables_has_every_question_and_both_boards(result: Result) -> None:
    text = script.answers(result)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(script.QUESTIONS)
    assert text.count("### Board ") == 2
    assert text.count(", 5 seeds") == 2
