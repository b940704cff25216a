"""Verification accepts what `pack` made, and refuses each kind of forgery in one line that names file, field and reason."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from entries import WORDS, write_runs

from bench.files import file_hash
from bench.suite import Suite
from leaderboard import files
from leaderboard.files import packed
from leaderboard.pack import pack
from leaderboard.rows import Written, cells_of, file_of, pack_rows, unpack_cell
from leaderboard.submission import FILE, LOGS, METHOD_FILE, Submission
from leaderboard.verify import verify

RUN = "runs/paper-s2.json"


def refusals(folder: Path) -> list[str]:
    return [str(problem) for problem in verify(folder, folder.parent).refusals]


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


def test_what_pack_made_is_accepted(board: Path) -> None:
    for name in ("reference", "refresh-4", "mine"):
        assert [str(problem) for problem in verify(board / name, board).problems] == []


def test_the_same_numbers_as_the_runs(board: Path, suite: Suite, tmp_path: Path) -> None:
    from bench.results.estimates import measure

    runs = write_runs(tmp_path / "runs", suite, "refresh")
    found = verify(board / "refresh-4", board)
    for decoding in ("greedy", "sampled"):
        assert measure(found.runs, decoding) == measure(runs, decoding)
    assert found.runs[0].manifest.cost == runs[0].manifest.cost


# --- 1 to 3: numbers that do not follow from the answers


@pytest.mark.parametrize("name", ["estimate", "low", "high"])
def test_an_edited_metric(submissions: Path, name: str) -> None:
    edit(submissions / "mine", FILE, put(f"claim.greedy.net recovery.{name}", 0.99))
    refused(submissions / "mine", rf"submission\.json: claim\.greedy\.net recovery\.{name}: 0\.9900, and the answers give")


def test_a_metric_that_is_left_out_or_made_up(submissions: Path) -> None:
    edit(submissions / "mine", FILE, lambda content: content["claim"]["greedy"].pop("net recovery"))
    edit(submissions / "mine", FILE, put("claim.sampled.magic", {"estimate": 1.0, "low": None, "high": None}))
    refused(submissions / "mine", r"claim\.greedy\.net recovery: missing")
    refused(submissions / "mine", r"claim\.sampled\.magic: no metric that is stated here")


def test_an_edited_matrix(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("scores.greedy.repaired.1", 0.99))
    refused(submissions / "mine", r"runs/paper-s2\.json: scores\.greedy\.repaired: 0\.9900 for math, and its answers score 0\.\d+")


def test_item_scores_have_no_place(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("item_scores", {"math": [1.0]}))
    refused(submissions / "mine", r"runs/paper-s2\.json: item_scores: Extra inputs are not permitted")


def test_answers_marked_as_cut(submissions: Path, suite: Suite) -> None:
    """Even where every digest and hash was made again."""
    target = ("math", "greedy")

    def cut(cell: tuple[str, str], place: int, answers: list[Written]) -> list[Written]:
        return [answer._replace(ended=False) for answer in answers] if cell == target and place == 3 else answers

    rewrite_answers(submissions / "mine", suite, cut)
    refused(
        submissions / "mine", r"answers/math\.greedy\.jsonl\.xz: line 4, answer 1: marked as cut after \d+ tokens, and the limit is \d+"
    )


def test_answers_that_fill_the_limit_are_marked_as_cut_and_no_others(submissions: Path, suite: Suite) -> None:
    long = "1" * suite.loaded_tasks["math"].answer_tokens

    def filled(ended: bool):
        return lambda cell, place, answers: (
            [answers[0]._replace(text=long, ended=ended), *answers[1:]] if cell == ("math", "greedy") and place == 0 else answers
        )

    rewrite_answers(submissions / "mine", suite, filled(True))
    refused(submissions / "mine", r"line 1, answer 1: ended after \d+ tokens, and the limit is \d+ with the end token")
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
    refused(folder, r"submission\.json: rows\.0: not the digest of the answers in this column")


def test_a_file_that_was_changed_after_packing(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("scores.greedy.repaired.1", 0.99), seal=False)
    refused(submissions / "mine", r"runs/paper-s2\.json: not the file that was packed: its sha256 differs")


# --- 5: answers of another model


def test_the_base_is_the_suites(submissions: Path, suite: Suite) -> None:
    """Answers of a better base would make the stages' gains smaller."""
    rates = {"baseline-0-base": (0.7, 0.7, 0.7, 0.7)}
    runs = write_runs(submissions.parent / "runs", suite, "refresh", rates=rates)
    pack(runs, "better-base", submissions, WORDS)
    refused(
        submissions / "better-base", r"runs/paper-s0\.json: rows\.baseline-0-base: only \d+\.\d % of its greedy answers on code are like"
    )


