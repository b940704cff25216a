"""Subjects whose J is a function of the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hand_made import HandMade, Numbers, tensors

from bench.checkpoint import Store
from bench.diagnostics.subject import Weights


@pytest.fixture
def hand_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., HandMade]:
    """A subject with these weights after stage a and at the end, whose J is a function of the weights, exactly."""

    def make(own: torch.Tensor, end: torch.Tensor, fisher: torch.Tensor, reward: Callable[[torch.Tensor], torch.Tensor]) -> HandMade:
        class Exact:
            def __init__(self, subject: object, domain: str, model: Numbers, anchors: list[Weights]) -> None:
                assert torch.equal(torch.cat([part.flatten() for part in anchors[0].values()]), own)
                assert len(anchors) == 2

            def value(self, model: Numbers) -> float:
                return float(reward(model.flat.detach().double()))

            def coverage(self, model: Numbers) -> float:
                return 1.0

            def gradient(self, model: Numbers) -> Weights:
                flat = model.flat.detach().clone().requires_grad_()
                return tensors(torch.autograd.grad(reward(flat), flat)[0])

        for module in ("path", "conflict", "contraction"):
            monkeypatch.setattr(
                f"bench.diagnostics.{module}.fresh", lambda subject, model, domain: float(reward(model.flat.detach().double()))
            )
        for module in ("path", "conflict"):
            monkeypatch.setattr(f"bench.diagnostics.{module}.SmoothReward", Exact)
        store = Store(tmp_path / "store")
        stored = {name: store.add_tensors(tensors(flat).items()) for name, flat in (("a", own), ("b", own + 1), ("c", end))}
        return HandMade(store, stored, tensors(fisher))

    return make
