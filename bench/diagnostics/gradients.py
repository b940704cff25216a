"""Claim 4: the policy gradients of two domains are nearly orthogonal as a whole, while those of single modules need not be.

Noise of an estimated gradient draws every cosine to 0. Each gradient is therefore estimated twice, on different prompts: the cosine of both
estimates is its reliability, and the cosine of two domains is divided by the root of their reliabilities (Spearman's correction for
attenuation). Below a reliability of 0.2 nothing is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from bench.checkpoint import Tensors
from bench.diagnostics.findings import Gradients
from bench.diagnostics.subject import Subject, pairs

LEAST_RELIABILITY = 0.2
ANSWERS = 2048
"""Of one estimate, in groups of the suite's size."""
_DRAWS = (0, 1)
_MODULE = re.compile(r"(.+\.(?:self_attn|attn|attention|mlp))\.")


def diagnose(subject: Subject) -> list[Gradients]:
    """A finding for every two domains, at the base and at the end."""
    found = []
    for place, checkpoint in (("base", subject.base), ("end", subject.stages[subject.sequence[-1]])):
        estimates = {domain: [subject.gradient(checkpoint, domain, ANSWERS, draw) for draw in _DRAWS] for domain in subject.sequence}
        products = {(one, other): _products(estimates[one], estimates[other]) for one, other in pairs(subject.sequence)}
        found += [_finding(f"{place}: {one} – {other}", products[one, other]) for one, other in products]
    return found


Grams = dict[str, list[list[float]]]
"""By tensor: inner products between the two estimates of one gradient and the two of another, in this order (4 x 4)."""


def _products(one: Sequence[Tensors], other: Sequence[Tensors]) -> Grams:
    first, *rest = [*one, *other]
    found = {}
    for name in first.names():
        tensors = [first.tensor(name).double(), *(each.tensor(name).double() for each in rest)]
        found[name] = [[float((a * b).sum()) for b in tensors] for a in tensors]
    return found


def _finding(of: str, products: Grams) -> Gradients:
    cosine, reliability, whole = corrected(products.values())
    modules: dict[str, list[list[list[float]]]] = {}
    for name, own in products.items():
        module = _MODULE.match(name)
        if module:
            modules.setdefault(module[1], []).append(own)
    parts = [part for _, _, part in map(corrected, modules.values()) if part is not None]
    return Gradients(of, cosine, reliability, whole, len(parts), min(parts, default=None), max(parts, default=None))


def corrected(products: Iterable[list[list[float]]]) -> tuple[float, float, float | None]:
    """The cosine of two gradients (the mean over their estimates), the lower of their reliabilities, and the cosine corrected for noise;
    None where a reliability is too low. products: of some tensors, summed here."""
    gram = [[sum(row) for row in zip(*rows, strict=True)] for rows in zip(*products, strict=True)]

    def cosine(a: int, b: int) -> float:
        lengths = (gram[a][a] * gram[b][b]) ** 0.5
        return gram[a][b] / lengths if lengths else 0.0

    across = sum(cosine(a, b) for a in (0, 1) for b in (2, 3)) / 4
    one, other = cosine(0, 1), cosine(2, 3)
    lower = min(one, other)
    return across, lower, across / (one * other) ** 0.5 if lower > LEAST_RELIABILITY else None
