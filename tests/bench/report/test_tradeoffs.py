"""Labels beside points: no two of their lines cross, and entries that differ in a number are joined."""

from __future__ import annotations

import dataclasses
import re
from itertools import combinations

import numpy as np
import pytest

from bench.costs import AccessRecord, Cost
from bench.report.tradeoffs import along, kind_of_access, label_heights
from bench.results.estimates import Value


def _crosses(one: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether the lines from (x, y) to (1, height) cross between their ends."""
    (x1, y1, h1), (x2, y2, h2) = sorted([one, other])

    def height_of_first(x: float) -> float:
        return y1 + (h1 - y1) * (x - x1) / (1 - x1)

    return (height_of_first(x2) - y2) * (h1 - h2) < -1e-12


@pytest.mark.parametrize("seed", range(30))
def test_no_lines_cross_and_labels_keep_their_distance(seed):
    draw = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in zip(draw.choice([0.1, 0.2, 0.5, 0.8], 14), draw.beta(5, 1, 14), strict=True)]
    points = list(dict.fromkeys(points))
    heights = label_heights(points, 0.06)
    assert min(np.diff(np.sort(heights))) >= 0.06 - 1e-9
    assert min(heights) >= 0
    assert max(heights) <= 1
    lines = [(x, y, height) for (x, y), height in zip(points, heights, strict=True)]
    assert not any(_crosses(one, other) for one, other in combinations(lines, 2))


def test_a_lone_label_is_level_with_its_point():
    assert label_heights([(0.3, 0.6)], 0.06) == pytest.approx([0.6])
    assert label_heights([], 0.06) == []


def test_more_labels_than_fit_share_the_height():
    heights = label_heights([(0.1, 0.99)] * 40, 0.06)
    assert len(set(np.round(heights, 6))) == 40
    assert 0 <= min(heights) < max(heights) <= 1


def test_entries_that_differ_in_a_number_are_joined(board):
    def entry(steps, rank, recovery):
        metrics = {"greedy": {"recovery ratio": Value(recovery, recovery - 0.1, recovery + 0.1, 5)}}
        cost = Cost(stages=1, repair=steps / 100, access=AccessRecord())
        return dataclasses.replace(
            board.entries[0], label=f"r {steps}", method="r", settings={"steps": steps, "rank": rank}, metrics=metrics, cost=cost
        )

    svg = along("x", "Title", [entry(9, "a", 0.9), entry(3, "a", 0.4), entry(5, "b", 0.2)], "greedy", "repair")
    assert "r 3: 0.40 [0.30, 0.50] at 3.0; r 5: 0.20 [0.10, 0.30] at 5.0; r 9: 0.90 [0.80, 1.00] at 9.0." in svg
    assert sorted(re.findall(r">(r rank=\w)<", svg)) == ["r rank=a", "r rank=b"]  # one for each line, not for each point


def test_access_has_one_marker_each():
    both = AccessRecord(checkpoints=("math",), prompts={"math": 3})
    assert [kind_of_access(access) for access in (AccessRecord(), both, AccessRecord(experts=("qa",)))] == [
        "last checkpoint only", "checkpoints and prompts", "experts",
    ]  # fmt: skip
