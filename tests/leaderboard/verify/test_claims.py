"""What an author claims and declares."""

from __future__ import annotations

from pathlib import Path

import pytest
from forgeries import RUN, edit, put, refused, warnings

from leaderboard.submission import FILE


@pytest.mark.parametrize("name", ["estimate", "low", "high"])
def test_an_edited_metric(submissions: Path, name: str) -> None:
    edit(submissions / "mine", FILE, put(f"claim.greedy.net recovery.{name}", 0.99))
    refused(submissions / "mine", rf"submission\.json: claim\.greedy\.net recovery\.{name}: states 0\.99, but the answers give")


def test_a_metric_that_is_left_out_or_made_up(submissions: Path) -> None:
    edit(submissions / "mine", FILE, lambda content: content["claim"]["greedy"].pop("net recovery"))
    edit(submissions / "mine", FILE, put("claim.sampled.magic", {"estimate": 1.0, "low": None, "high": None}))
    refused(submissions / "mine", r"claim\.greedy\.net recovery: missing")
    refused(submissions / "mine", r"claim\.sampled\.magic: not a metric of this board's claim: remove it")


def test_an_edited_matrix(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("scores.greedy.repaired.1", 0.99))
    refused(submissions / "mine", r"runs/paper-s2\.json: scores\.greedy\.repaired: states 0\.99 for math, but its answers score 0\.\d+")


def test_item_scores_have_no_place(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("item_scores", {"math": [1.0]}))
    refused(submissions / "mine", r"runs/paper-s2\.json: item_scores: no such field: remove it")


def test_a_number_that_is_left_out_is_asked_for(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("declared.scored_runs_seen", None))
    refused(submissions / "mine", r"submission\.json: declared\.scored_runs_seen: fill it in: a whole number, 0 if there was none")


def test_settings_that_were_chosen_on_scored_seeds(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("declared.tuning_seeds", [100, 3, 101]))
    said = "settings were chosen on scored seeds (3): only a rerun on fresh seeds can count"
    assert warnings(submissions / "mine") == [f"submission.json: declared.tuning_seeds: warning: {said}"]
