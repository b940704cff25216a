"""mean-IMM (incremental moment matching, 1703.08475): average the checkpoints of all stages; no training, no data.

    theta = sum_k alpha_k theta_k,    sum_k alpha_k = 1

The mean of the mixture of the stages' posteriors, each a Gaussian around its stage's checkpoint. alpha_k are the paper's mixing ratios:
1/K where nothing is known, else chosen freely. That they grow by a constant factor a stage, so that one number does for any sequence, is
ours. The paper's transfer techniques during training (weight-transfer, L2-transfer, drop-transfer) are left out but for the first, which
is what stages do anyway: each starts from the last one's weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint


class MeanIMM(Method):
    """growth: alpha_k of a stage over that of the stage before, above 0; 1 is the plain average."""

    track = "training-free"
    growth: float = 1.0
    search = {"growth": (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 8.0)}

    def __post_init__(self) -> None:
        if not 0 < self.growth < float("inf"):
            raise ValueError(f"growth={self.growth}: must be above 0")

    def alphas(self, history: History) -> list[float]:
        """The mixing ratio of each stage, oldest first; they add up to 1."""
        raw = [self.growth**place for place in range(len(history.sequence))]
        return [part / sum(raw) for part in raw]

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        alphas = self.alphas(history)
        thetas = [history.checkpoint(domain) for domain in history.sequence]

        def mean(name: str, last: torch.Tensor, *own: torch.Tensor) -> torch.Tensor:
            return sum(alpha * theta for alpha, theta in zip(alphas, own, strict=True))

        return checkpoint.map(mean, *thetas, elementwise=True)
