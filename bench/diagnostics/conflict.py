"""Claim 6: the damage concentrates in a low-dimensional part of the later update.

The paper does not say how it finds that part. Three are tried: the 2 % of the coordinates with the largest F d^2 (F: the domain's Fisher
diagonal at A, as in `rollback`), the 2 % that moved most, and the span of two gradients of J (at A and halfway to B).

*Undone* at the end, a part recovers something; *inserted* at A, it does something alone. Concentration means that undoing it recovers more
than three controls of the same norm or kind do: random coordinates of the same tensors, the whole update shortened, and the same part of a
placebo, which has the update's size but not its geometry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from bench.checkpoint import threshold_of_share
from bench.diagnostics.findings import Conflict
from bench.diagnostics.reward import LEAST_DAMAGE, SmoothReward, fresh, share_of
from bench.diagnostics.subject import Subject, Weights, inner, later_update, minus, moved, named, norm, permuted, put

SHARE = 0.02
"""Of the coordinates."""
WAY = (0.0, 0.5)
"""Where the gradients are taken along d: not at B, where going back along the gradient would be a plain step of training."""
FISHER_ANSWERS = 512
_LONGEST = 64.0
"""How often the length of d a placebo may have."""


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
    """Some coordinates. mask: bool, by parameter."""

    mask: Weights

    @property
    def coordinates(self) -> float:
        return sum(int(part.sum()) for part in self.mask.values()) / sum(part.numel() for part in self.mask.values())

    def of(self, direction: Weights) -> Weights:
        return {name: tensor * self.mask[name] for name, tensor in direction.items()}


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
    """The `SHARE` of all coordinates with the largest scores (>= 0), ties included, but none with a score of 0."""
    least = threshold_of_share(lambda: iter(scores.values()), SHARE)
    return Chosen(title, {name: (tensor >= least) & (tensor > 0) for name, tensor in scores.items()})


def span(title: str, directions: list[Weights]) -> Span:
    """Their span, by Gram and Schmidt; a direction that adds nothing is left out."""
    axes: list[Weights] = []
    for direction in directions:
        rest, length = direction, norm(direction)
        for axis in axes:
            rest = moved(rest, -inner(axis, rest), axis)
        size = norm(rest)
        if size > 1e-4 * length:
            axes.append({name: tensor / size for name, tensor in rest.items()})
    return Span(title, axes)


def parts(subject: Subject, domain: str, model: PreTrainedModel, start: Weights, end: Weights) -> Iterator[Part]:
    """The parts of an update that are tried. start: the weights at A; end: where it leads; model: takes weights in turn."""
    update = minus(end, start)
    fisher = named(subject.fisher(subject.stages[domain], domain, FISHER_ANSWERS), start)
    yield top("2 % by F d²", {name: fisher[name] * tensor.square() for name, tensor in update.items()})
    del fisher
    yield top("2 % that moved most", {name: tensor.abs() for name, tensor in update.items()})
    smooth = SmoothReward(subject, domain, model, [start, end])
    gradients = [smooth.gradient(put(model, moved(start, t, update))) for t in WAY]
    if any(norm(gradient) for gradient in gradients):
        yield span(f"span of {len(WAY)} gradients", gradients)


def at_random(part: Weights, update: Weights, seed: int) -> Weights:
    """Random coordinates of an update: in each tensor as many as bring their norm to that of the same tensor of `part`, or all."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, tensor in update.items():
        order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
        reached = tensor.flatten()[order].double().square().cumsum(0)
        count = int((reached < part[name].double().square().sum() * (1 - 1e-9)).sum()) + 1
        chosen = torch.zeros(tensor.numel(), dtype=torch.bool, device=tensor.device)
        chosen[order[: count if bool(part[name].any()) else 0]] = True
        found[name] = tensor * chosen.view_as(tensor)
    return found


def diagnose(subject: Subject, domain: str) -> list[Conflict]:
    """A finding for each part; none where nothing was trained after the domain."""
    model, start, end, update = later_update(subject, domain)
    size = norm(update)
    if not size:
        return []

    def reward(weights: Weights) -> float:
        return fresh(subject, put(model, weights), domain)

    at_start, at_end = reward(start), reward(end)
    damage = at_start - at_end

    def both(direction: Weights) -> tuple[float | None, float | None]:
        """What a part of the update recovers if it is undone, and does alone."""
        if damage < LEAST_DAMAGE:
            return None, None
        undone, inserted = reward(moved(end, -1.0, direction)), reward(moved(start, 1.0, direction))
        return share_of(undone - at_end, damage), share_of(at_start - inserted, damage)

    placebos = _placebos(subject, domain, model, start, update, damage, at_start) if damage >= LEAST_DAMAGE else {}
    found = []
    for part in parts(subject, domain, model, start, end):
        own = part.of(update)
        length = norm(own) / size
        undo, insert = both(own)
        undo_random, insert_random = both(at_random(own, update, subject.seed))
        undo_shorter, insert_shorter = both({name: length * tensor for name, tensor in update.items()})
        undo_placebo = placebos.get(part.title)
        found.append(
            Conflict(
                of=f"{domain}, {part.title}",
                coordinates=part.coordinates,
                norm=length**2,
                undo=undo,
                undo_random=undo_random,
                undo_shorter=undo_shorter,
                undo_placebo=undo_placebo,
                above_random=_gap(undo, undo_random),
                above_shorter=_gap(undo, undo_shorter),
                above_placebo=_gap(undo, undo_placebo),
                insert=insert,
                insert_random=insert_random,
                insert_shorter=insert_shorter,
            )
        )
    return found


def _placebos(
    subject: Subject, domain: str, model: PreTrainedModel, start: Weights, update: Weights, damage: float, at_start: float
) -> dict[str, float | None]:
    """What undoing each part of a placebo recovers of the damage that it does, by the part's title: the update, permuted within tensors and
    doubled until it does at least half the damage. Nothing where no length up to `_LONGEST` does."""
    shuffled, length = permuted(update, subject.seed), 1.0
    while length <= _LONGEST:
        end = moved(start, length, shuffled)
        at_end = fresh(subject, put(model, end), domain)
        if at_start - at_end >= damage / 2:
            placebo, lost, found = minus(end, start), at_start - at_end, {}
            for part in parts(subject, domain, model, start, end):
                undone = fresh(subject, put(model, moved(end, -1.0, part.of(placebo))), domain)
                found[part.title] = share_of(undone - at_end, lost, least=LEAST_DAMAGE / 2)
            return found
        length *= 2
    return {}


def _gap(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
