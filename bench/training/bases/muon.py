"""Muon: momentum whose updates are orthogonal matrices, in fp32.

    B <- momentum B + G,    U = orthogonalised(G + momentum B),    W <- (1 - rate decay) W - rate sqrt(max(1, rows / columns)) U

after K. Jordan (https://kellerjordan.github.io/posts/muon). `torch.optim.Muon` is the same in bfloat16, which most CPUs only emulate:
there a step of it took 1.2 s on the matrices of micro's base, and one of this 0.05 s. Its results would also depend on the type of CPU.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """(N, R, C) with the singular vectors of `matrices` and singular values between 0.6 and 1.3: five quintic Newton-Schulz steps."""
    wide = matrices.mT if matrices.shape[1] > matrices.shape[2] else matrices
    x = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if matrices.shape[1] > matrices.shape[2] else x


class Muon(torch.optim.Optimizer):
    """For matrices only. lr: above 0; momentum, weight_decay: in [0, 1)."""

    def __init__(self, matrices: Iterable[torch.Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.1) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[torch.Tensor]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                self._update(matrices, group, max(1.0, shape[0] / shape[1]) ** 0.5)

    def _update(self, matrices: list[torch.Tensor], group: dict, scale: float) -> None:
        """One step of matrices of one shape, together."""
        looks_ahead = []
        for matrix in matrices:
            buffer = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
            buffer.mul_(group["momentum"]).add_(matrix.grad)
            looks_ahead.append(matrix.grad + group["momentum"] * buffer)
        for matrix, update in zip(matrices, orthogonalised(torch.stack(looks_ahead)), strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)
