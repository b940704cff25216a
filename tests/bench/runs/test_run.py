"""A run from the outside: the command, what it prints, what lies in its folder, and what is computed again (nothing)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

import bench.api
from bench import load_run
from bench.errors import UserError
from bench.results.run import Run
from bench.suite import load_suite

Bench = Callable[..., subprocess.CompletedProcess[str]]
RunOf = Callable[..., Run]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def words(place: Path, tiny_suite: Path) -> list[object]:
    """One worker: what several do is tested in test_comparison.py and test_pool.py, and each takes seconds to start."""
    where = ["--out", place / "runs", "--cache", place / "cache", "--jobs", 1]
    return ["run", "--suite", tiny_suite, "--sequence", "math-qa", "--device", "cpu", *where]


@pytest.fixture(scope="module")
def refreshed(words: list[object], place: Path, bench: Bench, run_of: RunOf) -> tuple[Run, str]:
    """A run of refresh, one of four of a command, and what that printed."""
    done = bench(*words, "--method", "refresh", "--set", "steps=3,2", "--seeds", 2)
    return run_of(place / "runs", "refresh", settings={"steps": 3}, seed=0), done.stdout + done.stderr


def test_the_table_says_what_happened(refreshed: tuple[Run, str]) -> None:
    run, printed = refreshed
    for word in ("base", "after math", "after qa", "repaired", "math*", "recovery ratio", "collateral damage", "cost", "access"):
        assert word in printed
    assert "trained math: 10 steps" in printed
    assert "not comparable" in printed
    assert str(run.folder) in printed
    assert "unmetered" not in printed


def test_the_folder_holds_all_that_the_numbers_are_made_of(refreshed: tuple[Run, str]) -> None:
    run, _ = refreshed
    baseline = ["baseline-0-base", "baseline-1-math", "baseline-2-qa"]
    assert [row.name for row in run.rows.distinct()] == [*baseline, "repaired"]
    for decoding in ("greedy", "sampled"):
        scores = run.scores(decoding)
        assert scores["math"].shape == (7, 16)
        recomputed = np.stack([scores[domain].mean(1) for domain in run.sequence], 1)
        assert np.allclose(recomputed, np.array(list(run.matrix[decoding])))
    log = run.logs(run.rows.after(0))
    assert [line["step"] for line in log] == list(range(1, 11))
    assert set(log[0]) >= {"reward", "loss", "gradient_norm", "groups_with_spread"}
    assert run.manifest.cost.stages == 1.0
    assert 0 < run.manifest.cost.repair < 1
    assert run.manifest.cost.access.prompts == {"math": 12}
    run.check()


def test_nothing_but_the_timing_file_holds_a_time(refreshed: tuple[Run, str]) -> None:
    run, _ = refreshed
    files = {str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()}
    assert files - set(run.manifest.files) == {"manifest.json", "timing.json", ".lock"}
    timing = json.loads((run.folder / "timing.json").read_text())
    assert timing["unmetered"] == []
    assert not {"seconds", "ended", "cores"} & set(run.manifest.model_dump())


def test_several_values_and_seeds_make_a_run_each(refreshed: tuple[Run, str], place: Path, run_of: RunOf) -> None:
    _, printed = refreshed
    assert "4 runs: 4 stages (0 in the cache), 4 repairs (0 in the cache), 18 scorings (0 in the cache)" in printed
    for steps in (2, 3):
        for seed in (0, 1):
            run_of(place / "runs", "refresh", settings={"steps": steps}, seed=seed).check()
    assert printed.count("fewer than 5 seeds") == 2, "a summary for each setting"


@pytest.fixture(scope="module")
def compared(refreshed: tuple[Run, str], words: list[object], place: Path, bench: Bench) -> str:
    """Another repair and a method with stages of its own; what the command printed."""
    done = bench("compare", *words[1:], "--methods", "rollback[prompts=8],replay", "--seeds", 1)
    return done.stdout + done.stderr


def test_another_repair_trains_no_stage_of_the_baseline_again(
    compared: str, refreshed: tuple[Run, str], place: Path, run_of: RunOf
) -> None:
    assert "3 runs: 4 stages (2 in the cache), 1 repair (0 in the cache)" in compared
    assert compared.count("trained") == 2, "the method's own stages"
    rolled = run_of(place / "runs", "rollback").manifest.checkpoints
    assert rolled["baseline-2-qa"] == refreshed[0].manifest.checkpoints["baseline-2-qa"]
    assert rolled["repaired"] != rolled["baseline-2-qa"]


def test_a_method_with_its_own_stages_has_its_own_rows(compared: str, place: Path, run_of: RunOf) -> None:
    run = run_of(place / "runs", "replay")
    assert [row.name for row in run.rows.method] == ["baseline-0-base", "method-1-math", "method-2-qa"]
    assert run.rows.final.name == "method-2-qa"
    stored = run.manifest.checkpoints
    assert stored["method-1-math"] == stored["baseline-1-math"]
    assert stored["method-2-qa"] != stored["baseline-2-qa"]


def test_a_null_stage_differs_from_a_real_one(
    refreshed: tuple[Run, str], words: list[object], place: Path, bench: Bench, run_of: RunOf
) -> None:
    bench(*words, "--null")
    null, real = run_of(place / "runs", "none", null="math").manifest.checkpoints, refreshed[0].manifest.checkpoints
    # The stage whose gain is to be forgotten is the real one; what comes after it is not.
    assert null["baseline-1-math"] == real["baseline-1-math"]
    assert null["baseline-2-qa"] != real["baseline-2-qa"]


def test_checkpoints_of_ones_own_can_be_repaired(
    refreshed: tuple[Run, str], place: Path, tiny_suite: Path, bench: Bench, run_of: RunOf
) -> None:
    stored = place / "cache" / "checkpoints"
    hashes = refreshed[0].manifest.checkpoints
    where = ["--out", place / "imported", "--cache", place / "other-cache", "--device", "cpu", "--jobs", 1]
    stages = [f"{domain}={stored / hashes[row]}" for domain, row in (("math", "baseline-1-math"), ("qa", "baseline-2-qa"))]
    bench("import", "--suite", tiny_suite, "--base", stored / hashes["baseline-0-base"], "--stage", stages[0], "--stage", stages[1], *where)
    imported = run_of(place / "imported", "none")
    assert imported.matrix["greedy"].baseline == refreshed[0].matrix["greedy"].baseline

    bench("run", "--from", imported.folder, "--method", "rollback", "--set", "prompts=8", *where)
    assert run_of(place / "imported", "rollback").rows.final.name == "repaired"

    for option in (["--null"], ["--sequence", "qa-math"], ["--suite", "gym"], ["--quick"], ["--model", "a/b"]):
        done = bench("run", "--from", imported.folder, *option, *where, "--dry-run", code=2, lines=1)
        assert f"leave out {option[0]}" in done.stderr
    elsewhere = ["--out", place / "imported", "--cache", place / "third-cache", "--device", "cpu"]
    done = bench("run", "--from", imported.folder, *elsewhere, code=2, lines=1)
    assert "--cache" in done.stderr
    assert "checkpoints" in done.stderr

    bench("cache", "prune", "--cache", place / "other-cache")
    assert not list((place / "other-cache" / "entries").glob("*"))


def test_show_list_and_cache_speak_of_what_is_there(refreshed: tuple[Run, str], place: Path, bench: Bench) -> None:
    folder = refreshed[0].folder
    assert "recovery ratio" in bench("show", folder).stdout
    assert "after math" in bench("show", folder, "--domain", "math").stdout
    listed = bench("list", "--out", place / "runs").stdout
    for word in (load_suite("micro").id, "refresh", "rollback", folder.name):
        assert word in listed
    assert "training" in bench("cache", "show", "--cache", place / "cache").stdout


def test_unfinished_or_absent_runs_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        load_run(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load_run(tmp_path)


def test_doctor_names_what_is_missing(bench: Bench) -> None:
    printed = bench("doctor").stdout
    for word in ("torch", "base of micro", "intact", "1 GB for micro, 5 GB for everyday"):
        assert word in printed


# --- methods that do what they should not

ODD = """
import sys
from bench.method import Method, Training
from tasks.micro.math import Math

