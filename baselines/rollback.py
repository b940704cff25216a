"""Rollback (2606.02398): undo the later updates on a sparse set of coordinates; no training.

With delta_d = theta_T - theta_d since the target's own stage and F_d the diagonal Fisher at theta_d, the coordinates with the largest

    score_i = sum_d F_d,i delta_d,i^2          (the diagonal second-order estimate of the damage, up to a factor 1/2)

go back by `step` towards their Fisher-weighted own values, sum_d F_d,i theta_d,i / sum_d F_d,i; with one target that is theta_d,i.

The paper says that such a rollback on "a sparse proxy conflict coordinate set" restores Math partially, and gives neither rule, size
nor step. The rule above, `share` and `step` are ours.
"""

from collections.abc import Iterator
from typing import Literal

import torch

from baselines.mode_imm import weighted_mean
from bench.checkpoint import Checkpoint, Tensors, threshold_of_share
from bench.method import History, Method

Rank = Literal["fisher", "magnitude", "gradient"]


class Rollback(Method):
    """share: of all coordinates, in (0, 1]; step: 1 goes the whole way back; rank: F delta^2, |delta|, or g delta (first order);
    prompts: answers a target for F or g, so few that three targets stay within the training-free track."""

    track = "training-free"
    share: float = 0.05
    step: float = 1.0
    rank: Rank = "fisher"
    prompts: int = 32
    search = {"share": (0.01, 0.03, 0.1, 0.3), "step": (0.5, 1.0)}

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        return self.roll_back(checkpoint, *self.scoring(checkpoint, targets, history))

    def scoring(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> tuple[list[Checkpoint], list[Tensors]]:
        """Each target's own checkpoint, and its Fisher or gradient (none for |delta|)."""
        own = [history.checkpoint(target) for target in targets]
        if self.rank == "magnitude":
            return own, []
        ask = history.fisher if self.rank == "fisher" else history.gradient
        return own, [ask(c, target, self.prompts) for c, target in zip(own, targets, strict=True)]

    def roll_back(self, checkpoint: Checkpoint, own: list[Checkpoint], weights: list[Tensors]) -> Checkpoint:
        """The checkpoint with its highest-scored coordinates taken back."""
        cut = threshold_of_share(lambda: self.scores(checkpoint, own, weights), self.share)

        def change(name: str, last: torch.Tensor, *theirs: torch.Tensor) -> torch.Tensor:
            thetas, stats = theirs[: len(own)], theirs[len(own) :]
            picked = self.score(last, thetas, stats) >= max(cut, torch.finfo(torch.float32).tiny)
            return torch.where(picked, torch.lerp(last, self.aim(thetas, stats), self.step), last)

        return checkpoint.map(change, *own, *weights, elementwise=True)

    def scores(self, checkpoint: Checkpoint, own: list[Checkpoint], weights: list[Tensors]) -> Iterator[torch.Tensor]:
        """The score of every coordinate, piece by piece."""
        for _, last, *theirs in checkpoint.pieces(*own, *weights):
            yield self.score(last, theirs[: len(own)], theirs[len(own) :])

    def score(self, last: torch.Tensor, thetas: list[torch.Tensor], stats: list[torch.Tensor]) -> torch.Tensor:
        if self.rank == "magnitude":
            return sum((last - theta).abs() for theta in thetas)
        if self.rank == "gradient":
            return sum((g * (last - theta)).clamp(min=0) for g, theta in zip(stats, thetas, strict=True))
        return sum(f * (last - theta) ** 2 for f, theta in zip(stats, thetas, strict=True))

    def aim(self, thetas: list[torch.Tensor], stats: list[torch.Tensor]) -> torch.Tensor:
        """Where a picked coordinate goes."""
        if len(thetas) == 1 or self.rank != "fisher":
            return sum(thetas) / len(thetas)
        return weighted_mean(thetas, stats)
