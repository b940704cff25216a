"""The baseline run beside the reference entry's, and rows of answers that another entry stores."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from entries import WORDS, write_runs
from forgeries import RUN, edit, place_of, put, refusals, refused, warnings
from verdict_files import judge

from bench.results.rows import Row
from bench.suite import Suite
from leaderboard.pack import pack
from leaderboard.submission import FILE
from leaderboard.verdicts import OWN
from leaderboard.verify.reference import check_seeds


def test_the_base_is_the_suites(submissions: Path, suite: Suite) -> None:
    """Answers of a better base would make the stages' gains smaller."""
    rates = {"baseline-0-base": (0.7, 0.7, 0.7, 0.7)}
    runs = write_runs(submissions.parent / "runs", suite, "refresh", rates=rates)
    pack(runs, "better-base", submissions, WORDS)
    refused(
        submissions / "better-base",
        r"runs/paper-s0\.json: rows\.baseline-0-base: the base scores like the reference entry's base on only \d+\.\d % of the code",
    )


def test_a_baseline_run_that_was_damaged_more(submissions: Path, suite: Suite) -> None:
    rates = {"baseline-4-cw": (0.5, 0.0, 0.6, 0.8)}
    pack(write_runs(submissions.parent / "runs", suite, "refresh", rates=rates, machine="AVX512"), "damaged", submissions, WORDS)
    refused(
        submissions / "damaged",
        r"submission\.json: rows: its baseline runs forget significantly more than the reference entry's: 90\.0 against",
    )


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


def test_rows_that_lead_in_a_circle(submissions: Path) -> None:
    for name, other in (("mine", "mine"), ("refresh-4", "reference"), ("reference", "refresh-4")):
        edit(submissions / name, FILE, put("rows_from", other))
        judge(place_of(submissions / name), name, OWN)
    for name in ("mine", "refresh-4", "reference"):
        refused(submissions / name, r"submission\.json: rows_from: ")


def test_a_row_that_nobody_has(submissions: Path) -> None:
    edit(submissions / "refresh-4", RUN, put("rows.baseline-3-qa", "5" * 64))
    refused(submissions / "refresh-4", r"runs/paper-s2\.json: rows\.baseline-3-qa: no stored answers have this digest")


def test_a_row_that_no_run_names(submissions: Path, suite: Suite) -> None:
    """Nothing may lie in a submission that is not looked at."""
    edit(submissions / "mine", RUN, lambda run: run["rows"].update({"repaired": run["rows"]["baseline-4-cw"]}))
    refused(submissions / "mine", r"submission\.json: rows\.\d+: no run uses this row of answers: remove it")


@pytest.mark.parametrize(("flips", "found"), [({"qa": 5}, 1), ({"qa": 15}, 0), ({"code": 4, "math": 4, "qa": 4, "cw": 4}, 0)])
def test_copied_seeds_are_found_though_one_domain_was_touched(flips: dict[str, int], found: int) -> None:
    """Of 200 items a domain, so many score otherwise."""
    row = Row("baseline", 1)

    def seed(number: int, flips: dict[str, int]) -> SimpleNamespace:
        cells = {(domain, "sampled"): np.arange(200)[:, None] % 2 for domain in ("code", "math", "qa", "cw")}
        for domain, count in flips.items():
            cells[domain, "sampled"][:count] ^= 1
        manifest = SimpleNamespace(spec=SimpleNamespace(sequence="paper"))
        return SimpleNamespace(manifest=manifest, seed=number, rows=SimpleNamespace(distinct=lambda: [row]), tables={row: cells})

    assert len(list(check_seeds([seed(0, {}), seed(1, flips)]))) == found
