"""Control: roll back coordinates drawn at random, as many as `rollback` picks, or as much of the update's norm as it removes.

count: the same number of coordinates. norm: a share p = |removed|^2 / |delta|^2 of all coordinates, which removes the same squared
norm in expectation. The draw depends on the seed and the tensor's name alone.
"""

from typing import Literal

import torch

from baselines.rollback import Rollback
from bench.checkpoint import Checkpoint
from bench.method import History
from bench.training.sampling import uniforms


class RandomCoordinates(Rollback):
    """match: what is equal to `rollback`'s with the same settings, the count of coordinates or the norm removed."""

    controls = True
    follows = "rollback"
    match: Literal["count", "norm"] = "norm"
    search = {}  # a control follows `rollback`'s settings

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        own = [history.checkpoint(target) for target in targets]
        share = self.share if self.match == "count" else self._share_of_norm(checkpoint, targets, history)

        def change(name: str, last: torch.Tensor, *thetas: torch.Tensor) -> torch.Tensor:
            picked = uniforms(1, last.numel(), "random coordinates", history.seed, name).view_as(last) < share
            return torch.where(picked, torch.lerp(last, sum(thetas) / len(thetas), self.step), last)

        return checkpoint.map(change, *own)

    def _share_of_norm(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> float:
        """Share of the squared norm of the whole way back that `rollback` removes."""
        own, weights = self.scoring(checkpoint, targets, history)
        ranked = self.roll_back(checkpoint, own, weights)
        removed = full = 0.0
        for _, last, end, *thetas in checkpoint.pieces(ranked, *own):
            removed += (end - last).double().square().sum().item()
            full += (self.step * (sum(thetas) / len(own) - last)).double().square().sum().item()
        return min(1.0, removed / full) if full else 0.0
