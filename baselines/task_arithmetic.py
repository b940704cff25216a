"""Task arithmetic (2212.04089): add to the base what training on each domain alone changed.

    theta = theta_0 + scale * sum_k tau_k,    tau_k = theta_k - theta_0

theta_k is the expert of domain k, trained from the base on k alone. The paper chooses `scale` on validation data; 0.4 is the default that
TIES-merging (2306.01708) uses where there are none. The training of the experts puts this method in the open track.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from bench.checkpoint import Checkpoint

    Merge = Callable[[str, Sequence[torch.Tensor]], torch.Tensor]
    """Makes one task vector of several, for a tensor of that name."""


class TaskArithmetic(Method):
    """scale: of the summed task vectors."""

    track = "open"
    elementwise = True  # merging a coordinate needs that coordinate only, so large tensors are merged in pieces
    scale: float = 0.4
    search = {"scale": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)}

    def __post_init__(self) -> None:
        if not abs(self.scale) < float("inf"):
            raise ValueError(f"scale={self.scale}: must be a finite number")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        pairs = self.pairs(history)
        merge = self.merger(pairs, history)

        def change(name: str, base: torch.Tensor, *ends: torch.Tensor) -> torch.Tensor:
            return base + self.scale * merge(name, [after - before for before, after in zip(ends[::2], ends[1::2], strict=True)])

        return history.base.map(change, *(end for pair in pairs for end in pair), elementwise=self.elementwise)

    def pairs(self, history: History) -> list[tuple[Checkpoint, Checkpoint]]:
        """The checkpoints before and after each training: a task vector is their difference."""
        return [(history.base, history.expert(domain)) for domain in history.sequence]

    def merger(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]], history: History) -> Merge:
        """How the task vectors are merged into one."""
        return lambda name, taus: sum(taus)
