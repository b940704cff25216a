"""MagMax (2407.06322): of what the stages changed, keep the largest change of each coordinate; nothing is trained.

    tau_k = theta_k - theta_0,    theta_k: the checkpoint after stage k of the sequence                     (sequential fine-tuning)
    tau   = tau_m,                m = the k with the largest |tau_k|, the later one in a tie                (coordinate by coordinate)
    theta = theta_0 + scale * tau

The authors' code uses scale 0.5. tau_k contains what the stages before k changed, so a change that a later stage takes back
still counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.task_arithmetic import TaskArithmetic
from bench.method import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from baselines.task_arithmetic import Merge
    from bench.checkpoint import Checkpoint


class MagMax(TaskArithmetic):
    """scale: of the merged change."""

    track = "training-free"
    scale: float = 0.5
    search = {"scale": (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)}

    def pairs(self, history: History) -> list[tuple[Checkpoint, Checkpoint]]:
        return [(history.base, history.checkpoint(domain)) for domain in history.sequence]

    def merger(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]], history: History) -> Merge:
        def largest(name: str, taus: Sequence[torch.Tensor]) -> torch.Tensor:
            kept, *later = taus
            for tau in later:
                kept = tau.where(tau.abs() >= kept.abs(), kept)
            return kept

        return largest
