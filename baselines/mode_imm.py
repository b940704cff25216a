"""mode-IMM (incremental moment matching, 1703.08475): average the stages' checkpoints, each coordinate by how much it matters to them.

    theta = sum_k alpha_k F_k theta_k / sum_k alpha_k F_k        (coordinate by coordinate)

The mode of the mixture of the stages' posteriors, Gaussians around theta_k with the diagonal Fisher F_k, taken at theta_k on the stage's
own domain, as their precision. alpha_k as in `mean_imm`. Ours: F_k is of the policy's own samples, and coordinates that no Fisher has
seen take the plain mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from baselines.mean_imm import MeanIMM
from bench.checkpoint import Checkpoint, Tensors
from bench.method import History


def weighted_mean(thetas: Sequence[torch.Tensor], weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """sum w theta / sum w of each coordinate, weights >= 0; the plain mean where all of them are 0."""
    total = sum(weights)
    weighted = sum(w * theta for w, theta in zip(weights, thetas, strict=True))
    least = torch.finfo(torch.float32).tiny  # below it a quotient loses its digits
    return torch.where(total >= least, weighted / total.clamp(min=least), sum(thetas) / len(thetas))


def fisher_mean(thetas: Sequence[Checkpoint], fishers: Sequence[Tensors], alphas: Sequence[float]) -> Checkpoint:
    """The checkpoints' mean, weighted by alpha_k F_k."""

    def merge(name: str, _: torch.Tensor, *theirs: torch.Tensor) -> torch.Tensor:
        own, stats = theirs[: len(thetas)], theirs[len(thetas) :]
        return weighted_mean(own, [alpha * stat for alpha, stat in zip(alphas, stats, strict=True)])

    return thetas[-1].map(merge, *thetas, *fishers, elementwise=True)


class ModeIMM(MeanIMM):
    """prompts: answers a domain for its Fisher, so few that four domains stay within the training-free track."""

    prompts: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompts < 1:
            raise ValueError(f"prompts={self.prompts}: a Fisher needs one answer at least")

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        thetas = [history.checkpoint(domain) for domain in history.sequence]
        fishers = [history.fisher(theta, domain, self.prompts) for theta, domain in zip(thetas, history.sequence, strict=True)]
        return fisher_mean(thetas, fishers, self.alphas(history))
