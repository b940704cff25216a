"""The metrics, as functions of score matrices. Pure numpy; no torch.

A matrix R is (T+1, T): R[0] the base, R[s] after stage s, columns in the order of the sequence, so that domain d (from 0) is trained
by stage d + 1 and its score right after is R[d+1, d]. R0 is the plain run's matrix, R the method's, `end` (T,) the repaired model's
scores. A_d = R0[d+1, d]: the plain run's score right after the domain's own stage, the same seed and sequence. All in [0, 1].

Signs: damage and collateral are positive where something was lost; BWT and FWT are positive where something was won.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

MEANING = {
    "forgetting": "what the plain run lost on the targets since their own stage (A - end), in points; higher is worse",
    "recovery ratio": "share of that damage which the repair won back; 1 is all of it, 0 none; undefined where damage is not significant",
    "net recovery": "the recovery ratio, targets counted up to their own stage, with every point that another domain lost to the repair "
    "taken off; ranks board `single`",
    "collateral damage": "what the repair cost the domains that are no target, their mean, in points; lower is better",
    "collateral damage, worst": "the same for the domain that lost most",
    "collateral damage, last": "the same for the last-trained domain, the one a step back would lose",
    "retention": "share of what the stages gained that the final model retains (gains beyond a domain's own stage do not count); "
    "ranks board `all`",
    "retention, worst": "points that the end lacks of a domain's own-stage score, for the domain that lacks most",
    "surplus": "points won beyond each domain's own stage, summed",
    "normalized forgetting": "damage of all domains but the last, over what they had won; undefined where they won nothing",
    "BWT": "backward transfer (GEM, 1706.08840): mean of end - own stage over all domains but the last",
    "FWT": "forward transfer (GEM): mean of score before own stage - base over all domains but the first",
    "final average": "mean score of the end over all domains",
}
"""A word on each, as `python -m bench run` prints it."""


@dataclass(frozen=True)
class Outcome:
    """One seed, or the mean of several. baseline, method: (..., T+1, T); final: (..., T); targets: columns."""

    baseline: np.ndarray
    method: np.ndarray
    final: np.ndarray
    targets: tuple[int, ...]

    @property
    def own(self) -> np.ndarray:
        """A_d, (..., T)."""
        return np.diagonal(self.baseline[..., 1:, :], axis1=-2, axis2=-1)

    @property
    def others(self) -> tuple[int, ...]:
        return tuple(d for d in range(self.final.shape[-1]) if d not in self.targets)

    def mean(self) -> Outcome:
        """The mean over seeds, the first axis: aggregate first, then divide."""
        return replace(self, baseline=self.baseline.mean(0), method=self.method.mean(0), final=self.final.mean(0))


def forgetting(outcome: Outcome) -> np.ndarray:
    """(..., T): A_d - R0[T][d]. No maximum over stages, and never the method's own peak."""
    return outcome.own - outcome.baseline[..., -1, :]


def remaining_forgetting(outcome: Outcome) -> np.ndarray:
    """(..., T): A_d - R[end][d], what the final model lacks of a domain's own-stage score; negative where it is above."""
    return outcome.own - outcome.final


def gain(outcome: Outcome) -> np.ndarray:
    """(..., T): A_d - R[0][d], what the plain run had won right after the domain's own stage."""
    return outcome.own - outcome.baseline[..., 0, :]


def recovered(outcome: Outcome) -> np.ndarray:
    """(..., T): R[end][d] - R0[T][d]."""
    return outcome.final - outcome.baseline[..., -1, :]


def recovery_ratio(outcome: Outcome) -> np.ndarray:
    """sum over targets of what was won back, over the sum of their damage; nan where that sum is not above 0."""
    lost = forgetting(outcome)[..., outcome.targets].sum(-1)
    won = recovered(outcome)[..., outcome.targets].sum(-1)
    return _ratio(won, lost)


def harmed(outcome: Outcome) -> np.ndarray:
    """(..., T) bool: domains that are no target and end below R0[T][d]."""
    others = np.isin(np.arange(outcome.final.shape[-1]), outcome.others)
    return others & (recovered(outcome) < 0)


