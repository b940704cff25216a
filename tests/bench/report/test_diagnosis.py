"""Findings over seeds: means, intervals, verdicts, and how they are written."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path as FilePath

import pytest

from bench.diagnostics.findings import KINDS, OF_A_DOMAIN, Edits, Finding, Path, Quantity, from_json, to_json
from bench.report.diagnosis import FAILS, HOLDS, UNDECIDED, Diagnosis, Line, lines, text, write
from bench.results.run import load_run

FOUND = Path("math", 30.0, 0.99, 0.5, 0.05, 0.5, 0.55, 0.9, 0.01, 0.1, 0.4)
BOTH = "first + second order (claim: 0.8 to 1.2)"
SHARE = Quantity("x", "x", True, 0.0, 1.0)


@pytest.fixture
def diagnosis(folder: FilePath) -> Diagnosis:
    """Of five seeds: the first-order term is small, the prediction is too low, the mirror's damage differs between seeds."""
    runs = [load_run(folder / f"micro-paper-single-none-s{seed}") for seed in range(5)]
    shift = (-0.02, -0.01, 0.0, 0.01, 0.02)
    mirrors = (0.1, 2.0, 0.9, 1.5, 0.3)
    found = [replace(FOUND, first=0.05 + s, predicted=0.55 + s, mirror=m) for s, m in zip(shift, mirrors, strict=True)]
    edits = [Edits("code", 0.001, 0.01, 0.1, 0.001, 0.3)] * 5
    return Diagnosis(tuple(runs), ("edits", "neurons", "path"), tuple((edit, own) for edit, own in zip(edits, found, strict=True)))


def test_a_mean_and_its_interval_worked_out_by_hand() -> None:
    line = Line("math", SHARE, (0.1, 0.2, 0.3))
    low, high = line.interval
    assert line.mean == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.2 - 4.30265 * 0.1 / 3**0.5, 0.2 + 4.30265 * 0.1 / 3**0.5), rel=1e-4)
    assert line.shown(3) == "0.20\n[-0.05, 0.45]"
    assert line.shown(5) == "0.20\n[-0.05, 0.45]\n3 of 5 seeds"
    assert (Line("math", SHARE, (0.1,)).interval, Line("math", SHARE, ()).shown(5)) == (None, "–")
    assert Line("math", SHARE, (0.000004,)).shown(1) == "4.0e-06"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.4, 0.5, 0.6, 0.5, 0.5), HOLDS),
        ((1.4, 1.5, 1.6, 1.5, 1.5), FAILS),
        ((-0.4, -0.5, -0.6, -0.5, -0.5), FAILS),
        ((0.8, 0.9, 1.1, 1.2, 1.0), UNDECIDED),
        ((0.4, 0.5, 0.6, 0.5), ""),  # four seeds
    ],
)
def test_a_claim_holds_where_the_whole_interval_is_within_its_bounds(values: tuple[float, ...], verdict: str) -> None:
    assert Line("math", SHARE, values).verdict == verdict
    assert Line("math", replace(SHARE, low=float("-inf"), high=float("inf")), values).verdict == ""


def test_seeds_where_a_quantity_is_missing_are_left_out(diagnosis: Diagnosis) -> None:
    first = replace(diagnosis.findings[0][1], first=None)
    without = Diagnosis(diagnosis.runs, diagnosis.kinds, ((first,), *diagnosis.findings[1:]))
    ((_, own),) = lines(without, Path)
    by_name = {line.quantity.name: line for line in own}
    assert (len(by_name["first"].values), len(by_name["damage"].values)) == (4, 5)
    assert (by_name["first"].verdict, by_name["predicted"].verdict) == ("", FAILS)


def test_the_text_gives_every_claim_its_table_and_its_verdicts(diagnosis: Diagnosis) -> None:
    shown = text(diagnosis)
    assert shown.startswith("diagnosis of micro/1, code → math → qa → cw, seeds 0–4\n")
    for kind in diagnosis.kinds:
        assert KINDS[kind].claim in shown
    assert "Not measured: the model has no MLPs" in shown  # of neurons
    for title, verdict in (("first-order term (claim: -0.25 to 0.25)", HOLDS), (BOTH, FAILS)):
        below = shown[shown.index(title) :].splitlines()
        assert below[2].strip() == verdict
    assert UNDECIDED in shown[shown.index("damage at A − d (claim: 0.5 to 1.5)") :]
    assert "not corrected" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_below_five_seeds_there_is_no_verdict(diagnosis: Diagnosis) -> None:
    few = Diagnosis(diagnosis.runs[:4], diagnosis.kinds, diagnosis.findings[:4])
    shown = text(few)
    assert "no verdicts: fewer than 5 seeds" in shown
    assert "(claim: -0.25 to 0.25)" in shown
    assert not any(word in shown for word in (HOLDS, FAILS, UNDECIDED))


def test_files_hold_the_tables_and_every_finding(diagnosis: Diagnosis, tmp_path: FilePath) -> None:
    markdown, stored = write(diagnosis, tmp_path / "out")
    assert markdown.read_text().startswith("# diagnosis of micro/1")
    assert "| math" in markdown.read_text()
    content = json.loads(stored.read_text())
    assert (content["suite"], content["sequence"], content["null"]) == ("micro/1", ["code", "math", "qa", "cw"], "")
    assert content["bounds"]["path"]["first"] == [-0.25, 0.25]
    assert content["bounds"]["edits"] == {}
    assert [run["seed"] for run in content["runs"]] == [0, 1, 2, 3, 4]
    assert [tuple(from_json(run["findings"])) for run in content["runs"]] == list(diagnosis.findings)


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_row_of_a_markdown_table_has_as_many_cells(folder: FilePath, kind: type[Finding]) -> None:
    runs = tuple(load_run(folder / f"micro-paper-single-none-s{seed}") for seed in range(5))
    of = [f"math, {part}" for part in ("2 % by F d²", "2 % that moved most", "span of 2 gradients")]
    found = tuple(kind(each, *(0.25 for _ in kind.quantities())) for each in of)
    (name,) = [name for name, each in KINDS.items() if each is kind]
    rows = [line for line in text(Diagnosis(runs, (name,), (found,) * 5), markdown=True).splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {len(of) + 2}
    assert len(rows) == 2 + len(list(kind.quantities()))


@pytest.mark.parametrize("kind", KINDS.values())
def test_findings_survive_json_and_know_their_quantities(kind: type[Finding]) -> None:
    quantities = list(kind.quantities())
    found = kind("math", *(0.25 for _ in quantities))
    assert from_json(json.loads(json.dumps(to_json([found])))) == [found]
    assert [quantity.name for quantity in quantities] == [f.name for f in fields(kind) if f.name not in ("of", "kind")]
    assert KINDS[found.kind] is kind
    assert kind is Edits or any(quantity.bounded for quantity in quantities)
    assert all(quantity.low < quantity.high for quantity in quantities)


def test_each_kind_has_its_file() -> None:
    folder = FilePath(__file__).parents[3] / "bench" / "diagnostics"
    assert {f"{kind}.py" for kind in KINDS} | {"__init__.py", "findings.py", "reward.py", "subject.py"} == {
        f.name for f in folder.glob("*.py")
    }
    assert set(KINDS) >= OF_A_DOMAIN
