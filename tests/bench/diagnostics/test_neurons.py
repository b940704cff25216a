"""The channels that change most, and what their overlap would be by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.checkpoint import Store
from bench.diagnostics.neurons import by_chance, changes, overlap, top


def test_a_channels_change_adds_up_its_rows_and_its_column(tmp_path: Path) -> None:
    start = {
        "model.layers.0.mlp.gate_proj.weight": torch.zeros(3, 2),
        "model.layers.0.mlp.up_proj.weight": torch.zeros(3, 2),
        "model.layers.0.mlp.down_proj.weight": torch.zeros(2, 3),
        "model.layers.0.self_attn.q_proj.weight": torch.zeros(2, 2),
    }
    end = {name: tensor.clone() for name, tensor in start.items()}
    end["model.layers.0.mlp.gate_proj.weight"][0] = torch.tensor([1.0, -2.0])
    end["model.layers.0.mlp.up_proj.weight"][2, 1] = -4.0
    end["model.layers.0.mlp.down_proj.weight"][:, 1] = torch.tensor([-8.0, 16.0])
    end["model.layers.0.self_attn.q_proj.weight"][0] = 32.0
    store = Store(tmp_path)
    found = changes(store.add_tensors(start.items()), store.add_tensors(end.items()))
    assert {layer: values.tolist() for layer, values in found.items()} == {"model.layers.0.mlp": [3.0, 24.0, 4.0]}


def test_the_top_is_taken_over_all_layers() -> None:
    chosen = top({"0": np.arange(10.0), "1": np.arange(10.0) + 8.5})
    assert [int(mask.sum()) for mask in chosen.values()] == [0, 2]
    assert chosen["1"][8:].all()


def test_overlap_is_the_share_of_channels_in_both() -> None:
    one, other = {"0": np.array([True, True, False]), "1": np.array([False])}, {"0": np.array([False, True, True]), "1": np.array([False])}
    assert overlap(one, other) == pytest.approx(1 / 3)
    assert overlap(one, one) == 1


def test_chance_is_that_of_sets_with_as_many_channels_in_each_layer() -> None:
    """Against sets that are drawn at random; two full layers overlap whatever is drawn."""
    random = np.random.default_rng(0)

    def drawn() -> dict[str, np.ndarray]:
        return {"0": random.permutation(500) < 50, "1": np.ones(20, bool)}

    overlaps = [overlap(drawn(), drawn()) for _ in range(2_000)]
    assert by_chance(drawn(), drawn(), seed=1) == pytest.approx(float(np.quantile(overlaps, 0.95)), abs=0.015)
    nothing = {"0": np.zeros(500, bool), "1": np.ones(20, bool)}
    assert by_chance(nothing, drawn(), seed=1) == pytest.approx(20 / 70)
