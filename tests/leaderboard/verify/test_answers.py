"""Stored answers: as many as there are items, of the model that is stated, and unedited."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from forgeries import refusals, refused, reseal, rewrite_answers, warnings

from bench.suite import Suite
from leaderboard.files import packed
from leaderboard.rows import Written, cell_file, unpack_cell
from leaderboard.submission import FILE, Submission


def test_answers_marked_as_cut(submissions: Path, suite: Suite) -> None:
    """Even where every digest and hash was made again."""
    target = ("math", "greedy")

    def cut(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        return [answer._replace(ended=False) for answer in answers] if cell == target and place == 3 else answers

    rewrite_answers(submissions / "mine", suite, cut)
    refused(submissions / "mine", r"answers/math\.greedy\.jsonl\.xz: line 4, answer 1: is marked as cut, but has only \d+ tokens")


def test_a_file_of_nothing_but_flaws_is_given_up(submissions: Path, suite: Suite) -> None:
    def cut(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        return [answer._replace(ended=False) for answer in answers] if cell == ("math", "greedy") else answers

    rewrite_answers(submissions / "mine", suite, cut)
    assert sum("is marked as cut" in line for line in refusals(submissions / "mine")) == 5


def test_answers_that_fill_the_limit_are_marked_as_cut_and_no_others(submissions: Path, suite: Suite) -> None:
    long = "1" * suite.loaded_tasks["math"].answer_tokens

    def filled(ended: bool):
        return lambda cell, place, answers: (
            [answers[0]._replace(text=long, ended=ended), *answers[1:]] if cell == ("math", "greedy") and place == 0 else answers
        )

    rewrite_answers(submissions / "mine", suite, filled(True))
    refused(submissions / "mine", r"line 1, answer 1: is marked as complete, but its \d+ tokens leave no room")
    rewrite_answers(submissions / "mine", suite, filled(False))
    assert not any("tokens" in line for line in refusals(submissions / "mine"))


def test_edited_answers_do_not_keep_their_digest(submissions: Path, suite: Suite) -> None:
    folder = submissions / "mine"
    cell = ("math", "greedy")
    columns = len(Submission.model_validate_json((folder / FILE).read_bytes()).rows)
    lines = list(unpack_cell(folder, cell, columns, suite.test_items))
    lines[0][0] = Written(suite.items("math", "test")[0].answer + "0", True)
    content = [json.dumps([a.text for a in line]).encode() for line in lines]
    (folder / cell_file(cell)).write_bytes(packed(content))
    reseal(folder, cell_file(cell))
    refused(folder, r"submission\.json: rows\.0: does not match the answers in column 1 of answers/")


@pytest.mark.parametrize(
    ("lines", "said"), [(-1, r"only 23 lines: the suite has 24 test items"), (1, r"line 25: too many lines: the suite has 24 test items")]
)
def test_missing_or_repeated_items(submissions: Path, suite: Suite, lines: int, said: str) -> None:
    folder, path = submissions / "mine", "answers/qa.sampled.jsonl.xz"
    columns = len(Submission.model_validate_json((folder / FILE).read_bytes()).rows)
    content = [json.dumps([a.text for a in line]).encode() for line in unpack_cell(folder, ("qa", "sampled"), columns, suite.test_items)]
    (folder / path).write_bytes(packed(content[:lines] if lines < 0 else [*content, content[0]]))
    reseal(folder, path)
    refused(folder, rf"answers/qa\.sampled\.jsonl\.xz: .*{said}")


def test_another_number_of_answers_in_a_line(submissions: Path, suite: Suite) -> None:
    folder, path = submissions / "mine", "answers/qa.sampled.jsonl.xz"
    (folder / path).write_bytes(packed([b'["a"]'] * suite.test_items))
    reseal(folder, path)
    refused(folder, r"answers/qa\.sampled\.jsonl\.xz: line 1: has 1 answers, but submission\.json lists 26 rows")


@pytest.mark.parametrize("row", ["baseline-0-base", "repaired"])
def test_greedy_answers_in_the_place_of_sampled_ones(submissions: Path, suite: Suite, row: str) -> None:
    """The base is compared with the reference's; elsewhere it looks suspicious."""
    folder, kept = submissions / "mine", {}
    runs = [json.loads(file.read_text()) for file in sorted((folder / "runs").iterdir())]
    columns = json.loads((folder / FILE).read_text())["rows"]
    chosen = [place for place, digest in enumerate(columns) if digest in {run["rows"][row] for run in runs}]

    def copy(cell: tuple[str, str], item: int, answers: list[Written]) -> list[Written]:
        domain, decoding = cell
        if decoding == "greedy":
            kept[domain, item] = answers
            return answers
        return [kept[domain, item][place] if place in chosen else answer for place, answer in enumerate(answers)]

    rewrite_answers(folder, suite, copy)
    if row == "repaired":
        assert any("rows.repaired: warning: scores at temperature 1 as it does greedily on 100.0 %" in line for line in warnings(folder))
    else:
        refused(folder, r"rows\.baseline-0-base: the base scores like the reference entry's base on only")


def test_answers_to_other_items(submissions: Path, suite: Suite) -> None:
    """The base's answers, each to the item before."""
    held: dict[tuple[str, str], list[Written]] = {}

    def shift(cell: tuple[str, str], item: int, answers: list[Written]) -> list[Written]:
        before, held[cell] = held.get(cell, answers), answers
        return before

    rewrite_answers(submissions / "mine", suite, shift)
    refused(submissions / "mine", r"rows\.baseline-0-base: the base scores like the reference entry's base on only")


def test_long_answers_are_not_tokenized(submissions: Path, suite: Suite) -> None:
    def long(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        return [Written("1" * 9000, False), *answers[1:]] if cell == ("math", "greedy") and place == 0 else answers

    rewrite_answers(submissions / "mine", suite, long)
    refused(submissions / "mine", r"line 1, answer 1: has 9,000 characters: more than \d+ tokens can have")
