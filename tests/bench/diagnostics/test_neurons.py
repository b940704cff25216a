"""The channels that change most, and what their overlap would be by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.checkpoint import Store, Tensors
from bench.diagnostics.neurons import by_chance, changes, diagnose, overlap, top


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
    for tensors in (start, end):  # of an MLP whose gate and up projections are one tensor
        tensors["model.layers.1.mlp.down_proj.weight"] = torch.ones(2, 3)
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


def channel_changes(store: Store, *channels: int) -> Tensors:
    """Weights of a model with ten channels, of which these changed from 0."""
    changed = torch.zeros(10)
    changed[list(channels)] = 1
    wide = {f"model.layers.0.mlp.{part}_proj.weight": changed.view(10, 1).expand(10, 2) for part in ("gate", "up")}
    return store.add_tensors((wide | {"model.layers.0.mlp.down_proj.weight": changed.view(1, 10).expand(2, 10)}).items())


@pytest.mark.parametrize("imported", [False, True])
def test_two_stages_are_compared_with_chance_and_with_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imported: bool) -> None:
    """The top fifth: a changes channels 0 and 1, then b 1 and 2 besides; trained again, a changes 1 and 5, and b what it did before."""
    monkeypatch.setattr("bench.diagnostics.neurons.TOP", 0.2)
    store = Store(tmp_path)

    class Subject:
        sequence, seed, base = ("a", "b"), 0, channel_changes(store)
        stages = {"a": channel_changes(store, 0, 1), "b": channel_changes(store, 0, 2)}

        def trained_again(self, domain: str) -> Tensors | None:
            return None if imported else {"a": channel_changes(store, 1, 5), "b": channel_changes(store, 0, 2)}[domain]

    (found,) = diagnose(Subject())
    assert found.of == "a – b"
    assert found.overlap == pytest.approx(1 / 3)
    assert found.chance == pytest.approx(1 / 3)  # of two out of ten twice: 16 in 45 share one, 1 in 45 both
    if imported:
        assert (found.again, found.of_again) == (None, None)
    else:
        assert found.again == pytest.approx((1 / 3 + 1) / 2)
        assert found.of_again == pytest.approx((1 / 3) / (2 / 3))


def test_a_model_without_such_mlps_has_no_findings(tmp_path: Path) -> None:
    store = Store(tmp_path)

    class Subject:
        sequence, seed, base = ("a",), 0, store.add_tensors({"transformer.h.0.mlp.c_fc.weight": torch.zeros(2, 2)}.items())
        stages = {"a": base}

    assert diagnose(Subject()) == []
