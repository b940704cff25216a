"""Answers sampled from a checkpoint, and derivatives from them: the basis of training-free repairs.

All of it is computed in fp32, on a GPU too, where trainings use bf16 autocast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from bench.suite import GRPO, MAX_PROMPTS
from bench.training.loss import Batch, backward, group_advantages, log_probs
from bench.training.prompting import Dialogue
from bench.training.sampling import generate, uniforms
from tasks.task import Item, Task


def own_answers(
    model: PreTrainedModel,
    dialogue: Dialogue,
    task: Task,
    *,
    prompts: int,
    group: int,
    seed: int,
    purpose: str,
    draw: int = 0,
    at_once: int | None = None,
) -> tuple[Batch, list[str], list[str]]:
    """Samples `group` answers at temperature 1 to each of `prompts` training prompts. Returns the batch, with rewards and advantages, and
    the texts of prompts and answers. draw: each has prompts of its own, up to a million; at_once: as in
    `bench.training.sampling.generate`."""
    # These prompts are used neither by stages nor by repairs.
    items = [task.item("train", seed, (2 + draw) * MAX_PROMPTS + number) for number in range(prompts)]
    # The first draw samples as it did before there were others.
    draws = uniforms(prompts * group, dialogue.limit(task), "own", seed, task.domain, purpose, *([draw] if draw else []))
    batch, answers = answers_to(items, draws, model, dialogue, task, at_once=at_once)
    return batch, [item.prompt for item in items], answers


def answers_to(
    items: Sequence[Item], draws: torch.Tensor, model: PreTrainedModel, dialogue: Dialogue, task: Task, *, at_once: int | None = None
) -> tuple[Batch, list[str]]:
    """Samples answers to items, as many to each as `draws` has rows for it. Returns the batch, with rewards and advantages, and the texts
    of the answers. draws, at_once: as in `bench.training.sampling.generate`."""
    prompts, group = len(items), len(draws) // len(items)
    ids = dialogue.encode([item.prompt for item in items])
    done = generate(model, ids, draws, ends=dialogue.ends, pad=dialogue.pad, at_once=at_once)
    answers, ended = dialogue.answers(done), done.ended.tolist()
    rewards = [
        dialogue.score(task, item, answers[row], ended[row]) or 0.0
        for i, item in enumerate(items)
        for row in range(i * group, (i + 1) * group)
    ]
    rewards = torch.tensor(rewards).view(prompts, group)
    advantages = group_advantages(rewards) if group > 1 else torch.zeros_like(rewards)
    batch = Batch(
        prompts=ids,
        domains=[task.domain] * prompts,
        tokens=done.tokens,
        mask=torch.arange(done.tokens.shape[1], device=done.tokens.device) < done.lengths.unsqueeze(1),
        rewards=rewards,
        advantages=advantages.reshape(-1, 1).to(done.tokens.device),
    )
    return batch, answers


def fisher_diagonal(
    model: PreTrainedModel, dialogue: Dialogue, task: Task, *, count: int, seed: int, at_once: int | None = None
) -> Mapping[str, torch.Tensor]:
    """E[(d log p(answer | prompt) / d theta_i)^2] by parameter, over `count` prompts with one answer each, sampled from the model: the
    true Fisher of Kunstner et al. (1905.12558), not the empirical one. EWC (1612.00796, eq. 3) weights its penalty with it."""
    batch, _, _ = own_answers(model, dialogue, task, prompts=count, group=1, seed=seed, purpose="fisher", at_once=at_once)
    parameters = dict(model.named_parameters())
    total = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    for row in range(count):
        one = batch.select([row])
        width = int(one.mask.sum())
        one.tokens, one.mask = one.tokens[:, :width], one.mask[:, :width]
        model.zero_grad(set_to_none=True)
        log_probs(model, one, dialogue.pad, shared=False).sum().backward()
        for name, parameter in parameters.items():
            if parameter.grad is not None:
                total[name].addcmul_(parameter.grad, parameter.grad, value=1 / count)
    model.zero_grad(set_to_none=True)
    return _with_buffers(model, total)


def policy_gradient(
    model: PreTrainedModel,
    dialogue: Dialogue,
    task: Task,
    settings: GRPO,
    *,
    count: int,
    seed: int,
    draw: int = 0,
    at_once: int | None = None,
) -> Mapping[str, torch.Tensor]:
    """The gradient of a plain GRPO step by parameter, estimated on `count` answers in groups of the suite's size. draw: as above."""
    asked = {"prompts": settings.groups_of(count), "group": settings.group, "seed": seed, "draw": draw, "at_once": at_once}
    batch, _, _ = own_answers(model, dialogue, task, purpose="gradient", **asked)
    if settings.groups_at_once:  # their prompts are repeated here, which takes more memory than a stage's
        settings = replace(settings, groups_at_once=1)
    model.zero_grad(set_to_none=True)
    backward(model, batch, settings, pad=dialogue.pad, shared=False)
    found = {
        name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in model.named_parameters()
    }
    model.zero_grad(set_to_none=True)
    return _with_buffers(model, found)


def _with_buffers(model: PreTrainedModel, found: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """With zeros for the buffers that a checkpoint stores (some mixtures of experts have them): nothing is derived with respect to them."""
    buffers = {name for name, _ in model.named_buffers()}
    return {**found, **{name: torch.zeros_like(tensor) for name, tensor in model.state_dict().items() if name in buffers}}
