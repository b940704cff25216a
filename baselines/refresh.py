"""Refresh (2606.02398): after the last stage, train briefly on the target domains again.

theta <- GRPO on the targets, from theta_T, for `steps` steps. The paper reports that a brief Re-Math after code-math-qa-cw takes Math
from 57.66 to 66.04 while the other domains keep their scores. It does not give the length or the settings; `steps` is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import MAX_STEPS, History, Method, Training

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


class Refresh(Method):
    """steps: optimizer steps in all, from 1 to `MAX_STEPS`, with the targets in equal shares."""

    steps: int = 15
    search = {"steps": (2, 3, 5, 7, 10, 14, 20, 28)}  # the light track's 10 % is worth 24 average steps, and these cost less than average

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS:
            raise ValueError(f"steps={self.steps}: must be from 1 to {MAX_STEPS:,}")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        return history.train(checkpoint, Training.on(*targets, steps=self.steps))
