"""The reference entries are of finished runs only."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference_entries
from entries import write_runs, write_suites

import bench.suite
from bench.errors import UserError
from bench.suite import Suite, load_suite


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    write_suites(tmp_path / "suites")
    monkeypatch.setattr(bench.suite, "FOLDER", tmp_path / "suites")
    return load_suite("small")


def test_a_method_whose_runs_are_not_finished_has_no_entry(tmp_path: Path, suite: Suite) -> None:
    """One order of a design alone would be an entry too, of another board."""
    folder = tmp_path / "balanced"
    for order in suite.orders("balanced"):
        write_runs(folder, suite, sequence=order, targets="all")
    write_runs(folder, suite, "refresh", sequence="paper", targets="all")
    with pytest.raises(UserError, match="balanced: refresh lacks seed 0 of balanced-2, which others have: finish the runs first"):
        list(reference_entries.entries(tmp_path, "small"))


def test_the_baseline_run_comes_first(tmp_path: Path, suite: Suite) -> None:
    for method in ("refresh", "none", "dare"):
        write_runs(tmp_path / "single", suite, method)
    found = list(reference_entries.entries(tmp_path, "small"))
    assert [name for name, _ in found] == ["small-single-none", "small-single-dare", "small-single-refresh"]
    assert {len(runs) for _, runs in found} == {5}
