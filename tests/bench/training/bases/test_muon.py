"""Muon: orthogonal updates against the singular value decomposition, and one step by hand."""

from __future__ import annotations

import pytest
import torch

from bench.training.bases.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 16), (2, 16, 4)])
def test_updates_keep_the_singular_vectors_and_even_out_the_values(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    for matrix, update in zip(matrices, orthogonalised(matrices), strict=True):
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        inner = u.mT @ update @ v.mT  # diagonal in the matrix's own singular vectors
        values = inner.diagonal()
        assert torch.allclose(inner, torch.diag(values), atol=1e-4)
        assert values.min() > 0.5 and values.max() < 1.4


def test_size_does_not_matter() -> None:
    matrix = torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalised(matrix), orthogonalised(1000 * matrix), atol=1e-5)
    assert torch.equal(orthogonalised(torch.zeros(1, 4, 6)), torch.zeros(1, 4, 6))


def test_a_matrix_of_rank_one_by_hand() -> None:
    """The scalar iteration x <- 3.4445 x - 4.775 x^3 + 2.0315 x^5 from 1, five times, on its only singular value."""
    x = 1.0
    for _ in range(5):
        x = 3.4445 * x - 4.775 * x**3 + 2.0315 * x**5
    update = orthogonalised(torch.tensor([[[3.0, 0.0], [0.0, 0.0]]]))
    assert torch.allclose(update, torch.tensor([[[x, 0.0], [0.0, 0.0]]]), atol=1e-5)


def test_steps_by_hand() -> None:
    """Nesterov momentum, decoupled decay, and sqrt(rows / columns) for tall matrices, of which two are updated together."""
    matrices = [torch.nn.Parameter(torch.ones(4, 1)), torch.nn.Parameter(torch.ones(4, 1))]
    optimizer = Muon(matrices, lr=0.1, momentum=0.5, weight_decay=0.2)
    buffers, weights = [torch.zeros(4, 1), torch.zeros(4, 1)], [torch.ones(4, 1), torch.ones(4, 1)]
    for step in range(3):
        for place, matrix in enumerate(matrices):
            gradient = torch.tensor([[1.0], [2.0], [0.0], [float(step + place)]])
            matrix.grad = gradient
            buffers[place] = 0.5 * buffers[place] + gradient
            update = orthogonalised((gradient + 0.5 * buffers[place])[None])[0]
            weights[place] = (1 - 0.1 * 0.2) * weights[place] - 0.1 * 2.0 * update
        optimizer.step()
    for matrix, expected in zip(matrices, weights, strict=True):
        assert torch.allclose(matrix, expected, atol=1e-6)


def test_a_saved_state_goes_on_the_same_way() -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = [torch.randn(3, 5, generator=generator) for _ in range(4)]

    def train(start: torch.Tensor, steps: list[torch.Tensor], state: dict | None) -> tuple[torch.Tensor, dict]:
        matrix = torch.nn.Parameter(start.clone())
        optimizer = Muon([matrix], lr=0.1)
        if state is not None:
            optimizer.load_state_dict(state)
        for gradient in steps:
            matrix.grad = gradient
            optimizer.step()
        return matrix.detach(), optimizer.state_dict()

    whole, _ = train(torch.ones(3, 5), gradients, None)
    half, state = train(torch.ones(3, 5), gradients[:2], None)
    rest, _ = train(half, gradients[2:], state)
    assert torch.equal(rest, whole)
