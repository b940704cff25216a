"""Verification accepts what `pack` made, and refuses each kind of forgery in one line that names file, field and reason."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from entries import MINE, WORDS, write_runs
from verdict_files import judge

import bench.suite
from bench.files import file_hash
from bench.suite import Suite
from leaderboard import files
from leaderboard.files import packed
from leaderboard.pack import pack
from leaderboard.rows import Written, cells_of, file_of, pack_rows, unpack_cell
from leaderboard.submission import FILE, LOGS, METHOD_FILE, Submission
from leaderboard.verdicts import OWN
from leaderboard.verify import Place, verify

RUN = "runs/paper-s2.json"


def place_of(folder: Path) -> Place:
    """The place of a copy of the board."""
    return Place(folder.parent, folder.parents[1] / "verified")


def refusals(folder: Path) -> list[str]:
    return [str(problem) for problem in verify(folder, place_of(folder)).refusals]


def warnings(folder: Path) -> list[str]:
    return [str(problem) for problem in verify(folder, place_of(folder)).warnings]


def refused(folder: Path, pattern: str) -> None:
    """One of the refusals matches; all are single lines."""
    lines = refusals(folder)
    assert any(re.search(pattern, line) for line in lines), lines
    assert all("\n" not in line for line in lines)


def edit(folder: Path, path: str, change: Callable[[Any], None], *, seal: bool = True) -> None:
    """Change a JSON file; with `seal`, its sha256 in submission.json too, as a forger would."""
    content = json.loads((folder / path).read_text())
    change(content)
    (folder / path).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    if seal and path != FILE:
        reseal(folder, path)


def reseal(folder: Path, *paths: str) -> None:
    def sign(content: dict[str, Any]) -> None:
        content["files"] |= {path: file_hash(folder / path) for path in paths}

    edit(folder, FILE, sign)


def put(path: str, value: Any) -> Callable[[Any], None]:
    """Sets a value by its place, as in "board.device" or "rows.0"."""

    def change(content: Any) -> None:
        *way, last = path.split(".")
        for step in way:
            content = content[int(step) if isinstance(content, list) else step]
        content[int(last) if isinstance(content, list) else last] = value

    return change


def rewrite_answers(folder: Path, suite: Suite, change: Callable[[tuple[str, str], int, list[Written]], list[Written]]) -> None:
    """Changes answers cell by cell and item by item, and states the new digests everywhere, as a careful forger would."""
    from leaderboard.rows import digest_of

    submission = Submission.model_validate_json((folder / FILE).read_bytes())
    rows: list[dict[tuple[str, str], list[Written]]] = [{} for _ in submission.rows]
    cells = cells_of(suite.tasks)
    for cell in cells:
        for place, answers in enumerate(unpack_cell(folder, cell, len(rows), suite.test_items)):
            for row, answer in zip(rows, change(cell, place, answers), strict=True):
                row.setdefault(cell, []).append(answer)
    new = [digest_of(row) for row in rows]
    names = dict(zip(submission.rows, new, strict=True))
    for path, content in pack_rows(rows, cells).items():
        (folder / path).write_bytes(content)
    edit(folder, FILE, put("rows", new))
    for file in sorted((folder / "runs").iterdir()):
        edit(folder, f"runs/{file.name}", lambda run: run["rows"].update({name: names.get(d, d) for name, d in run["rows"].items()}))
    reseal(folder, *(file_of(cell) for cell in cells))


def test_what_pack_made_is_accepted(board: Place) -> None:
    for name in ("reference", "refresh-4", "mine"):
        assert [str(problem) for problem in verify(board.submissions / name, board).problems] == []


def test_the_same_numbers_as_the_runs(board: Place, suite: Suite, tmp_path: Path) -> None:
    from bench.results.estimates import measure

    runs = write_runs(tmp_path / "runs", suite, "refresh")
    found = verify(board.submissions / "refresh-4", board)
    for decoding in ("greedy", "sampled"):
        assert measure(found.runs, decoding) == measure(runs, decoding)
    assert found.runs[0].manifest.cost == runs[0].manifest.cost


# --- 1 to 3: numbers that do not follow from the answers


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


def test_answers_marked_as_cut(submissions: Path, suite: Suite) -> None:
    """Even where every digest and hash was made again."""
    target = ("math", "greedy")

    def cut(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        return [answer._replace(ended=False) for answer in answers] if cell == target and place == 3 else answers

    rewrite_answers(submissions / "mine", suite, cut)
    refused(submissions / "mine", r"answers/math\.greedy\.jsonl\.xz: line 4, answer 1: is marked as cut, but has only \d+ tokens")


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
    (folder / file_of(cell)).write_bytes(packed(content))
    reseal(folder, file_of(cell))
    refused(folder, r"submission\.json: rows\.0: does not match the answers in column 1 of answers/")


def test_a_file_that_was_changed_after_packing(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("scores.greedy.repaired.1", 0.99), seal=False)
    refused(submissions / "mine", r"runs/paper-s2\.json: changed since packing \(its sha256 is not the one in submission\.json\)")


# --- 5: answers of another model


def test_the_base_is_the_suites(submissions: Path, suite: Suite) -> None:
    """Answers of a better base would make the stages' gains smaller."""
    rates = {"baseline-0-base": (0.7, 0.7, 0.7, 0.7)}
    runs = write_runs(submissions.parent / "runs", suite, "refresh", rates=rates)
    pack(runs, "better-base", submissions, WORDS)
    refused(
        submissions / "better-base",
        r"runs/paper-s0\.json: rows\.baseline-0-base: the base scores like the reference entry's base on only \d+\.\d % of the code",
    )


