"""Stronger evaluations: what is accepted, what is refused, and that they stand beside the entry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leaderboard.cli import app
from leaderboard.evaluations import Evaluation, read_evaluation
from leaderboard.page import page
from leaderboard.rank import as_csv, as_json, as_text, leaderboard
from leaderboard.verdicts import digest
from leaderboard.verify import Place


def content(place: Place, **changed: Any) -> dict[str, Any]:
    return {
        "schema": "interference-bench evaluation 1",
        "name": "harder",
        "entry": "mine",
        "submission": digest(place.submissions / "mine"),
        "authors": ["Bob Example"],
        "kind": "harder items",
        "method": "the same seeds on items of level 4 only",
        "metric": "net recovery",
        "estimate": 0.21,
        "low": 0.1,
        "high": 0.3,
        "seeds": [0, 1, 2],
        "code": "https://example.org/code",
        "evidence": "https://example.org/answers.zip",
        "evidence_sha256": "ab" * 32,
    } | changed


def write(place: Place, name: str = "harder", **changed: Any) -> Path:
    folder = place.submissions.parent / "evaluations"
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps(content(place, **changed)))
    return file


def test_it_stands_beside_the_entry_and_ranks_nothing(place: Place) -> None:
    before = [(s.submission.name, s.place_words) for s in leaderboard(place).rankings[0].standings]
    write(place)
    found = leaderboard(place)
    assert [(s.submission.name, s.place_words) for s in found.rankings[0].standings] == before
    assert "net recovery 0.21 [0.10, 0.30] (harder items, by Bob Example; https://example.org/code)" in as_text(found)
    assert "harder items: net recovery 0.21 [0.10, 0.30], by Bob Example" in page(found)
    (record,) = (each for each in json.loads(as_json(found))["entries"] if each["name"] == "mine")
    assert len(record["evaluations by others"]) == 1
    assert "Bob Example" in as_csv(found)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"entry": "nobody"}, "entry: there is no entry nobody"),
        ({"entry": "../x"}, "entry: '../x': use"),
        ({"submission": "0" * 64}, "submission: mine has another submission.json now"),
        ({"low": 0.5}, "must be in this order"),
        ({"kind": "kinder items"}, "kind: "),
        ({"code": ""}, "code: must be a URL"),
        ({"code": "javascript:alert(1)"}, "code: "),
        ({"authors": ["Bob\u202eelpmaxE"]}, "authors.0: "),
        ({"authors": ["=HYPERLINK(1)"]}, "authors.0: "),
        ({"rank": 1}, "rank: "),
        ({"estimate": "0.9"}, "estimate: "),
        ({"seeds": []}, "seeds: must have at least 1 of them"),
        ({"seeds": [901, 902, 901]}, "seeds: name each once"),
        ({"kind": "fresh seeds", "seeds": [901, 3]}, "seeds: 3 is a scored or a development seed, so it is not fresh"),
        ({"kind": "fresh seeds", "seeds": [100, 901]}, "seeds: 100 is a scored or a development seed"),
        ({"method": "FILL IN"}, "method: fill it in"),
    ],
)
def test_what_is_refused(place: Place, changed: dict[str, Any], reason: str) -> None:
    file = write(place, **changed)
    _, problems = read_evaluation(file, place.submissions)
    assert reason in "\n".join(map(str, problems))
    assert "harder.json" in leaderboard(place).refused


def test_the_example_of_the_page_on_submitting() -> None:
    page = (Path(__file__).parents[2] / "docs" / "submitting.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert Evaluation.model_validate_json(re.sub(r"<sha256 of [^>]*>", "0" * 64, example)).kind == "fresh seeds"


def test_its_name_is_that_of_the_file(place: Place) -> None:
    file = write(place)
    other = file.rename(file.with_name("other.json"))
    assert "must equal the file's name" in str(read_evaluation(other, place.submissions)[1][0])


def test_a_link_is_not_followed(place: Place, tmp_path: Path) -> None:
    file = write(place)
    kept = file.rename(tmp_path / "kept.json")
    file.symlink_to(kept)
    assert read_evaluation(file, place.submissions)[0] is None


def test_the_command(place: Place) -> None:
    file = write(place)
    options = ["--submissions", str(place.submissions), "--verdicts", str(place.verdicts)]
    done = CliRunner().invoke(app, ["verify", str(file), str(place.submissions / "mine"), *options])
    assert done.exit_code == 0, done.output
    assert f"{file}: verified" in done.output
    refused = CliRunner().invoke(app, ["verify", str(write(place, low=0.9)), *options])
    assert refused.exit_code == 1
    assert "refused (1 problem)" in refused.output
