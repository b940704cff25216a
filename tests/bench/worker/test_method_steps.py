"""A method's mistakes become one line: what a step returned, or which setting gave a Training an invalid value."""

from __future__ import annotations

import math

import pytest

from bench.errors import UserError
from bench.method import Method, Stage, Training
from bench.worker import method_steps

STAGE = Stage(0, "math", ("math", "qa"))


class Forgetful(Method):
    def stage(self, stage, history):
        pass

    def after_stage(self, stage, checkpoint, history):
        return {"weights": 1}

    def recover(self, checkpoint, targets, history):
        pass


class Fast(Method):
    lr: float = 1e-3
    steps: int = 5

    def stage(self, stage, history):
        return Training.on(stage.domain, learning_rate=self.lr, steps=self.steps)

    def recover(self, checkpoint, targets, history):
        Training.on(*targets, kl=self.lr - 1)


def test_what_is_returned_is_named(tiny_bench) -> None:
    with pytest.raises(UserError) as error:
        method_steps.stage("forgetful", Forgetful(), STAGE, None)
    assert str(error.value) == "method forgetful: stage returned None; return a Training"
    with pytest.raises(UserError) as error:
        method_steps.after_stage("forgetful", Forgetful(), STAGE, tiny_bench.base, None)
    assert str(error.value) == "method forgetful: after_stage returned a dict; return a Checkpoint"
    with pytest.raises(UserError) as error:
        method_steps.recover("forgetful", Forgetful(), tiny_bench.base, ("math",), None)
    assert str(error.value) == "method forgetful: recover returned None; return a Checkpoint"


def test_what_is_right_passes(tiny_bench) -> None:
    assert method_steps.stage("none", Method(), STAGE, None) == Training.on("math")
    assert method_steps.after_stage("none", Method(), STAGE, tiny_bench.base, None) == tiny_bench.base
    assert method_steps.recover("none", Method(), tiny_bench.base, ("math",), None) == tiny_bench.base


@pytest.mark.parametrize("bad", [math.inf, math.nan, 0.0])
def test_an_invalid_training_names_the_methods_setting(bad: float) -> None:
    with pytest.raises(UserError) as error:
        method_steps.stage("fast.py:Fast", Fast(lr=bad), STAGE, None)
    assert str(error.value) == f"method fast.py:Fast: stage: learning_rate={bad!r}: must be a finite number above 0; change --set lr"
    with pytest.raises(UserError, match=r"steps=2\.5: must be a whole number from 1 to 100,000; change --set steps$"):
        method_steps.stage("fast", Fast(steps=2.5), STAGE, None)


def test_a_value_that_is_no_setting_is_named_alone(tiny_bench) -> None:
    with pytest.raises(UserError) as error:
        method_steps.recover("fast", Fast(lr=0.5), tiny_bench.base, ("math",), None)
    assert str(error.value) == "method fast: recover: kl=-0.5: must be a finite number of at least 0"