# --- 7 to 11: seeds


@pytest.mark.parametrize("seeds", [[0, 1, 2, 3], [1, 2, 3, 4, 5], [100, 101, 102, 103, 104], [0, 1, 2, 3, 3], [4, 3, 2, 1, 0]])
def test_chosen_seeds(submissions: Path, seeds: list[int]) -> None:
    edit(submissions / "mine", FILE, put("seeds", seeds))
    refused(submissions / "mine", r"submission\.json: seeds: \[.*\]: must be exactly 0 to 4 or 0 to 9, in order")


def test_a_run_under_another_seeds_name(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("seed", 7))
    refused(submissions / "mine", r"runs/paper-s2\.json: sequence, seed: paper and 7 do not match the file's name")


def test_a_run_twice(submissions: Path) -> None:
    folder = submissions / "mine"
    (folder / RUN).write_bytes((folder / "runs/paper-s1.json").read_bytes())
    edit(folder, RUN, put("seed", 2))
    refused(folder, r"runs/paper-s2\.json: checkpoints\.baseline-1-code: identical to runs/paper-s1\.json, which has another seed")
    refused(folder, r"runs/paper-s2\.json: rows\.repaired: identical to runs/paper-s1\.json, which has another seed")


def test_mixed_settings_have_no_place(submissions: Path) -> None:
    """The method's settings and source are stated once."""
    edit(submissions / "mine", RUN, put("settings", {"steps": 8}))
    refused(submissions / "mine", r"runs/paper-s2\.json: settings: no such field: remove it")


def test_seeds_of_several_machines(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("numerics.device", "cuda"))
    refused(submissions / "mine", r"runs/paper-s2\.json: numerics\.device: is 'cuda', but the board's device is 'cpu'")


# --- 12 to 16: items, suites, bases


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


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("board.suite", "micro", r"board\.suite: this package has no suite 'micro'; it has small"),
        ("board.fingerprint", "0" * 64, r"board\.fingerprint: the runs used another version of the suite than this package \(small/3\)"),
        ("board.base", "0" * 64, r"board\.base: not the content hash of the base of small/3"),
        ("board.sequence", "papers", r"board\.sequence: unknown sequence or design 'papers': did you mean paper"),
        ("board.targets", "some", r"board\.targets: must be 'single' or 'all'"),
        ("board.device", "auto", r"board\.device: must be 'cpu' or 'cuda'"),
    ],
)
def test_another_board(submissions: Path, field: str, value: str, said: str) -> None:
    edit(submissions / "mine", FILE, put(field, value))
    refused(submissions / "mine", rf"submission\.json: {said}")


def test_a_suite_in_the_making_has_no_board(submissions: Path, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bench.suite.FOLDER, tmp_path / "suites", symlinks=True)
    file = tmp_path / "suites" / "small.yaml"
    file.write_text(file.read_text() + "\ncomparable: false\n")
    monkeypatch.setattr(bench.suite, "FOLDER", tmp_path / "suites")
    refused(submissions / "mine", r"submission\.json: board\.suite: suite small is still in the making")


def test_a_stage_that_was_left_out(submissions: Path) -> None:
    before = json.loads((submissions / "mine" / RUN).read_text())["checkpoints"]["baseline-2-math"]
    edit(submissions / "mine", RUN, put("checkpoints.baseline-3-qa", before))
    said = "the same as baseline-2-math: the stage trained nothing: run this seed again"
    refused(submissions / "mine", rf"runs/paper-s2\.json: checkpoints\.baseline-3-qa: {said}")


def test_another_base_in_a_run(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("checkpoints.baseline-0-base", "1" * 64))
    refused(submissions / "mine", r"runs/paper-s2\.json: checkpoints\.baseline-0-base: not the base of the suite")


def test_rows_that_are_missing_or_no_rows(submissions: Path) -> None:
    edit(submissions / "mine", RUN, lambda run: run["rows"].pop("repaired"))
    edit(submissions / "mine", "runs/paper-s3.json", put("checkpoints.method-1-code", "2" * 64))
    refused(submissions / "mine", r"runs/paper-s2\.json: rows\.repaired: missing")
    refused(submissions / "mine", r"runs/paper-s3\.json: checkpoints\.method-1-code: this run has no such row")