# --- 7 to 11: seeds


@pytest.mark.parametrize("seeds", [[0, 1, 2, 3], [1, 2, 3, 4, 5], [100, 101, 102, 103, 104], [0, 1, 2, 3, 3], [4, 3, 2, 1, 0]])
def test_chosen_seeds(submissions: Path, seeds: list[int]) -> None:
    edit(submissions / "mine", FILE, put("seeds", seeds))
    refused(submissions / "mine", r"submission\.json: seeds: \[.*\]: must be exactly 0 to 4 or 0 to 9, in order")


def test_a_run_under_another_seeds_name(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("seed", 7))
    refused(submissions / "mine", r"runs/paper-s2\.json: sequence, seed: paper and 7: not those of the file's name")


def test_a_run_twice(submissions: Path) -> None:
    folder = submissions / "mine"
    (folder / RUN).write_bytes((folder / "runs/paper-s1.json").read_bytes())
    edit(folder, RUN, put("seed", 2))
    refused(folder, r"runs/paper-s2\.json: checkpoints\.baseline-1-code: the same as in runs/paper-s1\.json")
    refused(folder, r"runs/paper-s2\.json: rows\.repaired: the same as in runs/paper-s1\.json")


def test_mixed_settings_have_no_place(submissions: Path) -> None:
    """The method's settings and source are stated once."""
    edit(submissions / "mine", RUN, put("settings", {"steps": 8}))
    refused(submissions / "mine", r"runs/paper-s2\.json: settings: Extra inputs are not permitted")


def test_seeds_of_several_machines(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("numerics.device", "cuda"))
    refused(submissions / "mine", r"runs/paper-s2\.json: numerics\.device: 'cuda', and the board's is 'cpu'")


# --- 12 to 16: items, suites, bases


@pytest.mark.parametrize(("lines", "said"), [(-1, r"23 lines, and the suite has 24 items"), (1, r"line 25: the suite has 24 items")])
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
    refused(folder, r"answers/qa\.sampled\.jsonl\.xz: line 1: 1 answers for 26 rows")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("board.suite", "micro", r"board\.suite: this package has no suite 'micro'; it has small"),
        ("board.fingerprint", "0" * 64, r"board\.fingerprint: not that of small/3"),
        ("board.base", "0" * 64, r"board\.base: not the content hash of the base of small/3"),
        ("board.sequence", "papers", r"board\.sequence: unknown sequence or design 'papers': did you mean paper"),
        ("board.targets", "some", r"board\.targets: Input should be 'single' or 'all'"),
        ("board.device", "auto", r"board\.device: Input should be 'cpu' or 'cuda'"),
    ],
)
def test_another_board(submissions: Path, field: str, value: str, said: str) -> None:
    edit(submissions / "mine", FILE, put(field, value))
    refused(submissions / "mine", rf"submission\.json: {said}")


def test_another_base_in_a_run(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("checkpoints.baseline-0-base", "1" * 64))
    refused(submissions / "mine", r"runs/paper-s2\.json: checkpoints\.baseline-0-base: not the base of the suite")


def test_rows_that_are_missing_or_no_rows(submissions: Path) -> None:
    edit(submissions / "mine", RUN, lambda run: run["rows"].pop("repaired"))
    edit(submissions / "mine", "runs/paper-s3.json", put("checkpoints.method-1-code", "2" * 64))
    refused(submissions / "mine", r"runs/paper-s2\.json: rows\.repaired: missing")
    refused(submissions / "mine", r"runs/paper-s3\.json: checkpoints\.method-1-code: no row of this run")


