"""Calls the three steps of a method and checks what they return. A mistake becomes one line that names the method and the step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from bench.checkpoint import Checkpoint
from bench.errors import UserError
from bench.method import History, Method, Stage, Training, TrainingError

Result = TypeVar("Result", Training, Checkpoint)


def stage(name: str, method: Method, stage: Stage, history: History) -> Training:
    """`method.stage`. name: what messages call the method. `UserError` for a result that is no Training, or invalid values in one."""
    with _named_settings(name, method, "stage"):
        training = method.stage(stage, history)
    return _returned(name, "stage", training, Training)


def after_stage(name: str, method: Method, stage: Stage, checkpoint: Checkpoint, history: History) -> Checkpoint:
    """`method.after_stage`; errors as in `stage`."""
    with _named_settings(name, method, "after_stage"):
        changed = method.after_stage(stage, checkpoint, history)
    return _returned(name, "after_stage", changed, Checkpoint)


def recover(name: str, method: Method, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
    """`method.recover`; errors as in `stage`."""
    with _named_settings(name, method, "recover"):
        repaired = method.recover(checkpoint, targets, history)
    return _returned(name, "recover", repaired, Checkpoint)


def _returned(name: str, step: str, result: Any, kind: type[Result]) -> Result:
    if not isinstance(result, kind):
        found = "None" if result is None else f"a {type(result).__name__}"
        raise UserError(f"method {name}: {step} returned {found}; return a {kind.__name__}")
    return result


@contextmanager
def _named_settings(name: str, method: Method, step: str) -> Iterator[None]:
    """An invalid `Training` as a `UserError` that also names the method's settings with that value."""
    try:
        yield
    except TrainingError as error:
        same = [key for key, value in method.settings().items() if value is error.value or value == error.value]
        hint = f"; change --set {' or '.join(same)}" if same else ""
        raise UserError(f"method {name}: {step}: {error}{hint}") from error