def test_runs_of_another_order_or_seed(submissions: Path) -> None:
    folder = submissions / "mine"
    (folder / "runs/math-qa-s0.json").write_bytes((folder / RUN).read_bytes())
    reseal(folder, "runs/math-qa-s0.json")
    (folder / "runs/paper-s4.json").unlink()
    edit(folder, FILE, lambda content: content["files"].pop("runs/paper-s4.json"))
    refused(folder, r"runs/math-qa-s0\.json: not part of this submission: remove it")
    refused(folder, r"runs/paper-s4\.json: missing")


# --- 17, 18: the baseline run


def test_a_baseline_run_that_was_damaged_more(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-4-cw": (0.5, 0.0, 0.6, 0.8)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates, machine="AVX512"), "damaged", submissions, WORDS)
    refused(
        submissions / "damaged",
        r"submission\.json: rows: its baseline runs forget significantly more than the reference entry's: 90\.0 against",
    )


def test_the_same_model_with_other_answers(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-2-math": (0.71, 0.91, 0.2, 0.2)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates), "another", submissions, WORDS)
    refused(
        submissions / "another", r"runs/paper-s0\.json: rows\.baseline-2-math: the same checkpoint as in reference, but different answers"
    )


def test_a_less_damaged_baseline_run_is_no_problem(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-4-cw": (0.5, 0.6, 0.6, 0.8)}
    runs = write_runs(submissions.parent / "runs", suite, "refresh", rates=rates, machine="AVX512")
    pack(runs, "another", submissions, WORDS)
    assert refusals(submissions / "another") == []


# --- 19 to 21: cost and access


def test_costs_below_what_the_logs_show(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("cost.repair", 1e-6))
    refused(
        submissions / "mine", r"runs/paper-s2\.json: cost: states 1e-06 of the baseline run, but the training logs imply at least 0\.00\d+"
    )


def test_access_below_what_the_logs_show(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("cost.access.prompts", {}))
    refused(submissions / "mine", r"runs/paper-s2\.json: cost\.access\.prompts\.math: states 0, but the training logs imply at least 128")


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


# --- the method


def test_another_method_than_the_one_that_ran(submissions: Path) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(file.read_text().replace("self.steps", "2 * self.steps"))
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", r"method\.py: not the code that the runs used \(method\.source\): submit the file that ran")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("track", "training-free", "is 'training-free', but the code of Mine implies 'light': pack again"),
        ("own_stages", True, "is True, but the code of Mine implies False"),
        ("repairs", False, "is False, but the code of Mine implies True"),
        ("control", True, "is True, but the code of Mine implies False"),
    ],
)
def test_what_the_code_declares(submissions: Path, field: str, value: Any, said: str) -> None:
    edit(submissions / "mine", FILE, put(f"method.{field}", value))
    refused(submissions / "mine", rf"submission\.json: method\.{field}: {said}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (b"\xff\xfe", r"method\.py: not readable as Python"),
        ("x = 1  # \u202e ssap".encode(), r"method\.py: line 1: has the invisible character U\+202E"),
        (b"x = (", r"method\.py: line 1: not readable as Python: '\(' was never closed"),
        (b"class Other: ...\n", r"method\.py: defines no class Mine that subclasses bench\.method\.Method"),
        (b"#" * 64_001, r"method\.py: has more than 64,000 bytes, the limit for a method"),
    ],
)
def test_code_that_cannot_be_read(submissions: Path, code: bytes, said: str) -> None:
    (submissions / "mine" / METHOD_FILE).write_bytes(code)
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"DATA = '{'x' * 2001}'", r"has 2,001 characters in strings \(limit 2,000\): precomputed data is not allowed"),
        ("DATA = " + " + ".join([f"'{'x' * 201}'"] * 10), r"has 2,010 characters in strings"),
        (f"DATA = [{'1, ' * 2001}]", r"has 2,002 numbers \(limit 2,000\): precomputed data is not allowed"),
        (f"DATA = [{('[' + '1.5, ' * 201 + '], ') * 10}]", r"has 2,011 numbers"),
        (f"DATA = {{{', '.join(f'{n}: 1' for n in range(1001))}}}", r"has 2,003 numbers"),
        (f"DATA = dict({', '.join(f'x{n}=1' for n in range(2001))})", r"has 2,002 numbers"),
    ],
)
def test_data_in_the_code(submissions: Path, line: str, said: str) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(f"{file.read_text()}\n{line}\n")
    refused(submissions / "mine", rf"method\.py: {said}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os", "imports os: a maintainer should check why"),
        ("from tasks.micro.math import Math", "imports tasks.micro.math"),
        ("open('x')", r"uses open"),
        ("f = open", r"uses open"),
        ("\u0430 = 1", r"has the name \u0430, whose letters may look like others"),
        ("import torch\ntorch.os.environ", r"uses \.os"),
        ("WEIGHTS = Mine.__doc__", r"uses \.__doc__"),
        ("def f(task): task.items(split='test')", "names 'test', and a method must not use test items"),
        ("from torch import os", "imports os from torch"),
        ("import dataclasses\ndataclasses.builtins", r"uses \.builtins"),
        ("from operator import attrgetter", "imports attrgetter from operator"),
        ("'{0.__doc__}'.format(Mine)", r"has a text with \.__ in it"),
        ("def rec\u043ever(): pass", "has the name rec\u043ever, whose letters may look like others"),
        ("def f(\u0445): pass", "has the name \u0445, whose letters may look like others"),
        (
            "def f(loss): loss.backward()",
            r"calls \.backward\(\), and compute outside `history` is not metered: a maintainer should check why",
        ),
        ("def f(task): task.items('test')", "names 'test', and a method must not use test items"),
    ],
)
def test_code_that_a_maintainer_should_read(submissions: Path, line: str, said: str) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(f"{file.read_text()}\n{line}\n")
    assert any(re.search(said, line) for line in warnings(submissions / "mine"))


