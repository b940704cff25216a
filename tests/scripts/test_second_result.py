"""scripts/second_result.py on made-up runs: what it answers, and that its parts name methods and settings that exist."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bench.errors import UserError
from bench.options import Options
from bench.results.archive import write_archive
from bench.results.run import Run, load_run
from bench.runs.compare import choices_of
from bench.suite import load_suite

FILE = Path(__file__).parents[2] / "scripts" / "second_result.py"
Build = Callable[..., Path]
SEEDS = range(5)
OWN = np.array([70, 90, 95, 80]) / 100
END = np.array([60, 60, 94, 80]) / 100
"""Right after each domain's own stage, and at the end of the baseline run, as `build_run` makes them: code, math, qa, cw."""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("second_result_script", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archives(script: ModuleType, build_run: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seeds of every part: refresh recovers all, mode_imm as much, shrink half, random and relearn nothing, our repair most."""
    out, archives = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("archives")

    def repaired(share: float, part: str, **fields: Any) -> list[Run]:
        """Each domain back up by a share of what it lost, and seeds differ a little."""
        finals = [END + (share + 0.01 * (seed % 3 - 1)) * (OWN - END) for seed in SEEDS]
        return [load_run(build_run(out / part, seed=seed, final=list(final), **fields)) for seed, final in zip(SEEDS, finals, strict=True)]

    def baseline(part: str, **fields: Any) -> list[Run]:
        return [load_run(build_run(out / part, seed=seed, track="training-free", **fields)) for seed in SEEDS]

    shares = {
        "refresh": 1.0,
        "mode_imm": 1.0,
        "shrink": 0.5,
        "rollback": 0.8,
        "random": 0.0,
        "relearn": 0.0,
        "opd": 0.9,
        script.REPAIR: 1.2,
    }

    def board(part: str) -> list[Run]:
        tracks = {"mode_imm": "training-free", "rollback": "training-free"}
        given = {name: {"method": name, "targets": part, "track": tracks.get(name, "light")} for name in shares}
        return [*baseline(part, targets=part), *(run for name, share in shares.items() for run in repaired(share, part, **given[name]))]

    paper = {name: board(name) for name in ("single", "all")}
    curve = baseline("curve")
    for steps in script.STEPS:
        curve += repaired(min(1.0, steps / 10), "curve", method="refresh", settings={"steps": steps})
        curve += repaired(0.0, "curve", method="relearn", settings={"steps": steps})
    fixed = [run for part in (0.25, 0.5, 0.75) for run in repaired(part, "shares", method="shrink", settings={"alphas": [part]})]
    nulls = [run for domain in ("code", "math", "qa") for run in baseline("null", targets="all", null=domain, baseline=_null())]
    orders = {order: load_suite("micro").sequence(order) for order in load_suite("micro").orders("balanced")}
    balanced = [run for name, order in orders.items() for run in baseline("balanced", targets="all", sequence=name, order=order)]
    parts = paper | {"null": nulls, "curve": curve, "shares": [*baseline("shares"), *fixed], "balanced": balanced}
    for name, runs in parts.items():
        write_archive(archives / f"{name}-s0-4.zip", runs)
    return archives


def _null() -> np.ndarray:
    """Scores by stage under null stages: what was learned stays."""
    rows = np.array([[20, 40, 50, 50], [70, 41, 55, 50], [70, 90, 60, 49], [70, 89, 95, 50], [70, 89, 94, 80]])
    return rows / 100


@pytest.fixture(scope="module")
def result(script: ModuleType, archives: Path) -> Any:
    return script.Result.read(archives)


def cells(table: str, *starts: str) -> list[str]:
    """The cells of the one line of a table that begins with these cells."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    (found,) = [line for line in lines if line[: len(starts)] == list(starts)]
    return found


def test_refresh_recovers(script: ModuleType, result: Any) -> None:
    table = script.does_refresh_recover(result)
    assert cells(table, "`single`", "refresh", "none")[3].startswith("1.0")
    assert cells(table, "`single`", "refresh", "none")[-1] == "yes"
    assert cells(table, "`all`", "refresh", "none")[-1] == "yes"


def test_the_curve_is_tested_step_by_step(script: ModuleType, result: Any) -> None:
    """Of 30 points of math that were lost, refresh brings back 3 a step until all are there; relearn brings back none."""
    tests, curve = script.is_refreshing_faster(result).split("Points of math:")
    for steps in script.STEPS:
        line = cells(tests, str(steps))
        assert float(line[1].split()[0]) == pytest.approx(30 * min(1, steps / 10), abs=2.5), line
        assert line[-1] == ("yes" if steps > 2 else line[-1])
    assert float(cells(curve, "30")[1].split()[0]) == pytest.approx(90, abs=2)


def test_rollback_is_compared_with_random_and_shrink_on_both_boards(script: ModuleType, result: Any) -> None:
    table = script.do_coordinates_matter(result)
    found = [cells(table, f"`{board}`", "rollback", other)[-1] for board in ("single", "all") for other in ("random", "shrink")]
    assert found == ["yes"] * 4


def test_only_what_is_training_free_is_compared_with_refresh(script: ModuleType, result: Any) -> None:
    table = script.is_anything_equal_to_refresh(result)
    assert cells(table, "`single`", "mode_imm")[-1] == "yes", "equal on every seed"
    assert cells(table, "`single`", "rollback")[-1] == "no", "0.2 below it"
    assert len(table.splitlines()) == 2 + 2 * 2, "none, a control, is not asked about"


def test_interference_is_what_null_stages_do_not_take(script: ModuleType, result: Any) -> None:
    tests, shares = script.how_much_is_interference(result).split("\n\n")
    assert float(cells(tests, "math")[1].split()[0]) == pytest.approx(29, abs=2)
    assert [cells(tests, domain)[-1] for domain in ("math", "code", "qa")] == ["yes", "yes", "no"]
    line = cells(shares, "math")
    assert float(line[1].split()[0]) == pytest.approx(30, abs=2)
    assert float(line[2].split()[0]) == pytest.approx(1, abs=2)
    assert float(line[3].split()[0]) == pytest.approx(29 / 30, abs=0.05)
    assert line[-2:] == ["6.00", "4.00"], "two stages, of 3 and of 2 each"


def test_shares_are_sorted_by_how_much_was_reverted(script: ModuleType, result: Any) -> None:
    """`build_run` puts a repaired model 5 from the target's checkpoint and the end of the baseline run 6: 1 - 25 / 36 is reverted."""
    lines = script.does_the_share_reverted_matter(result).splitlines()[2:]
    assert [line.split("|")[1].split()[0] for line in lines] == ["none", "shrink", "shrink", "shrink"]
    assert "31\N{NO-BREAK SPACE}%" in lines[1]


