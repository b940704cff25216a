"""The gradient of the expected reward: one GRPO step's, from prompts that belong to its draw."""

from __future__ import annotations

import pytest
import torch

from bench.checkpoint import Tensors
from bench.training import derivatives
from bench.training.models import load_checkpoint
from bench.training.prompting import Dialogue
from bench.worker.workbench import Workbench


def prompts_of(bench: Workbench, draw: int, prompts: int = 8) -> list[str]:
    model, dialogue = load_checkpoint(bench.base), Dialogue.of(bench.base.folder, bench.suite.prompting)
    task = bench.suite.loaded_tasks["math"]
    return derivatives.own_answers(model, dialogue, task, prompts=prompts, group=1, seed=100, purpose="test", draw=draw)[1]


def test_draws_share_no_prompt(tiny_bench: Workbench) -> None:
    first, second = (prompts_of(tiny_bench, draw) for draw in (0, 1))
    assert len({*first, *second}) == 16
    assert prompts_of(tiny_bench, 0) == first
    assert prompts_of(tiny_bench, 1, prompts=4) == second[:4]


def test_a_draw_below_0_would_use_prompts_of_trainings(tiny_bench: Workbench) -> None:
    with pytest.raises(ValueError, match="draw=-1"):
        tiny_bench.gradient(tiny_bench.base, "math", 8, seed=100, draw=-1)


def test_buffers_that_a_checkpoint_stores_have_zeros(tiny_bench: Workbench) -> None:
    """As in mixtures of experts that store a bias of their router: repairs pair every stored tensor with its statistic."""
    model, dialogue = load_checkpoint(tiny_bench.base), Dialogue.of(tiny_bench.base.folder, tiny_bench.suite.prompting)
    model.model.register_buffer("kept", torch.ones(3))
    model.model.register_buffer("not_kept", torch.ones(3), persistent=False)
    task, asked = tiny_bench.suite.loaded_tasks["math"], {"count": 8, "seed": 100}
    fisher = derivatives.fisher_diagonal(model, dialogue, task, **asked)
    gradient = derivatives.policy_gradient(model, dialogue, task, tiny_bench.suite.grpo, **asked)
    for found in (fisher, gradient):
        assert set(found) == {*tiny_bench.base.names(), "model.kept"}
        assert found["model.kept"].tolist() == [0, 0, 0]


def test_draws_give_other_gradients_of_the_same_expectation(tiny_bench: Workbench) -> None:
    """Two draws agree better with each other than with the gradient of another domain."""

    def gradient(domain: str, draw: int) -> torch.Tensor:
        entry = tiny_bench.gradient(tiny_bench.base, domain, 256, seed=100, draw=draw)
        found: Tensors = tiny_bench.cache.tensors(entry.value["tensors"])
        return torch.cat([tensor.flatten() for _, tensor in found.items()])

    first, second, other = gradient("math", 0), gradient("math", 1), gradient("cw", 1)
    assert not torch.equal(first, second)
    assert torch.equal(first, gradient("math", 0))
    alike, unlike = (torch.cosine_similarity(first, vector, dim=0).item() for vector in (second, other))
    assert alike > unlike + 0.1, (alike, unlike)
