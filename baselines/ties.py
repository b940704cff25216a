"""TIES-merging (2306.01708): task arithmetic on task vectors that were made to agree first.

    trim            tau_k keeps its `share` of coordinates with the largest |tau|, of the whole vector, and is 0 elsewhere
    elect           gamma = sgn(sum_k tau_k)                                                                (coordinate by coordinate)
    disjoint mean   tau = mean of the tau_k with sgn(tau_k) = gamma
    theta = theta_0 + scale * tau

Without validation data the paper uses share 0.2 and scale 1. Where trimmed task vectors balance exactly, gamma and tau are 0 (the
authors' code elects the model's majority sign there).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from baselines.task_arithmetic import Merge, TaskArithmetic
from bench.checkpoint import Checkpoint, threshold_of_share


class TIES(TaskArithmetic):
    """share: of all coordinates that a task vector keeps, in (0, 1]; scale: of the merged task vector."""

    scale: float = 1.0
    share: float = 0.2
    search = {"share": (0.1, 0.2, 0.4), "scale": (0.7, 1.0, 1.4)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share}: must lie in (0, 1]")

    def merger(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]]) -> Merge:
        cuts = [self.cut(before, after) for before, after in pairs]

        def merge(taus: Sequence[torch.Tensor]) -> torch.Tensor:
            kept = torch.stack([torch.where(tau.abs() >= cut, tau, 0.0) for tau, cut in zip(taus, cuts, strict=True)])
            agreeing = kept.sign() == kept.sum(0).sign()
            return torch.where(agreeing, kept, 0.0).sum(0) / agreeing.sum(0).clamp(min=1)

        return merge

    def cut(self, before: Checkpoint, after: Checkpoint) -> float:
        """The smallest |tau| that is kept."""

        def sizes() -> Iterator[torch.Tensor]:
            for _, end, start in after.pieces(before):
                yield (end - start).abs()

        return threshold_of_share(sizes, self.share)