def test_the_repair_must_beat_all_four(script: ModuleType, result: Any) -> None:
    table = script.does_our_repair_win(result)
    found = {other: cells(table, "`all`", script.REPAIR, other)[-1] for other in ("shrink", "mode_imm", "opd", "refresh")}
    assert found["shrink"] == "yes"
    assert found["refresh"] == "no", "both are at the cap"


def test_a_finding_has_one_sign_under_both_decodings(script: ModuleType) -> None:
    def line(first: tuple[int, float | None], second: tuple[int, float | None]) -> bool:
        found = {d: script.Found("", *each) for d, each in zip(script.DECODINGS, (first, second), strict=True)}
        return script.Line(("a",), found).holds

    assert line((1, 0.01), (1, 0.05))
    assert not line((1, 0.01), (1, 0.051))
    assert not line((1, 0.01), (-1, 0.01))
    assert not line((1, 0.01), (1, None))


def test_the_page_of_tables_has_every_question_and_board(script: ModuleType, result: Any, archives: Path, tmp_path: Path) -> None:
    text = script.answers(result)
    assert [line for line in text.splitlines() if line.startswith("## ")][:7] == [f"## {question}" for question in script.QUESTIONS]
    page = (FILE.parents[1] / "docs" / "second-result.md").read_text(encoding="utf-8")
    for question in script.QUESTIONS:
        assert question.split("?")[0].split(". ")[1] in " ".join(page.split()), "the tables ask what the page declares"
    assert text.count("| places ") == 3
    command = [sys.executable, str(FILE), "answer", "--archives", str(archives), "--out", str(tmp_path / "tables.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (tmp_path / "tables.md").read_text(encoding="utf-8") == f"# The second result: tables\n\n{text}"
    assert text in done.stdout


def test_missing_scores_are_one_line(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no scores of single, all, null.*second_result\.py run"):
        script.Result.read(tmp_path)


def test_parts_name_methods_settings_and_seeds_that_exist(script: ModuleType) -> None:
    counts = {}
    for name, part in script.PARTS.items():
        choices = choices_of(part.methods or "none", Options().but(targets=part.targets, sequence=part.sequence))
        assert "none" in [method for method, _ in choices]
        assert part.seeds <= 10
        counts[name] = len(choices)
    assert (counts["curve"], counts["shares"]) == (1 + 2 * len(script.STEPS), 1 + 2 * 3 + 2 * 4)


def test_a_part_is_run_on_the_seeds_that_it_has(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, build_run: Build, tmp_path: Path
) -> None:
    asked = []

    def pretend(methods: str, **where: Any) -> list[Run]:
        asked.append((methods, where["seed"], where["seeds"], where["targets"], where.get("null", False)))
        return [load_run(build_run(where["out"], seed=seed)) for seed in range(where["seed"], where["seed"] + where["seeds"])]

    monkeypatch.setattr(script, "compare", pretend)
    monkeypatch.setattr(script, "run", pretend)
    for name in ("all", "null", "balanced"):
        script.run_part(name, 4, 3, tmp_path / "out", tmp_path / "archives")
    script.run_part("balanced", 5, 5, tmp_path / "out", tmp_path / "archives")
    balanced = script.PARTS["balanced"].methods
    assert asked == [("all", 4, 3, "all", False), ("none", 4, 3, "all", True), (balanced, 4, 1, "all", False)]
    assert {file.name for file in (tmp_path / "archives").iterdir()} == {"all-s4-6.zip", "null-s4-6.zip", "balanced-s4-4.zip"}
    assert [run.seed for run in script.read_archive(tmp_path / "archives" / "all-s4-6.zip")] == [4, 5, 6]
