"""Warnings: each appears where it is true, and not elsewhere."""

from __future__ import annotations

import json
import shutil

import pytest

from bench.report.content import collect, content
from bench.report.summary import summary
from bench.results.run import load_run


def test_a_full_board_has_no_warning(board):
    assert board.warnings == ()


@pytest.mark.parametrize(
    ("quick", "words"), [(True, "smoke test (--quick); results"), (False, "suite micro/1 is under development; results")]
)
def test_results_that_are_not_comparable_say_why(tmp_path, build_run, quick, words):
    """On a board and in a run's summary."""
    folder = build_run(tmp_path, method="refresh", final=[0.6, 0.8, 0.9, 0.8], items=20, quick=quick)
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    manifest["suite"]["comparable"] = False
    file.write_text(json.dumps(manifest), encoding="utf-8")
    assert f"{words} are not comparable" in content(*collect([tmp_path])).boards[0].warnings
    assert f"{words} are not comparable" in summary([load_run(folder)])


def test_baseline_runs_that_differ_are_named(folder, tmp_path):
    for name in ("none", "revert"):
        shutil.copytree(folder / f"micro-paper-single-{name}-s0", tmp_path / f"micro-paper-single-{name}-s0")
    before = content(*collect([tmp_path])).boards[0].warnings
    file = tmp_path / "micro-paper-single-revert-s0" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    manifest["checkpoints"]["baseline-2-math"] = "another"
    file.write_text(json.dumps(manifest), encoding="utf-8")
    after = content(*collect([tmp_path])).boards[0].warnings
    assert len(after) == len(before) + 1
    assert any("baseline runs of seed 0 have different checkpoints" in warning for warning in after)


def test_entries_on_different_seeds_and_over_their_limit_are_named(tmp_path, build_run):
    for seed in range(5):
        build_run(tmp_path, method="none", seed=seed, items=20)
    for seed in range(2):
        build_run(tmp_path, method="refresh", final=[0.6, 0.8, 0.9, 0.8], seed=seed, items=20, repair_cost=0.5)
    board = content(*collect([tmp_path])).boards[0]
    words = "\n".join(board.warnings)
    assert "entries have different seeds" in words
    assert "refresh exceeds its track's cost limit" in words
    assert "fewer than 5 seeds" in words
    assert "one seed" not in words
    assert next(entry for entry in board.entries if entry.label == "refresh").places is None
