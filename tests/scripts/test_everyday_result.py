"""scripts/everyday_result.py on made-up runs: its parts name what exists, and its tables say what the runs were made to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import everyday_result as script
import numpy as np
import pytest
from declared import Result

from bench.registry import describe
from bench.results.archive import write_archive
from bench.results.run import load_run
from bench.runs.compare import choices_of
from bench.suite import load_suite

END = np.array([60, 60, 94, 80]) / 100
"""Of the baseline run as `build_run` makes it, in the order code, math, qa, cw; math fell from 90."""
NULL = np.array([[20, 40, 50, 50], [70, 41, 55, 50], [70, 90, 60, 49], [70, 89, 95, 50], [70, 87, 94, 80]]) / 100
MATH = {"refresh": 84, "revert": 90, "opd": 72}
"""Points of math after a repair; other methods give none back. A refresh of n steps gives back n of the 30."""


@pytest.fixture(scope="module")
def result(build_run: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Result:
    out = tmp_path_factory.mktemp("runs")
    archives, suite = out / "archives", load_suite("everyday")
    for name, part in script.PARTS.items():
        common = {"suite": "everyday", "order": suite.sequence("paper"), "targets": part.targets, "device": "cpu", "items": 60}
        runs = []
        for seed in range(part.seeds):
            for method, settings in choices_of(part.methods or "none", part.options()):
                null = {} if part.methods else {"null": "math", "baseline": NULL}
                points = 60 + settings["steps"] if name == "curve" and settings else MATH.get(method, 60)
                final = None if method == "none" else [0.6, points / 100, 0.94, 0.8]
                fields = {"method": method, "settings": settings, "final": final, "repair_cost": settings.get("steps", 0) / 1000}
                run = load_run(build_run(out / name, seed=seed, **fields, **common, **null))
                runs.append(replace(run, manifest=run.manifest.model_copy(update={"method": describe(method, settings).record})))
        write_archive(archives / f"{name}-s0-2.zip", runs)
    return Result.read(script.PARTS, archives)


def cells(table: str, start: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.replace("*", "").split("|")[1:2] and line.split("|")[1].split()[:1] == [start]]
    return [cell.strip() for cell in line.strip("|").split("|")]


def points(cell: str) -> float:
    return float(cell.split()[0].replace("\N{MINUS SIGN}", "-"))


def test_parts_run_on_everyday_with_the_packages_own_settings() -> None:
    assert set(script.PARTS) == {"single", "all", "null", "curve"}
    for part in script.PARTS.values():
        assert (part.suite, part.sequence, part.seeds) == ("everyday", "paper", 3)
        assert all(name.startswith("everyday-paper-") for name in part.names())
    assert len(script.PARTS["single"].names()) == 3 * 9
    assert len(script.PARTS["null"].names()) == 3, "null stages after math, the target"
    assert not [name for name in script.PARTS["all"].names() if "=" in name], "no setting is given"


def test_forgetting_is_told_by_domain(result: Result) -> None:
    table = script.is_anything_forgotten(result)
    math = cells(table, "math")
    assert [points(cell) for cell in math[1:4]] == pytest.approx([40, 50, 30], abs=3)
    assert points(cells(table, "cw")[3]) == 0


def test_interference_is_what_null_stages_do_not_take(result: Result) -> None:
    tests, _, levels = script.how_much_is_interference(result).split("\n\n")
    assert points(cells(tests, "math")[1]) == pytest.approx(27, abs=2)
    assert len(tests.splitlines()) == len(levels.splitlines()) == 3, "math alone"


def test_the_curve_rises_with_its_steps(result: Result) -> None:
    lines = script.does_a_longer_refresh_recover_more(result).splitlines()[2:]
    recovered = [points(line.split("|")[2].strip()) for line in lines if "refresh" in line]
    assert recovered == sorted(recovered)
    assert recovered == pytest.approx([steps / 30 for steps in script.STEPS], abs=0.1)


def test_the_page_of_tables_has_every_question_and_both_boards(result: Result) -> None:
    text = script.answers(result)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(script.QUESTIONS)
    assert text.count("### Board ") == 2
    assert text.count(", 3 seeds") == 2
