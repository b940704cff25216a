"""scripts/second_result.py and scripts/declared.py on made-up runs: what they answer and refuse, and that the parts name what exists."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import declared
import fixed_shrink
import numpy as np
import pytest
import result_tables as tables
import second_result as script
import stored_distances
from declared import Declaration, Part, Result

from bench.errors import UserError
from bench.options import Options
from bench.registry import describe
from bench.results.archive import ArchivedRun, archived_texts, read_archive, write_archive
from bench.results.run import Run, load_run
from bench.runs.compare import choices_of
from bench.suite import DECODINGS, load_suite

FILE = Path(script.__file__)
Build = Callable[..., Path]
OWN = np.array([70, 90, 95, 80]) / 100
END = np.array([60, 60, 94, 80]) / 100
"""Right after each domain's own stage, and at the end of the baseline run, as `build_run` makes them: code, math, qa, cw."""
NULL = np.array([[20, 40, 50, 50], [70, 41, 55, 50], [70, 90, 60, 49], [70, 89, 95, 50], [70, 89, 94, 80]]) / 100
"""Under null stages after math or qa what was learned stays, but for a point of math. Those after code take 20 points of math."""
RECOVERED = {"refresh": 1.0, "mode_imm": 1.0, "shrink": 0.5, "rollback": 0.8, "random": 0.0, "relearn": 0.0, "opd": 0.6, "projection": 0.9}
"""The share of what was lost that each method brings back, on every seed within 0.01."""
TRAINING_FREE = ("mode_imm", "rollback")
FEW: dict[str, Part] = {
    name: replace(part, seeds=5, methods={"balanced": "none", "shares": "none,shrink[alphas=0.25:,0.5:,0.75:]"}.get(name, part.methods))
    for name, part in script.PARTS.items()
}
FEW |= {name: replace(FEW[name], methods=",".join(["none", *RECOVERED])) for name in ("single", "all")}
FEW["curve"] = replace(FEW["curve"], methods="none,refresh[steps=2,5,10],relearn[steps=2,5,10]")
"""The parts with fewer methods, and five seeds of each."""


@pytest.fixture(scope="module")
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "TRAINING_FREE", TRAINING_FREE)
        patch.setattr(script, "STEPS", (2, 5, 10))
        yield


def share_of(method: str, settings: dict[str, Any], part: str) -> float:
    if part == "curve":
        return min(1.0, describe(method, settings).record.settings["steps"] / 10) if method == "refresh" else 0.0
    return settings["alphas"][0] if part == "shares" and method == "shrink" else RECOVERED.get(method, 0.0)


def made(build_run: Build, out: Path, name: str) -> list[Run]:
    """The runs of a part, as declared, with the methods' real records."""
    part, suite, runs = FEW[name], load_suite("micro"), []
    for order in suite.orders(part.sequence):
        common = {"sequence": order, "order": suite.sequence(order), "targets": part.targets, "device": "cpu"}
        for seed in range(part.seeds):
            if not part.methods:
                by_domain = {"code": NULL - [[0, 0.2, 0, 0]], "math": NULL, "qa": NULL}
                nulls = [load_run(build_run(out, seed=seed, null=null, baseline=rows, **common)) for null, rows in by_domain.items()]
                runs += [with_record(run, "none", {}) for run in nulls]
            for method, settings in choices_of(part.methods, part.options()) if part.methods else []:
                share = share_of(method, settings, name) + 0.01 * (seed % 3 - 1)
                final = None if method == "none" else list(END + share * (OWN - END))
                run = load_run(build_run(out, seed=seed, method=method, settings=settings, final=final, **common))
                runs.append(with_record(run, method, settings))
    return runs


def with_record(run: Run, method: str, settings: dict[str, Any]) -> Run:
    return replace(run, manifest=run.manifest.model_copy(update={"method": describe(method, settings).record}))