@pytest.mark.parametrize("name", ["mine", "refresh-4"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"submission\.json: method\.settings\.steps: missing: pack again"),
        ({"steps": 4, "bogus": 1}, r"submission\.json: method\.settings\.bogus: \w+ has no such setting: pack again"),
    ],
)
def test_settings_are_those_of_the_method(submissions: Path, name: str, settings: dict[str, int], said: str) -> None:
    edit(submissions / name, FILE, put("method.settings", settings))
    refused(submissions / name, said)


def test_access_that_the_code_asks_for_and_no_run_states(submissions: Path, suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace("history.train(checkpoint,", "history.train(history.expert(targets[0]) or history.base,"))
    pack(write_runs(tmp_path / "runs", suite, f"{file}:Mine"), "expert", submissions, WORDS)
    said = "submission.json: cost.access.{}: warning: no run states any, but the code has .{}: a maintainer should check"
    found = warnings(submissions / "expert")
    assert [line for line in found if "cost.access" in line] == [
        f"{said.format(field, request)} whether a history is asked for it"
        for field, request in (("checkpoints", "base"), ("experts", "expert"))
    ]
    for seed in range(5):
        access = {"checkpoints": ["base"], "experts": ["math"], "prompts": {"math": 128}}
        edit(submissions / "expert", f"runs/paper-s{seed}.json", put("cost.access", access))
    assert not [line for line in warnings(submissions / "expert") if "cost.access" in line]


def test_a_copied_method_is_pointed_out(submissions: Path) -> None:
    shutil.copytree(submissions / "mine", submissions / "copied")
    edit(submissions / "copied", FILE, put("name", "copied"))
    said = "100 % of this code is also in mine; if it is a variant, add mine to declared.earlier_entries"
    assert warnings(submissions / "copied") == [f"method.py: warning: {said}"]
    edit(submissions / "copied", FILE, put("declared.earlier_entries", ["mine"]))
    assert warnings(submissions / "copied") == []


# --- 30 to 38: files and text


def test_names_that_lead_elsewhere(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("files", {"../../reference/submission.json": "0" * 64}))
    refused(
        submissions / "mine", r"submission\.json: files: lists \.\./\.\./reference/submission\.json, which is no file of this submission"
    )
    edit(submissions / "mine", FILE, put("board.sequence", "../paper"))
    refused(submissions / "mine", r"board\.sequence: must be a name of lowercase letters")


