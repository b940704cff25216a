"""The cosine of two gradients that are known up to noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench.checkpoint import Store, Tensors
from bench.diagnostics import gradients


def gradient_pair(store: Store, *, noise: float, cosine: float) -> tuple[list[Tensors], list[Tensors]]:
    """Two noisy estimates of each of two gradients. Reliability is 1 / (1 + noise^2). In the first half of the coordinates they point
    the same way, in the second half apart."""
    random = torch.Generator().manual_seed(0)

    def normal() -> torch.Tensor:
        return torch.randn(40_000, generator=random)

    shared, own = normal(), [normal(), normal()]
    sides = []
    for sign, apart in zip((1, -1), own, strict=True):
        flip = torch.ones(40_000)
        flip[20_000:] = sign
        true = cosine**0.5 * shared * flip + (1 - cosine) ** 0.5 * apart
        estimates = [true + noise * normal() for _ in range(2)]
        names = ("model.layers.0.mlp.up_proj.weight", "model.layers.1.self_attn.q_proj.weight")
        sides.append([store.add_tensors(zip(names, estimate.split(20_000), strict=True)) for estimate in estimates])
    return sides[0], sides[1]


def test_noise_is_corrected_for_and_modules_are_seen_apart(tmp_path: Path) -> None:
    found = gradients._finding("a – b", gradients._products(*gradient_pair(Store(tmp_path), noise=1.0, cosine=0.6)))
    assert found.reliability == pytest.approx(0.5, abs=0.03)
    assert (found.cosine, found.corrected) == pytest.approx((0, 0), abs=0.03)
    assert (found.lowest, found.highest) == pytest.approx((-0.6, 0.6), abs=0.05)


def test_where_the_estimates_are_mostly_noise_nothing_is_corrected(tmp_path: Path) -> None:
    found = gradients._finding("a – b", gradients._products(*gradient_pair(Store(tmp_path), noise=3.0, cosine=0.6)))
    assert found.reliability < gradients.LEAST_RELIABILITY
    assert (found.corrected, found.modules, found.lowest, found.highest) == (None, 0, None, None)


def test_one_module_alone_shows_its_cosine(tmp_path: Path) -> None:
    products = gradients._products(*gradient_pair(Store(tmp_path), noise=1.0, cosine=0.6))
    plain, lower, whole = gradients.corrected([products["model.layers.0.mlp.up_proj.weight"]])
    assert plain == pytest.approx(0.3, abs=0.03)
    assert whole == pytest.approx(0.6, abs=0.05)
    assert lower == pytest.approx(0.5, abs=0.03)


def test_both_ends_of_the_sequence_and_two_estimates_of_each_gradient(tmp_path: Path) -> None:
    """Of two domains whose gradients are the same direction at the base and opposite ones at the end."""
    store, name = Store(tmp_path), "model.layers.0.mlp.up_proj.weight"
    asked: list[tuple[str, str, int]] = []

    class Subject:
        sequence, base, stages = ("a", "b"), "base", {"a": "middle", "b": "end"}

        def gradient(self, checkpoint: str, domain: str, count: int, draw: int) -> Tensors:
            asked.append((checkpoint, domain, draw))
            sign = -1 if (checkpoint, domain) == ("end", "b") else 1
            return store.add_tensors({name: sign * torch.tensor([3.0, 4.0 + draw])}.items())

    base, end = gradients.diagnose(Subject())
    assert sorted(asked) == sorted((place, domain, draw) for place in ("base", "end") for domain in "ab" for draw in (0, 1))
    assert (base.of, end.of) == ("base: a – b", "end: a – b")
    assert (base.corrected, end.corrected) == pytest.approx((1, -1), abs=0.02)
    assert base.reliability == pytest.approx((9 + 20) / (5 * 34**0.5))  # of (3, 4) and (3, 5)
    assert (base.modules, base.lowest, base.highest) == (1, base.corrected, base.corrected)
