"""Tuning: what is tried, what is chosen, and what the record says. Trained on the ten-step suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.runs import tune as tuning
from bench.runs.tune import MAX_TRIALS, SEEDS, table, trials_of, tune
from bench.suite import DEVELOPMENT_SEEDS, SCORED_SEEDS

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


def test_too_many_combinations_get_one_line(tmp_path: Path) -> None:
    path = tmp_path / "greedy.py"
    path.write_text(
        f"from bench.method import Method\nclass G(Method):\n    x: int = 0\n    search = {{'x': tuple(range({MAX_TRIALS + 1}))}}\n"
    )
    with pytest.raises(UserError, match=f"{MAX_TRIALS} are allowed"):
        trials_of(f"{path}:G")


@pytest.fixture(scope="module")
def record(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A tuning of the method above, on one development seed."""
    place = tmp_path_factory.mktemp("tuning")
    (place / "mine.py").write_text(
        MINE.replace('raise ValueError("on purpose")', 'from bench.suite import UserError; raise UserError("on purpose")')
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(tuning, "SEEDS", SEEDS[:1])
    try:
        found = tune(f"{place}/mine.py:Mine", suite=str(tiny_suite), sequence="math-qa", device="cpu", cache=place / "cache", display=False)
    finally:
        patch.undo()
    return found | {"place": place}


def test_the_record_holds_every_trial(record: dict) -> None:
    assert [trial["settings"] for trial in record["trials"]] == trials_of(f"{record['place']}/mine.py:Mine")
    verdicts = [trial["verdict"] for trial in record["trials"]]
    assert verdicts == ["allowed"] * 4 + ["failed: on purpose"] * 2
    assert all("points" not in trial for trial in record["trials"][4:])
    assert (record["split"], record["items"], record["seeds"]) == ("validation", 8, [SEEDS[0]])


def test_chosen_is_the_best_that_is_allowed_and_the_cheapest_of_equals(record: dict) -> None:
    allowed = [trial for trial in record["trials"] if trial["verdict"] == "allowed"]
    best = max(trial["points"] for trial in allowed)
    equals = [trial for trial in allowed if trial["points"] == best]
    assert record["chosen"] == min(equals, key=lambda trial: trial["cost"])["settings"]
    nothing = next(trial for trial in allowed if trial["settings"]["way"] == "nothing")
    assert nothing["points"] == pytest.approx(0.0)
    assert nothing["cost"] == pytest.approx(1.0)
    trained = next(trial for trial in allowed if trial["settings"] == {"way": "train", "steps": 6})
    assert trained["cost"] > 1.0


def test_the_record_is_kept_beside_the_method_under_its_board(record: dict) -> None:
    kept = json.loads((record["place"] / "tuned" / "Mine.json").read_text())
    assert list(kept) == [f"{record['suite']['id']} math-qa single"]
    assert kept[f"{record['suite']['id']} math-qa single"]["chosen"] == record["chosen"]


def test_another_boards_record_is_left_alone(record: dict) -> None:
    name = f"{record['place']}/mine.py:Mine"
    file = tuning.keep(name, "tiny/9 all", {"chosen": {"steps": 6}})
    kept = json.loads(file.read_text())
    assert set(kept) == {f"{record['suite']['id']} math-qa single", "tiny/9 all"}


def test_the_table_marks_the_chosen(record: dict) -> None:
    lines = table(record).splitlines()
    (marked,) = (line for line in lines if line.startswith("*"))
    assert all(f"{key}={value}" in marked for key, value in record["chosen"].items())
    assert sum("failed: on purpose" in line for line in lines) == 2