@pytest.mark.parametrize("kind", ["link", "hard link", "socket", "pipe"])
def test_what_is_not_a_plain_file(submissions: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = submissions / "mine"
    (folder / "README.md").unlink()
    monkeypatch.chdir(folder)
    if kind == "link":
        Path("README.md").symlink_to("/etc/passwd")
    elif kind == "hard link":
        Path("README.md").hardlink_to(Path("../reference/README.md"))
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("README.md")
    else:
        os.mkfifo("README.md")
    refused(folder, r"README\.md: (is a link, a device, or a folder in a folder: only plain files|is a hard link: replace it)")


def test_a_pointer_of_git_lfs(submissions: Path) -> None:
    path = "answers/math.greedy.jsonl.xz"
    (submissions / "mine" / path).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    reseal(submissions / "mine", path)
    refused(submissions / "mine", r"answers/math\.greedy\.jsonl\.xz: is a Git LFS pointer, not the file itself")


@pytest.mark.parametrize("name", ["weights.pkl", "runs/x.pt", "a b.json", "answers/deeper/x.jsonl.xz", ".hidden"])
def test_files_that_do_not_belong(submissions: Path, name: str) -> None:
    file = submissions / "mine" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x")
    refused(submissions / "mine", re.escape(name.partition("/x.jsonl")[0]))


def test_too_many_files(submissions: Path) -> None:
    for number in range(200):
        (submissions / "mine" / f"{number}.txt").write_text("x")
    refused(submissions / "mine", r"\.: has more than 200 files, the limit")


def test_too_many_bytes(submissions: Path) -> None:
    (submissions / "mine" / "README.md").write_bytes(b"x" * 5_000_001)
    refused(submissions / "mine", r"\.: the folder has 5,\d\d\d,\d\d\d bytes; the limit is 5,000,000")


@pytest.mark.parametrize("bomb", ["long line", "many lines"])
def test_a_decompression_bomb(submissions: Path, bomb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_UNPACKED", 20_000 if bomb == "many lines" else 10**9)
    path = "answers/math.greedy.jsonl.xz"
    zeros = b"0" * 2_000_000
    (submissions / "mine" / path).write_bytes(packed([zeros, zeros] if bomb == "long line" else [b'["' + b"0" * 9000 + b'"]'] * 3))
    reseal(submissions / "mine", path)
    said = r"has a line of more than 1,000,000 bytes" if bomb == "long line" else r"unpacks to more than 20,000 bytes"
    refused(submissions / "mine", rf"answers/math\.greedy\.jsonl\.xz: {said}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"seed": 1, "seed": 2}', "duplicate key 'seed'"),
        ('{"x": NaN}', "NaN is not a number in JSON"),
        ('{"x": -Infinity}', "-Infinity is not a number in JSON"),
        ('{"x": 1e999}', "the number 1e999 is not finite"),
        ('{"x": -0.0}', r"-0\.0 is a negative zero: write 0"),
        ("[" * 17 + "]" * 17, "nested more than 16 deep"),
        ("[" * 100_000, "nested more than 16 deep"),
        ('{"x": ' + "1" * 5000 + "}", r"not readable as JSON: the number 11111111111111111111\.\.\. has more than 30 digits"),
        ("{", "not readable as JSON: no JSON at line 1, column 2"),
        ("\ufeff{}", "not readable as JSON"),
        (" " * 1_000_001, "has more than 1,000,000 bytes, the limit for a JSON file"),
    ],
)
@pytest.mark.parametrize("path", [FILE, RUN])
def test_json_that_is_not_strict(submissions: Path, path: str, content: str, said: str) -> None:
    (submissions / "mine" / path).write_text(content, encoding="utf-8")
    if path != FILE:
        reseal(submissions / "mine", path)
    refused(submissions / "mine", rf"{re.escape(path)}: .*{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p\u0430yload", "mixes Cyrillic and Latin letters in the word"),
        ("safe \u202e gnp.exe", r"has the invisible character U\+202E"),
        ("zero\u200bwidth", r"has the invisible character U\+200B"),
        ("line\nbreak", r"has the invisible character U\+000A"),
        ("=HYPERLINK(1)", "begins with '=', which a spreadsheet would read as a formula"),
        ("+1", "begins with '\\+'"),
        ("@SUM(A1)", "begins with '@'"),
        ("\uff1dHYPERLINK(1)", "which a spreadsheet would read as a formula"),
        ("title\ufe01", r"has the invisible character U\+FE01"),
        ("\U000e0100x", r"has the invisible character U\+E0100"),
        ("p\U0001d41ayload", r"\(U\+1D41A\), which looks like 'a': write that instead"),
        ("\u216fine", "which looks like 'M': write that instead"),
        ("a" + "\u0334" * 3, "has more than 2 combining marks on one letter"),
        ("e\u0301tude", "is not in Unicode's normal form NFC: copy it from here: \u00e9tude"),
        ("pay\u200dload", r"has the invisible character U\+200D"),
        (" space", "is empty, or begins or ends with a space"),
        ("FILL IN: one line", r"fill it in \(no FILL IN, no null\)"),
        ("x" * 121, "at most 120 characters"),
    ],
)
@pytest.mark.parametrize("field", ["title", "authors.0"])
def test_text_that_is_not_safe_to_show(submissions: Path, field: str, text: str, said: str) -> None:
    edit(submissions / "mine", FILE, put(field, text))
    refused(submissions / "mine", rf"submission\.json: {re.escape(field)}: .*{said}")


@pytest.mark.parametrize("name", ["Mine", "mi", "-mine", "mine_2", "m\u0456ne", "x" * 41, "../mine"])
def test_names_of_entries(submissions: Path, name: str) -> None:
    edit(submissions / "mine", FILE, put("name", name))
    refused(submissions / "mine", r"submission\.json: name: ")


def test_a_folder_of_another_name(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("name", "yours"))
    refused(submissions / "mine", r"submission\.json: name: 'yours' must equal the folder's name")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "http://example.org", "https://a b.org", "https://x", "data:text/html,x", '"><script>']
)
@pytest.mark.parametrize("field", ["paper", "code"])
def test_addresses(submissions: Path, field: str, address: str) -> None:
    edit(submissions / "mine", FILE, put(field, address))
    refused(submissions / "mine", rf"submission\.json: {field}: must be a URL that begins with https://")


