"""Costs and access: at least what the training logs show."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from entries import MINE, WORDS, write_runs
from forgeries import RUN, edit, put, refusals, refused, reseal

from bench.suite import Suite
from leaderboard.files import packed
from leaderboard.pack import pack
from leaderboard.submission import FILE, LOGS


def test_costs_below_what_the_logs_show(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("cost.repair", 1e-6))
    refused(
        submissions / "mine", r"runs/paper-s2\.json: cost: states 1e-06 of the baseline run, but the training logs imply at least 0\.00\d+"
    )


def test_every_training_of_a_run_counts(submissions: Path, suite: Suite) -> None:
    """What is stated would do for one of two trainings."""
    for trainings, lines in ((1, 0), (2, 5)):
        runs = write_runs(submissions.parent / f"{trainings}", suite, "refresh", repair_cost=0.005, trainings=trainings)
        pack(runs, f"trained-{trainings}", submissions, WORDS)
        assert len([line for line in refusals(submissions / f"trained-{trainings}") if "the training logs imply" in line]) == lines


def test_access_below_what_the_logs_show(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("cost.access.prompts", {}))
    refused(submissions / "mine", r"runs/paper-s2\.json: cost\.access\.prompts\.math: states 0, but the training logs imply at least 128")


def test_prompts_of_other_domains_in_a_stage(submissions: Path, suite: Suite) -> None:
    """A method that replays math in the stage of cw has used prompts of math."""
    file = submissions.parent / "replaying.py"
    body = 'return Training(mixture={stage.domain: 0.5, "math": 0.5})'
    stage = f'    track = "during"\n\n    def stage(self, stage, history):\n        {body}\n'
    file.write_text(MINE.partition("    def recover")[0].replace("Mine", "Replaying") + stage)
    pack(write_runs(submissions.parent / "runs", suite, f"{file}:Replaying"), "replaying", submissions, WORDS)
    assert refusals(submissions / "replaying") == []
    for seed in range(5):
        edit(submissions / "replaying", f"runs/paper-s{seed}.json", put("cost.access.prompts", {}))
    refused(submissions / "replaying", r"runs/paper-s0\.json: cost\.access\.prompts\.math: states 0, but the training logs imply at least")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cost.stages", 0.5, r"cost\.stages: is 0\.5, but must be 1: the method does not change the stages"),
        ("cost.repair", -0.1, r"cost\.repair: must be at least 0"),
        ("cost.repair", 1e300, r"cost: 1e\+300 times the baseline run: the limit is 20"),
        ("cost.access.prompts.math", -5, r"cost\.access\.prompts\.math: -5: must be from 0"),
        ("cost.access.experts", ["poetry"], r"cost\.access: 'poetry' is not a domain of the sequence"),
    ],
)
def test_costs_that_cannot_be(submissions: Path, field: str, value: Any, said: str) -> None:
    edit(submissions / "mine", RUN, put(field, value))
    refused(submissions / "mine", rf"runs/paper-s2\.json: {said}")


def test_a_run_over_its_tracks_limit(submissions: Path) -> None:
    for seed in range(5):
        edit(submissions / "mine", f"runs/paper-s{seed}.json", put("cost.repair", 0.4))
    refused(
        submissions / "mine",
        r"submission\.json: method\.track: mean total cost is 140\.0 % of the baseline run; the limit of track light is 110 %",
    )


def test_logs_that_are_missing_edited_or_of_no_run(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, RUN, put("logs.repaired", ["3" * 64]))
    refused(folder, r"runs/paper-s2\.json: logs\.repaired: names a log that is not in logs\.jsonl\.xz")
    refused(folder, r"logs\.jsonl\.xz: [0-9a-f]{12}: no run uses this log: remove it")
    (folder / LOGS).write_bytes(packed([json.dumps(["4" * 64, '{"tokens": 1}\n']).encode()]))
    reseal(folder, LOGS)
    refused(folder, r"logs\.jsonl\.xz: line 1: the log does not match its sha256")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"step": 2}, r"step 1: is step 2 in the log"),
        ({"tokens": -1}, r"step 1: tokens is -1: must be a number from 0 to 1,000,000"),
        ({"tokens": 10**400, "groups_with_spread": 0}, r"step 1: the number 10000000000000000000\.\.\. has more than 30 digits"),
        ({"tokens": 10**29}, r"step 1: tokens is 1000"),
        ({"tokens": True}, r"step 1: tokens is True"),
        ({"groups_with_spread": 1.5}, r"step 1: groups_with_spread is 1\.5"),
        ({"reward": {}}, r"step 1: must be an object with the rewards by domain"),
    ],
)
def test_logs_that_are_none(submissions: Path, line: dict[str, Any], said: str) -> None:
    folder = submissions / "mine"
    step = {"step": 1, "reward": {"math": 0.5}, "tokens": 3.0, "groups_with_spread": 0.5}
    text = json.dumps(step | line) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / LOGS).write_bytes(packed([json.dumps([digest, text]).encode()]))
    edit(folder, RUN, put("logs.repaired", [digest]))
    reseal(folder, LOGS)
    refused(folder, rf"logs\.jsonl\.xz: line 1: no training log: {said}")


WAYS_TO_TRAIN = {
    "called": "return history.train(checkpoint, Training.on(*targets, steps=self.steps))",
    "under another name": "t = history.train\n        return t(checkpoint, Training.on(*targets, steps=self.steps))",
    "in a helper": "return helper(history, checkpoint, targets)",
    "beside a hook of the stages": (
        "return history.train(checkpoint, Training.on(*targets, steps=self.steps))\n\n"
        '    track = "during"\n\n    def after_stage(self, stage, checkpoint, history):\n        return checkpoint'
    ),
    "by another method": "from baselines.refresh import Refresh\n        return Refresh().recover(checkpoint, targets, history)",
}


@pytest.mark.parametrize("way", WAYS_TO_TRAIN)
def test_a_model_that_was_trained_has_a_log(submissions: Path, suite: Suite, tmp_path: Path, way: str) -> None:
    folder = submissions / "trained"
    helper = "\n\ndef helper(history, checkpoint, targets):\n    return history.train(checkpoint, Training.on(*targets))\n"
    (tmp_path / "mine.py").write_text(MINE.replace(WAYS_TO_TRAIN["called"], WAYS_TO_TRAIN[way]) + helper * (way == "in a helper"))
    pack(write_runs(tmp_path / "runs", suite, f"{tmp_path / 'mine.py'}:Mine"), "trained", submissions, WORDS)
    assert refusals(folder) == []
    for seed in range(5):
        edit(folder, f"runs/paper-s{seed}.json", put("logs", {}))
    (folder / LOGS).unlink()
    edit(folder, FILE, lambda content: content["files"].pop(LOGS))
    refused(folder, r"runs/paper-s2\.json: logs\.repaired: missing: what a method trains needs its training logs")