def test_runs_of_another_order_or_seed(submissions: Path) -> None:
    folder = submissions / "mine"
    (folder / "runs/math-qa-s0.json").write_bytes((folder / RUN).read_bytes())
    reseal(folder, "runs/math-qa-s0.json")
    (folder / "runs/paper-s4.json").unlink()
    edit(folder, FILE, lambda content: content["files"].pop("runs/paper-s4.json"))
    refused(folder, r"runs/math-qa-s0\.json: a run that is none of this entry's orders and seeds")
    refused(folder, r"runs/paper-s4\.json: missing")


# --- 17, 18: the baseline run


def test_a_baseline_run_that_was_damaged_more(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-4-cw": (0.5, 0.02, 0.6, 0.8)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates), "damaged", submissions, WORDS)
    refused(
        submissions / "damaged", r"submission\.json: rows: its baseline runs forget 8\d\.\d points of the targets, the reference's \d+\.\d"
    )


def test_the_same_model_with_other_answers(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-2-math": (0.71, 0.91, 0.2, 0.2)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates), "another", submissions, WORDS)
    refused(submissions / "another", r"runs/paper-s0\.json: rows\.baseline-2-math: the same model as in \w[\w-]*, with other answers")


def test_a_less_damaged_baseline_run_is_no_problem(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-4-cw": (0.5, 0.6, 0.6, 0.8)}
    runs = write_runs(submissions.parent / "runs", suite, "refresh", rates=rates, machine="AVX512")
    pack(runs, "another", submissions, WORDS)
    assert refusals(submissions / "another") == []


# --- 19 to 21: cost and access


def test_costs_below_what_the_logs_show(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("cost.repair", 1e-6))
    refused(submissions / "mine", r"runs/paper-s2\.json: cost: 0\.0000 of the baseline run, and the method's logs alone show 0\.00\d\d")


def test_access_below_what_the_logs_show(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("cost.access.prompts", {}))
    refused(submissions / "mine", r"runs/paper-s2\.json: cost\.access\.prompts\.math: 0, and the repair's logs show at least 32")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cost.stages", 0.5, r"cost\.stages: 0\.5: stages that are those of the baseline run cost 1"),
        ("cost.repair", -0.1, r"cost: below 0"),
        ("cost.access.experts", ["poetry"], r"cost\.access: 'poetry' is no domain of the sequence"),
    ],
)
def test_costs_that_cannot_be(submissions: Path, field: str, value: Any, said: str) -> None:
    edit(submissions / "mine", RUN, put(field, value))
    refused(submissions / "mine", rf"runs/paper-s2\.json: {said}")


def test_a_run_over_its_tracks_limit(submissions: Path) -> None:
    for seed in range(5):
        edit(submissions / "mine", f"runs/paper-s{seed}.json", put("cost.repair", 0.4))
    refused(submissions / "mine", r"submission\.json: method\.track: light: the runs cost 140\.0 % in all, over its track's 110 %")


def test_logs_that_are_missing_edited_or_of_no_run(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, RUN, put("logs.repaired", ["3" * 64]))
    refused(folder, r"runs/paper-s2\.json: logs\.repaired: names a log that is not in logs\.jsonl\.xz")
    refused(folder, r"logs\.jsonl\.xz: [0-9a-f]{12}: a log that no run names")
    (folder / LOGS).write_bytes(packed([json.dumps(["4" * 64, '{"tokens": 1}\n']).encode()]))
    reseal(folder, LOGS)
    refused(folder, r"logs\.jsonl\.xz: line 1: not the log of its sha256")


# --- the method


def test_another_method_than_the_one_that_ran(submissions: Path) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(file.read_text().replace("self.steps", "2 * self.steps"))
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", r"method\.py: not the code that the runs recorded \(method\.source\): submit the file that ran")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("track", "training-free", "'training-free', and the code of Mine makes it 'light'"),
        ("own_stages", True, "True, and the code of Mine makes it False"),
        ("repairs", False, "False, and the code of Mine makes it True"),
        ("control", True, "True, and the code of Mine makes it False"),
    ],
)
def test_what_the_code_declares(submissions: Path, field: str, value: Any, said: str) -> None:
    edit(submissions / "mine", FILE, put(f"method.{field}", value))
    refused(submissions / "mine", rf"submission\.json: method\.{field}: {said}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (b"\xff\xfe", r"method\.py: not readable as Python"),
        (b"def (", r"method\.py: not readable as Python: invalid syntax"),
        (b"class Other: ...\n", r"method\.py: defines no class Mine that is built on bench\.method\.Method"),
        (b"#" * 64_001, r"method\.py: 64,001 bytes: a method may have 64,000"),
    ],
)
def test_code_that_cannot_be_read(submissions: Path, code: bytes, said: str) -> None:
    (submissions / "mine" / METHOD_FILE).write_bytes(code)
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"DATA = '{'x' * 2001}'", "a text of 2,001 characters: data that was computed before is not allowed"),
        (f"DATA = [{'1, ' * 2001}]", "a list of 2,001 values: data that was computed before is not allowed"),
    ],
)
def test_data_in_the_code(submissions: Path, line: str, said: str) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(f"{file.read_text()}\n{line}\n")
    refused(submissions / "mine", rf"method\.py: line \d+: {said}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os", "imports os"),
        ("from tasks.micro.math import Math", "imports tasks.micro.math"),
        ("open('x')", r"calls open\(\)"),
        ("def f(loss): loss.backward()", r"calls \.backward\(\): work outside the history is not counted"),
        ("def f(task): task.items('test')", "names the test items"),
    ],
)
def test_code_that_a_maintainer_should_read(submissions: Path, line: str, said: str) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(f"{file.read_text()}\n{line}\n")
    assert any(re.search(said, str(problem)) for problem in verify(submissions / "mine", submissions).problems if problem.warning)