# --- rows of another submission


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "nobody: not an entry that the maintainers ran"),
        ("mine", "mine: not an entry that the maintainers ran"),
        ("refresh-4", "refresh-4: not an entry that the maintainers ran"),
        ("other", "other: takes rows from another entry itself"),
    ],
)
def test_rows_of_a_submission_that_has_none(submissions: Path, name: str, said: str) -> None:
    shutil.copytree(submissions / "refresh-4", submissions / "other")
    edit(submissions / "other", FILE, put("name", "other"))
    judge(place_of(submissions / "other"), "other", OWN)
    edit(submissions / "refresh-4", FILE, put("rows_from", name))
    refused(submissions / "refresh-4", rf"submission\.json: rows_from: {said}")


def test_rows_of_a_submission_that_is_refused(submissions: Path) -> None:
    edit(submissions / "reference", FILE, put("seeds", [0, 1]))
    judge(place_of(submissions / "reference"), "reference", OWN)
    refused(submissions / "refresh-4", r"submission\.json: rows_from: reference: is refused itself \(submission\.json: seeds")


def test_a_row_that_nobody_has(submissions: Path) -> None:
    edit(submissions / "refresh-4", RUN, put("rows.baseline-3-qa", "5" * 64))
    refused(submissions / "refresh-4", r"runs/paper-s2\.json: rows\.baseline-3-qa: no stored answers have this digest")


def test_a_row_that_no_run_names(submissions: Path, suite: Suite) -> None:
    """Nothing may lie in a submission that is not looked at."""
    edit(submissions / "mine", RUN, lambda run: run["rows"].update({"repaired": run["rows"]["baseline-4-cw"]}))
    refused(submissions / "mine", r"submission\.json: rows\.\d+: no run uses this row of answers: remove it")


# --- all of it at once


def test_every_problem_is_reported(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, FILE, put("seeds", [0, 1]))
    edit(folder, FILE, put("board.base", "0" * 64))
    (folder / "a b.txt").write_text("x")
    lines = refusals(folder)
    for said in ("seeds", "board.base", "a b.txt"):
        assert any(said in line for line in lines), (said, lines)


def test_every_problem_of_the_files_is_reported(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, "runs/paper-s0.json", put("cost.stages", 0.1))
    edit(folder, RUN, put("checkpoints.baseline-0-base", "1" * 64))
    (folder / "extra.txt").write_text("x")
    (folder / METHOD_FILE).write_text("x = (")
    lines = refusals(folder)
    for said in ("cost.stages", "baseline-0-base", "extra.txt", "method.py: line 1"):
        assert any(said in line for line in lines), (said, lines)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert refusals(tmp_path / "nothing") == [".: no such folder"]
    assert refusals(tmp_path) == ["submission.json: missing: `python -m leaderboard pack` writes it"]


