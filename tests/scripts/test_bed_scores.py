"""scripts/bed_scores.py: what is kept of a seed comes back, and only where nothing that decides it has changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bed_scores as script
import numpy as np
import pytest

from bench import hardware
from bench.errors import UserError
from bench.runs import pool
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.suite import load_suite
from bench.worker.jobs import Job, Start

RUNS = [("paper", ""), ("paper", "math")]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds that were trained, with made-up scores."""
    seeds: list[int] = []

    def trained(suite, name, runs, seed, split, device):
        seeds.append(seed)
        cells = [(domain, decoding) for domain in suite.domains for decoding in ("greedy", "sampled")]
        rows = len(suite.sequence("paper")) + 1

        def drawn(null):
            """Real and null stages differ in the last row."""
            draw = np.random.default_rng(seed)
            tables = [{cell: draw.integers(0, 2, (6, 3)).astype(float) for cell in cells} for _ in range(rows)]
            return [*tables[:-1], {cell: scores + bool(null) for cell, scores in tables[-1].items()}]

        return {(order, null): script.Scored(drawn(null), (1e9, 2e9, 3e9, 4e9), f"machine {seed}") for order, null in runs}

    monkeypatch.setattr(script, "trained", trained)
    return seeds


def same(one: script.Scored, other: script.Scored) -> bool:
    pairs = [(a[cell], b[cell]) for a, b in zip(one.tables, other.tables, strict=True) for cell in a.keys() | b.keys()]
    return (one.flops, one.machine) == (other.flops, other.machine) and all(np.array_equal(*pair) for pair in pairs)


def test_a_kept_seed_is_not_trained_again_and_comes_back_as_it_was(made: list[int], tmp_path: Path) -> None:
    first = script.scores_of("everyday", RUNS, 100, "validation", "cpu", tmp_path)
    again = script.scores_of("everyday", RUNS[::-1], 100, "validation", "cpu", tmp_path)
    assert set(first) == set(again) == {(order, null, 100) for order, null in RUNS}
    assert all(same(first[key], again[key]) for key in first)
    assert made == [100]
    script.scores_of("everyday", RUNS, 101, "validation", "cpu", tmp_path)
    script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    script.scores_of("everyday", RUNS, 100, "test", "cpu", None)
    assert made == [100, 101, 100, 100]


def test_runs_that_were_not_kept_are_trained_beside_those_that_were(
    made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "machine", lambda device, suite: "machine 100")
    first = script.scores_of("everyday", RUNS[:1], 100, "test", "cpu", tmp_path)
    found = script.scores_of("everyday", RUNS[1:], 100, "test", "cpu", tmp_path)
    assert (len(found), made) == (1, [100, 100])
    again = script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    assert made == [100, 100], "the first run was not lost"
    assert all(same(again[key], run) for key, run in (first | found).items())


def test_the_machine_is_the_card_that_workers_are_put_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = tuple(hardware.Card(uuid, kind, free) for uuid, kind, free in (("GPU-a", "NVIDIA T4", 15.0), ("GPU-b", "NVIDIA H200", 140.0)))
    monkeypatch.setattr(hardware, "cards", lambda: cards)
    monkeypatch.setattr(hardware, "version", lambda package: "2.13.0+cu130")
    suite = load_suite("everyday")
    on_card, on_cpu = (script.machine(device, suite) for device in ("cuda", "cpu"))
    assert ", NVIDIA H200, " in on_card
    assert "arithmetic" not in on_card
    assert "NVIDIA" not in on_cpu
    pools: list[Any] = []
    done = SimpleNamespace(run=lambda jobs: None, failures=[], results={})
    monkeypatch.setattr(pool, "Pool", lambda *given: pools.append(given) or done)
    script.computed({}, [plan(RunSpec(suite="everyday", device="cuda"))], log="")
    assert set(pools[0][4]) == {"GPU-b"}
    assert "arithmetic" in on_cpu