def test_a_copied_method_is_pointed_out(submissions: Path) -> None:
    import shutil

    shutil.copytree(submissions / "mine", submissions / "copied")
    edit(submissions / "copied", FILE, put("name", "copied"))
    (line,) = [str(problem) for problem in verify(submissions / "copied", submissions).problems if problem.warning]
    assert line == "warning: method.py: 100 % of its code is also in mine: is it a variant of it?"
    edit(submissions / "copied", FILE, put("declared.earlier_entries", ["mine"]))
    assert not verify(submissions / "copied", submissions).problems


# --- 30 to 38: files and text


def test_names_that_lead_elsewhere(submissions: Path) -> None:
    edit(submissions / "mine", FILE, put("files", {"../../reference/submission.json": "0" * 64}))
    refused(submissions / "mine", r"\.\./\.\./reference/submission\.json: missing")
    edit(submissions / "mine", FILE, put("board.sequence", "../paper"))
    refused(submissions / "mine", r"board\.sequence: String should match pattern")


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
    refused(folder, r"README\.md: (a link, a device, or a folder in a folder: only plain files|another name of a file)")


def test_a_pointer_of_git_lfs(submissions: Path) -> None:
    path = "answers/math.greedy.jsonl.xz"
    (submissions / "mine" / path).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    reseal(submissions / "mine", path)
    refused(submissions / "mine", r"answers/math\.greedy\.jsonl\.xz: a pointer of Git LFS, not the file itself")


@pytest.mark.parametrize("name", ["weights.pkl", "runs/x.pt", "a b.json", "answers/deeper/x.jsonl.xz", ".hidden"])
def test_files_that_do_not_belong(submissions: Path, name: str) -> None:
    file = submissions / "mine" / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x")
    refused(submissions / "mine", re.escape(name.partition("/x.jsonl")[0]))


def test_too_many_files(submissions: Path) -> None:
    for number in range(200):
        (submissions / "mine" / f"{number}.txt").write_text("x")
    refused(submissions / "mine", r"\.: more than 200 files")