class Odd(Method):
    way: str = "good"

    def recover(self, checkpoint, targets, history):
        if self.way == "patch":
            Math.score = lambda self, item, answer: 1.0
            return history.train(checkpoint, Training.on(*targets, steps=3))
        if self.way == "free":
            bench = history._bench
            entry = bench.train(checkpoint, Training.on(*targets, steps=4), seed=history.seed)
            return bench.checkpoint(entry.value["checkpoint"])
        if self.way == "input":
            input("go on? ")
        if self.way == "breakpoint":
            breakpoint()
        if self.way == "exit":
            sys.exit("enough")
        if self.way == "nothing":
            return None
        if self.way == "brackets":
            raise RuntimeError("[red]on purpose[/x]")
        return checkpoint
"""
FAILING = {
    "input": "recover failed: EOFError",
    "breakpoint": "recover failed: RuntimeError: breakpoint() waits",
    "exit": "recover failed: SystemExit: enough",
    "nothing": "recover failed: method Odd: recover returned None; return a Checkpoint",
    "brackets": "recover failed: RuntimeError: [red]on purpose[/x]",
}


@pytest.fixture(scope="module")
def odd(words: list[object], place: Path, bench: Bench) -> tuple[Path, str]:
    """Runs of the method above and the baseline run, then refresh, by one worker and in a cache of their own; what the first printed."""
    (place / "odd.py").write_text(ODD)
    methods = f"{place}/odd.py:Odd[way={','.join(['patch', 'free', *FAILING])}]"
    where = ["--out", place / "odd", "--cache", place / "odd-cache"]
    done = bench("compare", *words[1:], *where, "--methods", methods, "--seeds", 1, code=2)
    bench(*words, *where, "--method", "refresh", "--set", "steps=3")
    return place / "odd", done.stdout + done.stderr


def test_a_method_that_fails_ends_at_once_in_one_line_and_the_others_are_finished(odd: tuple[Path, str], run_of: RunOf) -> None:
    out, printed = odd
    assert f"{len(FAILING)} of {len(FAILING) + 3} runs failed, 3 of {len(FAILING) + 3} are finished" in printed
    for way, message in FAILING.items():
        (line,) = (line for line in printed.splitlines() if message in line and line.startswith("  "))
        assert f"way={way}" in line
    for method in ("none", "refresh"):
        run_of(out, method).check()


def test_computing_past_the_history_is_reported(odd: tuple[Path, str], run_of: RunOf) -> None:
    out, printed = odd
    free = run_of(out, "Odd", settings={"way": "free"})
    (line,) = free.unmetered
    assert line.startswith("recover of Odd: computed ")
    assert f"unmetered computing in {free.name}: {line}" in printed
    assert free.manifest.cost.repair == 0
    assert run_of(out, "Odd", settings={"way": "patch"}).unmetered == ()


def test_a_method_that_patches_the_verifier_changes_no_score_but_its_own_training(
    odd: tuple[Path, str], refreshed: tuple[Run, str], run_of: RunOf
) -> None:
    """Its training is the very one of refresh; what it computed is neither scored by its own verifier nor found by refresh."""
    clean, _ = refreshed
    out, _ = odd
    hostile = run_of(out, "Odd", settings={"way": "patch"})
    for row in clean.rows.baseline:
        name = f"samples/{row.name}.jsonl.gz"
        assert hostile.manifest.files[name] == clean.manifest.files[name], "the baseline's rows, scored in the same command"
    assert hostile.manifest.checkpoints["repaired"] != clean.manifest.checkpoints["repaired"], "it did reward itself"
    assert hostile.matrix["greedy"].final[0] < 1, "and no verifier of its own scored it"
    after = run_of(out, "refresh")
    assert after.manifest == clean.manifest


def test_no_entry_that_others_can_find_was_written_by_a_users_process(
    odd: tuple[Path, str], refreshed: tuple[Run, str], place: Path
) -> None:
    """Every common entry of the cache with the method above is one that a run without it makes too, byte for byte."""

    def entries(folder: Path) -> dict[str, dict]:
        stored = {path.parent.name: json.loads(path.read_text()) for path in (folder / "entries").glob("*/entry.json")}
        return {name: entry for name, entry in stored.items() if "owner" not in entry["key"]}

    clean, shared = entries(place / "cache"), entries(place / "odd-cache")
    scorings_of_odd = {name for name in set(shared) - set(clean) if shared[name]["kind"] in ("scoring", "distance")}
    assert set(shared) - scorings_of_odd <= set(clean)
    assert all(shared[name] == clean[name] for name in shared if name in clean)


@pytest.mark.slow
def test_with_two_workers_the_hostile_method_changes_nothing_either(
    odd: tuple[Path, str], refreshed: tuple[Run, str], words: list[object], place: Path, bench: Bench, run_of: RunOf
) -> None:
    where = ["--out", place / "two", "--cache", place / "two-cache", "--jobs", 2]
    bench("compare", *words[1:], *where, "--methods", f"{place}/odd.py:Odd[way=patch],refresh[steps=3]", "--seeds", 1)
    hostile, other = run_of(place / "two", "Odd"), run_of(odd[0], "refresh")
    assert run_of(place / "two", "refresh").manifest == other.manifest
    # Whether the hostile method trains for itself or finds refresh's training depends on which comes first.
    for row in other.rows.baseline:
        name = f"samples/{row.name}.jsonl.gz"
        assert hostile.manifest.files[name] == other.manifest.files[name]
    assert hostile.matrix["greedy"].final[0] < 1


def test_a_run_is_not_written_over_by_one_with_other_weights_of_that_name(chat_suite: Path, chat_model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(chat_model, tmp_path / "model"))
    where = {"suite": str(chat_suite), "sequence": "math-qa", "device": "cpu", "jobs": 1, "cache": tmp_path / "cache", "display": False}
    first = bench.api.run("none", **where, model=str(model), out=tmp_path / "runs")
    again = bench.api.run("none", **where, model=str(model), out=tmp_path / "runs")
    assert first.manifest.checkpoints == again.manifest.checkpoints
    before = {file: file.read_bytes() for file in first.folder.rglob("*") if file.is_file()}
    other = AutoModelForCausalLM.from_pretrained(model)
    other.lm_head.weight.data *= 1.5
    other.save_pretrained(model)
    with pytest.raises(UserError, match=r"holds another run \(.*model had other weights then\): choose another --out"):
        bench.api.run("none", **where, model=str(model), out=tmp_path / "runs")
    assert {file: file.read_bytes() for file in first.folder.rglob("*") if file.is_file()} == before
