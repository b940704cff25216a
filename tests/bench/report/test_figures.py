"""Dot plots and heat maps: their text has the numbers, and no value can take the axis from the others."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bench.report import figures
from bench.report.svg import PALETTE, drawn
from bench.results.estimates import Value


def test_the_text_of_a_figure_gives_its_numbers():
    value = Value(0.5, 0.25, 0.75, 5)
    undefined = Value(None, None, None, 5, "forgetting is not significant")
    svg = figures.intervals("x", "A title", "retention", [("mine", {"greedy": value, "sampled": undefined})], axis="retention")
    assert "mine: 0.50 [0.25, 0.75] (greedy) and undefined: forgetting is not significant (temperature 1)." in svg
    assert '<title id="x-title">a &lt; b</title>' in drawn("x", "a < b", "d", 1, lambda axes: None)


@pytest.mark.parametrize(("metric", "widest"), [("net recovery", 4), ("forgetting", 50)])
def test_the_axis_of_a_share_is_clipped_and_that_of_points_is_not(metric, widest):
    values = [Value(0.9, 0.8, 1.0, 5), Value(-6.0, -9.0, -4.0, 5), Value(0.5, -30.0, 0.7, 5)]
    left, right = figures.span_of(values, metric, [0.0, 1.0])
    assert right - left < widest
    assert (left < -6) == (metric == "forgetting")


def test_a_value_beyond_the_axis_is_a_number_at_its_edge():
    def svg(low: float) -> str:
        rows = [(name, {"greedy": value, "sampled": value}) for name, value in (("far", Value(low, low - 3, low + 2, 5)), ("near", near))]
        return figures.intervals("x", "T", "net recovery", rows, axis="a")

    near = Value(0.9, 0.8, 1.0, 5)
    beyond, within = svg(-6.0), svg(-0.5)
    assert re.findall(r">(−[\d.]+)</text>", beyond).count("−6.00") == 2
    assert not re.findall(r">(−\d\.\d\d)</text>", within)  # within the axis there are dots, and no numbers
    assert "far: -6.00 [-9.00, -4.00]" in beyond
    assert _ticks(beyond)[0] >= -1.1  # the axis did not follow the value


def _ticks(svg: str) -> list[float]:
    return sorted(float(text.replace("−", "-")) for text in re.findall(r">(−?\d\.\d)</text>", svg))


@pytest.mark.parametrize("metric", ["net recovery", "forgetting"])
def test_an_unbounded_interval_is_drawn_to_the_edges(metric):
    value = Value(0.9, None, None, 5, pieces=((float("-inf"), -0.5), (0.4, float("inf"))))
    left, right = figures.span_of([value], metric, [0.0, 1.0])
    assert -1 < left <= -0.5
    assert 1 <= right < 2
    svg = figures.intervals("x", "T", "net recovery", [("a", {"greedy": value, "sampled": value})], axis="a", marks={"": 0.0, "all": 1.0})
    assert "a: 0.90 (−∞, -0.50] or [0.40, ∞)" in svg


def test_the_heat_map_frames_own_stages_and_marks_targets(board):
    svg = figures.heat_map("map", board.matrices[0], "greedy")
    own = board.matrices[0].rows[2].score["greedy"][1]
    assert f"{own:.1f} after math" in svg
    assert svg.count(" *</text>") == 1
    assert len(re.findall(r"stroke-width: 1.5", svg)) == 4


def test_labels_with_dollar_signs_are_text():
    value = Value(0.5, 0.25, 0.75, 5)
    svg = figures.intervals("x", "T", "retention", [("a$b_{$", {"greedy": value, "sampled": value})], axis="a")
    assert ">a$b_{$</text>" in svg


def test_the_palette_is_seen_on_white_and_on_near_black():
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for colour in PALETTE:
        assert 1.05 / (luminance(colour) + 0.05) >= 3
        assert (luminance(colour) + 0.05) / (luminance("#15171a") + 0.05) >= 3