def test_too_many_bytes(submissions: Path) -> None:
    (submissions / "mine" / "README.md").write_bytes(b"x" * 5_000_001)
    refused(submissions / "mine", r"\.: 5,\d\d\d,\d\d\d bytes: the rules allow 5,000,000")


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
        ('{"seed": 1, "seed": 2}', "the key 'seed' is there twice"),
        ('{"x": NaN}', "NaN is not a number that JSON allows"),
        ('{"x": -Infinity}', "-Infinity is not a number that JSON allows"),
        ('{"x": 1e999}', "the number 1e999 is not finite"),
        ('{"x": -0.0}', r"the number -0\.0 is not finite, or a negative zero"),
        ("[" * 17 + "]" * 17, "nested more than 16 deep"),
        ("[" * 100_000, "nested more than 16 deep"),
        ('{"x": ' + "1" * 5000 + "}", "not readable as JSON"),
        ("{", "not readable as JSON"),
        ("\ufeff{}", "not readable as JSON"),
        (" " * 1_000_001, "1,000,001 bytes: a JSON file may have 1,000,000"),
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
        ("safe \u202e gnp.exe", r"has the hidden character U\+202E"),
        ("zero\u200bwidth", r"has the hidden character U\+200B"),
        ("line\nbreak", r"has the hidden character U\+000A"),
        ("=HYPERLINK(1)", "begins with '=', which a spreadsheet takes for a formula"),
        ("+1", "begins with '\\+'"),
        ("@SUM(A1)", "begins with '@'"),
        ("e\u0301tude", "is not in Unicode's normal form NFC"),
        (" space", "is empty, or begins or ends with a space"),
        ("FILL IN: one line", "is still a placeholder: fill it in"),
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
    refused(submissions / "mine", r"submission\.json: name: 'yours': not the name of its folder")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "http://example.org", "https://a b.org", "https://x", "data:text/html,x", '"><script>']
)
@pytest.mark.parametrize("field", ["paper", "code"])
def test_addresses(submissions: Path, field: str, address: str) -> None:
    edit(submissions / "mine", FILE, put(field, address))
    refused(submissions / "mine", rf"submission\.json: {field}: must be an address that begins with https://")


# --- rows of another submission


@pytest.mark.parametrize(
    ("name", "said"),
    [("nobody", "nobody: there is no such submission"), ("other", "other: uses rows of another submission itself")],
)
def test_rows_of_a_submission_that_has_none(submissions: Path, name: str, said: str) -> None:
    import shutil

    shutil.copytree(submissions / "refresh-4", submissions / "other")
    edit(submissions / "other", FILE, put("name", "other"))
    edit(submissions / "refresh-4", FILE, put("rows_from", name))
    refused(submissions / "refresh-4", rf"submission\.json: rows_from: {said}")


def test_rows_of_a_submission_that_is_refused(submissions: Path) -> None:
    edit(submissions / "reference", FILE, put("seeds", [0, 1]))
    refused(submissions / "refresh-4", r"submission\.json: rows_from: reference: is refused itself \(submission\.json: seeds")


def test_a_row_that_nobody_has(submissions: Path) -> None:
    edit(submissions / "refresh-4", RUN, put("rows.baseline-3-qa", "5" * 64))
    refused(submissions / "refresh-4", r"runs/paper-s2\.json: rows\.baseline-3-qa: no row of answers has this digest")


def test_a_row_that_no_run_names(submissions: Path, suite: Suite) -> None:
    """Nothing may lie in a submission that is not looked at."""
    edit(submissions / "mine", RUN, lambda run: run["rows"].update({"repaired": run["rows"]["baseline-4-cw"]}))
    refused(submissions / "mine", r"submission\.json: rows\.\d+: a row of answers that no run names")


# --- all of it at once


def test_every_problem_is_reported(submissions: Path) -> None:
    folder = submissions / "mine"
    edit(folder, FILE, put("seeds", [0, 1]))
    edit(folder, FILE, put("board.base", "0" * 64))
    edit(folder, "runs/paper-s0.json", put("cost.stages", 0.1))
    (folder / "extra.txt").write_text("x")
    lines = refusals(folder)
    for said in ("seeds", "board.base", "cost.stages", "extra.txt"):
        assert any(said in line for line in lines), (said, lines)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    assert refusals(tmp_path / "nothing") == [f"{tmp_path}/nothing: no folder of a submission is there"]
    assert refusals(tmp_path) == ["submission.json: missing: `python -m leaderboard pack` writes it"]


def test_without_torch(board: Path) -> None:
    import subprocess
    import sys

    script = "import sys; from leaderboard.verify import verify; from leaderboard import rank, cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_readme_may_be_edited_and_has_no_placeholder(submissions: Path) -> None:
    (submissions / "mine" / "README.md").write_text("# Mine\n\nWith a typing error less.\n")
    assert refusals(submissions / "mine") == []
    (submissions / "mine" / "README.md").write_text("# FILL IN: the method's name\n")
    refused(submissions / "mine", r"README\.md: still has a placeholder \(FILL IN\): fill it in")
