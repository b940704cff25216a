"""mode-IMM (incremental moment matching, 1703.08475): average the stages' checkpoints, weighting each coordinate by its Fisher.

    theta = sum_k alpha_k F_k theta_k / sum_k alpha_k F_k        (coordinate by coordinate)

This is the mode of the mixture in `mean_imm`, with the diagonal Fisher F_k as the precision of the Gaussian around theta_k. F_k is taken
at theta_k on the stage's own domain, from the policy's own samples; alpha_k as in `mean_imm`. Fisher merging (2111.09832) has the same
formula, and CoFiMA (2312.08977) applies it to the checkpoints of a sequence. Ours: coordinates where every Fisher is 0 take the plain mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baselines.mean_imm import MeanIMM
from bench.method import History

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint, Tensors

TINY = 2.0**-126
"""The smallest normal fp32 number. Below it a quotient loses its digits."""


def weighted_mean(thetas: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """sum w theta / sum w, coordinate by coordinate. Weights are at least 0; where all of them are 0, this is the plain mean."""
    total = sum(weights)
    weighted = sum(w * theta for w, theta in zip(weights, thetas, strict=True))
    return (weighted / total.clamp(min=TINY)).where(total >= TINY, sum(thetas) / len(thetas))


def fisher_mean(thetas: Sequence[Checkpoint], fishers: Sequence[Tensors], alphas: Sequence[float]) -> Checkpoint:
    """The mean of the checkpoints, weighted by alpha_k F_k."""

    def merge(name: str, _: torch.Tensor, *theirs: torch.Tensor) -> torch.Tensor:
        own, stats = theirs[: len(thetas)], theirs[len(thetas) :]
        return weighted_mean(own, [alpha * stat for alpha, stat in zip(alphas, stats, strict=True)])

    return thetas[-1].map(merge, *thetas, *fishers, elementwise=True)


class ModeIMM(MeanIMM):
    """growth: as in `mean_imm`; prompts: answers per domain for its Fisher, at least 1. 32 for each of four domains stay within
    the training-free track."""

    prompts: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompts < 1:
            raise ValueError(f"prompts={self.prompts}: must be at least 1")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        thetas = [history.checkpoint(domain) for domain in history.sequence]
        fishers = [history.fisher(theta, domain, self.prompts) for theta, domain in zip(thetas, history.sequence, strict=True)]
        return fisher_mean(thetas, fishers, self.alphas(history))
