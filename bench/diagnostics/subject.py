"""What diagnostics look at: the stages of one baseline run, and what can be computed from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import torch
from transformers import PreTrainedModel

from bench.checkpoint import Checkpoint, Tensors
from bench.training.prompting import Dialogue
from tasks.task import Item, Task

Weights = dict[str, torch.Tensor]
"""A model's parameters, or a direction among them, by name."""


class Subject(Protocol):
    """A run of one seed. stages: the checkpoint after each domain's own stage, in order; steps: of a stage; at_once: answers that are
    sampled together; rows_at_once: answers that go through a model together in training. Every request is remembered by its inputs."""

    sequence: tuple[str, ...]
    seed: int
    base: Checkpoint
    stages: Mapping[str, Checkpoint]
    steps: int
    at_once: int
    rows_at_once: int

    def model(self, checkpoint: Checkpoint) -> PreTrainedModel:
        """A checkpoint's model, in fp32 and evaluation mode. The caller may change it."""

    @property
    def dialogue(self) -> Dialogue:
        """Turns prompts into tokens and answers into scores."""

    def task(self, domain: str) -> Task:
        """A domain's prompts and verifier."""

    def items(self, domain: str) -> Sequence[Item]:
        """Its validation items, which no stage or repair trains on."""

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int) -> Tensors:
        """The Fisher diagonal from `count` answers (`bench.training.derivatives.fisher_diagonal`)."""

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int, draw: int) -> Tensors:
        """The policy gradient from `count` answers (`bench.training.derivatives.policy_gradient`); each draw has prompts of its own."""

    def refreshed(self, checkpoint: Checkpoint, domain: str, steps: int, *, null: bool) -> Checkpoint:
        """A checkpoint after a short repair by plain GRPO on a domain. null: with rewards permuted within groups."""

    def trained_again(self, domain: str) -> Checkpoint | None:
        """What the domain's own stage gives on other prompts, from the same checkpoint as before, real or null as it was. None for stages
        that were not trained here."""


def before(subject: Subject, domain: str) -> Checkpoint:
    """The checkpoint that a domain's own stage starts from."""
    place = subject.sequence.index(domain)
    return subject.stages[subject.sequence[place - 1]] if place else subject.base


def later_update(subject: Subject, domain: str) -> tuple[PreTrainedModel, Weights, Weights, Weights]:
    """The last checkpoint's model, the weights at A (after the domain's own stage) and at B (at the end), and B - A."""
    model = subject.model(subject.stages[subject.sequence[-1]])
    start, end = weights_of(subject.model(subject.stages[domain])), weights_of(model)
    return model, start, end, minus(end, start)


def pairs(sequence: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Every two domains, the earlier one first."""
    return ((one, other) for place, one in enumerate(sequence) for other in sequence[place + 1 :])


# --- arithmetic on weights


def weights_of(model: PreTrainedModel) -> Weights:
    """A copy of a model's parameters; tied ones once."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@torch.no_grad()
def put(model: PreTrainedModel, weights: Weights) -> PreTrainedModel:
    """The model with these parameters."""
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])
    return model


def moved(start: Weights, step: float, direction: Weights) -> Weights:
    """start + step * direction."""
    return {name: tensor.add(direction[name], alpha=step) for name, tensor in start.items()}


def minus(one: Weights, other: Weights) -> Weights:
    """one - other."""
    return moved(one, -1.0, other)


def inner(one: Weights, other: Weights) -> float:
    """The inner product over all parameters, in fp64."""
    return sum(float(torch.sum(tensor.double() * other[name].double())) for name, tensor in one.items())


def norm(weights: Weights) -> float:
    """The Euclidean norm over all parameters."""
    return inner(weights, weights) ** 0.5


def named(tensors: Tensors, like: Weights) -> Weights:
    """Stored tensors, those of parameters alone, on the device of `like`."""
    return {name: tensors.tensor(name).to(own.device) for name, own in like.items()}


def permuted(direction: Weights, seed: int) -> Weights:
    """The direction with the coordinates of each tensor in random order: of equal size, without its geometry."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, tensor in direction.items():
        order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
        found[name] = tensor.flatten()[order].view_as(tensor)
    return found
