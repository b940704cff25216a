"""How many of a stage's changes are small."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.checkpoint import Store
from bench.diagnostics.edits import edits


def test_the_shares_of_known_changes(tmp_path: Path) -> None:
    """Of ten weights: one unchanged at 0, one by 5e-8 at 1 (small), one by 5e-8 at 1e-5 (not relatively), 5e-7, 5e-6, five by 0.1."""
    old = torch.tensor([0.0, 1.0, 1e-5, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float32)
    change = torch.tensor([0.0, 0.0, 5e-8, 5e-7, 5e-6, 0.1, 0.1, 0.1, 0.1, 0.1])
    store = Store(tmp_path)
    start, end = (store.add_tensors({"a": flat[:4], "b": flat[4:].view(2, 3)}.items()) for flat in (old, old + change))
    found = edits(start, end, "math")
    assert found.of == "math"
    assert (found.below_1e_7, found.below_1e_6, found.below_1e_5) == pytest.approx((0.3, 0.4, 0.5))
    assert found.small == pytest.approx(0.2)
    # 5e-8 at 1e-5 is half a percent, more than bf16 resolves; 5e-7 and 5e-6 at 0.1 are lost.
    assert found.same_in_bf16 == pytest.approx(0.4)