def net_recovered(outcome: Outcome, harmed: np.ndarray, capped: np.ndarray) -> np.ndarray:
    """sum of R[end][d] - R0[T][d] over the targets and the domains that are `harmed`, A_d taken for the end of targets that are `capped`:
    linear in the scores once those are fixed."""
    target = np.isin(np.arange(outcome.final.shape[-1]), outcome.targets)
    end = np.where(target & capped, outcome.own, outcome.final)
    return ((end - outcome.baseline[..., -1, :]) * (harmed | target)).sum(-1)


def net_recovery(outcome: Outcome) -> np.ndarray:
    """(points won back on the targets - points lost by other domains) / damage of the targets; nan where that is not above 0.

    A recovery ratio alone rewards going back to an earlier checkpoint (2605.20296). Others' gains do not count, nor what a target gains
    beyond its own stage: they may come from more training, and would buy off harm done elsewhere.
    """
    return _ratio(net_recovered(outcome, harmed(outcome), capped(outcome)), forgetting(outcome)[..., outcome.targets].sum(-1))


def collateral_damage(outcome: Outcome) -> np.ndarray:
    """Mean over the domains that are no target of R0[T][d] - R[end][d], signed; nan without such a domain."""
    if not outcome.others:
        return np.full(outcome.final.shape[:-1], np.nan)
    return -recovered(outcome)[..., outcome.others].mean(-1)


def worst_collateral_damage(outcome: Outcome) -> np.ndarray:
    """The largest loss among the domains that are no target; nan without such a domain."""
    if not outcome.others:
        return np.full(outcome.final.shape[:-1], np.nan)
    return -recovered(outcome)[..., outcome.others].min(-1)


def capped(outcome: Outcome) -> np.ndarray:
    """(..., T) bool: domains that end above their own stage, R[end][d] > A_d."""
    return outcome.final > outcome.own


def retained_points(outcome: Outcome, capped: np.ndarray) -> np.ndarray:
    """sum_d (min(R[end][d], A_d) - R[0][d]), A_d taken where `capped`: linear in the scores once those are fixed."""
    return (np.where(capped, outcome.own, outcome.final) - outcome.baseline[..., 0, :]).sum(-1)


def retention(outcome: Outcome) -> np.ndarray:
    """sum_d (min(R[end][d], A_d) - R[0][d]) / sum_d (A_d - R[0][d]); nan where nothing was won."""
    return _ratio(retained_points(outcome, capped(outcome)), gain(outcome).sum(-1))


def worst_retention(outcome: Outcome) -> np.ndarray:
    """The largest A_d - R[end][d]; negative where every domain ends above its own stage."""
    return (outcome.own - outcome.final).max(-1)


def surplus(outcome: Outcome) -> np.ndarray:
    """sum_d max(0, R[end][d] - A_d)."""
    return np.maximum(outcome.final - outcome.own, 0).sum(-1)


def normalized_forgetting(outcome: Outcome) -> np.ndarray:
    """sum_d damage_d / sum_d (A_d - R[0][d]) over all domains but the last, of the plain run; nan where nothing was won."""
    won = gain(outcome)[..., :-1].sum(-1)
    return _ratio(forgetting(outcome)[..., :-1].sum(-1), won)


def intransigence(expert: np.ndarray, outcome: Outcome) -> np.ndarray:
    """(..., T): E_d - R[own(d)][d] of the method; E (..., T) the score of domain d after its stage trained straight from the base."""
    return expert - np.diagonal(outcome.method[..., 1:, :], axis1=-2, axis2=-1)


def backward_transfer(outcome: Outcome) -> np.ndarray:
    """GEM's BWT with T - 1: mean over d < last of R[end][d] - R[own(d)][d], both the method's."""
    own = np.diagonal(outcome.method[..., 1:, :], axis1=-2, axis2=-1)
    return (outcome.final - own)[..., :-1].mean(-1)


def forward_transfer(outcome: Outcome) -> np.ndarray:
    """GEM's FWT with T - 1: mean over d > first of R[d][d] - R[0][d], R[d] being the row before the domain's own stage."""
    before = np.diagonal(outcome.method[..., :-1, :], axis1=-2, axis2=-1)
    return (before - outcome.method[..., 0, :])[..., 1:].mean(-1)


def final_average(outcome: Outcome) -> np.ndarray:
    """Mean over domains of R[end][d]."""
    return outcome.final.mean(-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
