"""TIES-merging (2306.01708): task arithmetic on task vectors that are first made to agree.

    trim            tau_k keeps its `share` of coordinates with the largest |tau_k|, out of the whole vector, and is 0 elsewhere
    elect           gamma = sgn(sum_k tau_k)                                                                (coordinate by coordinate)
    disjoint mean   tau = mean of the tau_k with sgn(tau_k) = gamma
    theta = theta_0 + scale * tau

Without validation data the paper uses share 0.2 and scale 1. Where the trimmed task vectors add up to exactly 0, gamma and tau are 0 here;
the authors' code takes the most frequent sign of the whole model there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from baselines.task_arithmetic import TaskArithmetic
from bench.method import History

if TYPE_CHECKING:
    import torch

    from baselines.task_arithmetic import Merge
    from bench.checkpoint import Checkpoint


class TIES(TaskArithmetic):
    """share: of all coordinates, the share that each task vector keeps, in (0, 1]; scale: of the merged task vector."""

    scale: float = 1.0
    share: float = 0.2
    search = {"share": (0.05, 0.1, 0.2, 0.4), "scale": (1.0, 1.4)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share={self.share}: must lie in (0, 1]")

    def merger(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]], history: History) -> Merge:
        cuts = [self.cut(before, after) for before, after in pairs]

        def merge(name: str, taus: Sequence[torch.Tensor]) -> torch.Tensor:
            trimmed = [tau.where(tau.abs() >= cut, 0.0) for tau, cut in zip(taus, cuts, strict=True)]
            elected = sum(trimmed).sign()
            agreeing = [tau.sign() == elected for tau in trimmed]
            total = sum(tau.where(agrees, 0.0) for tau, agrees in zip(trimmed, agreeing, strict=True))
            return total / sum(agrees.int() for agrees in agreeing).clamp(min=1)

        return merge

    def cut(self, before: Checkpoint, after: Checkpoint) -> float:
        """The smallest |tau| that is kept."""
        from bench.checkpoint import threshold_of_share  # loads torch, which a repair needs and naming a method does not

        def sizes() -> Iterator[torch.Tensor]:
            for _, end, start in after.pieces(before):
                yield (end - start).abs()

        return threshold_of_share(sizes, self.share)
