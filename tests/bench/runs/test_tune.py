"""Tuning: what is tried, what is chosen, and what the record says. Trained on the ten-step suite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

import baselines
from bench.api import tune
from bench.errors import UserError
from bench.options import Options
from bench.registry import describe, tuned_settings
from bench.runs import pool
from bench.runs import tune as tuning
from bench.runs.forecast import Ledger
from bench.runs.plan import graph_of
from bench.runs.pool import Failure
from bench.runs.tune import MAX_TRIALS, SEEDS, Record, table, trials_of
from bench.suite import DEVELOPMENT_SEEDS, SCORED_SEEDS
from bench.worker.jobs import Job, Recover, Stage

MINE = """
from bench.method import Method, Training

class Mine(Method):
    steps: int = 5
    way: str = "train"
    search = {"way": ("train", "nothing", "fail"), "steps": (1, 6)}

    def recover(self, checkpoint, targets, history):
        if self.way == "fail":
            raise ValueError("on purpose")
        if self.way == "nothing":
            return checkpoint
        return history.train(checkpoint, Training.on(*targets, steps=self.steps))
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(MINE)
    return f"{tmp_path}/mine.py:Mine"


def test_only_development_seeds_are_ever_tried() -> None:
    assert set(SEEDS) <= set(DEVELOPMENT_SEEDS)
    assert not set(SEEDS) & set(SCORED_SEEDS)


def test_trials_are_every_combination(mine: str) -> None:
    assert trials_of(mine) == [{"way": way, "steps": steps} for way in ("train", "nothing", "fail") for steps in (1, 6)]


def test_a_method_without_a_search_space_gets_one_line() -> None:
    with pytest.raises(UserError, match="declares no search space"):
        trials_of("none")


def test_looking_for_records_makes_no_folder(mine: str, tmp_path: Path) -> None:
    """As a dry run does. Where none could be kept, that is told before any work."""
    record = describe(mine).record
    assert tuning._records(record) == {}
    assert not (tmp_path / "tuned").exists()
    (tmp_path / "tuned").write_text("")
    with pytest.raises(UserError, match=r"mine-Mine\.json: the record of trials cannot be kept there"):
        tuning._records(record)


def test_too_many_combinations_get_one_line(tmp_path: Path) -> None:
    path = tmp_path / "greedy.py"
    path.write_text(
        "from bench.method import Method\nclass G(Method):\n    x: int = 0\n    def recover(self, *given): ...\n"
        f"    search = {{'x': tuple(range({MAX_TRIALS + 1}))}}\n"
    )
    with pytest.raises(UserError, match=f"{MAX_TRIALS} are allowed"):
        trials_of(f"{path}:G")


