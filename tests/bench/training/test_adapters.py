"""Adapters as files: what they add, and that it is the same to the bit however the CPU sums."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.checkpoint import Store, Tensors
from bench.training.adapters import adapted, write_adapters


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


_SUM = """
import hashlib, torch
from bench.training.adapters import _product
from bench.training.sampling import uniforms
b, a = (uniforms(*shape, "adapter").half().float() - 0.5 for shape in ((257, 16), (16, 131)))
print(hashlib.sha256(_product(b, a).numpy().tobytes()).hexdigest())
"""


def test_the_product_is_the_same_on_every_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for capability in ("default", "avx2", "avx512"):
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", capability)
        monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
        done = subprocess.run([sys.executable, "-P", "-c", _SUM], capture_output=True, text=True, check=True)
        found.append(done.stdout)
    assert len(set(found)) == 1
