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
from verdict_files import judge

from bench.errors import UserError
from bench.results.archive import write_archive
from bench.suite import Suite
from leaderboard.cli import app
from leaderboard.pack import pack
from leaderboard.rank import Standing, as_csv, as_json, as_text, leaderboard
from leaderboard.submission import FILE, Submission
from leaderboard.verdicts import FOLDER as VERDICTS
from leaderboard.verdicts import OWN, verdict_on
from leaderboard.verify import Place, verify


def test_every_verdict_that_ships_is_on_its_entry_as_it_is_now() -> None:
    """A changed submission.json loses its verdict, its level and its place."""
    names = sorted(file.stem for file in VERDICTS.glob("*.json"))
    assert len(names) > 60
    assert not [name for name in names if verdict_on(VERDICTS.parent / "submissions" / name) is None]


def standings(place: Place) -> dict[str, Standing]:
    (ranking,) = leaderboard(place).rankings
    return {standing.submission.name: standing for standing in ranking.standings}


def test_a_claim_has_no_place(place: Place) -> None:
    found = standings(place)
    assert {name: (standing.place_words, standing.unranked) for name, standing in found.items()} == {
        "mine": ("–", "claimed"),
        "refresh-4": ("–", "claimed"),
        "reference": ("–", "control"),
    }


@pytest.mark.parametrize("level", ["run by the maintainers", "reproduced", "reproduced on fresh seeds and items"])
def test_what_maintainers_ran_has_one(place: Place, level: str) -> None:
    judge(place, "mine", level)
    found = standings(place)
    assert (found["mine"].place_words, found["mine"].level) == ("1", level)
    assert found["refresh-4"].place_words == "–"


@pytest.mark.parametrize("level", ["disputed", "withdrawn"])
def test_disputed_and_withdrawn_entries_stay_visible(place: Place, level: str) -> None:
    judge(place, "mine", level)
    assert (standings(place)["mine"].place_words, standings(place)["mine"].unranked) == ("–", level)


def test_a_submission_that_was_changed_since_is_a_claim_again(place: Place) -> None:
    judge(place, "mine", "reproduced")
    file = place.submissions / "mine" / FILE
    file.write_text(file.read_text() + "\n")
    assert standings(place)["mine"].level == "claimed"


def test_a_verdict_that_cannot_be_read(place: Place) -> None:
    (place.verdicts / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"mine\.json: name: missing"):
        leaderboard(place)


def test_the_re_run_ranks_and_the_claim_stands_beside_it(place: Place, suite: Suite, tmp_path: Path) -> None:
    """A rerun that recovers nothing puts the entry below one that recovers much; both numbers are in the JSON."""
    again = write_runs(tmp_path / "again", suite, "refresh", rates={"repaired": (0.5, 0.3, 0.6, 0.8)}, seeds=range(10, 15))
    judge(place, "refresh-4", "reproduced on fresh seeds and items", again=again)
    judge(place, "mine", "reproduced")
    found = standings(place)
    assert next(iter(found)) == "mine"
    assert (found["refresh-4"].other[0], found["mine"].other) == ("claim", None)
    assert found["refresh-4"].entry.seeds == (10, 11, 12, 13, 14)
    (record,) = (each for each in json.loads(as_json(leaderboard(place)))["entries"] if each["name"] == "refresh-4")
    assert record["net recovery, greedy"]["estimate"] < 0.4 < record["claim: net recovery, greedy"]["estimate"]


def test_costs_are_the_higher_ones_of_claim_and_rerun(place: Place, suite: Suite, tmp_path: Path) -> None:
    """A rerun reports its own costs, and no log bounds them: a method cannot get cheaper by it."""
    again = write_runs(tmp_path / "again", suite, "refresh", repair_cost=0.01, prompts=0)
    judge(place, "refresh-4", "reproduced", again=again)
    found = standings(place)["refresh-4"]
    assert (found.entry.cost.repair, found.cost.repair) == (0.01, 0.05)
    assert found.cost.access.prompts["math"] == 128
    dear = write_runs(tmp_path / "dear", suite, "refresh", repair_cost=0.2)
    judge(place, "refresh-4", "reproduced", again=dear)
    found = standings(place)["refresh-4"]
    assert (found.cost.repair, found.places, found.unranked) == (0.2, None, "over its track's 110 %")


def test_a_rerun_on_fresh_seeds_ranks_before_one_on_the_same(place: Place, suite: Suite, tmp_path: Path) -> None:
    same, fresh = write_runs(tmp_path / "same", suite, "refresh"), write_runs(tmp_path / "fresh", suite, "refresh", seeds=range(10, 15))
    judge(place, "refresh-4", "reproduced on fresh seeds and items", again=fresh, items=7)
    file = place.verdicts / "refresh-4.json"
    content = json.loads(file.read_text())
    later = content["reruns"][0] | {"items": 0, "seeds": [0, 1, 2, 3, 4], "scores": "refresh-4-rerun-2.zip"}
    write_archive(place.verdicts / "refresh-4-rerun-2.zip", same)
    file.write_text(json.dumps(content | {"reruns": [content["reruns"][0], later]}))
    assert standings(place)["refresh-4"].entry.seeds == (10, 11, 12, 13, 14)


def test_what_the_maintainers_made_keeps_its_own_runs(place: Place, suite: Suite, tmp_path: Path) -> None:
    """They are paired with all others; the rerun on fresh seeds stands beside them."""
    again = write_runs(tmp_path / "again", suite, "none", seeds=range(10, 15))
    judge(place, "reference", OWN, again=again)
    found = standings(place)["reference"]
    assert found.entry.seeds == tuple(range(10))
    assert (found.other[0], found.other[1].seeds) == ("rerun", (10, 11, 12, 13, 14))


