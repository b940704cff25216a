"""Projection: remove the part of the later updates that lies along each target's policy gradient, row by row; no optimizer runs.

With theta_d the target's own checkpoint and g its GRPO gradient at the current model (`History.gradient`), every row r of every weight
matrix (along its last dimension: in a linear layer the weights of one output; a vector is one row) moves to the nearest point at which
g_r is orthogonal to the update since theta_d:

    theta_r <- theta_r - (g_r . (theta_r - theta_d,r) / |g_r|^2) g_r

Every domain from the oldest target on takes turns, target or not, `rounds` times, each time with a new g from other prompts: the last
domain first, so that targets have the last word, then from the oldest. A step removes what changed along g, whether it helped or harmed, so
that theta_d sets its length and there is no learning rate; what changed orthogonally to g stays. The last domain's turns take back what the
others' turns changed along its own gradient.

Each step is Kaczmarz's (1937): an orthogonal projection onto the set on which one linear equation holds. OGD (1910.07104) and A-GEM
(1812.00420) project gradients in this way while a model learns the next task. If the gradient at theta_d is 0, then close to it g is about
H_d (theta - theta_d), with H_d the Hessian of GRPO's loss: the gradient of a second-order term like the one by which 2606.02398 explains
forgetting (its loss is another one). Ours: to project what was already learned, row by row, from checkpoints
(docs/developing-a-repair.md). A turn stores a checkpoint and a gradient in the cache, so that twelve rounds over four domains take 96 times
the model's size in fp32 there.
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

    answers: int = 64
    rounds: int = 12
    search = {"answers": (32, 64, 128, 256), "rounds": (6, 12)}

    def __post_init__(self) -> None:
        for name, value in (("answers", self.answers), ("rounds", self.rounds)):
            if value < 1:
                raise ValueError(f"{name}={value}: must be at least 1")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        oldest = min(map(history.sequence.index, targets))
        domains = [history.sequence[-1], *history.sequence[oldest:-1]]
        for turn in range(self.rounds):
            for domain in domains:
                learned = history.checkpoint(domain)
                if learned == checkpoint:  # nothing has changed since: in the first round, for the last domain
                    continue
                gradient = history.gradient(checkpoint, domain, self.answers, draw=turn)
                # Pieces hold whole rows, and no vector is longer than a piece.
                checkpoint = checkpoint.map(lambda _, now, own, g: projected(now, own, g), learned, gradient, elementwise=True)
        return checkpoint
