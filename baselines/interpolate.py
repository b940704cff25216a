"""Control: interpolate between the last checkpoint and the targets' own checkpoints (WiSE-FT, 2109.01903).

    theta(alpha) = theta_T + alpha (mean_d theta_d - theta_T),    d over the targets

Of `alphas`, the one with the best mean greedy validation score over all domains is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


class Interpolate(Method):
    """alphas: the values tried, each in [0, 1]."""

    track = "light"
    controls = True
    alphas: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)

    def __post_init__(self) -> None:
        if not self.alphas or not all(0 <= alpha <= 1 for alpha in self.alphas):
            raise ValueError(f"alphas={self.alphas}: needs at least one value, each in [0, 1]")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        own = [history.checkpoint(target) for target in targets]

        def at(alpha: float) -> Checkpoint:
            return checkpoint.map(lambda _, last, *thetas: last.lerp(sum(thetas) / len(thetas), alpha), *own, elementwise=True)

        def validation(candidate: Checkpoint) -> float:
            return sum(history.score(candidate, domain) for domain in history.sequence)

        return max(map(at, self.alphas), key=validation)
