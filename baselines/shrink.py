"""Control: shrink the update of the whole sequence, a step back towards the base; nothing is trained.

    theta(alpha) = theta_0 + alpha (theta_T - theta_0)

Of `alphas`, the one with the best mean greedy validation score over the targets is taken; ties go to the larger alpha. This is WiSE-FT
(2109.01903) between the base and the last checkpoint, and task arithmetic (2212.04089) with the stages as its tasks. Choosing alpha on
the targets alone is ours: a repair has to beat this step, which uses no checkpoint of the stages in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


class Shrink(Method):
    """alphas: the values tried, each in [0, 1]; 1 is the last checkpoint, 0 the base."""

    track = "light"  # on micro/3 the choice costs 3.4 % of the baseline run for one target, 13.7 % for three
    controls = True
    alphas: tuple[float, ...] = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)

    def __post_init__(self) -> None:
        if not self.alphas or not all(0 <= alpha <= 1 for alpha in self.alphas):
            raise ValueError(f"alphas={self.alphas}: needs at least one value, each in [0, 1]")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        def at(alpha: float) -> Checkpoint:
            return checkpoint.map(lambda _, last, base: base.lerp(last, alpha), history.base, elementwise=True)

        def validation(candidate: Checkpoint) -> float:
            return sum(history.score(candidate, target) for target in targets)

        return max(map(at, sorted(self.alphas, reverse=True)), key=validation)  # of equals, max takes the first
