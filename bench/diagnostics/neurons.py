"""Claim 2: the MLP channels that the stages of two domains change most overlap weakly.

A neuron is an intermediate channel of an MLP; its change is the sum of all changes of its weights in the gate, up and down projections
(as reported of the paper). The top 10 % are taken over all layers. Two bounds show what an overlap means: by chance (each domain's number
of channels in every layer is kept, the channels are drawn at random) and at best (the same stage trained on other prompts).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from bench.checkpoint import Checkpoint
from bench.diagnostics.findings import Neurons
from bench.diagnostics.subject import Subject, before, pairs

TOP = 0.1
"""The share of a model's channels."""
_DRAWS = 2_000
_MLP = re.compile(r"(?P<layer>.+\.mlp)\.(?P<part>gate|up|down)_proj\.weight")
_PARTS = {"gate", "up", "down"}

Channels = Mapping[str, np.ndarray]
"""A number for each channel, (C,) by layer."""


def diagnose(subject: Subject) -> list[Neurons]:
    """A finding for every two domains; none for a model without MLPs of gate, up and down projections."""
    once = {domain: changes(before(subject, domain), subject.stages[domain]) for domain in subject.sequence}
    if not all(once.values()):
        return []
    again = {domain: _again(subject, domain, once[domain]) for domain in subject.sequence}
    found = []
    for one, other in pairs(subject.sequence):
        chosen, ceilings = (top(once[one]), top(once[other])), (again[one], again[other])
        own, ceiling = overlap(*chosen), None if None in ceilings else sum(ceilings) / 2
        chance = by_chance(*chosen, seed=subject.seed)
        found.append(Neurons(f"{one} – {other}", own, chance, ceiling, own / ceiling if ceiling else None))
    return found


def _again(subject: Subject, domain: str, once: Channels) -> float | None:
    """The overlap of a stage with the same stage, trained on other prompts."""
    twice = subject.trained_again(domain)
    return None if twice is None else overlap(top(once), top(changes(before(subject, domain), twice)))


def changes(start: Checkpoint, end: Checkpoint) -> Channels:
    """How much the weights of each MLP channel changed, in sum; of MLPs that have all three projections."""
    found: dict[str, np.ndarray] = {}
    names = [part for part in map(_MLP.fullmatch, start.names()) if part]
    for part in names:
        if {other["part"] for other in names if other["layer"] == part["layer"]} == _PARTS:
            name = part.string
            change = (end.tensor(name) - start.tensor(name)).abs().double()
            own = change.sum(0 if part["part"] == "down" else 1).numpy()  # rows of gate and up, columns of down
            found[part["layer"]] = found.get(part["layer"], 0) + own
    return found


def top(values: Channels) -> dict[str, np.ndarray]:
    """(C,) bool by layer: the `TOP` share of all channels with the largest values; the first of equals."""
    whole = np.concatenate(list(values.values()))
    chosen = np.zeros(len(whole), bool)
    chosen[np.argsort(-whole, kind="stable")[: max(1, round(TOP * len(whole)))]] = True
    ends = np.cumsum([len(layer) for layer in values.values()])
    return dict(zip(values, np.split(chosen, ends[:-1]), strict=True))


def overlap(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> float:
    """Jaccard's index of two sets of channels."""
    both, either = (sum(int(join(one[layer], other[layer]).sum()) for layer in one) for join in (np.logical_and, np.logical_or))
    return both / either


def by_chance(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], *, seed: int) -> float:
    """The 95th percentile of the overlap of two sets that have these numbers of channels in each layer and are otherwise random."""
    random = np.random.default_rng(seed)
    shared, size = np.zeros(_DRAWS), 0
    for layer in one:
        ours, theirs, all_of_them = int(one[layer].sum()), int(other[layer].sum()), len(one[layer])
        shared += random.hypergeometric(ours, all_of_them - ours, theirs, _DRAWS) if theirs else 0
        size += ours + theirs
    return float(np.quantile(shared / (size - shared), 0.95))
