"""The Fisher information, and the gradient of a GRPO step from prompts that belong to its draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.checkpoint import Tensors
from bench.training import derivatives
from bench.training.loss import Batch
from bench.training.models import load_checkpoint
from bench.training.prompting import Dialogue
from bench.worker.workbench import Workbench


def log_prob(model: torch.nn.Module, batch: Batch, row: int) -> torch.Tensor:
    """Log-probability of one answer, end token included, alone in its forward pass: a scalar."""
    prompt, length = batch.prompts[row * len(batch.prompts) // len(batch.tokens)], int(batch.mask[row].sum())
    answer = batch.tokens[row, :length]
    logits = model(input_ids=torch.cat([torch.tensor(prompt), answer]).unsqueeze(0)).logits[0, len(prompt) - 1 : -1]
    return logits.double().log_softmax(-1).gather(1, answer.unsqueeze(1)).sum()


def gradient_of(model: torch.nn.Module, value: torch.Tensor) -> torch.Tensor:
    """Of all parameters, as one vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(model.parameters()))])


def flat(model: torch.nn.Module, found: Mapping[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([found[name].flatten() for name, _ in model.named_parameters()])


def test_fisher_is_the_mean_square_of_each_answers_own_gradient(tiny_bench: Workbench) -> None:
    model, dialogue = load_checkpoint(tiny_bench.base), Dialogue.of(tiny_bench.base.folder, tiny_bench.suite.prompting)
    task = tiny_bench.suite.loaded_tasks["math"]
    found = flat(model, derivatives.fisher_diagonal(model, dialogue, task, count=6, seed=100))
    batch, _, _ = derivatives.own_answers(model, dialogue, task, prompts=6, group=1, seed=100, purpose="fisher")
    expected = torch.stack([gradient_of(model, log_prob(model, batch, row)) ** 2 for row in range(6)]).mean(0)
    assert expected.max() > 0
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * expected.max().item())


def test_the_gradient_is_that_of_minus_the_advantage_times_the_log_probability_of_a_token(tiny_bench: Workbench) -> None:
    """As GRPO weighs it, over the tokens of all answers. A step against it makes rewarded answers likelier."""
    suite = tiny_bench.suite
    model, dialogue = load_checkpoint(tiny_bench.base), Dialogue.of(tiny_bench.base.folder, suite.prompting)
    task, group = suite.loaded_tasks["math"], suite.grpo.group
    found = flat(model, derivatives.policy_gradient(model, dialogue, task, suite.grpo, count=8 * group, seed=100))
    batch, _, _ = derivatives.own_answers(model, dialogue, task, prompts=8, group=group, seed=100, purpose="gradient")
    rewards = batch.rewards
    assert (rewards.std(1) > 0).any()
    spread = rewards.std(1, keepdim=True)
    advantages = torch.where(spread > 0, (rewards - rewards.mean(1, keepdim=True)) / (spread + 1e-4), 0.0).flatten()
    loss = -sum(advantages[row] * log_prob(model, batch, row) for row in range(8 * group) if advantages[row]) / batch.mask.sum()
    expected = gradient_of(model, loss)
    assert torch.linalg.vector_norm(found - expected) < 1e-3 * torch.linalg.vector_norm(expected)


@pytest.mark.parametrize(("bound", "rows"), [(None, 4), (3, 1)])
def test_where_memory_is_bounded_a_gradient_takes_one_group_at_a_time(tiny_bench: Workbench, bound: int | None, rows: int) -> None:
    """Its prompts go through the model once an answer, not once a group as in a stage."""
    settings = replace(tiny_bench.suite.grpo, groups_at_once=bound)
    model, dialogue = load_checkpoint(tiny_bench.base), Dialogue.of(tiny_bench.base.folder, tiny_bench.suite.prompting)
    sizes: list[int] = []

    def seen(module: object, args: object, inputs: dict[str, Any]) -> None:
        if torch.is_grad_enabled():
            sizes.append(len(inputs["input_ids"]))

    model.register_forward_pre_hook(seen, with_kwargs=True)
    task, count = tiny_bench.suite.loaded_tasks["math"], 4 * settings.group
    derivatives.policy_gradient(model, dialogue, task, settings, count=count, seed=100)
    assert sizes and max(sizes) <= rows * settings.group and (bound is not None or len(sizes) == 1)


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
