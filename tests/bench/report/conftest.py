"""A folder of runs, the report on it, and its page, for all tests of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.costs import AccessRecord
from bench.report.content import collect, content
from bench.report.data import BoardReport, EntryReport, Report
from bench.report.page import page

BASELINE = np.array([[20, 40, 50, 50], [70, 41, 55, 50], [68, 90, 60, 49], [66, 85, 95, 50], [60, 60, 94, 80]]) / 100
NASTY = "<script>document.title='broken'</script>|&[/x]"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, build_run: Callable[..., Path]) -> Path:
    """Five seeds of a repair, of a sharpened model, of controls and of a method with its own stages, and runs with null stages."""
    out = tmp_path_factory.mktemp("runs")
    sharper = [0.6, 0.78, 0.96, 0.84]
    prompts, own, base = AccessRecord(prompts={"math": 480}), AccessRecord(checkpoints=("math",)), AccessRecord(checkpoints=("base",))
    for seed in range(5):
        build_run(out, method="none", seed=seed, answer=NASTY)
        build_run(
            out, method="refresh", final=[0.61, 0.88, 0.94, 0.8], seed=seed, settings={"steps": 15}, repair_cost=0.05, access=prompts,
            answer=NASTY,
        )  # fmt: skip
        build_run(out, method="sharpen", final=BASELINE[-1], seed=seed, sampled_final=sharper, answer=NASTY)
        build_run(out, method="revert", final=[0.2, 0.9, 0.5, 0.49], seed=seed, access=own, answer=NASTY)
        build_run(out, method="shrink", final=[0.6, 0.72, 0.93, 0.79], seed=seed, access=base, answer=NASTY)
        build_run(out, method="replay", final=[0.66, 0.8, 0.93, 0.79], seed=seed, own_stages=True, track="during", answer=NASTY)
        build_run(out, method="none", seed=seed, null="math", baseline=BASELINE[0] - 0.01 * np.arange(5)[:, None])
    return out


@pytest.fixture(scope="session")
def report(folder: Path) -> Report:
    return content(*collect([folder]))


@pytest.fixture(scope="session")
def board(report: Report) -> BoardReport:
    (only,) = report.boards
    return only


@pytest.fixture(scope="session")
def entries(board: BoardReport) -> dict[str, EntryReport]:
    """By label."""
    return {entry.label: entry for entry in board.entries}


@pytest.fixture(scope="session")
def html(report: Report) -> str:
    return page(report)
