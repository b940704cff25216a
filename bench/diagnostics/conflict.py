"""Claim 6: the damage concentrates in a low-dimensional part of the later update.

The paper does not say how it finds that part. Three are tried: the 2 % of the coordinates with the largest F d^2 (F: the domain's Fisher
diagonal at A, as in `rollback`), the 2 % that moved most, and the span of three gradients of J on the way from A to B. Undoing the last one
at B is in part a plain gradient step, since the gradient at B spans it too.

*Undone* at the end, a part recovers something; *inserted* at A, it does something alone. Concentration means that undoing it recovers more
than its controls do: as many coordinates of each tensor at random, and the whole update shortened to the same norm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from bench.checkpoint import threshold_of_share
from bench.diagnostics.findings import Conflict
from bench.diagnostics.reward import SmoothReward, fresh, share_of
from bench.diagnostics.subject import Subject, Weights, inner, minus, moved, named, norm, put, weights_of

SHARE = 0.02
"""Of the coordinates."""
WAY = (0.0, 0.5, 1.0)
"""Where the gradients are taken, on the way from A to B."""


@dataclass(frozen=True)
class Part(ABC):
    """A linear part of the space of weights."""

    title: str

    @property
    @abstractmethod
    def coordinates(self) -> float:
        """Its share of the coordinates, or of the dimensions."""

    @abstractmethod
    def of(self, direction: Weights) -> Weights:
        """The direction's projection on it."""


@dataclass(frozen=True)
class Chosen(Part):
    """Some coordinates. mask: 1 on them, by parameter."""

    mask: Weights

    @property
    def coordinates(self) -> float:
        return sum(float(part.sum()) for part in self.mask.values()) / sum(part.numel() for part in self.mask.values())

    def of(self, direction: Weights) -> Weights:
        return {name: tensor * self.mask[name] for name, tensor in direction.items()}

    def at_random(self, seed: int) -> Chosen:
        """As many coordinates of each tensor, at random."""
        generator, drawn = torch.Generator().manual_seed(seed), {}
        for name, mask in self.mask.items():
            chosen = torch.zeros(mask.numel())
            chosen[torch.randperm(mask.numel(), generator=generator)[: int(mask.sum())]] = 1
            drawn[name] = chosen.view(mask.shape).to(mask.device)
        return Chosen("random", drawn)


@dataclass(frozen=True)
class Span(Part):
    """The span of some directions. axes: orthonormal."""

    axes: list[Weights]

    @property
    def coordinates(self) -> float:
        return len(self.axes) / sum(tensor.numel() for tensor in self.axes[0].values())

    def of(self, direction: Weights) -> Weights:
        found = {name: torch.zeros_like(tensor) for name, tensor in direction.items()}
        for axis in self.axes:
            found = moved(found, inner(axis, direction), axis)
        return found


def top(title: str, scores: Weights) -> Chosen:
    """The `SHARE` of all coordinates with the largest scores (>= 0), ties included."""
    least = threshold_of_share(lambda: iter(scores.values()), SHARE)
    return Chosen(title, {name: (tensor >= least).float() for name, tensor in scores.items()})


def span(title: str, directions: list[Weights]) -> Span:
    """Their span, by Gram and Schmidt; a direction that adds nothing is left out."""
    axes: list[Weights] = []
    for direction in directions:
        rest, length = direction, norm(direction)
        for axis in axes:
            rest = moved(rest, -inner(axis, rest), axis)
        if norm(rest) > 1e-4 * length:
            axes.append({name: tensor / norm(rest) for name, tensor in rest.items()})
    return Span(title, axes)


def parts(subject: Subject, domain: str, model: PreTrainedModel, start: Weights, end: Weights) -> Iterator[Part]:
    """The parts of a domain's later update that are tried. start, end: the weights at A and B; model: takes weights in turn."""
    update = minus(end, start)
    fisher = named(subject.fisher(subject.stages[domain], domain), start)
    yield top("2 % by F d²", {name: fisher[name] * tensor.square() for name, tensor in update.items()})
    del fisher
    yield top("2 % by |d|", {name: tensor.abs() for name, tensor in update.items()})
    smooth = SmoothReward(subject, domain, model, [start, end])
    gradients = [smooth.gradient(put(model, moved(start, t, update))) for t in WAY]
    if any(norm(gradient) for gradient in gradients):
        yield span("span of 3 gradients", gradients)


def diagnose(subject: Subject, domain: str) -> list[Conflict]:
    """A finding for each part."""
    model = subject.model(subject.stages[subject.sequence[-1]])
    start, end = weights_of(subject.model(subject.stages[domain])), weights_of(model)
    update = minus(end, start)

    def reward(weights: Weights) -> float:
        return fresh(subject, put(model, weights), domain)

    at_start, at_end = reward(start), reward(end)
    damage = at_start - at_end

    def both(direction: Weights) -> tuple[float | None, float | None]:
        """What a part of the update recovers if it is undone, and does alone."""
        undone, inserted = reward(moved(end, -1.0, direction)), reward(moved(start, 1.0, direction))
        return share_of(undone - at_end, damage), share_of(at_start - inserted, damage)

    found = []
    for part in parts(subject, domain, model, start, end):
        own = part.of(update)
        length = norm(own) / norm(update)
        undo, insert = both(own)
        undo_random, insert_random = both(part.at_random(subject.seed).of(update)) if isinstance(part, Chosen) else (None, None)
        undo_shorter, insert_shorter = both({name: length * tensor for name, tensor in update.items()})
        found.append(
            Conflict(
                of=f"{domain}, {part.title}",
                coordinates=part.coordinates,
                norm=length**2,
                undo=undo,
                undo_random=undo_random,
                undo_shorter=undo_shorter,
                above_random=_gap(undo, undo_random),
                above_shorter=_gap(undo, undo_shorter),
                insert=insert,
                insert_random=insert_random,
                insert_shorter=insert_shorter,
            )
        )
    return found


def _gap(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
