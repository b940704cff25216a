"""Comparisons: which runs they are made of, what they are said to take, and that one failure does not stop the others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import bench.runs.machine
from bench.errors import UserError
from bench.registry import method_names, tuned_file, tuned_settings
from bench.results.run import find_runs
from bench.runs import compare
from bench.runs.forecast import FILE, Ledger
from bench.runs.pool import Job
from bench.suite import load_suite

MICRO = load_suite("micro").id

# --- words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("refresh", [("refresh", [])]),
        ("refresh,rollback", [("refresh", []), ("rollback", [])]),
        (
            "refresh[steps=5,30], rollback[share=0.1;rank=magnitude]",
            [("refresh", ["steps=5,30"]), ("rollback", ["share=0.1", "rank=magnitude"])],
        ),
        ("a/b.py:Mine[x=1],refresh,", [("a/b.py:Mine", ["x=1"]), ("refresh", [])]),
        ("refresh,refresh", [("refresh", [])]),
    ],
)
def test_methods_are_split(text: str, found: list[tuple[str, list[str]]]) -> None:
    assert compare.split_methods(text) == found


def test_all_and_controls_stand_for_many() -> None:
    assert [name for name, _ in compare.split_methods("all")] == method_names()
    controls = [name for name, _ in compare.split_methods("controls")]
    assert {"none", "revert", "shrink", "interpolate", "random", "sharpen", "longer", "relearn"} == set(controls)


@pytest.mark.parametrize("text", ["refresh[steps=5", "refresh]", "[steps=5]", "all[steps=5]"])
def test_words_that_do_not_match_get_one_line(text: str) -> None:
    with pytest.raises(UserError, match="--methods"):
        compare.split_methods(text)


def test_the_plain_run_is_always_there_and_once() -> None:
    for text in ("refresh", "none,refresh"):
        specs = compare.comparison(text, seeds=[0, 1])
        assert sorted((spec.method, spec.seed) for spec in specs) == [("none", 0), ("none", 1), ("refresh", 0), ("refresh", 1)]


def test_what_every_run_shares_is_in_all_of_them() -> None:
    specs = compare.comparison("refresh", seeds=[0, 1], engine="vllm", also=("mmlu",), also_limit=20)
    assert {(spec.engine, spec.also, spec.also_limit) for spec in specs} == {("vllm", ("mmlu",), 20)}


def test_a_design_runs_every_order() -> None:
    specs = compare.comparison("none", seeds=[0], sequence="balanced", targets="all")
    assert [spec.sequence for spec in specs] == ["paper", "balanced-2", "balanced-3", "balanced-4"]
    with pytest.raises(UserError, match="balanced"):
        compare.comparison("none", seeds=[0], sequence="balancd")


# --- shards


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 7, 30])
def test_shards_hold_every_run_once(parts: int) -> None:
    whole = compare.comparison("refresh,rollback", seeds=range(5))
    shards = [compare.sharded(whole, f"{number}/{parts}") for number in range(1, parts + 1)]
    assert sorted(spec.folder_name() for shard in shards for spec in shard) == sorted(spec.folder_name() for spec in whole)


def test_runs_that_share_stages_go_to_one_shard_where_there_are_enough() -> None:
    whole = compare.comparison("refresh,rollback", seeds=range(5))
    for number in (1, 2):
        mine = {spec.seed for spec in compare.sharded(whole, f"{number}/2")}
        other = {spec.seed for spec in compare.sharded(whole, f"{3 - number}/2")}
        assert mine.isdisjoint(other)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_gets_one_line(shard: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        compare.sharded([], shard)


# --- tuned settings


def test_tuned_settings_are_taken_and_given_ones_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "refresh.json"
    file.write_text(json.dumps({f"{MICRO} paper single": {"chosen": {"steps": 7}}}))
    monkeypatch.setattr("bench.registry.tuned_file", lambda name: file if name == "refresh" else tmp_path / "absent.json")
    (own,) = (spec for spec in compare.comparison("refresh", seeds=[0]) if spec.method == "refresh")
    assert own.settings == {"steps": 7}
    (own,) = (spec for spec in compare.comparison("refresh[steps=9]", seeds=[0]) if spec.method == "refresh")
    assert own.settings == {"steps": 9}
    (own,) = (spec for spec in compare.comparison("refresh", seeds=[0], targets="all") if spec.method == "refresh")
    assert own.settings == {}, "tuned on another board"
    (own,) = (spec for spec in compare.comparison("longer", seeds=[0]) if spec.method == "longer")
    assert own.settings == {"steps": 7}, "a control follows the method it stands beside"


def test_the_same_run_is_planned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.registry.tuned_file", lambda name: tmp_path / "absent.json")
    specs = compare.comparison("refresh[steps=5],refresh[steps=5,30],refresh,refresh[steps=15]", seeds=[0])
    assert [spec.settings for spec in specs] == [{}, {"steps": 5}, {"steps": 30}, {}]


@pytest.mark.parametrize(
    "content", ["{", "[]", f'{{"{MICRO} paper single": {{"chosen": {{"stepz": 7}}}}}}', f'{{"{MICRO} paper single": {{}}}}']
)
def test_a_record_that_does_not_fit_gets_one_line(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "refresh.json"
    file.write_text(content)
    monkeypatch.setattr("bench.registry.tuned_file", lambda name: file)
    with pytest.raises(UserError, match="tune it again"):
        tuned_settings("refresh", f"{MICRO} paper single")


def test_records_lie_beside_the_method(tmp_path: Path) -> None:
    assert tuned_file("refresh").parts[-3:] == ("baselines", "tuned", "refresh.json")
    (tmp_path / "mine.py").write_text("from bench.method import Method\nclass Mine(Method):\n    pass\n")
    assert tuned_file(f"{tmp_path}/mine.py:Mine") == tmp_path / "tuned" / "Mine.json"


# --- the ledger


def jobs(*ids: str, stamp: str = "a") -> list[Job]:
    return [Job(name, lambda results: {}, kind=name.split("/")[0], stamp=stamp) for name in ids]


def done(ledger: Ledger, job: str, seconds: float, fresh: bool = True) -> None:
    ledger.hear({"event": "done", "job": job, "seconds": seconds, "fresh": fresh, "result": {}})


def test_a_forecast_adds_up_what_is_left(tmp_path: Path) -> None:
    graph = jobs("start/x", "stage/1", "stage/2", "stage/3", "score/1", "score/2", "recover/1")
    first = Ledger(tmp_path, graph)
    assert first.forecast().seconds is None
    done(first, "stage/1", 10.0)
    done(first, "stage/2", 30.0)
    done(first, "score/1", 2.0)
    done(first, "recover/1", 5.0)
    found = Ledger(tmp_path, graph).forecast()
    assert found.counts == {"start": 1, "stage": 3, "recover": 1, "score": 2, "distances": 0}
    assert found.done == {"start": 0, "stage": 2, "recover": 1, "score": 1, "distances": 0}
    assert found.seconds == 20.0 + 2.0  # a stage by the median of 10 and 30, a scoring as long as the one known
    assert "3 stages (2 in the cache), 1 repairs (1 in the cache), 2 scorings (1 in the cache)" in found.text(2)


def test_what_came_from_the_cache_says_nothing_of_time(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, jobs("stage/1", "stage/2"))
    done(ledger, "stage/1", 0.01, fresh=False)
    found = Ledger(tmp_path, jobs("stage/1", "stage/2")).forecast()
    assert found.done["stage"] == 1
    assert found.seconds is None


def test_other_code_or_settings_are_other_jobs(tmp_path: Path) -> None:
    done(Ledger(tmp_path, jobs("stage/1")), "stage/1", 10.0)
    assert Ledger(tmp_path, jobs("stage/1", stamp="b")).forecast().done["stage"] == 0


def test_half_a_line_is_passed_over(tmp_path: Path) -> None:
    done(Ledger(tmp_path, jobs("stage/1")), "stage/1", 10.0)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"key": "x", "ki\n[]\n{"key": 1, "kind": "stage", "seconds": "long", "fresh": true}\n')
    done(Ledger(tmp_path, jobs("stage/2")), "stage/2", 20.0)
    assert Ledger(tmp_path, jobs("stage/1", "stage/2")).forecast().done["stage"] == 2


def test_nothing_left_is_said(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, jobs("stage/1"))
    done(ledger, "stage/1", 10.0)
    assert "nothing left to compute" in ledger.forecast().text(2)


# --- the machine


def test_cards_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '0, GPU-aa, 40000'\necho '1, GPU-bb, 9000'\necho '2, GPU-cc, 40000'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, GPU-bb")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    bench.runs.machine.cards.cache_clear()
    try:
        assert [uuid for uuid, _ in bench.runs.machine.cards()] == ["GPU-aa", "GPU-bb"]
        assert bench.runs.machine.default_jobs("cuda", 2.0) == 20 + 4  # 41.9 and 9.4 GB
        assert bench.runs.machine.default_jobs("auto", 100.0) == 1
        assert bench.runs.machine.default_jobs("cpu", 2.0) == 64
        assert [bench.runs.machine.card_of(n, "cuda")["CUDA_VISIBLE_DEVICES"] for n in range(3)] == ["GPU-aa", "GPU-bb", "GPU-aa"]
        assert bench.runs.machine.card_of(0, "cpu") == {}
    finally:
        bench.runs.machine.cards.cache_clear()


# --- from the outside


def run_bench(*words: object, code: int = 0) -> str:
    done = subprocess.run([sys.executable, "-P", "-m", "bench", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def suite(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ten-step suite with a design of two orders."""
    content = yaml.safe_load(tiny_suite.read_text())
    content |= {"sequences": {"math-qa": ["math", "qa"], "qa-math": ["qa", "math"]}, "designs": {"both": ["math-qa", "qa-math"]}}
    path = tmp_path_factory.mktemp("suite") / "two.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_comparison_survives_a_failure_and_goes_on(suite: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    text = "from bench.method import Method\nclass Broken(Method):\n    def recover(self, checkpoint, targets, history):\n        "
    own.write_text(text + "raise RuntimeError('on purpose')\n")
    place = ["--suite", suite, "--device", "cpu", "--out", tmp_path / "runs", "--cache", tmp_path / "cache", "--targets", "all"]
    words = ["compare", "--methods", f"rollback[prompts=8],{own}:Broken", "--sequence", "both", "--seeds", "1", *place]

    planned = run_bench(*words, "--dry-run")
    assert "6 runs: 4 stages (0 in the cache), 4 repairs (0 in the cache)" in planned
    assert not (tmp_path / "runs").exists()

    printed = run_bench(*words, code=2)
    assert "2 of 6 runs failed, 4 of 6 runs are finished" in printed
    for order in ("math-qa", "qa-math"):
        assert f"two-{order}-all-Broken-s0: recover failed: RuntimeError: on purpose (log: " in printed
    log = Path(printed.split("(log: ")[1].split(")")[0])
    assert "on purpose" in log.read_text()
    assert len(find_runs(tmp_path / "runs")) == 4

    own.write_text(text + "return checkpoint\n")
    printed = run_bench(*words, "--log-to", "tensorboard") if _tensorboard() else run_bench(*words)
    assert "6 runs: 4 stages (4 in the cache), 4 repairs (2 in the cache)" in printed
    assert "steps, last reward" not in printed, "a stage was trained again"
    assert len(find_runs(tmp_path / "runs")) == 6
    if _tensorboard():
        assert _curve(tmp_path / "runs" / "two-math-qa-all-none-s0" / "tensorboard" / "baseline-1-math") == list(range(1, 11))


def _tensorboard() -> bool:
    from importlib.util import find_spec

    return find_spec("tensorboard") is not None


def _curve(folder: Path) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars("math/reward/math")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "refesh"], "did you mean refresh"),
        (["--methods", "refresh[stps=3]"], "did you mean steps"),
        (["--sequence", "ballanced"], "did you mean balanced"),
        (["--shard", "3/2"], "write i/n"),
        (["--log-to", "tensorbord"], "did you mean tensorboard"),
    ],
)
def test_a_typo_gets_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    printed = run_bench("compare", "--seeds", "1", *words, "--out", tmp_path / "runs", "--cache", tmp_path / "cache", code=2)
    assert message in printed
    assert "Traceback" not in printed
