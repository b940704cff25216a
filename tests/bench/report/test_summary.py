"""The screen at the end of a command."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.report.summary import summary
from bench.report.words import shown
from bench.results.estimates import measure
from bench.results.run import load_run


@pytest.fixture(scope="module")
def runs(folder):
    return [load_run(folder / f"micro-paper-single-refresh-steps=15-s{seed}") for seed in range(5)]


def test_one_screen_with_the_metrics_that_matter_for_the_board(runs):
    text = summary(runs)
    lines = text.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 120
    assert lines[0] == "refresh on micro/1, code → math → qa → cw, seeds 0–4"
    shown_metrics = [line.split("  ")[0] for line in lines[lines.index("* target to recover: math") :]]
    for name in ("forgetting", "recovery ratio", "net recovery", "collateral damage", "collateral damage, worst", "normalized forgetting"):
        assert name in shown_metrics
    assert "normalized forgetting, repaired" in shown_metrics
    assert not {"retention", "BWT", "surplus"} & set(shown_metrics)
    assert "cost      repair 5.0 % of the baseline sequence's FLOPs, stages 100.0 % (track light, limit 110 % in all)" in text
    assert "access    prompts: 480 of math" in text
    value = shown("net recovery", measure(runs, "greedy")["net recovery"])
    assert value in next(line for line in lines if line.startswith("net recovery"))


def test_all_metrics_on_request(runs):
    text = summary(runs, all_metrics=True)
    for name in measure(runs, "greedy"):
        assert any(line.startswith(f"{name}  ") for line in text.splitlines()), name


def test_the_board_of_all_targets_shows_retention(tmp_path, build_run):
    run = load_run(build_run(tmp_path, method="refresh", final=[0.7, 0.9, 0.95, 0.8], targets="all", quick=True))
    text = summary([run])
    assert any(line.startswith("retention  ") for line in text.splitlines())
    assert "net recovery" not in text
    assert "intervals cover item sampling only (one seed)" in text
    assert "smoke test (--quick); results are not comparable" in text


def test_limits_are_of_comparable_results_only(tmp_path, build_run):
    """Stages of --quick are so short that a repair costs nearly as much as they do."""
    given = {"method": "refresh", "final": [0.7, 0.9, 0.95, 0.8], "repair_cost": 0.9}
    quick, whole = (summary([load_run(build_run(tmp_path / str(quick), quick=quick, **given))]) for quick in (True, False))
    assert "limit 110 % in all; not applied to results that are not comparable)" in quick
    assert "limit 110 % in all: OVER THE LIMIT)" in whole


def test_means_are_over_the_seeds(runs):
    row = next(line for line in summary(runs).splitlines() if line.startswith("repaired"))
    mean = 100 * sum(run.matrix["greedy"].final[1] for run in runs) / 5
    assert row.split()[2] == f"{mean:.1f}"


def test_different_entries_and_the_same_seed_twice_are_refused(runs, folder):
    other = load_run(folder / "micro-paper-single-revert-s0")
    with pytest.raises(UserError, match="different methods"):
        summary([runs[1], other])
    with pytest.raises(UserError, match="seed 0 is there twice"):
        summary([runs[0], runs[0]])
