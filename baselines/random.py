"""Control: roll back coordinates drawn at random instead of the ones that `rollback` picks.

Each coordinate is drawn with the same probability p. match="count": p = share, so that in expectation as many coordinates go back as with
`rollback`. match="norm": p = |removed|^2 / |delta|^2 of `rollback`, so that in expectation the same squared norm is removed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np

from baselines.rollback import Rollback
from bench.method import History

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint


def uniforms(shape: tuple[int, ...], *key: object) -> np.ndarray:
    """float32 in [0, 1), a pure function of `key` (what the draws are for, seed, tensor name): from a counter-based generator."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big"))).random(shape, dtype=np.float32)


class RandomCoordinates(Rollback):
    """match: what equals that of `rollback` with the same settings, the count of coordinates or the norm removed; the others as there."""

    controls = True
    follows = "rollback"
    match: Literal["count", "norm"] = "norm"
    search = {}  # a control follows `rollback`'s settings

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        own = [history.checkpoint(target) for target in targets]
        share = self.share if self.match == "count" else self.share_of_norm(checkpoint, targets, history)

        def change(name: str, last: torch.Tensor, *thetas: torch.Tensor) -> torch.Tensor:
            picked = last.new_tensor(uniforms(tuple(last.shape), "random coordinates", history.seed, name)) < share
            return last.lerp(sum(thetas) / len(thetas), self.step).where(picked, last)

        return checkpoint.map(change, *own)

    def share_of_norm(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> float:
        """The share in [0, 1] of the squared norm of the whole way back that `rollback` removes."""
        own, weights = self.scoring(checkpoint, targets, history)
        ranked = self.roll_back(checkpoint, own, weights)
        removed = full = 0.0
        for _, last, end, *thetas in checkpoint.pieces(ranked, *own):
            removed += (end - last).double().square().sum().item()
            full += (self.step * (sum(thetas) / len(own) - last)).double().square().sum().item()
        return min(1.0, removed / full) if full else 0.0
