"""What a report is made of: boards with their entries and places, comparisons, and folders that had to be left out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.report import tables, text
from bench.report.content import check_planned, collect, content
from bench.report.page import page
from bench.results.boards import Places

ORDER = ("code", "math", "qa", "cw")
DEFAULT = ["none", "shrink", "next"]


def test_places_are_of_methods_and_not_of_controls(entries):
    assert {label: (entry.places, entry.unranked) for label, entry in entries.items() if label in ("revert", "shrink")} == {
        "revert": (None, "control"),
        "shrink": (None, "control"),
    }
    assert entries["refresh"].places in (Places(1, 1), Places(1, 2))
    assert entries["replay"].places in (Places(2, 2), Places(1, 2))


def test_each_family_compares_its_own_pairs(board):
    pairs = {family: {(c.one, c.other) for c in board.comparisons if c.family == family} for family in board.families}
    labels = {entry.label for entry in board.entries}
    assert list(board.families) == DEFAULT
    assert pairs["none"] == {(label, "none") for label in labels - {"none"}}
    assert pairs["shrink"] == {(label, "shrink") for label in labels - {"shrink"}}
    assert pairs["next"] == {("refresh", "replay")}


def test_a_difference_holds_only_under_both_decodings(board):
    by_pair = {(c.family, c.one): c for c in board.comparisons}
    sharpened, refreshed = by_pair["none", "sharpen"], by_pair["none", "refresh"]
    assert sharpened.tests["sampled"].verdict == "better"
    assert sharpened.tests["greedy"].verdict == "not significant"
    assert not sharpened.holds
    assert refreshed.holds
    assert {t.verdict for t in refreshed.tests.values()} == {"higher, with more access"}


def test_pairs_on_request(folder):
    found = content(*collect([folder]), planned=[("refresh", "sharpen")], all_pairs=True).boards[0]
    assert list(found.families) == [*DEFAULT, "all pairs", "planned"]
    (planned,) = (c for c in found.comparisons if c.family == "planned")
    every = [c for c in found.comparisons if c.family == "all pairs"]
    assert len(every) == 6 * 5 / 2
    (same,) = (c for c in every if {c.one, c.other} == {"refresh", "sharpen"})
    for decoding in ("greedy", "sampled"):
        assert planned.tests[decoding].difference.estimate == same.tests[decoding].difference.estimate
        assert planned.tests[decoding].p < same.tests[decoding].p  # of 1 test and not of 15
    assert "Comparisons: pairs planned in advance" in text.terminal(content(*collect([folder]), planned=[("refresh", "none")]))


def test_a_planned_pair_on_different_boards_is_refused():
    boards = [{"none", "refresh"}, {"none", "rollback"}]
    check_planned([("none", "rollback")], boards)
    with pytest.raises(UserError, match="--pair refresh/rollback: these two are on different boards"):
        check_planned([("refresh", "rollback")], boards)
    with pytest.raises(UserError, match="unknown entry 'rolback': did you mean rollback"):
        check_planned([("none", "rolback")], boards)


def test_four_seeds_give_no_verdict(tmp_path, build_run):
    for seed in range(4):
        build_run(tmp_path, method="none", seed=seed)
        build_run(tmp_path, method="refresh", final=[0.61, 0.88, 0.94, 0.8], seed=seed)
    found = content(*collect([tmp_path])).boards[0]
    (against_none,) = (c for c in found.comparisons if c.family == "none")
    assert {(t.p, t.verdict) for t in against_none.tests.values()} == {(None, "no verdict")}
    assert against_none.tests["greedy"].difference.estimate > 0.5
    row = tables.comparisons(found, "none").rows[0]
    assert row[3:5] == ("–", "no verdict")
    assert "No comparisons: every entry against shrinking" in text.terminal(content(*collect([tmp_path])))


def test_sharpening_is_told_from_a_repair(report, entries):
    assert {label for label, entry in entries.items() if entry.sharpening} == {"sharpen"}
    assert "control; sharpening: improves at temperature 1 only" in text.markdown(report)


def test_sharpening_is_told_on_the_board_of_all_targets_too(tmp_path, build_run):
    better = [0.68, 0.8, 0.95, 0.8]
    for seed in range(3):
        build_run(tmp_path, method="sharpen", final=[0.6, 0.6, 0.94, 0.8], seed=seed, sampled_final=better, targets="all")
        build_run(tmp_path, method="refresh", final=better, seed=seed, targets="all")
    board = content(*collect([tmp_path])).boards[0]
    assert {entry.label: entry.sharpening for entry in board.entries} == {"sharpen": True, "refresh": False}
    assert board.headline.startswith("Refresh retains ")


def test_the_pareto_front_is_of_cost_and_retention_and_access_counts(entries):
    retention = {label: entry.metrics["greedy"]["retention"].estimate for label, entry in entries.items()}
    # replay retains most at no cost and with no access: it beats all but refresh, if that retains more.
    assert retention["replay"] > retention["none"] > retention["revert"]
    assert (entries["replay"].front, entries["none"].front, entries["revert"].front) == ("cost", "", "")
    assert (entries["refresh"].front == "cost") == (retention["refresh"] > retention["replay"])


def test_undefined_says_why_and_a_missing_null_run_names_the_command(tmp_path, build_run):
    """One seed of quick runs without any forgetting, no null run, a development seed."""
    baseline = np.repeat(np.array([[0.2, 0.4, 0.5, 0.5]]), 5, axis=0)
    build_run(tmp_path, method="refresh", final=[0.3, 0.4, 0.5, 0.5], seed=100, baseline=baseline, quick=True)
    found = content(*collect([tmp_path]))
    board = found.boards[0]
    assert board.entries[0].metrics["greedy"]["net recovery"].estimate is None
    assert board.null_command == "python -m bench run --null --seeds 5 --seed 100 --quick"
    assert board.headline == "No significant forgetting of math"
    for form in (text.terminal(found), text.markdown(found), page(found)):
        words = " ".join(form.split())
        for wanted in (
            board.null_command,
            board.headline,
            "smoke test",
            "provisional",
            "development seeds",
            "one seed cover item sampling only",
        ):
            assert wanted in words
    (row,) = board.frame().query("metric == 'net recovery' and decoding == 'greedy'").itertuples()
    assert np.isnan(row.estimate)
    assert row.undefined == "forgetting is not significant"


def test_a_balanced_design_is_one_board_of_all_its_orders(tmp_path, build_run):
    orders = {"paper": ORDER, "balanced-2": ("math", "cw", "code", "qa"), "balanced-3": ("cw", "qa", "math", "code")}
    orders["balanced-4"] = ("qa", "code", "cw", "math")
    for name, order in orders.items():
        # A domain is at .9 after its own stage and loses .08 in each later one; a repair puts it back.
        baseline = np.full((5, 4), 0.3)
        for stage, domain in enumerate(order, 1):
            baseline[stage:, ORDER.index(domain)] = 0.9 - 0.08 * np.arange(5 - stage)
        for seed in range(2):
            there = {"seed": seed, "baseline": baseline, "order": order, "sequence": name, "targets": "all", "items": 80}
            build_run(tmp_path, method="none", **there)
            build_run(tmp_path, method="refresh", final=[0.9] * 4, **there)
    found = content(*collect([tmp_path]))
    first, board = found.boards  # of the design's orders only the first is shown by itself
    assert first.title == "micro/1 · paper · targets all · cpu"
    assert board.title == "micro/1 · balanced · targets all · cpu"
    assert sorted(board.orders) == sorted(orders.values())
    assert board.earlier_domains == ORDER  # each is trained before another in some order
    (retention,) = (e.metrics["greedy"]["retention"].estimate for e in board.entries if e.label == "refresh")
    assert retention == pytest.approx(1.0, abs=0.04)
    # A domain stands once at each position: it loses 0, .08, .16 or .24, on average 12 points.
    for domain in ORDER:
        assert board.baseline["greedy"][domain].forgetting.estimate == pytest.approx(12, abs=2.5)
    html = page(found)
    assert all(" → ".join(order) in html for order in orders.values())
    assert text.markdown(found).count("### Scores, ") == 2 + 8


def test_the_baselines_intransigence_is_its_own(tmp_path, build_run):
    """Where the last entry trains its own stages, and the stages that come last learn nothing."""
    orders = {"paper": ORDER, "balanced-2": ("math", "cw", "code", "qa"), "balanced-3": ("cw", "qa", "math", "code")}
    for name, order in (orders | {"balanced-4": ("qa", "code", "cw", "math")}).items():
        there = {"order": order, "sequence": name, "targets": "all", "items": 80}
        build_run(tmp_path, method="none", **there)
        build_run(tmp_path, method="replay", final=[0.1] * 4, own_stages=True, track="during", **there)
    board = content(*collect([tmp_path])).boards[-1]
    entries = {entry.label: entry.metrics["greedy"]["intransigence"].estimate for entry in board.entries}
    assert list(entries) == ["none", "replay"]
    assert entries["replay"] > entries["none"] + 5
    assert board.baseline_metrics["greedy"]["intransigence"].estimate == pytest.approx(entries["none"])


def _manifest_edit(run: Path, change: Callable[[dict], None]) -> None:
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    change(manifest)
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _directory_for(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).unlink()
        (run / name).mkdir()

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "manifest without a key": lambda run: _manifest_edit(run, lambda manifest: manifest.pop("cost")),
    "manifest that is no JSON": lambda run: (run / "manifest.json").write_text("{") and None,
    "manifest that is a list": lambda run: (run / "manifest.json").write_text("[1]") and None,
    "format 2": lambda run: _manifest_edit(run, lambda manifest: manifest.update(format=2)),
    "directory for a matrix": _directory_for("matrix.json"),
    "directory for samples": _directory_for("samples/baseline-1-code.jsonl.gz"),
    "empty samples": lambda run: (run / "samples" / "repaired.jsonl.gz").write_bytes(b"") and None,
    "garbage samples": lambda run: (run / "samples" / "repaired.jsonl.gz").write_bytes(b"\x1f\x8bgarbage") and None,
    "no samples": lambda run: (run / "samples" / "repaired.jsonl.gz").unlink(),
    "garbage training log": lambda run: (run / "training" / "baseline-1-code.jsonl").write_text("]") and None,
    "edited metrics": lambda run: (run / "metrics.json").write_text("{}") and None,
    "garbage also.json": lambda run: (run / "also.json").write_text("]") and None,
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda name: name.replace(" ", "-"))
def test_a_damaged_run_is_left_out_in_one_line_and_the_others_are_reported(damage, folder, tmp_path, build_run):
    shutil.copytree(folder / "micro-paper-single-none-s0", tmp_path / "whole")
    also = {row: {"mmlu": {"acc": (0.5, 0.01)}} for row in ("baseline-0-base", "repaired")}
    built = build_run(tmp_path, method="refresh", final=[0.6, 0.8, 0.9, 0.8], items=20, also=also)
    assert len(collect([tmp_path])[0]) == 2
    DAMAGES[damage](built)
    runs, left_out = collect([tmp_path])
    assert [run.name for run in runs] == ["whole"]
    (line,) = left_out
    assert str(built) in line
    assert "\n" not in line
    assert f"left out: {line}" in text.terminal(content(runs, left_out))
    with pytest.raises(UserError):
        collect([built])


def test_unfinished_folders_are_named_and_empty_ones_are_refused(folder, tmp_path):
    shutil.copytree(folder / "micro-paper-single-none-s0", tmp_path / "good")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / ".lock").touch()
    runs, left_out = collect([tmp_path, tmp_path / "good"])
    assert [run.name for run in runs] == ["good"]
    assert left_out == [f"{tmp_path / 'half'}: not finished"]
    assert "half: not finished" in page(content(runs, left_out))
    with pytest.raises(UserError, match="no finished run there"):
        collect([tmp_path / "half"])


def test_repairs_after_null_stages_are_named_as_left_out(tmp_path, build_run):
    """The tables show what null stages alone make the baseline run forget."""
    build_run(tmp_path, method="none")
    build_run(tmp_path, method="none", null="math")
    folder = build_run(tmp_path, method="refresh", final=[0.6, 0.8, 0.9, 0.8], null="math")
    report = content(*collect([tmp_path]))
    assert report.left_out == (f"{folder}: null stages of refresh; tables show only those of none",)
    assert [entry.label for entry in report.boards[0].entries] == ["none"]


def test_runs_with_null_stages_alone_are_refused(folder):
    with pytest.raises(UserError, match="null stages alone"):
        content(*collect([folder / "micro-paper-single-null-after-math-s0"]))
