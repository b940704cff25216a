"""The mean activation of channels, whatever passes through the model together."""

from __future__ import annotations

import numpy as np
import torch

from bench.diagnostics import routes
from bench.training.models import load_checkpoint
from bench.worker.subject import StagesOfRun
from bench.worker.workbench import Workbench


def test_activity_is_the_mean_over_all_tokens_but_the_first(tiny_bench: Workbench) -> None:
    model = load_checkpoint(tiny_bench.base)
    texts = [[5, 6, 7, 8, 20, 21], [9, 10, 22], [11, 12, 13, 23, 24]]
    found = routes.activity(model, texts, pad=0, at_once=2)
    entering: dict[str, list[torch.Tensor]] = {}
    for name, module in model.named_modules():
        if name.endswith(".mlp.down_proj"):
            module.register_forward_pre_hook(lambda module, given, name=name: entering.setdefault(name, []).append(given[0][0, 1:].abs()))
    for text in texts:
        model(input_ids=torch.tensor([text]), use_cache=False)
    assert [f"{layer}.down_proj" for layer in found] == list(entering)
    for layer, values in found.items():
        expected = torch.cat(entering[f"{layer}.down_proj"]).mean(0).detach().numpy()
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)


def test_shuffling_keeps_the_tokens_and_the_lengths() -> None:
    texts = [[1, 2, 3], [4], [5, 6, 7, 8]]
    found = routes.shuffled(texts, seed=1)
    assert [len(text) for text in found] == [3, 1, 4]
    assert sorted(token for text in found for token in text) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found != texts


def test_domains_are_compared_with_each_other_themselves_and_shuffled_tokens(tiny_bench: Workbench) -> None:
    sequence = ("math", "qa", "cw")
    subject = StagesOfRun(tiny_bench, sequence, 100, tiny_bench.base, dict.fromkeys(sequence, tiny_bench.base))
    found = routes.diagnose(subject)
    assert [each.of for each in found] == ["math – qa", "math – cw", "qa – cw"]
    for each in found:
        assert 0 < each.chance < each.overlap < each.again < 1
        assert each.above_chance == each.overlap - each.chance
        assert each.above_shuffled == each.overlap - each.shuffled
        assert 0 < each.shuffled < 1
