"""mean-IMM (incremental moment matching, 1703.08475): average the checkpoints of all stages, without data or training.

    theta = sum_k alpha_k theta_k,    sum_k alpha_k = 1

This is the mean of a mixture of Gaussians, one around each stage's checkpoint: the paper's model of the stages' posteriors. alpha_k are
its mixing ratios: 1/K by default, or chosen freely. Here they grow by a constant factor from stage to stage, so that one number fits any
sequence; CoMA (2312.08977) averages the checkpoints of a sequence in a similar way. Of the paper's transfer techniques during training
only weight-transfer is used, which every sequence does anyway: a stage starts from the weights of the one before. L2-transfer and
drop-transfer are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint


class MeanIMM(Method):
    """growth: a stage's alpha_k divided by that of the stage before, above 0; 1 gives the plain average."""

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
