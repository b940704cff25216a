"""Projection: take out of the later updates what changes a target's reward to first order, row by row; no optimizer runs.

With theta_d the target's own checkpoint and g the gradient of its expected reward at the model as it is now, every row r of every weight
matrix (the weights into one unit; a vector is one row) moves to the nearest point at which g_r is orthogonal to the way back:

    theta_r <- theta_r - (g_r . (theta_r - theta_d,r) / |g_r|^2) g_r

The targets take turns, oldest first, `rounds` times, each time with a new g from other prompts. A step follows the target's gradient, but
theta_d sets its length: rows that did not change, or changed only across g, stay as they are, and with them what other domains learned.
What was learned after the oldest target takes turns as well, target or not, because it would lose most; but the last domain takes none.

Each step is Kaczmarz's (1937): an orthogonal projection onto the set on which one linear equation holds. OGD (1910.07104) and A-GEM
(1812.00420) project gradients in this way while a model learns the next task. Close to theta_d, g is H_d (theta - theta_d): the direction
that contributes most to the second-order term by which 2606.02398 explains forgetting. Ours: to project what was already learned, row by
row, from checkpoints. docs/developing-a-repair.md has what was tried before. Every turn stores a checkpoint in the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint

TINY = 1e-18
"""A row whose gradient is shorter moves less, and not at all without one. Below about 1e-22 the squares of fp32 numbers vanish."""


def projected(now: torch.Tensor, own: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """`now` moved to the nearest point at which each row's gradient is orthogonal to (now - own). All of one shape; rows along the last
    dimension."""
    direction = gradient / gradient.norm(dim=-1, keepdim=True).clamp(min=TINY)
    return now - (direction * (now - own)).sum(-1, keepdim=True) * direction


class Projection(Method):
    """answers: of the model, for each gradient, in groups of the suite's size, at least 1; rounds: how often each domain takes its turn,
    at least 1."""

    answers: int = 128
    rounds: int = 8
    search = {"answers": (32, 64, 128, 256), "rounds": (4, 8)}

    def __post_init__(self) -> None:
        for name, value in (("answers", self.answers), ("rounds", self.rounds)):
            if value < 1:
                raise ValueError(f"{name}={value}: must be at least 1")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        oldest, last = min(map(history.sequence.index, targets)), history.sequence[-1]
        domains = [domain for domain in history.sequence[oldest:] if domain != last or domain in targets]
        for turn in range(self.rounds):
            for domain in domains:
                gradient = history.gradient(checkpoint, domain, self.answers, draw=turn)
                # A row's result depends on that row alone, and pieces hold whole rows. A vector is one row: none is longer than a piece.
                checkpoint = checkpoint.map(
                    lambda _, now, own, g: projected(now, own, g), history.checkpoint(domain), gradient, elementwise=True
                )
        return checkpoint
