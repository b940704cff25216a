"""Ranking: claims have no place, what maintainers ran has one, and refused submissions are named."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from entries import WORDS, write_runs
from typer.testing import CliRunner

from bench.errors import UserError
from bench.results.archive import write_archive
from bench.suite import Suite
from leaderboard.cli import app
from leaderboard.pack import pack
from leaderboard.rank import Standing, as_csv, as_json, as_text, leaderboard
from leaderboard.submission import FILE, Submission
from leaderboard.verdicts import Verdict, digest


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    (tmp_path / "verified").mkdir()
    return tmp_path / "verified"


def judge(folder: Path, verdicts: Path, level: str) -> None:
    verdict = Verdict(name=folder.name, submission=digest(folder), level=level, date="2026-11-28")
    (verdicts / f"{folder.name}.json").write_text(verdict.model_dump_json())


def standings(submissions: Path, verdicts: Path) -> dict[str, Standing]:
    (ranking,) = leaderboard(submissions, verdicts).rankings
    return {standing.submission.name: standing for standing in ranking.standings}


def test_a_claim_has_no_place(submissions: Path, verdicts: Path) -> None:
    found = standings(submissions, verdicts)
    assert {name: (standing.place_words, standing.unranked) for name, standing in found.items()} == {
        "mine": ("–", "claimed"),
        "refresh-4": ("–", "claimed"),
        "reference": ("–", "control"),
    }


@pytest.mark.parametrize("level", ["run by the maintainers", "reproduced", "reproduced on fresh seeds and items"])
def test_what_maintainers_ran_has_one(submissions: Path, verdicts: Path, level: str) -> None:
    judge(submissions / "mine", verdicts, level)
    found = standings(submissions, verdicts)
    assert (found["mine"].place_words, found["mine"].level) == ("1", level)
    assert found["refresh-4"].place_words == "–"


@pytest.mark.parametrize("level", ["disputed", "withdrawn"])
def test_disputed_and_withdrawn_entries_stay_visible(submissions: Path, verdicts: Path, level: str) -> None:
    judge(submissions / "mine", verdicts, level)
    assert (standings(submissions, verdicts)["mine"].place_words, standings(submissions, verdicts)["mine"].unranked) == ("–", level)


def test_a_submission_that_was_changed_since_is_a_claim_again(submissions: Path, verdicts: Path) -> None:
    judge(submissions / "mine", verdicts, "reproduced")
    file = submissions / "mine" / FILE
    file.write_text(file.read_text() + "\n")
    assert standings(submissions, verdicts)["mine"].level == "claimed"


def test_a_verdict_that_cannot_be_read(submissions: Path, verdicts: Path) -> None:
    (verdicts / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"mine\.json: Field required"):
        leaderboard(submissions, verdicts)


def test_the_re_run_ranks_and_the_claim_stands_beside_it(submissions: Path, verdicts: Path, suite: Suite, tmp_path: Path) -> None:
    """A re-run that recovers nothing puts the entry below one that recovers much; both numbers are in the JSON."""
    again = write_runs(tmp_path / "again", suite, "refresh", rates={"repaired": (0.5, 0.3, 0.6, 0.8)}, seeds=range(10, 15))
    write_archive(verdicts / "refresh-4.zip", again)
    judge(submissions / "refresh-4", verdicts, "reproduced on fresh seeds and items")
    judge(submissions / "mine", verdicts, "reproduced")
    found = standings(submissions, verdicts)
    assert next(iter(found)) == "mine"
    assert (found["refresh-4"].rerun, found["mine"].rerun) == (True, False)
    assert found["refresh-4"].entry.seeds == (10, 11, 12, 13, 14)
    (record,) = (each for each in json.loads(as_json(leaderboard(submissions, verdicts)))["entries"] if each["name"] == "refresh-4")
    assert record["net recovery, greedy"]["estimate"] < 0.4 < record["claimed net recovery, greedy"]["estimate"]


def test_equal_entries_share_their_places(submissions: Path, verdicts: Path) -> None:
    shutil.copytree(submissions / "mine", submissions / "mine-too")
    content = json.loads((submissions / "mine-too" / FILE).read_text()) | {"name": "mine-too"}
    (submissions / "mine-too" / FILE).write_text(json.dumps(content))
    for name in ("mine", "mine-too"):
        judge(submissions / name, verdicts, "reproduced")
    found = standings(submissions, verdicts)
    assert found["mine"].place_words == found["mine-too"].place_words == "1–2"


def test_boards_are_not_mixed(submissions: Path, verdicts: Path, suite: Suite, tmp_path: Path) -> None:
    pack(write_runs(tmp_path / "all", suite, "refresh", targets="all"), "refresh-all", submissions, WORDS)
    first, second = leaderboard(submissions, verdicts).rankings
    assert (first.board.targets, second.board.targets) == ("single", "all")
    assert [standing.submission.name for standing in second.standings] == ["refresh-all"]
    assert "retention" in as_text(leaderboard(submissions, verdicts))


def test_refused_submissions_are_named_and_not_ranked(submissions: Path, verdicts: Path) -> None:
    (submissions / "mine" / "extra").write_text("x")
    found = leaderboard(submissions, verdicts)
    assert found.refused == {"mine": "extra: no file of a submission: remove it"}
    assert "refused: mine: extra" in as_text(found)
    assert "mine" not in standings(submissions, verdicts)


def test_the_forms(submissions: Path, verdicts: Path) -> None:
    judge(submissions / "mine", verdicts, "reproduced")
    found = leaderboard(submissions, verdicts)
    (ranking,) = found.rankings
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [line["name"] for line in lines] == [standing.submission.name for standing in ranking.standings]
    for line, record in zip(lines, json.loads(as_json(found))["entries"], strict=True):
        assert float(line["net recovery, greedy"]) == record["net recovery, greedy"]["estimate"]
    assert as_text(found, "github").startswith("## small/3 · paper · targets single · cpu\n\n| place")
    done = CliRunner().invoke(app, ["rank", "--submissions", str(submissions), "--format", "markdown"])
    assert done.exit_code == 0
    assert "| mine " in done.output


def test_no_submissions(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert as_text(leaderboard(tmp_path / "none", tmp_path)) == "no submissions yet"


def test_names_match_their_types(submissions: Path) -> None:
    assert Submission.model_validate_json((submissions / "mine" / FILE).read_bytes()).method.name == "Mine"
