"""How values are written."""

from __future__ import annotations

import pytest

from bench.costs import AccessRecord
from bench.report.words import access_words, cap_bias_words, p_words, seeds_words, shown
from bench.results.estimates import Value

INF = float("inf")


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("net recovery", Value(0.904, 0.7, 1.1, 5), "0.90 [0.70, 1.10]"),
        ("forgetting", Value(12.34, 1, 20, 5), "12.3 [1.0, 20.0]"),
        ("forgetting", Value(-0.04, None, None, 5), "0.0"),
        ("collateral damage", None, "undefined: every domain is a target"),
        ("net recovery", Value(None, None, None, 5, "forgetting is not significant"), "undefined: forgetting is not significant"),
        ("net recovery", Value(0.9, None, None, 5, pieces=((-INF, -2.0), (0.4, INF))), "0.90 (−∞, -2.00] or [0.40, ∞)"),
        ("forgetting", Value(None, None, None, 2, "x", pieces=((-INF, -2.0), (4, INF))), "undefined: x; plausible: (−∞, -2.0] or [4.0, ∞)"),
        ("net recovery", Value(None, None, None, 2, "why", pieces=((-INF, INF),)), "undefined: why"),
    ],
)  # fmt: skip
def test_values(metric, value, words):
    assert shown(metric, value) == words


def test_p_values_seeds_and_access():
    assert [p_words(p) for p in (None, 0.0004, 0.0123)] == ["–", "< 0.001", "0.012"]
    assert [seeds_words(s) for s in ([3], [0, 1, 2], [5, 0, 2])] == ["seed 3", "seeds 0–2", "seeds 0, 2 and 5"]
    assert access_words(AccessRecord()) == "last checkpoint only"
    record = AccessRecord(checkpoints=("math",), experts=("qa",), prompts={"math": 32, "qa": 8})
    assert access_words(record) == "checkpoints of math; experts of qa; prompts: 32 of math, 8 of qa"


def test_the_bias_of_caps_is_given_where_it_shows():
    def bias(cap_bias):
        return cap_bias_words("retention", Value(0.94, 0.9, 1.0, 3, cap_bias=cap_bias))

    assert [bias(value) for value in (None, 0.0, 0.004, 0.04)] == ["", "", "", "cap bias −0.04"]
    assert cap_bias_words("retention", None) == ""