@pytest.fixture(scope="module")
def tuned(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """A tuning of the method above, on one development seed, and the folder of its file."""
    place = tmp_path_factory.mktemp("tuning")
    (place / "mine.py").write_text(MINE)
    patch = pytest.MonkeyPatch()
    patch.setattr(tuning, "SEEDS", SEEDS[:1])
    patch.chdir(place)
    where = {"suite": str(tiny_suite), "sequence": "math-qa", "device": "cpu", "jobs": 1, "cache": place / "cache"}
    try:
        return tune(f"{place}/mine.py:Mine", **where, display=False), place
    finally:
        patch.undo()


def test_the_record_holds_every_trial(tuned: tuple[Record, Path]) -> None:
    record, place = tuned
    assert [trial.settings for trial in record.trials] == trials_of(f"{place}/mine.py:Mine")
    assert [trial.verdict for trial in record.trials] == ["allowed"] * 4 + ["failed: ValueError: on purpose (mine.py:11 in recover)"] * 2
    assert all(trial.points is None for trial in record.trials[4:])
    assert (record.items, record.seeds, record.sequence, record.ranked_by) == (8, SEEDS[:1], "math-qa", "net recovery")


def test_chosen_is_the_best_that_is_allowed_and_the_cheapest_of_equals(tuned: tuple[Record, Path]) -> None:
    record, _ = tuned
    allowed = [trial for trial in record.trials if trial.verdict == "allowed"]
    best = max(trial.points for trial in allowed)
    equals = [trial for trial in allowed if trial.points == best]
    assert record.chosen == min(equals, key=lambda trial: trial.cost).settings
    nothing = next(trial for trial in allowed if trial.settings["way"] == "nothing")
    assert nothing.points == pytest.approx(0.0)
    assert nothing.cost == pytest.approx(1.0)
    trained = next(trial for trial in allowed if trial.settings == {"way": "train", "steps": 6})
    assert trained.cost > 1.0


def test_the_record_is_kept_beside_the_method_under_its_board(tuned: tuple[Record, Path]) -> None:
    record, place = tuned
    kept = json.loads((place / "tuned" / "mine-Mine.json").read_text())
    board = f"{record.suite} math-qa single"
    assert board in kept
    assert Record.model_validate(kept[board]) == record
    assert tuned_settings(f"{place}/mine.py:Mine", board) == record.chosen
    assert not (place / "runs").exists(), "tuning leaves no run folders"


def test_another_boards_record_is_left_alone(tuned: tuple[Record, Path]) -> None:
    record, place = tuned
    file = tuning.keep(record.method, "tiny/9 all", record, place / "cache")
    assert set(json.loads(file.read_text())) == {f"{record.suite} math-qa single", "tiny/9 all"}


def test_the_table_marks_the_chosen(tuned: tuple[Record, Path]) -> None:
    record, _ = tuned
    lines = table(record).splitlines()
    (marked,) = (line for line in lines if line.startswith("*"))
    assert all(f"{key}={value}" in marked for key, value in record.chosen.items())
    assert sum("failed: ValueError: on purpose" in line for line in lines) == 2
    assert "points (net recovery x forgetting)" in lines[2], "points are not the share that the board ranks by"


def test_a_second_dry_run_knows_what_is_done_and_how_long_it_took(tuned: tuple[Record, Path], tiny_suite: Path) -> None:
    """The trainings that were allowed and the baseline's stages; the two trials that fail are never done."""
    _, place = tuned
    options = Options().but(suite=str(tiny_suite), sequence="math-qa", device="cpu", cache=place / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "SEEDS", SEEDS[:1])
        plans = [planned for part in tuning.plans_for(f"{place}/mine.py:Mine", options) for planned in part]
    forecast = Ledger(place / "cache", graph_of(plans).values()).forecast()
    assert (forecast.counts[Stage], forecast.done[Stage]) == (2, 2)
    assert (forecast.counts[Recover], forecast.done[Recover]) == (6, 4)
    assert forecast.seconds is not None


def test_records_of_the_package_can_be_read() -> None:
    """Those in baselines/tuned were written by earlier versions: `chosen` is all that is read of them."""
    for file in sorted((Path(baselines.__file__).parent / "tuned").glob("*.json")):
        for board in json.loads(file.read_text()):
            assert tuned_settings(file.stem, board), (file, board)


def test_a_record_that_could_not_be_kept_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "tuned").write_text("a file, not a folder")
    with pytest.raises(UserError, match="cannot be kept there"):
        tune(f"{tmp_path}/mine.py:Mine", cache=tmp_path / "cache", display=False)


@pytest.mark.parametrize(
    ("failed", "machine", "said"),
    [
        (1, True, "recover failed: its process was killed twice.*rerun the same command to resume"),
        (6, False, "no trial came through within its track, so none is kept; the last one: failed: its process was killed twice"),
    ],
)
def test_an_earlier_record_stays_where_the_machine_fails_a_trial_or_all_fail(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: int, machine: bool, said: str
) -> None:
    """The failures are put in place of the workers."""

    class Failing:
        results: ClassVar[dict[str, Any]] = {}

        def __init__(self, *_: object) -> None:
            self.failures: list[Failure] = []

        def run(self, graph: Mapping[str, Job]) -> None:
            repairs = [job for job in graph.values() if isinstance(job, Recover)][:failed]
            self.failures += [Failure(job, "its process was killed twice", Path("log"), machine=machine) for job in repairs]

    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned" / "mine-Mine.json").write_text('{"of another board": {}}')
    monkeypatch.setattr(tuning, "SEEDS", SEEDS[:1])
    monkeypatch.setattr(pool, "Pool", Failing)
    with pytest.raises(UserError, match=said):
        tune(f"{tmp_path}/mine.py:Mine", suite=str(tiny_suite), sequence="math-qa", cache=tmp_path / "cache", display=False)
    assert (tmp_path / "tuned" / "mine-Mine.json").read_text() == '{"of another board": {}}'


def test_a_design_is_tuned_on_the_order_that_its_settings_are_kept_for() -> None:
    options = Options(sequence="balanced", targets="all")
    plans = tuning.plans_for("refresh", options)
    assert {planned.spec.sequence for part in plans for planned in part} == {"paper"}
    assert {len(part) for part in plans} == {len(SEEDS)}