def test_real_stages_of_a_seed_are_of_one_type_of_machine(made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script.scores_of("everyday", RUNS[:1], 100, "test", "cpu", tmp_path)
    monkeypatch.setattr(script, "machine", lambda device, suite: "another machine")
    words = r"test-s100\.npz: lacks the real stages of balanced-2, and those in it are of machine 100: add the others there"
    with pytest.raises(UserError, match=words):
        script.scores_of("everyday", [*RUNS, ("balanced-2", "")], 100, "test", "cpu", tmp_path)
    script.scores_of("everyday", RUNS[:1], 100, "test", "cpu", tmp_path)
    assert made == [100]


def test_null_stages_may_be_of_another_machine_and_begin_with_other_scores(
    made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = script.scores_of("everyday", RUNS[:1], 100, "test", "cpu", tmp_path)
    trained = script.trained

    def elsewhere(suite, name, runs, seed, split, device):
        found = trained(suite, name, runs, seed, split, device)
        assert set(found) == set(RUNS[1:])
        for run in found.values():
            run.tables[2]["qa", "greedy"][:] = 0.5
        return {which: replace(run, machine="another machine") for which, run in found.items()}

    monkeypatch.setattr(script, "trained", elsewhere)
    monkeypatch.setattr(script, "machine", lambda device, suite: "another machine")
    found = script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    again = script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    assert all(same(again[key], run) for key, run in (found | first).items())
    assert [again[(*which, 100)].machine for which in RUNS] == ["machine 100", "another machine"]
    assert made == [100, 100]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"version": 9, "title": "another", "stage_flops": dict.fromkeys(("math", "code", "qa", "cw"), 1.0)}, False),
        ({"rl": {"learning_rate": 0.5}}, True),
        ({"test_items": 3}, True),
        ({"levels": {"math": (1,)}}, True),
    ],
)
def test_scores_of_other_settings_are_refused_but_not_of_another_title(
    change: dict[str, object], refused: bool, made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    other = load_suite("everyday").model_copy(update=change)
    monkeypatch.setattr(script, "load_suite", lambda name: other)
    if refused:
        with pytest.raises(UserError, match=r"test-s100\.npz: made with other settings of suite everyday"):
            script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    else:
        script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    assert made == [100]


@pytest.mark.parametrize("left", [0, 10, 400])
def test_a_damaged_file_is_one_line(left: int, made: list[int], tmp_path: Path) -> None:
    script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    file = tmp_path / "test-s100.npz"
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(UserError, match=r"test-s100\.npz: damaged \(.*: remove it, or choose another --keep") as error:
        script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    assert "\n" not in str(error.value)


def test_what_another_process_added_meanwhile_stays(made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "machine", lambda device, suite: "machine 100")
    trained = script.trained

    def slowly(suite, name, runs, seed, split, device):
        found = trained(suite, name, runs, seed, split, device)
        if runs == RUNS[:1]:
            script.scores_of("everyday", RUNS[1:], 100, "test", "cpu", tmp_path)
        return found

    monkeypatch.setattr(script, "trained", slowly)
    script.scores_of("everyday", RUNS[:1], 100, "test", "cpu", tmp_path)
    script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    assert made == [100, 100]
    assert [file.name for file in tmp_path.iterdir()] == ["test-s100.npz"]


def test_null_stages_of_another_training_are_refused(made: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "machine", lambda device, suite: "machine 100")
    script.scores_of("everyday", RUNS[:1], 100, "test", "cpu", tmp_path)
    before = (tmp_path / "test-s100.npz").read_bytes()
    trained = script.trained

    def another(suite, name, runs, seed, split, device):
        found = trained(suite, name, runs, seed, split, device)
        for run in found.values():
            run.tables[2]["qa", "greedy"][:] = 0.5
        return found

    monkeypatch.setattr(script, "trained", another)
    with pytest.raises(UserError, match="paper with null stages after math begins with other scores than paper: nothing was written"):
        script.scores_of("everyday", RUNS, 100, "test", "cpu", tmp_path)
    assert (tmp_path / "test-s100.npz").read_bytes() == before


def test_what_jobs_need_comes_with_them() -> None:
    planned = script.plan(RunSpec(suite="micro", sequence="paper", device="cpu"), "validation")
    after = planned.scoring(planned.rows.baseline[1], "math")
    assert sorted(job.kind for job in script.needed([after]).values()) == sorted(["score", "stage", Start.kind])


def test_a_bed_looks_at_a_domain_around_its_stage_and_at_the_end() -> None:
    order = ("code", "math", "qa", "cw")
    around = {"code": [0, 1, 4], "math": [0, 1, 2, 4], "qa": [0, 2, 3, 4], "cw": [0, 3, 4]}
    assert sorted(script.cells_of(order, "")) == sorted((row, domain) for domain, rows in around.items() for row in rows)
    assert script.cells_of(order, "math") == [(2, "math"), (4, "math")]


def test_only_what_a_bed_looks_at_is_computed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fourteen cells of real stages, and one of null stages: the other one is that of the real ones. All stages are trained."""
    asked: list[Job] = []

    def computed(jobs, plans, log):
        asked.extend(jobs.values())
        return {key: SimpleNamespace(answers=key, flops=float(len(asked))) for key in jobs}

    monkeypatch.setattr(script, "computed", computed)
    monkeypatch.setattr(script, "table_of", lambda content, file: {("math", "greedy"): np.ones((2, 3))})
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"")
    found = script.trained(load_suite("everyday"), "everyday", [("paper", ""), ("paper", "code")], 100, "validation", "cpu")
    assert Counter(job.kind for job in asked) == {"start": 1, "stage": 4 + 3, "score": 14 + 1}
    assert [len(run.tables) for run in found.values()] == [5, 5]
    assert [len(run.flops) for run in found.values()] == [4, 4]
    assert [bool(table) for table in found["paper", "code"].tables] == [False, True, False, False, True]


def test_rows_without_scores_keep_their_places(tmp_path: Path) -> None:
    suite, scores = load_suite("everyday"), np.ones((6, 3))
    run = script.Scored([{}, {("code", "greedy"): scores}, {}, {}, {("code", "greedy"): 0 * scores}], (1.0, 2.0, 3.0, 4.0), "machine")
    script.write(tmp_path / "x.npz", suite, {("paper", "code"): run})
    assert same(script.read(tmp_path / "x.npz", suite)["paper", "code"], run)
