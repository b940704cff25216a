"""Claim 7: a short refresh brings the weights back towards A on the harmful part of the later update.

R is B after plain GRPO on the domain, for a third of a stage's steps. A contraction on a part P means ‖P (R - A)‖ < ‖P d‖, and more so than
after a refresh of the last domain, which has nothing to repair. Whether that part matters is a causal question: the refresh's own change R
- B, only on P or everywhere else, is added to B.
"""

from __future__ import annotations

from bench.diagnostics.conflict import parts
from bench.diagnostics.findings import Contraction
from bench.diagnostics.reward import fresh, share_of
from bench.diagnostics.subject import Subject, Weights, minus, moved, norm, put, weights_of


def diagnose(subject: Subject, domain: str) -> list[Contraction]:
    """A finding for each part."""
    last = subject.sequence[-1]
    model = subject.model(subject.stages[last])
    start, end = weights_of(subject.model(subject.stages[domain])), weights_of(model)
    steps = max(1, subject.steps // 3)
    refreshed, other = (weights_of(subject.model(subject.refreshed(subject.stages[last], each, steps))) for each in (domain, last))
    update, change = minus(end, start), minus(refreshed, end)

    def reward(weights: Weights) -> float:
        return fresh(subject, put(model, weights), domain)

    at_end = reward(end)
    damage, recovered = reward(start) - at_end, reward(refreshed) - at_end
    found = []
    for part in parts(subject, domain, model, start, end):
        whole = norm(part.of(update))
        left, left_other = (norm(part.of(minus(weights, start))) / whole for weights in (refreshed, other))
        own = part.of(change)
        alone, without = (reward(moved(end, 1.0, piece)) - at_end for piece in (own, minus(change, own)))
        found.append(
            Contraction(
                of=f"{domain}, {part.title}",
                recovered=share_of(recovered, damage),
                left=left,
                left_other=left_other,
                below_other=left - left_other,
                left_whole=norm(minus(refreshed, start)) / norm(update),
                alone=share_of(alone, recovered),
                without=share_of(without, recovered),
            )
        )
    return found
