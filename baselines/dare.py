"""DARE (2311.03099): drop coordinates of the task vectors at random and rescale the rest, then task arithmetic.

    m_k ~ Bernoulli(drop),    tau'_k = (1 - m_k) tau_k / (1 - drop)                                         (coordinate by coordinate)
    theta = theta_0 + scale * sum_k tau'_k

The expectation of tau'_k is tau_k. Each expert has draws of its own, from a counter-based generator with (seed, domain, tensor) as its key.
The paper drops up to 90 % of the coordinates, or 99 % in large models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baselines.random import uniforms
from baselines.task_arithmetic import TaskArithmetic
from bench.method import History

if TYPE_CHECKING:
    import torch

    from baselines.task_arithmetic import Merge
    from bench.checkpoint import Checkpoint


class DARE(TaskArithmetic):
    """drop: the chance of each coordinate to be dropped, in [0, 1); scale: of the summed task vectors."""

    elementwise = False  # a draw belongs to a coordinate's place in the whole tensor
    drop: float = 0.9
    search = {"drop": (0.2, 0.5, 0.8, 0.9), "scale": (0.4, 0.6)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.drop < 1:
            raise ValueError(f"drop={self.drop}: must lie in [0, 1)")

    def merger(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]], history: History) -> Merge:
        def kept(tau: torch.Tensor, name: str, domain: str) -> torch.Tensor:
            draws = tau.new_tensor(uniforms(tuple(tau.shape), "dare", history.seed, domain, name))
            return (tau / (1 - self.drop)).where(draws >= self.drop, 0.0)

        return lambda name, taus: sum(kept(tau, name, domain) for tau, domain in zip(taus, history.sequence, strict=True))
