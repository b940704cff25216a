"""Runs: of the board that is stated, all of its orders and seeds, each trained and on one machine."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from entries import WORDS, write_runs
from forgeries import RUN, edit, put, refusals, refused, reseal, rewrite_answers

import bench.suite
from bench.suite import Suite
from leaderboard.pack import pack
from leaderboard.rows import Written
from leaderboard.submission import FILE, RunEntry, Submission
from leaderboard.verify.board import _check_distinct


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


@pytest.mark.parametrize("track", ["training-free", "light"])
def test_own_stages_on_a_track_that_keeps_the_plain_ones(submissions: Path, track: str) -> None:
    edit(submissions / "mine", FILE, put("method.track", track))
    edit(submissions / "mine", FILE, put("method.own_stages", True))
    refused(submissions / "mine", rf"submission\.json: method\.track: methods of track {track} keep the plain stages")


def test_a_suite_in_the_making_has_no_board(submissions: Path, suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bench.suite.FOLDER, tmp_path / "suites", symlinks=True)
    file = tmp_path / "suites" / "small.yaml"
    file.write_text(file.read_text() + "\ncomparable: false\n")
    monkeypatch.setattr(bench.suite, "FOLDER", tmp_path / "suites")
    refused(submissions / "mine", r"submission\.json: board\.suite: suite small is still in the making")


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
    refused(folder, r"runs/paper-s[1-4]\.json: rows\.[a-z0-9-]+: scores like seed \d on \d+\.\d % of the items: seeds")


def test_mixed_settings_have_no_place(submissions: Path) -> None:
    """The method's settings and source are stated once."""
    edit(submissions / "mine", RUN, put("settings", {"steps": 8}))
    refused(submissions / "mine", r"runs/paper-s2\.json: settings: no such field: remove it")


def test_seeds_of_several_machines(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("numerics.device", "cuda"))
    refused(submissions / "mine", r"runs/paper-s2\.json: numerics\.device: is 'cuda', but the board's device is 'cpu'")


@pytest.mark.parametrize(("field", "value"), [("capability", "AVX512"), ("arithmetic", "12345678")])
def test_orders_of_a_seed_on_two_machines(field: str, value: str, submissions: Path, suite: Suite) -> None:
    orders = suite.orders("balanced")
    runs = [run for order in orders for run in write_runs(submissions.parent / "all", suite, sequence=order, targets="all")]
    pack(runs, "balanced", submissions, WORDS)
    assert refusals(submissions / "balanced") == []
    edit(submissions / "balanced", "runs/balanced-2-s1.json", put(f"numerics.{field}", value))
    refused(submissions / "balanced", r"runs/[a-z0-9-]+-s1\.json: numerics: differs from runs/[a-z0-9-]+-s1\.json: all orders of a seed")


def test_numerics_has_known_fields_only(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("numerics.comment", "x"))
    refused(submissions / "mine", r"runs/paper-s2\.json: numerics\.comment: no such field: remove it")


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


def test_another_engine(submissions: Path) -> None:
    edit(submissions / "mine", RUN, put("numerics.engine", "vllm 0.32"))
    refused(submissions / "mine", r"runs/paper-s2\.json: numerics\.engine: is 'vllm 0\.32': answers must be generated with --engine hf")


def test_seeds_on_two_types_of_machine(submissions: Path) -> None:
    """The base, one checkpoint for all seeds, answers some items otherwise on another type."""
    folder = submissions / "mine"
    runs = {("paper", seed): RunEntry.model_validate_json((folder / f"runs/paper-s{seed}.json").read_bytes()) for seed in (0, 1)}
    other = runs["paper", 1]
    rows = {**other.rows, "baseline-0-base": "7" * 64}
    elsewhere = other.model_copy(update={"numerics": other.numerics.model_copy(update={"arithmetic": "another"}), "rows": rows})
    assert not list(_check_distinct({**runs, ("paper", 1): elsewhere}))
    (problem,) = _check_distinct({**runs, ("paper", 1): other.model_copy(update={"rows": rows})})
    assert str(problem) == "runs/paper-s1.json: rows.baseline-0-base: the same checkpoint has other answers in this submission"


def test_one_checkpoint_with_two_rows(submissions: Path) -> None:
    edit(submissions / "mine", RUN, lambda run: run["checkpoints"].update({"repaired": run["checkpoints"]["baseline-4-cw"]}))
    refused(submissions / "mine", r"runs/paper-s2\.json: rows\.repaired: the same checkpoint has other answers in this submission")
