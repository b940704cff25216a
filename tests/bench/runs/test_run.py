"""A run from the outside: the command, what it prints, what lies in its folder, and what is computed again (nothing)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import load_run
from bench.errors import UserError
from bench.results.estimates import outcome
from bench.results.run import Run
from bench.suite import load_suite


def bench(*words: object, cwd: Path | None = None, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
    """`python -P -m bench ...`, its exit code checked."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", *map(str, words)],
        cwd=cwd,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def words(place, tiny_suite) -> list[object]:
    where = ["--out", place / "runs", "--cache", place / "cache"]
    return ["run", "--suite", tiny_suite, "--sequence", "math-qa", "--device", "cpu", *where]


@pytest.fixture(scope="module")
def refreshed(words, place) -> tuple[Run, str]:
    """A run of refresh, and what the command printed."""
    done = bench(*words, "--method", "refresh", "--set", "steps=3")
    return load_run(place / "runs" / "tiny-math-qa-single-refresh-steps=3-s0"), done.stdout + done.stderr


def test_the_table_says_what_happened(refreshed):
    _, printed = refreshed
    for word in (
        "base",
        "after math",
        "after qa",
        "repaired",
        "math*",
        "recovery ratio",
        "collateral damage",
        "retention",
        "cost",
        "access",
    ):
        assert word in printed
    assert "trained math: 10 steps" in printed
    assert "not comparable" in printed or "too few" in printed


