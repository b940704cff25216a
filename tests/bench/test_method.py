"""A Training refuses what cannot be trained with, in one line, when it is made."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.method import MAX_STEPS, LoRA, Training, TrainingError

BAD: list[dict[str, Any]] = [
    *({"learning_rate": value} for value in (0.0, 0, -1e-4, math.inf, math.nan, "1e-4", True)),
    *({"steps": value} for value in (0, -1, 2.5, 3.0, MAX_STEPS + 1, "3", True, math.nan)),
    *({"kl": value} for value in (-5, math.inf, math.nan, "0.1", False)),
]


@pytest.mark.parametrize("settings", BAD, ids=str)
def test_invalid_values_are_refused_in_one_line(settings: dict[str, Any]) -> None:
    ((name, value),) = settings.items()
    for make in (lambda: Training.on("math", **settings), lambda: Training.on("math").but(**settings)):
        with pytest.raises(TrainingError) as error:
            make()
        assert str(error.value).startswith(f"{name}={value!r}: must be ")
        assert "\n" not in str(error.value)
        assert error.value.setting == name
        assert error.value.value is value
        assert isinstance(error.value, ValueError)


@pytest.mark.parametrize(
    "mixture",
    [
        {},
        {"math": 0.5},
        {"math": 0.0, "qa": 1.0},
        {"math": -1.0, "qa": 2.0},
        {"math": math.nan},
        {"math": math.inf},
        {"math": "1"},
        ["math"],
    ],
    ids=str,
)
def test_shares_are_above_0_and_add_up_to_1(mixture: Any) -> None:
    with pytest.raises(TrainingError, match="mixture"):
        Training(mixture)


@pytest.mark.parametrize("settings", [{"rank": 0}, {"rank": 2.0}, {"alpha": 0.0}, {"alpha": math.inf}], ids=str)
def test_adapters_need_a_rank_and_a_scale(settings: dict[str, Any]) -> None:
    with pytest.raises(TrainingError):
        LoRA(**settings)


@pytest.mark.parametrize("trainable", [{"rank": 8}, True, "lora", 8])
def test_what_is_trained_is_not_guessed(trainable: Any) -> None:
    """All weights would be trained, without a word."""
    with pytest.raises(TrainingError, match="must be a LoRA, or tensors of 0 and 1"):
        Training.on("math", trainable=trainable)


@pytest.mark.parametrize("name", ["reference", "sampler"])
def test_checkpoints_by_domain_cover_the_mixture(name: str) -> None:
    with pytest.raises(TrainingError, match=rf"{name}=\['math'\]: must be one checkpoint, or one for each of math, qa"):
        Training.on("math", "qa", **{name: {"math": None}})
    with pytest.raises(TrainingError, match=f"{name}='base': must be a checkpoint, or one for each domain"):
        Training.on("math", **{name: {"math": "base"}})
    assert set(getattr(Training.on("math", **{name: {"math": None, "qa": None}}), name)) == {"math", "qa"}


def test_valid_values_are_kept() -> None:
    training = Training.on("math", "qa", "cw", steps=1, learning_rate=1, kl=0)
    assert (training.steps, training.learning_rate, training.kl) == (1, 1, 0)
    assert training.but(steps=MAX_STEPS, kl=0.5).steps == MAX_STEPS
    assert LoRA(rank=1, alpha=2).rank == 1