def test_without_torch(board: Place) -> None:
    """The whole of verification, ranking and the page."""
    script = f"""
import sys, pathlib, bench.suite
bench.suite.FOLDER = pathlib.Path({str(bench.suite.FOLDER)!r})
from leaderboard.page import page
from leaderboard.rank import leaderboard
from leaderboard.verify import Place
found = leaderboard(Place(pathlib.Path({str(board.submissions)!r}), pathlib.Path({str(board.verdicts)!r})))
assert len(found.rankings[0].standings) == 3 and page(found)
sys.exit('torch' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_may_be_edited_and_has_no_placeholder(submissions: Path) -> None:
    (submissions / "mine" / "README.md").write_text("# Mine\n\nWith a typing error less.\n")
    assert refusals(submissions / "mine") == []
    (submissions / "mine" / "README.md").write_text("# FILL IN: the method's name\n")
    refused(submissions / "mine", r"README\.md: still has a placeholder \(FILL IN\): replace it")


# --- what a hostile reviewer found


def test_a_baseline_run_that_learned_less(submissions: Path, suite: Suite) -> None:
    """A lower peak makes the same repair look better."""
    rates = {"baseline-2-math": (0.7, 0.45, 0.2, 0.2)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates, machine="AVX512"), "lower", submissions, WORDS)
    refused(
        submissions / "lower", r"submission\.json: rows: its baseline runs learn significantly less in the stage of math than the reference"
    )


def test_equal_forgetting_in_every_seed_is_no_way_around(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-2-math": (0.7, 1.0, 0.2, 0.2), "baseline-4-cw": (0.5, 0.0, 0.6, 0.8)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates, machine="AVX512"), "equal", submissions, WORDS)
    refused(submissions / "equal", r"rows: its baseline runs forget significantly more than the reference entry's: \d+\.\d against")


def test_a_strangers_baseline_run_is_no_reference(submissions: Path, suite: Suite) -> None:
    """Its base answers nothing; it comes first by name, and there are two of them."""
    rates = {"baseline-0-base": (0.0, 0.0, 0.0, 0.0)}
    for name, targets in (("000-none", "single"), ("001-none", "all")):
        runs = write_runs(submissions.parent / name, suite, rates=rates, targets=targets, machine="AVX512")
        pack(runs, name, submissions, WORDS)
        refused(submissions / name, "the base scores like the reference entry's base on only")
    assert refusals(submissions / "mine") == refusals(submissions / "refresh-4") == []
    (submissions.parent / "verified" / "reference.json").unlink()
    assert refusals(submissions / "mine") == []
    assert any("this board has no reference entry yet" in line for line in warnings(submissions / "mine"))


def test_rows_that_lead_in_a_circle(submissions: Path) -> None:
    for name, other in (("mine", "mine"), ("refresh-4", "reference"), ("reference", "refresh-4")):
        edit(submissions / name, FILE, put("rows_from", other))
        judge(place_of(submissions / name), name, OWN)
    for name in ("mine", "refresh-4", "reference"):
        refused(submissions / name, r"submission\.json: rows_from: ")


def test_a_duplicate_key_is_found_at_once() -> None:
    """Not by comparing every key with all others, which takes a minute and a half in a file of the largest size: eight times as many keys
    take about eight times as long, not sixty-four."""

    def seconds(count: int) -> float:
        keys = [*range(count), count - 1]
        content = ("{" + ",".join(f'"{key}":0' for key in keys) + "}").encode()
        began = time.perf_counter()
        with pytest.raises(ValueError, match=f"duplicate key '{count - 1}'"):
            files.strict_json(content)
        return time.perf_counter() - began

    assert min(seconds(16_000) for _ in range(3)) < 25 * min(seconds(2_000) for _ in range(3))


WAYS_TO_TRAIN = {
    "called": "return history.train(checkpoint, Training.on(*targets, steps=self.steps))",
    "under another name": "t = history.train\n        return t(checkpoint, Training.on(*targets, steps=self.steps))",
    "in a helper": "return helper(history, checkpoint, targets)",
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
    refused(folder, r"runs/paper-s2\.json: logs\.repaired: missing: its code has history\.train: pack the runs with their logs")


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


def test_prompts_of_other_domains_in_a_stage(submissions: Path, suite: Suite) -> None:
    """A method that replays math in the stage of cw has used prompts of math."""
    file = submissions.parent / "replaying.py"
    body = 'return Training(mixture={stage.domain: 0.5, "math": 0.5})'
    file.write_text(
        MINE.partition("    def recover")[0].replace("Mine", "Replaying") + f"    def stage(self, stage, history):\n        {body}\n"
    )
    pack(write_runs(submissions.parent / "runs", suite, f"{file}:Replaying"), "replaying", submissions, WORDS)
    assert refusals(submissions / "replaying") == []
    for seed in range(5):
        edit(submissions / "replaying", f"runs/paper-s{seed}.json", put("cost.access.prompts", {}))
    refused(submissions / "replaying", r"runs/paper-s0\.json: cost\.access\.prompts\.math: states 0, but the training logs imply at least")


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


def test_settings_that_were_chosen_on_scored_seeds(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("declared.tuning_seeds", [100, 3, 101]))
    said = "settings were chosen on scored seeds (3): only a rerun on fresh seeds can count"
    assert warnings(submissions / "mine") == [f"submission.json: declared.tuning_seeds: warning: {said}"]


def test_seeds_that_score_alike(submissions: Path, suite: Suite) -> None:
    """One run under five seeds, with one wrong answer changed in each."""
    folder = submissions / "mine"
    submission = Submission.model_validate_json((folder / FILE).read_bytes())
    names = {row: name for run in sorted((folder / "runs").iterdir()) for name, row in json.loads(run.read_text())["rows"].items()}
    first = json.loads((folder / "runs/paper-s0.json").read_text())["rows"]
    places = [submission.rows.index(first[names[row]]) for row in submission.rows]

    items, task, changed = suite.items("qa", "test"), suite.loaded_tasks["qa"], set()

    def copied(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        found = [answers[other] for other in places]
        for number, answer in enumerate(found):
            if cell == ("qa", "sampled") and number not in changed and not task.checked_score(items[place], answer.text):
                changed.add(number)
                found[number] = Written(f"{number}", True)
        return found

    rewrite_answers(folder, suite, copied)
    refused(folder, r"runs/paper-s[1-4]\.json: rows\.[a-z0-9-]+: scores like seed \d on \d+\.\d % of the items or more")


def test_one_checkpoint_with_two_rows(submissions: Path) -> None:
    edit(submissions / "mine", RUN, lambda run: run["checkpoints"].update({"repaired": run["checkpoints"]["baseline-4-cw"]}))
    refused(submissions / "mine", r"runs/paper-s2\.json: rows\.repaired: the same checkpoint has other answers in this submission")


def test_orders_of_a_seed_on_two_machines(submissions: Path, suite: Suite) -> None:
    orders = suite.orders("balanced")
    runs = [run for order in orders for run in write_runs(submissions.parent / "all", suite, sequence=order, targets="all")]
    pack(runs, "balanced", submissions, WORDS)
    assert refusals(submissions / "balanced") == []
    edit(submissions / "balanced", "runs/balanced-2-s1.json", put("numerics.capability", "AVX512"))
    refused(submissions / "balanced", r"runs/[a-z0-9-]+-s1\.json: numerics: differs from runs/[a-z0-9-]+-s1\.json: all orders of a seed")


def test_numerics_has_known_fields_only(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("numerics.comment", "x"))
    refused(submissions / "mine", r"runs/paper-s2\.json: numerics\.comment: no such field: remove it")


@pytest.mark.parametrize("path", ["answers/weights.greedy.jsonl.xz", "answers/math.beam.jsonl.xz", "notes.md"])
def test_files_that_nobody_looks_at(submissions: Path, path: str) -> None:
    """Even where submission.json names them."""
    (submissions / "mine" / path).write_bytes(packed([b"x"]))
    reseal(submissions / "mine", path)
    refused(submissions / "mine", rf"{re.escape(path)}: not part of this submission: remove it")
    refused(submissions / "mine", rf"submission\.json: files: lists {re.escape(path)}, which is no file of this submission")


def test_code_beside_a_method_of_the_package(submissions: Path) -> None:
    (submissions / "refresh-4" / METHOD_FILE).write_text(MINE)
    reseal(submissions / "refresh-4", METHOD_FILE)
    refused(submissions / "refresh-4", r"method\.py: not part of this submission: remove it")


@pytest.mark.parametrize("path", [FILE, RUN, "answers/math.greedy.jsonl.xz", LOGS, METHOD_FILE])
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "/etc/passwd", "."])
def test_links_are_never_followed(submissions: Path, path: str, target: str) -> None:
    (submissions / "mine" / path).unlink()
    (submissions / "mine" / path).symlink_to(target)
    refused(submissions / "mine", rf"{re.escape(path)}: (is a link|missing)")


def test_a_folder_that_is_a_link(submissions: Path) -> None:
    (submissions / "mine" / "runs").rename(submissions.parent / "elsewhere")
    (submissions / "mine" / "runs").symlink_to(submissions.parent / "elsewhere")
    refused(submissions / "mine", r"runs: is a link, a device, or a folder in a folder")


@pytest.mark.parametrize("kind", ["deep", "folder", "link", "huge"])
def test_a_broken_neighbour_is_no_concern_of_others(submissions: Path, kind: str) -> None:
    file = submissions / "neighbour" / METHOD_FILE
    file.parent.mkdir()
    if kind == "deep":
        file.write_text("-" * 20_000 + "1")
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to("/dev/zero")
    else:
        file.write_bytes(b"#" * 100_000)
    for path in (FILE, "runs/paper-s0.json"):
        (file.parent / path).parent.mkdir(exist_ok=True)
        (file.parent / path).symlink_to("/dev/zero")
    assert refusals(submissions / "mine") == warnings(submissions / "mine") == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("-" * 20_000 + "1", r"method\.py: not readable as Python"),
        ("# coding: hex\n", r"method\.py: declares the encoding hex: must be UTF-8"),
        ("# -*- coding: utf-7 -*-\n", r"method\.py: declares the encoding utf-7: must be UTF-8"),
        ("from baselines.refresh.x import y\n" + MINE, r"method\.py: not the code that the runs used"),
        (MINE + 'X = "/proc/self/mem"\n', r"method\.py: not the code that the runs used"),
        ("class Mine(" + "A, " * 60 + "): ...\nclass A(" + "Mine, " * 60 + "): ...\n", r"method\.py: defines no class Mine"),
    ],
)
def test_hostile_code_is_only_read(submissions: Path, code: str, said: str) -> None:
    (submissions / "mine" / METHOD_FILE).write_text(code)
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", said)


def test_long_answers_are_not_tokenized(submissions: Path, suite: Suite) -> None:
    def long(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        return [Written("1" * 9000, False), *answers[1:]] if cell == ("math", "greedy") and place == 0 else answers

    rewrite_answers(submissions / "mine", suite, long)
    refused(submissions / "mine", r"line 1, answer 1: has 9,000 characters: more than \d+ tokens can have")


def test_a_number_that_is_left_out_is_asked_for(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("declared.scored_runs_seen", None))
    refused(submissions / "mine", r"submission\.json: declared\.scored_runs_seen: fill it in \(no FILL IN, no null\)")


@pytest.mark.parametrize(
    "text",
    [
        "\u0394W repair",
        "\u03bcP at work",
        "\u00b5P",
        "na\u00efve",
        "\u8ad6\u6587",
        "\u05d0\u05d1",
        "R\u00b2 of W\u1d40W",
        "\u0e2d\u0e33\u0e19\u0e32\u0e08",
        "\u054d\u0587\u0561\u056f",
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "\u0917\u094c\u0921\u093c",
        "M\u00aa Ni\u00f1o",
    ],
)
def test_honest_titles(submissions: Path, text: str) -> None:
    edit(submissions / "mine", FILE, put("title", text))
    assert refusals(submissions / "mine") == []
