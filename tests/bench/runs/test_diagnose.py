"""Diagnosing finished runs: from the cache, trained again, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import bench.api as bench_api
from bench.errors import UserError
from bench.results.run import Run, load_run
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.worker.jobs import Diagnose, Stage, from_json, to_json
from bench.worker.subject import StagesOfRun
from bench.worker.workbench import Workbench

Bench = Callable[..., subprocess.CompletedProcess[str]]
RunOf = Callable[..., Run]
ONLY = ("edits", "routes")
ROWS = ("baseline-0-base", "baseline-1-math", "baseline-2-qa")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def finished(tiny_suite: Path, place: Path, bench: Bench, run_of: RunOf) -> Run:
    where = ["--out", place / "runs", "--cache", place / "cache", "--jobs", 1]
    bench("run", "--suite", tiny_suite, "--sequence", "math-qa", "--device", "cpu", *where)
    return run_of(place / "runs", "none")


def edited(run: Run, folder: Path, part: str, change: dict[str, object]) -> Path:
    """A copy of a run in a folder, with another part of its manifest."""
    shutil.copytree(run.folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[part] |= change
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_command_prints_and_writes_what_it_found(finished: Run, place: Path, bench: Bench) -> None:
    """Without training anything: the stages are in the cache."""
    words = ["diagnose", finished.folder, "--only", ",".join(ONLY), "--cache", place / "cache", "--jobs", 1, "--out", place / "found"]
    done = bench(*words)
    assert "trained" not in done.stderr
    assert "seed 0  measured edits" in done.stderr
    for word in ("1. RL on one domain", "3. Domains share", "math – qa", "no verdicts: fewer than 5 seeds", "not comparable"):
        assert word in done.stdout
    content = json.loads((place / "found" / "diagnosis.json").read_text())
    (run,) = content["runs"]
    assert {each["kind"] for each in run["findings"]} == set(ONLY)
    assert done.stdout.strip().endswith(f"written {place / 'found' / 'diagnosis.json'}")
    assert {path.name for path in finished.folder.iterdir()} == {
        "manifest.json",
        "matrix.json",
        "metrics.json",
        "samples",
        "timing.json",
        "training",
        ".lock",
    }


def test_stages_that_are_not_in_the_cache_are_trained_again_and_give_the_same(finished: Run, place: Path, tmp_path: Path) -> None:
    cached, again = (
        bench_api.diagnose([finished.folder], ONLY, cache=cache, jobs=1, display=False).findings
        for cache in (place / "cache", tmp_path / "cache")
    )
    assert [each.of for each in again[0]] == ["math", "qa", "math – qa"]
    assert cached == again
    assert (tmp_path / "cache").is_dir()


def test_stages_that_come_out_otherwise_are_refused(finished: Run, place: Path, tmp_path: Path) -> None:
    folder = edited(finished, tmp_path / finished.name, "checkpoints", {"baseline-2-qa": "0" * 64})
    with pytest.raises(UserError, match="training baseline-2-qa again gave other weights"):
        bench_api.diagnose([folder], ["edits"], cache=place / "cache", jobs=1, display=False)


def test_a_run_from_another_type_of_machine_is_refused_before_anything_is_trained(finished: Run, place: Path, tmp_path: Path) -> None:
    folder = edited(finished, tmp_path / finished.name, "numerics", {"arithmetic": "0" * 64})
    other = edited(finished, tmp_path / "seed-1", "spec", {"seed": 1})
    for folders in (folder, [folder, other]):  # all seeds share the job that is looked at
        with pytest.raises(UserError, match=f"{folder}: made with arithmetic {'0' * 64}, so its stages are others here"):
            bench_api.diagnose(folders, "edits", cache=tmp_path / "cache", jobs=1, display=False)
    assert not any((tmp_path / "cache" / "work").glob("*/*"))


def test_missing_checkpoints_of_an_imported_run_are_named_first(finished: Run, tmp_path: Path) -> None:
    folder = edited(
        finished, tmp_path / finished.name, "spec", {"imported": ["0" * 64, "1" * 64, "2" * 64], "imported_sequence": ["math", "qa"]}
    )
    with pytest.raises(UserError, match=f"{folder}: its checkpoints are not in the cache"):
        bench_api.diagnose(folder, "edits", cache=tmp_path / "cache")


def test_null_stages_are_trained_again_as_null_stages(finished: Run, tiny_suite: Path, place: Path, bench: Bench, run_of: RunOf) -> None:
    """Of two runs with null stages after math, both seeds in one table; math's own stage is the real one of the run above."""
    where = ["--cache", place / "cache", "--jobs", 1]
    words = ["run", "--suite", tiny_suite, "--sequence", "math-qa", "--device", "cpu", "--null", "--seeds", 2, *where]
    bench(*words, "--out", place / "null")
    folders = [run_of(place / "null", "none", seed=seed).folder for seed in (0, 1)]
    done = bench("diagnose", *folders, "--only", "neurons", *where)
    assert "null stages after math" in done.stdout
    assert "seeds 0 and 1" in done.stdout
    found = bench_api.diagnose(folders, ["neurons"], cache=place / "cache", jobs=1, display=False).findings
    assert [len(each) for each in found] == [1, 1]
    assert all(0 < own.overlap < 1 and 0 < own.again < 1 for (own,) in found)
    cache = Cache(place / "cache")
    base, math, qa = (cache.checkpoint(load_run(folders[0]).manifest.checkpoints[row]) for row in ROWS)
    bench_of_suite = Workbench(load_suite(str(tiny_suite)), cache)
    subject = StagesOfRun(bench_of_suite, ("math", "qa"), 0, base, {"math": math, "qa": qa}, null=frozenset({"qa"}))
    assert subject.findings("neurons", "") == list(found[0])
    assert cache.made == 0


def test_a_run_of_another_version_of_the_suite_is_refused(finished: Run, tmp_path: Path) -> None:
    folder = edited(finished, tmp_path / finished.name, "suite", {"fingerprint": "0" * 64})
    with pytest.raises(UserError, match="made with another version of suite tiny"):
        bench_api.diagnose([folder], ["edits"], cache=tmp_path / "cache")


def test_bad_words_are_refused_in_one_line(finished: Run, place: Path, bench: Bench) -> None:
    done = bench("diagnose", finished.folder, "--only", "edit", code=2, lines=1)
    assert "edits" in done.stderr
    assert "no finished run there" in bench("diagnose", place / "nothing", code=2, lines=1).stderr
    file = place / "file"
    file.write_text("")
    assert "--out" in bench("diagnose", finished.folder, "--out", file, code=2, lines=1).stderr


def test_a_job_survives_json_and_depends_on_all_stages() -> None:
    planned = plan(RunSpec(sequence="math-qa"))
    last = planned.makers.baseline[-1]
    assert isinstance(last, Stage)
    job = Diagnose(last, "path", "math")
    assert from_json(json.loads(json.dumps(to_json(job)))) == job
    assert [need.kind for need in job.needs] == ["start", "stage", "stage"]
    others = [Diagnose(last, "path", ""), Diagnose(last, "edits", "math"), Diagnose(last.previous, "path", "math")]
    assert len({job.key, *(other.key for other in others)}) == 4