def test_equal_entries_share_their_places(place: Place) -> None:
    shutil.copytree(place.submissions / "mine", place.submissions / "mine-too")
    content = json.loads((place.submissions / "mine-too" / FILE).read_text()) | {"name": "mine-too"}
    (place.submissions / "mine-too" / FILE).write_text(json.dumps(content))
    for name in ("mine", "mine-too"):
        judge(place, name, "reproduced")
    found = standings(place)
    assert found["mine"].place_words == found["mine-too"].place_words == "1–2"


def test_boards_are_not_mixed(place: Place, suite: Suite, tmp_path: Path) -> None:
    pack(write_runs(tmp_path / "all", suite, "refresh", targets="all"), "refresh-all", place.submissions, WORDS)
    first, second = leaderboard(place).rankings
    assert (first.board.targets, second.board.targets) == ("single", "all")
    assert [standing.submission.name for standing in second.standings] == ["refresh-all"]
    assert "retention" in as_text(leaderboard(place))


def test_refused_submissions_are_named_and_not_ranked(place: Place) -> None:
    (place.submissions / "mine" / "extra").write_text("x")
    found = leaderboard(place)
    assert found.refused == {"mine": "extra: not part of this submission: remove it"}
    assert "refused: mine: extra" in as_text(found)
    assert "mine" not in standings(place)


def test_the_forms(place: Place) -> None:
    judge(place, "mine", "reproduced")
    found = leaderboard(place)
    (ranking,) = found.rankings
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [line["name"] for line in lines] == [standing.submission.name for standing in ranking.standings]
    for line, record in zip(lines, json.loads(as_json(found))["entries"], strict=True):
        assert float(line["net recovery, greedy"]) == record["net recovery, greedy"]["estimate"]
    assert as_text(found, "github").startswith("## small/3 · paper · targets single · cpu\n\n| place")
    done = CliRunner().invoke(
        app, ["rank", "--submissions", str(place.submissions), "--verdicts", str(place.verdicts), "--format", "markdown"]
    )
    assert done.exit_code == 0
    assert "| mine " in done.output


def test_no_submissions(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert as_text(leaderboard(Place(tmp_path / "none", tmp_path))) == "no submissions yet"


def test_a_folder_that_is_not_there_is_no_empty_board(tmp_path: Path) -> None:
    for missing in (tmp_path / "none", Path("/etc/passwd")):
        said = CliRunner().invoke(app, ["rank", "--submissions", str(missing)])
        assert (said.exit_code, f"{missing}: no such folder of submissions" in said.stderr) == (2, True)


def test_verify_says_what_to_name(place: Place) -> None:
    for path, reason in (
        (place.submissions / "mine" / FILE, f"name its folder, {place.submissions / 'mine'}"),
        (place.submissions, "holds several submissions: name one of them, or all as"),
    ):
        said = CliRunner().invoke(app, ["verify", str(path)])
        assert (said.exit_code, said.stderr.startswith(f"leaderboard: {path}: {reason}")) == (2, True)


def test_what_is_verified_far_from_other_entries(place: Place, tmp_path: Path) -> None:
    (problem,) = verify(place.submissions / "mine", Place(tmp_path / "none", tmp_path)).problems
    assert problem.warning
    assert "no such folder, so nothing was compared with other entries" in str(problem)


def test_names_match_their_types(place: Place) -> None:
    assert Submission.model_validate_json((place.submissions / "mine" / FILE).read_bytes()).method.name == "Mine"


def test_a_better_entry_has_a_better_place(place: Place, suite: Suite, tmp_path: Path) -> None:
    weak = write_runs(tmp_path / "weak", suite, "shrink", rates={"repaired": (0.5, 0.32, 0.6, 0.8)})
    pack(weak, "weak", place.submissions, WORDS)
    for name in ("mine", "weak"):
        judge(place, name, "reproduced")
    found = standings(place)
    assert found["weak"].unranked == "control"
    weak = write_runs(tmp_path / "weaker", suite, "rollback", rates={"repaired": (0.5, 0.32, 0.6, 0.8)}, repair_cost=0.001)
    pack(weak, "weaker", place.submissions, WORDS)
    judge(place, "weaker", "reproduced")
    found = standings(place)
    assert (found["mine"].place_words, found["weaker"].place_words) == ("1", "2")


@pytest.mark.parametrize("other", ["method", "targets", "settings"])
def test_a_re_run_of_something_else_is_not_taken(place: Place, suite: Suite, tmp_path: Path, other: str) -> None:
    runs = write_runs(
        tmp_path / "again", suite, "opd" if other == "method" else "refresh", targets="all" if other == "targets" else "single",
        steps=5 if other == "settings" else 4,
    )  # fmt: skip
    judge(place, "refresh-4", "reproduced", again=runs)
    with pytest.raises(UserError, match="the rerun of refresh-4 has a run of another method or board"):
        leaderboard(place)


def test_a_verdict_on_another_name(place: Place) -> None:
    judge(place, "mine", "reproduced")
    (place.verdicts / "mine.json").rename(place.verdicts / "refresh-4.json")
    with pytest.raises(UserError, match=r"refresh-4\.json: name: is 'mine', but must be that of the file"):
        leaderboard(place)


def test_the_reason_of_a_verdict_is_shown(place: Place) -> None:
    judge(place, "mine", "disputed", "the rerun recovers half as much")
    found = leaderboard(place)
    for text in (as_text(found), as_json(found), as_csv(found)):
        assert "the rerun recovers half as much" in text
