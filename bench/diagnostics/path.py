"""Claim 5: what later stages do to a domain is mainly a second-order effect of their update.

With A the weights after the domain's own stage and d the later update, J(A + t d) is expanded at t = 0 by central differences of the smooth
estimate (`bench.diagnostics.reward`). If the second-order term dominates, the first one is small, both together predict the damage at t =
1, and the update does as much damage in the other direction (A - d). The same update with the coordinates of each tensor permuted shows
what its size alone does.
"""

from __future__ import annotations

from bench.diagnostics.findings import Path
from bench.diagnostics.reward import SmoothReward, fresh, share_of
from bench.diagnostics.subject import Subject, Weights, later_update, moved, norm, permuted, put

STEP = 0.03
"""Of the central differences, as a share of d."""
_CHECKED = (0.0, 0.25, 0.5, 0.75, 1.0)


def diagnose(subject: Subject, domain: str) -> list[Path]:
    """One finding, of this domain; none where nothing was trained after it."""
    model, start, end, update = later_update(subject, domain)
    if not norm(update):
        return []
    smooth = SmoothReward(subject, domain, model, [start, end])

    def at(t: float, direction: Weights = update) -> float:
        return fresh(subject, put(model, moved(start, t, direction)), domain)

    estimated = {t: smooth.value(put(model, moved(start, t, update))) for t in (*_CHECKED, -STEP, STEP)}
    sampled = {t: at(t) for t in _CHECKED}
    first = (estimated[STEP] - estimated[-STEP]) / (2 * STEP)
    second = (estimated[STEP] - 2 * estimated[0.0] + estimated[-STEP]) / STEP**2 / 2
    damage, lost = estimated[0.0] - estimated[1.0], sampled[0.0] - sampled[1.0]
    return [
        Path(
            of=domain,
            damage=100 * damage,
            coverage=min(smooth.coverage(put(model, moved(start, t, update))) for t in (0.0, 1.0)),
            gap=100 * max(abs(estimated[t] - sampled[t]) for t in _CHECKED),
            first=share_of(-first, damage),
            second=share_of(-second, damage),
            predicted=share_of(-first - second, damage),
            mirror=share_of(sampled[0.0] - at(-1.0), lost),
            permuted=share_of(sampled[0.0] - at(1.0, permuted(update, subject.seed)), lost),
            quarter=share_of(estimated[0.0] - estimated[0.25], damage),
            half=share_of(estimated[0.0] - estimated[0.5], damage),
        )
    ]
