"""Settings out of range are refused when a method is made, before any work: the message names the setting and its range, in one line."""

from __future__ import annotations

import pytest

from bench.errors import UserError
from bench.registry import make_method


@pytest.mark.parametrize(
    ("method", "setting", "value"),
    [
        ("mean_imm", "growth", 0.0),
        ("mode_imm", "growth", float("inf")),
        ("mode_imm", "prompts", 0),
        ("task_arithmetic", "scale", float("nan")),
        ("dare", "drop", 1.0),
        ("dare", "drop", -0.1),
        ("dare", "scale", float("nan")),
        ("ram", "share", 0.0),
        ("ram", "rescale", -0.1),
        ("ram", "rescale", float("inf")),
        ("opd", "steps", 0),
        ("opd", "steps", 100_001),
        ("ties", "share", 0.0),
        ("ties", "share", 1.5),
        ("ties", "scale", float("inf")),
        ("ewc", "strength", -1.0),
        ("ewc", "prompts", 0),
        ("l2", "strength", 0.0),
        ("kl", "strength", float("nan")),
        ("replay", "share", 1.0),
        ("cpr", "share", 0.0),
        ("cpr", "pool", 0),
        ("cpr", "low", 0.8),
        ("cpr", "high", 1.5),
        ("refresh", "steps", 0),
        ("refresh", "steps", 100_001),
        ("relearn", "steps", -1),
        ("longer", "steps", -1),
        ("rollback", "share", 0.0),
        ("rollback", "share", 1.5),
        ("rollback", "step", float("nan")),
        ("rollback", "prompts", 0),
        ("projection", "answers", 0),
        ("projection", "rounds", -1),
        ("random", "share", 2.0),
        ("interpolate", "alphas", ()),
        ("interpolate", "alphas", (0.5, 1.5)),
        ("shrink", "alphas", ()),
        ("shrink", "alphas", (-0.5,)),
        ("sharpen", "scales", ()),
        ("sharpen", "scales", (1.0, 0.0)),
        ("sharpen", "prompts", 0),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(method: str, setting: str, value: object) -> None:
    with pytest.raises(UserError) as error:
        make_method(method, {setting: value})
    text = str(error.value)
    assert f"{setting}={value}" in text
    assert method in text
    assert "\n" not in text
