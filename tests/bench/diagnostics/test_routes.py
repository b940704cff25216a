"""The mean activation of channels, whatever passes through the model together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.diagnostics import routes
from bench.training.loss import Batch
from bench.training.models import load_checkpoint
from bench.worker.workbench import Workbench


def test_activity_is_the_mean_over_all_tokens_of_prompts_and_answers(tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_checkpoint(tiny_bench.base)
    prompts, tokens = [[5, 6, 7, 8], [9, 10], [11, 12, 13]], torch.tensor([[20, 21], [22, 0], [23, 24]])
    batch = Batch(prompts, ["math"] * 3, tokens, tokens > 0, torch.zeros(3, 1), torch.zeros(3, 1))
    monkeypatch.setattr(routes, "_AT_ONCE", 2)
    found = routes.activity(model, batch, range(3), pad=0)
    entering: dict[str, list[torch.Tensor]] = {}
    for name, module in model.named_modules():
        if name.endswith(".mlp.down_proj"):
            module.register_forward_pre_hook(lambda module, given, name=name: entering.setdefault(name, []).append(given[0][0].abs()))
    for prompt, answer in zip(prompts, ([20, 21], [22], [23, 24]), strict=True):
        model(input_ids=torch.tensor([prompt + answer]), use_cache=False)
    assert [f"{layer}.down_proj" for layer in found] == list(entering)
    for layer, values in found.items():
        expected = torch.cat(entering[f"{layer}.down_proj"]).mean(0).detach().numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
