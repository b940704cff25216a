"""Claim 7: a short refresh brings the weights back towards A on the harmful part of the later update.

R is B after plain GRPO on the domain, for a third of a stage's steps. A contraction on a part P means ‖P (R - A)‖ < ‖P d‖. The control is a
null refresh: the same prompts, with rewards permuted within their groups. Whether the part matters is a causal question: the refresh's own
change R - B, only on P or everywhere else, is added to B. The gradients that span a part are not taken at B, since a refresh goes along
that gradient whatever the theory.
"""

from __future__ import annotations

from bench.diagnostics.conflict import parts
from bench.diagnostics.findings import Contraction
from bench.diagnostics.reward import LEAST_DAMAGE, fresh, share_of
from bench.diagnostics.subject import Subject, Weights, later_update, minus, moved, norm, put, weights_of


def diagnose(subject: Subject, domain: str) -> list[Contraction]:
    """A finding for each part; none where nothing was trained after the domain."""
    model, start, end, update = later_update(subject, domain)
    size = norm(update)
    if not size:
        return []
    last, steps = subject.stages[subject.sequence[-1]], max(1, subject.steps // 3)
    refreshed, null = (weights_of(subject.model(subject.refreshed(last, domain, steps, null=null))) for null in (False, True))
    change, left_whole = minus(refreshed, end), norm(minus(refreshed, start)) / size

    def reward(weights: Weights) -> float:
        return fresh(subject, put(model, weights), domain)

    at_end = reward(end)
    damage, recovered = reward(start) - at_end, reward(refreshed) - at_end
    enough = min(damage, recovered) >= LEAST_DAMAGE
    found = []
    for part in parts(subject, domain, model, start, end):
        whole = norm(part.of(update))
        if not whole:  # nothing moved on it
            continue
        left, left_null = (norm(part.of(minus(weights, start))) / whole for weights in (refreshed, null))
        own = part.of(change)
        pieces = (own, minus(change, own))
        alone, without = (share_of(reward(moved(end, 1.0, each)) - at_end, recovered) for each in pieces) if enough else (None, None)
        found.append(
            Contraction(
                of=f"{domain}, {part.title}",
                recovered=share_of(recovered, damage),
                left=left,
                left_null=left_null,
                below_null=left - left_null,
                left_whole=left_whole,
                alone=alone,
                without=without,
            )
        )
    return found