@pytest.fixture(scope="module")
def folders(few: None, build_run: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Run]]]:
    """Where the runs of all parts are, and the runs."""
    out = tmp_path_factory.mktemp("runs")
    return out, {name: made(build_run, out / name, name) for name in FEW}


@pytest.fixture(scope="module")
def archives(folders: tuple[Path, dict[str, list[Run]]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    archives = tmp_path_factory.mktemp("archives")
    for name, runs in folders[1].items():
        write_archive(archives / f"{name}-s0-4.zip", runs)
    return archives


@pytest.fixture(scope="module")
def result(archives: Path) -> Result:
    return Result.read(FEW, archives)


@pytest.fixture
def copied(archives: Path, tmp_path: Path) -> Path:
    """Archives to change."""
    return Path(shutil.copytree(archives, tmp_path / "archives"))


def cells(table: str, *starts: str) -> list[str]:
    """The cells of the one line of a table that begins with these cells."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    (line,) = [line for line in lines if line[: len(starts)] == list(starts)]
    return line


# --- the answers


def test_refresh_recovers(result: Result) -> None:
    table = script.does_refresh_recover(result)
    assert cells(table, "`single`", "refresh", "none")[3].startswith("1.0")
    assert [cells(table, f"`{board}`", "refresh", "none")[-1] for board in ("single", "all")] == ["better", "better"]


def test_the_curve_is_tested_step_by_step(result: Result) -> None:
    """Of 30 points of math that were lost, refresh brings back 3 a step until all are there; relearn brings back none."""
    tests, curve = script.is_refreshing_faster(result).split("Points of math")
    for steps in script.STEPS:
        line = cells(tests, str(steps))
        assert float(line[1].split()[0]) == pytest.approx(30 * min(1, steps / 10), abs=2.5), line
        assert line[-1] == "above 0", line
    assert float(cells(curve, "10")[1].split()[0]) == pytest.approx(90, abs=2)


def test_rollback_is_compared_with_random_and_shrink_on_both_boards(result: Result) -> None:
    table = script.do_coordinates_matter(result)
    for board in ("single", "all"):
        assert [cells(table, f"`{board}`", "rollback", other)[-1] for other in ("random", "shrink")] == ["better", "better"]


def test_what_is_equal_to_refresh(result: Result) -> None:
    table = script.is_anything_equal_to_refresh(result)
    assert cells(table, "`single`", "mode_imm")[-1] == "equal"
    assert cells(table, "`single`", "rollback")[-1] == "no", "0.2 below it"
    assert len(table.splitlines()) == 2 + 2 * len(TRAINING_FREE)


def test_interference_is_what_null_stages_do_not_take(result: Result) -> None:
    tests, _, shares = script.how_much_is_interference(result).split("\n\n")
    assert float(cells(tests, "math")[1].split()[0]) == pytest.approx(29, abs=2)
    assert [cells(tests, domain)[-1] for domain in ("math", "code", "qa")] == ["above 0", "above 0", "no"]
    line = cells(shares, "math")
    assert [float(line[place].split()[0]) for place in (1, 2)] == pytest.approx([30, 1], abs=2)
    assert float(line[3].split()[0]) == pytest.approx(29 / 30, abs=0.05)
    assert line[-2:] == ["6.00", "4.00"], "two stages, of 3 and of 2 each"


def test_shares_are_sorted_by_how_much_was_reverted(result: Result) -> None:
    """`build_run` puts a repaired model 5 from the target's checkpoint and the end of the baseline run 6: 1 - 25 / 36 is reverted."""
    lines = script.does_the_share_reverted_matter(result).splitlines()[2:]
    assert [line.split("|")[1].split()[0] for line in lines] == ["none", "shrink", "shrink", "shrink"]
    assert "31\N{NO-BREAK SPACE}%" in lines[1]


def test_entries_are_set_against_shrink_with_fixed_steps(result: Result) -> None:
    """Of what the targets lost refresh brings back all, the control half, and a fixed step its own share."""
    table = fixed_shrink.section(result, "single", "greedy")
    assert cells(table, "shrink alphas=0.75")[2:] == [""] * 4
    refresh = cells(table, "refresh")
    assert [float(cell.split()[0]) for cell in refresh[1:]] == pytest.approx([1, 0.5, 0.75, 0.5, 0.25], abs=0.06)
    assert "random" not in table, "a control is no entry that is ranked"
    assert all(
        f"## Board `{board}`, {title}" in fixed_shrink.page(result) for board in ("single", "all") for title in ("greedy", "temperature 1")
    )


def test_null_stages_are_rescaled_by_powers_of_the_distance(result: Result) -> None:
    """Null stages move the weights two thirds as far as real ones on every seed, so that their forgetting grows by 3/2 and 9/4."""
    table = stored_distances.interference(result)
    for domain in ("code", "math"):
        for title in ("greedy", "temperature 1"):
            rows = [cells(table, domain, title, "0.67", power) for power in ("0", "1", "2")]
            lost, drift, difference = ([float(row[column].split()[0]) for row in rows] for column in (4, 5, 6))
            assert lost == [lost[0]] * 3
            assert drift[1:] == pytest.approx([1.5 * drift[0], 2.25 * drift[0]], abs=0.2)
            assert difference == pytest.approx(np.subtract(lost, drift), abs=0.15)


def test_a_path_is_told_by_three_distances(result: Result) -> None:
    """A repaired model lies 4 from the baseline's end and 5 from after math; those lie 6 apart."""
    left, length, cosine = stored_distances.path(result.entry("single", "refresh").runs)
    assert left == pytest.approx([5 / 6] * 5)
    assert length == pytest.approx([4 / 6] * 5)
    assert cosine == pytest.approx([(36 + 16 - 25) / 48] * 5)
    table = stored_distances.way_back(result)
    row = cells(table, "refresh steps=5", "5")
    assert row[2:5] == ["0.833 (0.833 to 0.833)", "0.67", "0.56"]
    recovered = result.entry("curve", "refresh steps=5").metrics["greedy"]["recovery ratio"].estimate
    assert float(row[5].split()[0]) == pytest.approx(recovered, abs=0.006)
    assert "| none " not in table, "it moves nothing"
    assert [f"## {title}" in stored_distances.page(result) for title in ("If null stages", "Do repairs")] == [True, True]


@pytest.mark.slow
def test_the_page_of_distances_is_what_the_archives_give() -> None:
    found = stored_distances.page(Result.read(script.PARTS, stored_distances.ARCHIVES))
    assert found == (FILE.parent.parent / "docs" / "second-result-distances.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_of_fixed_steps_is_what_the_archives_give() -> None:
    found = fixed_shrink.page(Result.read(script.PARTS, fixed_shrink.ARCHIVES))
    assert found == (FILE.parent.parent / "docs" / "second-result-shrink.md").read_text(encoding="utf-8")


def test_the_repair_must_be_above_all_four(result: Result) -> None:
    """It brings back 0.9: more than shrink (0.5) and opd (0.6), less than refresh and mode_imm."""
    text = script.does_our_repair_win(result)
    verdicts = {other: cells(text, "`all`", "projection", other)[-1] for other in ("shrink", "mode_imm", "opd", "refresh")}
    assert verdicts == {"shrink": "better", "opd": "better", "mode_imm": "worse", "refresh": "worse"}
    assert text.endswith("**no**.")


def test_a_repair_above_all_four_wins(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "REPAIR", "refresh")
    real, beaten = result.pairs, ["shrink", "rollback", "opd", "random"]
    monkeypatch.setattr(Result, "pairs", lambda self, parts, ones, others: real(parts, ones, beaten))
    assert script.does_our_repair_win(result).endswith("**yes**.")


def test_what_holds_has_one_verdict_under_both_decodings() -> None:
    def verdict(*tested: tuple[str, float | None]) -> str:
        pairs = zip(DECODINGS, tested, strict=True)
        return tables.Line(("a",), {d: tables.Tested.of("", p, verdict) for d, (verdict, p) in pairs}).verdict

    assert verdict(("better", 0.01), ("better", 0.05)) == "better"
    assert verdict(("better", 0.01), ("better", 0.051)) == "no"
    assert verdict(("better", 0.01), ("worse", 0.01)) == "no"
    assert verdict(("better", 0.01), ("no verdict", None)) == "no"
    assert verdict(("not significant", 0.5), ("not significant", 0.5)) == "no"


def test_intervals_of_points_fit_their_p() -> None:
    """Eight tests of one family on noise: where the widened interval excludes 0, p is at most 5 %, and nowhere else."""
    generator, excluded = np.random.default_rng(5), 0
    for _ in range(20):
        strata = {str(n): {d: [0.02 * n + 0.1 * generator.standard_normal((5, 60))] for d in DECODINGS} for n in range(8)}
        for line in tables.points_table(strata, "n", "points").splitlines()[2:]:
            _, interval, p, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            low, high = (float(end) for end in interval.split("[")[1].strip("]").split(","))
            if min(abs(low), abs(high)) > 0.05:  # printed with one digit
                assert (low > 0 or high < 0) is (float(p.lstrip("<").strip()) <= 0.05), line
            excluded += low > 0
    assert 20 < excluded < 140


def test_the_page_of_tables_has_every_question_and_board(result: Result) -> None:
    text = script.answers(result)
    assert [line for line in text.splitlines() if line.startswith("## ")][:7] == [f"## {question}" for question in script.QUESTIONS]
    page = " ".join((FILE.parents[1] / "docs" / "second-result.md").read_text(encoding="utf-8").split())
    for question in script.QUESTIONS:
        assert question.split("?")[0].split(". ")[1] in page, "the tables ask what the page declares"
    for name in script.TRAINING_FREE:
        assert f"`{name}`" in page
    assert text.count("| places ") == 3
    assert text.count(", 5 seeds") == 3


# --- what is refused


def test_missing_scores_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"part single lacks micro-paper-single-.* and 44 more"):
        Result.read(FEW, tmp_path)


def rewritten(file: Path, change: Callable[[list[Run]], list[Run]], name: str = "") -> None:
    write_archive(file.with_name(name) if name else file, change(read_archive(file)))


def renamed(run: Run, **spec: Any) -> Run:
    other = run.manifest.model_copy(update={"spec": run.manifest.spec.model_copy(update=spec)})
    assert isinstance(run, ArchivedRun)
    return ArchivedRun(run.folder.parent / other.spec.folder_name(), other, archived=run.archived)


@pytest.mark.parametrize(
    ("part", "change", "name", "words"),
    [
        ("single", lambda runs: [run for run in runs if run.manifest.method.name != "opd"], "", "lacks .*opd.* and 4 more"),
        ("null", lambda runs: [run for run in runs if run.manifest.spec.null != "qa"], "", "lacks .*null-after-qa.* and 4 more"),
        ("balanced", lambda runs: [run for run in runs if run.seed != 3], "", "lacks .*s3 and 3 more"),
        ("all", lambda runs: [*runs, renamed(runs[0], seed=5)], "", "has, not declared, .*s5"),
        ("all", lambda runs: [*runs, renamed(runs[1], settings={"steps": 3})], "", "has, not declared, .*steps=3"),
        ("single", lambda runs: runs[:1], "single-s0-0.zip", "has twice .*s0; remove one of the archives"),
    ],
)
def test_only_the_declared_runs_are_answered_and_all_of_them(
    copied: Path, part: str, change: Callable[[list[Run]], list[Run]], name: str, words: str
) -> None:
    rewritten(copied / f"{part}-s0-4.zip", change, name)
    with pytest.raises(UserError, match=f"part {part} {words}"):
        Result.read(FEW, copied)


def test_parts_of_a_seed_come_from_one_training(copied: Path) -> None:
    """On another type of CPU the same seed is another draw. What null stages make is theirs alone."""

    def elsewhere(row: str) -> Callable[[list[Run]], list[Run]]:
        def change(runs: list[Run]) -> list[Run]:
            place = next(n for n, run in enumerate(runs) if run.manifest.spec.null == "math")
            manifest = runs[place].manifest
            other = manifest.model_copy(update={"checkpoints": manifest.checkpoints | {row: "elsewhere"}})
            runs[place] = replace(runs[place], manifest=other)
            return runs

        return change

    rewritten(copied / "null-s0-4.zip", elsewhere("baseline-4-cw"))
    Result.read(FEW, copied)
    rewritten(copied / "null-s0-4.zip", elsewhere("baseline-2-math"))
    with pytest.raises(UserError, match=r"seed 0 come from different trainings .*null-after-math.*baseline-2-math"):
        Result.read(FEW, copied)


def remade(part: str, **change: Any) -> Callable[[ArchivedRun], ArchivedRun]:
    """A run whose manifest has other fields, or other ones of its suite or method."""

    def make(run: ArchivedRun) -> ArchivedRun:
        inner = change if part == "manifest" else {part: getattr(run.manifest, part).model_copy(update=change)}
        return replace(run, manifest=run.manifest.model_copy(update=inner))

    return make


@pytest.mark.parametrize(
    ("part", "which", "change", "words"),
    [
        ("null", lambda run: True, remade("suite", fingerprint="other"), "its suite is not that of other runs"),
        ("curve", lambda run: run.manifest.method.name == "refresh", remade("method", source="other"), "its method is not that"),
        (
            "all",
            lambda run: run.seed == 2 and run.manifest.method.name == "opd",
            remade("manifest", numerics={"device": "cpu", "capability": "another"}),
            "numerics",
        ),
        ("null", lambda run: run.seed == 1, remade("suite", comparable=False), "was run while suite micro/1 was still in the making"),
    ],
)
def test_parts_are_of_one_version(
    copied: Path, part: str, which: Callable[[Run], bool], change: Callable[[ArchivedRun], ArchivedRun], words: str
) -> None:
    rewritten(copied / f"{part}-s0-4.zip", lambda runs: [change(run) if which(run) else run for run in runs])
    with pytest.raises(UserError, match=words):
        Result.read(FEW, copied)


def test_seeds_may_be_trained_on_different_machines(copied: Path) -> None:
    elsewhere = remade("manifest", numerics={"device": "cpu", "capability": "another"})
    for file in copied.glob("*.zip"):
        rewritten(file, lambda runs: [elsewhere(run) if run.seed == 2 else run for run in runs])
    Result.read(FEW, copied)


def test_the_first_training_of_a_seed_is_not_replaced(copied: Path) -> None:
    file = copied / "single-s0-4.zip"
    runs, before = read_archive(file), file.read_bytes()
    declared.archive(copied, "single", runs)
    assert file.read_bytes() == before
    again = remade("manifest", checkpoints=runs[3].manifest.checkpoints | {"baseline-2-math": "another"})(runs[3])
    with pytest.raises(UserError, match=r"single-s0-4\.zip holds another training of .*, which counts"):
        declared.archive(copied, "single", [*runs[:3], again, *runs[4:]])
    with pytest.raises(UserError, match=r"single-s0-4\.zip holds another training of .*, which counts"):
        declared.archive(copied, "single", [again])  # of its seed alone, which has no file yet
    assert file.read_bytes() == before
    assert not (copied / f"single-s{again.seed}-{again.seed}.zip").exists()


def test_a_method_must_have_been_tuned_as_it_is_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options().but(targets="all")
    declared.check_tuned([("none", {}), ("projection", {}), ("relearn", {})], options)
    content = json.loads((FILE.parents[1] / "baselines" / "tuned" / "projection.json").read_text())
    (board,) = [name for name in content if name.endswith("all") and name.startswith("micro/3")]
    record, file = content[board], tmp_path / "projection.json"
    monkeypatch.setattr(declared, "tuned_file", lambda record: file)
    for changed in (None, {}, {board: record | {"fingerprint": "0"}}, {board: record | {"method": record["method"] | {"source": "0"}}}):
        if changed is not None:
            file.write_text(json.dumps(changed))
        with pytest.raises(UserError, match="projection was not tuned for micro/3 paper all as it is now: run `python -m bench tune"):
            declared.check_tuned([("projection", {})], options)
    file.write_text(json.dumps({board: record}))
    declared.check_tuned([("projection", {})], options)


# --- what is declared and run


def test_parts_name_methods_settings_and_seeds_that_exist() -> None:
    seeds = {name: part.seeds for name, part in script.PARTS.items()}
    assert seeds == {"single": 10, "all": 10, "null": 10, "balanced": 5, "curve": 5, "shares": 5}
    counts = {name: len(part.names()) / part.seeds for name, part in script.PARTS.items()}
    assert counts["single"] == counts["all"] > 20
    assert (counts["null"], counts["balanced"]) == (3, 4 * 13)
    assert (counts["curve"], counts["shares"]) == (1 + 2 * 7, 1 + 2 * 3 + 2 * 4)


def test_a_part_is_run_on_the_seeds_that_it_has(archives: Path, monkeypatch: pytest.MonkeyPatch, build_run: Build, tmp_path: Path) -> None:
    asked = []

    def pretend(plans: list[Any], options: Options) -> list[Run]:
        asked.append((len(plans), options.seed, options.seeds, options.targets, options.device, options.null))
        return [load_run(build_run(options.out, seed=seed)) for seed in range(options.seed, options.seed + options.seeds)]

    def computed(jobs: dict[str, Any], plans: list[Any], **given: Any) -> None:
        asked.append(Counter("null" if job.null else "real" for job in jobs.values() if job.kind == "stage"))

    monkeypatch.setattr(declared, "start", pretend)
    monkeypatch.setattr(declared, "computed", computed)
    whole = Declaration("few", "Few", FEW, tuned=True, answers=script.answers)
    declared.run(whole, ["null", "balanced"], 3, 3, tmp_path / "out", tmp_path / "archives")
    declared.run(whole, ["balanced"], 5, 5, tmp_path / "out", tmp_path / "archives")
    assert asked.pop(0) == {"real": 2 * 4 * 4, "null": 2 * (3 + 2 + 1)}, "the parts' stages, each once, before either is written"
    assert asked == [(2 * 3, 3, 2, "all", "cpu", True), (2 * 4, 3, 2, "all", "cpu", False)]
    assert {file.name for file in (tmp_path / "archives").iterdir()} == {"null-s3-4.zip", "balanced-s3-4.zip"}
    assert [run.seed for run in read_archive(tmp_path / "archives" / "null-s3-4.zip")] == [3, 4]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["answer", "--archives", "nowhere"], "part single lacks"), (["run", "--parts", "singel", "--out", "x"], "invalid choice: 'singel'")],
)
def test_the_command_says_what_is_wrong(words: list[str], message: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(FILE), *words], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_texts_of_a_seed_are_those_of_all_parts(folders: tuple[Path, dict[str, list[Run]]], tmp_path: Path) -> None:
    out, runs = folders
    declared.keep_texts(FEW, 3, out, tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.name == "texts-s3.zip"
    own = [run for part in runs.values() for run in part if run.seed == 3]
    samples = {sha for run in own for name, sha in run.manifest.files.items() if name.startswith("samples/")}
    assert set(archived_texts(file).answers) == samples
    shutil.copytree(out, tmp_path / "runs")
    next((tmp_path / "runs" / "curve").glob("*-s3")).rename(tmp_path / "gone")
    with pytest.raises(UserError, match=r"curve: seed 3 lacks micro-paper-single-.*-s3"):
        declared.keep_texts(FEW, 3, tmp_path / "runs", tmp_path / "archives")
    assert not (tmp_path / "archives").exists()