def test_the_folder_holds_all_that_the_numbers_are_made_of(refreshed):
    run, _ = refreshed
    assert run.rows == {
        "baseline": ["baseline-0-base", "baseline-1-math", "baseline-2-qa"],
        "method": ["baseline-0-base", "baseline-1-math", "baseline-2-qa"],
        "final": ["repaired"],
    }
    for decoding in ("greedy", "sampled"):
        scores = run.scores(decoding)
        assert scores["math"].shape == (7, 16)
        recomputed = outcome([scores[domain].mean(1) for domain in run.sequence], [0])
        assert np.allclose(recomputed.baseline, run.matrix[decoding]["baseline"])
        assert np.allclose(recomputed.end, run.matrix[decoding]["final"][0])
    log = [json.loads(line) for line in (run.folder / "training" / "baseline-1-math.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 11))
    assert set(log[0]) >= {"reward", "loss", "gradient_norm", "groups_with_spread"}
    assert run.manifest["cost"]["stages"] == 1.0
    assert run.manifest["cost"]["repair"] > 0


def test_another_repair_trains_no_stage_again(refreshed, words, place):
    entries = place / "cache" / "entries"

    def trainings() -> int:
        return sum(json.loads((e / "entry.json").read_text())["kind"] == "training" for e in entries.iterdir())

    before = trainings()
    done = bench(*words, "--method", "rollback", "--set", "prompts=8")
    assert trainings() == before
    assert "trained" not in done.stderr
    rolled = load_run(place / "runs" / "tiny-math-qa-single-rollback-prompts=8-s0")
    assert rolled.manifest["checkpoints"]["baseline-2-qa"] == refreshed[0].manifest["checkpoints"]["baseline-2-qa"]
    assert rolled.manifest["checkpoints"]["repaired"] != rolled.manifest["checkpoints"]["baseline-2-qa"]


def test_a_method_with_its_own_stages_has_its_own_rows(words, place):
    bench(*words, "--method", "replay", "--targets", "all")
    run = load_run(place / "runs" / "tiny-math-qa-all-replay-s0")
    assert run.rows["method"] == ["baseline-0-base", "method-1-math", "method-2-qa"]
    assert run.rows["final"] == ["method-2-qa"]
    assert run.manifest["checkpoints"]["method-1-math"] == run.manifest["checkpoints"]["baseline-1-math"]
    assert run.manifest["checkpoints"]["method-2-qa"] != run.manifest["checkpoints"]["baseline-2-qa"]


def test_several_values_and_seeds_make_a_run_each(words, place):
    done = bench(*words, "--method", "refresh", "--set", "steps=1,2", "--seeds", 2)
    names = {path.name for path in (place / "runs").iterdir()}
    assert {f"tiny-math-qa-single-refresh-steps={k}-s{s}" for k in (1, 2) for s in (0, 1)} <= names
    assert "fewer than 5 seeds: provisional" in done.stdout


def test_a_null_stage_differs_from_a_real_one(refreshed, words, place):
    bench(*words, "--null")
    null = load_run(place / "runs" / "tiny-math-qa-single-null-after-math-s0")
    # The stage whose gain is to be damaged is the real one; what comes after it is not.
    assert null.manifest["checkpoints"]["baseline-1-math"] == refreshed[0].manifest["checkpoints"]["baseline-1-math"]
    assert null.manifest["checkpoints"]["baseline-2-qa"] != refreshed[0].manifest["checkpoints"]["baseline-2-qa"]


def test_checkpoints_of_ones_own_can_be_repaired(refreshed, place, tiny_suite):
    stored = place / "cache" / "checkpoints"
    hashes = refreshed[0].manifest["checkpoints"]
    where = ["--out", place / "imported", "--cache", place / "other-cache"]
    stages = [f"{domain}={stored / hashes[row]}" for domain, row in (("math", "baseline-1-math"), ("qa", "baseline-2-qa"))]
    bench("import", "--suite", tiny_suite, "--base", stored / hashes["baseline-0-base"], "--stage", stages[0], "--stage", stages[1], *where)
    (folder,) = (place / "imported").iterdir()
    imported = load_run(folder)
    assert imported.matrix["greedy"]["baseline"] == refreshed[0].matrix["greedy"]["baseline"]
    bench("run", "--from", folder, "--method", "rollback", "--set", "prompts=8", "--device", "cpu", *where)
    repaired = next(p for p in (place / "imported").iterdir() if "rollback" in p.name)
    assert load_run(repaired).rows["final"] == ["repaired"]


def test_show_list_and_cache_speak_of_what_is_there(refreshed, place, words):
    folder = refreshed[0].folder
    assert "recovery ratio" in bench("show", folder).stdout
    assert "items lost between" in bench("show", folder, "--domain", "math", "--flips").stdout
    assert "baseline-1-math" in bench("show", folder, "--domain", "math").stdout
    listed = bench("list", "--out", place / "runs").stdout
    for word in (load_suite("micro").id, "code -> math -> qa -> cw", "refresh", "rollback", folder.name):
        assert word in listed
    assert "training" in bench("cache", "show", "--cache", place / "cache").stdout
    bench("cache", "prune", "--cache", place / "other-cache")
    assert not list((place / "other-cache" / "entries").glob("*"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--method", "refrehs"], "unknown method 'refrehs': did you mean refresh"),
        (["--sequence", "papr"], "unknown sequence 'papr': did you mean paper"),
        (["--suite", "mikro"], "unknown suite 'mikro': did you mean micro"),
        (["--targets", "al"], "unknown targets 'al': did you mean all"),
        (["--method", "refresh", "--set", "stpes=3"], "unknown setting of refresh 'stpes': did you mean steps"),
        (["--method", "refresh", "--set", "steps=many"], "--set steps=many"),
        (["--method", "nowhere.py:Mine"], "no file"),
        (["--device", "gpu"], "choose auto, cpu or cuda"),
        (["--set", "steps"], "write key=value"),
        (["--method", "none", "--set", "a=1"], "no settings"),
    ],
)
def test_a_typo_gets_one_line(wrong, message, tmp_path):
    done = bench("run", *wrong, "--out", tmp_path, code=2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_unfinished_or_absent_runs_are_named(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        load_run(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load_run(tmp_path)


def test_a_diverging_training_is_named_with_its_step(tmp_path, tiny_suite):
    method = tmp_path / "wild.py"
    method.write_text(
        "from dataclasses import dataclass\n\nfrom bench.method import Method, Training\n\n\n"
        "@dataclass\nclass NoNumber:\n    def __call__(self, parameters, loaded):\n"
        "        return sum(p.sum() for p in parameters.values()) * float('nan')\n\n\n"
        "class Wild(Method):\n    def stage(self, stage, history):\n        return Training.on(stage.domain, penalty=NoNumber())\n"
    )
    where = ["--out", tmp_path / "runs", "--cache", tmp_path / "cache", "--device", "cpu"]
    done = bench("run", "--suite", tiny_suite, "--sequence", "math-qa", "--method", f"{method}:Wild", *where, code=2)
    assert "diverged at step" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['bench', '--help']\nfrom bench.cli import app\ntry:\n    app()\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', [m for m in ('torch', 'pandas', 'scipy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_doctor_names_what_is_missing():
    printed = bench("doctor").stdout
    assert "torch" in printed
    assert "base of micro  " in printed
    assert "intact" in printed
