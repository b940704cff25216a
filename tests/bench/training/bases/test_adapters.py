"""Adapters as files: what they add, in one order of summation, so that it is the same to the bit on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.checkpoint import Store, Tensors
from bench.training.bases.adapters import adapted, write_adapters
from bench.training.sampling import uniforms


@pytest.fixture
def weights(tmp_path: Path) -> Tensors:
    tensors = {"a.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), "b.weight": torch.ones(4).half()}
    return Store(tmp_path / "store").add_tensors(sorted(tensors.items()))


def test_by_hand(weights: Tensors, tmp_path: Path) -> None:
    a, b = torch.tensor([[1.0, 0.5], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    write_adapters(tmp_path / "adapter", {"a.weight": (a, b)}, 2.0)
    found = dict(adapted(weights, tmp_path / "adapter"))
    # B A = [[1, .5], [0, 2], [2, -1]]
    assert torch.equal(found["a.weight"], torch.tensor([[3.0, 3.0], [3.0, 8.0], [9.0, 4.0]]))
    assert torch.equal(found["b.weight"], torch.ones(4))
    assert found["b.weight"].dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [("a.weight", (2, 3), "for another shape than"), ("c.weight", (3, 2), "no tensor for the adapter c.weight.A")],
)
def test_an_adapter_of_another_model_is_refused(weights: Tensors, name: str, shape: tuple[int, int], said: str, tmp_path: Path) -> None:
    write_adapters(tmp_path / "adapter", {name: (torch.ones(1, shape[1]), torch.ones(shape[0], 1))}, 1.0)
    with pytest.raises(ValueError, match=said):
        list(adapted(weights, tmp_path / "adapter"))


def test_the_product_is_a_sum_in_the_order_of_the_rank(tmp_path: Path) -> None:
    """Bit for bit what a loop over numbers gives; another order of the sum would not."""
    b, a = (uniforms(*shape, "adapter").half() - 0.5 for shape in ((37, 16), (16, 29)))
    weights = Store(tmp_path / "store").add_tensors([("w", torch.zeros(37, 29))])
    write_adapters(tmp_path / "adapter", {"w": (a, b)}, 1.0)
    one, other = (b.float().numpy(), a.float().numpy())
    forward, backward = (np.zeros((37, 29), np.float32) for _ in range(2))
    for rank in range(16):
        forward += one[:, rank, None] * other[rank]
        backward += one[:, 15 - rank, None] * other[15 - rank]
    found = dict(adapted(weights, tmp_path / "adapter"))["w"].numpy()
    assert np.array_equal(found, forward)
    assert not np.array_equal(found, backward)
