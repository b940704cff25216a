"""Rollback (2606.02398): undo the later updates on a sparse set of coordinates; nothing is trained.

Let delta_d = theta_T - theta_d be the update since the target's own stage, and F_d the diagonal Fisher at theta_d. The coordinates with
the largest

    score_i = sum_d F_d,i delta_d,i^2

move by `step` towards the Fisher-weighted mean of the targets' own values, sum_d F_d,i theta_d,i / sum_d F_d,i. With one target that
is theta_d,i. Half of the score's sum over all coordinates is a diagonal second-order estimate of KL(p_theta_d || p_theta_T), from the
target's policy to the last one. It stands in for the forgetting, whose Hessian is another one: where all answers earn the same reward
nothing can be forgotten, and F is not zero.

The paper states that such a rollback on "a sparse proxy conflict coordinate set" restores Math partially, but not how the set is chosen,
nor its size or the step. The rule above, `share` and `step` are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from baselines.mode_imm import TINY, weighted_mean
from bench.method import History, Method

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint, Tensors

Rank = Literal["fisher", "magnitude", "gradient"]


class Rollback(Method):
    """share: how many of all coordinates go back, in (0, 1]; step: how far, 1 is the whole way; rank: by F delta^2 (fisher), |delta|
    (magnitude) or g delta (gradient, first order); prompts: answers per target for F or g, at least 1. 32 for each of three targets stay
    within the training-free track."""

    track = "training-free"
    share: float = 0.05
    step: float = 1.0
    rank: Rank = "fisher"
    prompts: int = 32
    search = {"share": (0.01, 0.03, 0.1, 0.3), "step": (0.5, 1.0)}

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share}: must lie in (0, 1]")
        if not abs(self.step) < float("inf"):
            raise ValueError(f"step={self.step}: must be a finite number")
        if self.prompts < 1:
            raise ValueError(f"prompts={self.prompts}: must be at least 1")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        return self.roll_back(checkpoint, *self.scoring(checkpoint, targets, history))

    def scoring(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> tuple[list[Checkpoint], list[Tensors]]:
        """Each target's own checkpoint, and its Fisher or gradient there; no statistics for rank="magnitude"."""
        own = [history.checkpoint(target) for target in targets]
        if self.rank == "magnitude":
            return own, []
        ask = history.fisher if self.rank == "fisher" else history.gradient
        return own, [ask(c, target, self.prompts) for c, target in zip(own, targets, strict=True)]

    def roll_back(self, checkpoint: Checkpoint, own: list[Checkpoint], weights: list[Tensors]) -> Checkpoint:
        """The checkpoint with its highest-scored coordinates moved back."""
        from bench.checkpoint import threshold_of_share  # loads torch, which a repair needs and naming a method does not

        cut = threshold_of_share(lambda: self.scores(checkpoint, own, weights), self.share)

        def change(name: str, last: torch.Tensor, *theirs: torch.Tensor) -> torch.Tensor:
            thetas, stats = theirs[: len(own)], theirs[len(own) :]
            picked = self.score(last, thetas, stats) >= max(cut, TINY)  # where the score is 0 there is nothing to undo
            return last.lerp(self.aim(thetas, stats), self.step).where(picked, last)

        return checkpoint.map(change, *own, *weights, elementwise=True)

    def scores(self, checkpoint: Checkpoint, own: list[Checkpoint], weights: list[Tensors]) -> Iterator[torch.Tensor]:
        """The score of every coordinate, piece by piece."""
        for _, last, *theirs in checkpoint.pieces(*own, *weights):
            yield self.score(last, theirs[: len(own)], theirs[len(own) :])

    def score(self, last: torch.Tensor, thetas: list[torch.Tensor], stats: list[torch.Tensor]) -> torch.Tensor:
        """How much each coordinate's update cost the targets, >= 0."""
        if self.rank == "magnitude":
            return sum((last - theta).abs() for theta in thetas)
        if self.rank == "gradient":
            return sum((g * (last - theta)).clamp(min=0) for g, theta in zip(stats, thetas, strict=True))
        return sum(f * (last - theta) ** 2 for f, theta in zip(stats, thetas, strict=True))

    def aim(self, thetas: list[torch.Tensor], stats: list[torch.Tensor]) -> torch.Tensor:
        """Where a coordinate goes at step 1."""
        if len(thetas) == 1 or self.rank != "fisher":
            return sum(thetas) / len(thetas)
        return weighted_mean(thetas, stats)
