"""The metrics, as functions of score matrices. Pure numpy; no torch.

A score matrix R is (T+1, T): R[0] is the base, R[s] the model after stage s. Columns follow the sequence, so stage d + 1 trains domain d
(from 0), and R[d+1, d] is the domain's score right after its own stage. R0 is the matrix of the baseline run (sequential training, no
repair), R the method's, `final` (T,) the scores of the final model, after the repair. A_d = R0[d+1, d] is the baseline run's own-stage
score, same seed and sequence. All scores are in [0, 1].

Signs: forgetting and collateral damage are positive where something was lost; BWT and FWT are positive where something was gained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

MEANING = {
    "forgetting": "points that the baseline run lost on the targets since their own stage; higher is worse",
    "recovery ratio": "share of the targets' forgetting that the repair recovers: 1 is all, 0 is none; undefined where forgetting is not "
    "significant",
    "net recovery": "recovery ratio, with targets capped at their own-stage score, minus every point that other domains lost to the "
    "repair; ranks board `single`",
    "format loss": "share of the targets' lost items whose answer did not stop or did not parse: an upper bound on those "
    "lost through format alone",
    "interference": "forgetting under real later stages minus forgetting under null stages (permuted rewards), same seeds, in points",
    "collateral damage": "points that the repair cost the domains that are not targets, on average; lower is better",
    "collateral damage, worst": "the same for the domain that lost most",
    "collateral damage, last": "the same for the last-trained domain, which returning to an earlier checkpoint would lose",
    "retention": "share of what the stages gained that the final model retains; gains beyond a domain's own-stage score do not count; "
    "ranks board `all`",
    "retention, worst": "points by which the final model falls short of the own-stage score, for the domain where that is most",
    "surplus": "points above the own-stage scores, summed over domains",
    "normalized forgetting": "forgetting of the baseline run over what the stages gained, all domains but the last",
    "normalized forgetting, repaired": "the same for the final model: what it still lacks, over what the stages gained",
    "BWT": "backward transfer (GEM, arXiv 1706.08840): mean of final - own-stage score over all domains but the last, in points",
    "FWT": "forward transfer (GEM): mean of the score before a domain's own stage - base over all domains but the first, in points",
    "intransigence": "points by which a domain's own stage ends lower after other stages than where it comes first, mean over domains, "
    "only for designs in which each comes first once (arXiv 1801.10112 compares with joint training instead)",
    "final average": "mean score of the final model over all domains",
}
"""What each metric means, in the order in which they are printed."""


@dataclass(frozen=True)
class Outcome:
    """Scores of one seed, or of several along leading axes. baseline, method: (..., T+1, T); final: (..., T); targets: columns."""

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
    """(..., T): A_d - R0[T][d] of the baseline run. The peak is A_d: no maximum over stages, and never the method's own."""
    return outcome.own - outcome.baseline[..., -1, :]


def remaining_forgetting(outcome: Outcome) -> np.ndarray:
    """(..., T): A_d - final_d, what the final model lacks of the own-stage score; negative where it is above."""
    return outcome.own - outcome.final


def gain(outcome: Outcome) -> np.ndarray:
    """(..., T): A_d - R0[0][d], what the baseline run gained by the end of the domain's own stage."""
    return outcome.own - outcome.baseline[..., 0, :]


def recovered(outcome: Outcome) -> np.ndarray:
    """(..., T): final_d - R0[T][d], what the final model has above the end of the baseline run."""
    return outcome.final - outcome.baseline[..., -1, :]


def recovery_ratio(outcome: Outcome) -> np.ndarray:
    """What is recovered of the targets, summed, over their forgetting, summed; nan where that sum is not above 0."""
    return _ratio(recovered(outcome)[..., outcome.targets].sum(-1), forgetting(outcome)[..., outcome.targets].sum(-1))


def harmed(outcome: Outcome) -> np.ndarray:
    """(..., T) bool: domains that are not targets and whose final score is below R0[T][d]."""
    others = np.isin(np.arange(outcome.final.shape[-1]), outcome.others)
    return others & (recovered(outcome) < 0)


def net_recovered(outcome: Outcome, harmed: np.ndarray, capped: np.ndarray) -> np.ndarray:
    """Sum of final_d - R0[T][d] over the targets and the `harmed` domains, with A_d in place of final_d for `capped` targets: linear in
    the scores once those are fixed."""
    target = np.isin(np.arange(outcome.final.shape[-1]), outcome.targets)
    counted = np.where(target & capped, outcome.own, outcome.final)
    return ((counted - outcome.baseline[..., -1, :]) * (harmed | target)).sum(-1)


def net_recovery(outcome: Outcome) -> np.ndarray:
    """(points recovered on the targets - points lost by other domains) / forgetting of the targets; nan where that is not above 0.

    A recovery ratio alone rewards a return to an earlier checkpoint (2605.20296). Gains of other domains do not count, nor what a target
    gains beyond its own-stage score: they may come from more training, and would offset harm done elsewhere.
    """
    return _ratio(net_recovered(outcome, harmed(outcome), capped(outcome)), forgetting(outcome)[..., outcome.targets].sum(-1))


def collateral_damage(outcome: Outcome) -> np.ndarray:
    """Mean of R0[T][d] - final_d over the domains that are not targets, signed; nan without such a domain."""
    if not outcome.others:
        return np.full(outcome.final.shape[:-1], np.nan)
    return -recovered(outcome)[..., outcome.others].mean(-1)


def worst_collateral_damage(outcome: Outcome) -> np.ndarray:
    """The largest loss among the domains that are not targets; nan without such a domain."""
    if not outcome.others:
        return np.full(outcome.final.shape[:-1], np.nan)
    return -recovered(outcome)[..., outcome.others].min(-1)


def capped(outcome: Outcome) -> np.ndarray:
    """(..., T) bool: domains whose final score is above their own-stage score, final_d > A_d."""
    return outcome.final > outcome.own


def retained_points(outcome: Outcome, capped: np.ndarray) -> np.ndarray:
    """sum_d (min(final_d, A_d) - R0[0][d]), with A_d where `capped`: linear in the scores once those are fixed."""
    return (np.where(capped, outcome.own, outcome.final) - outcome.baseline[..., 0, :]).sum(-1)


def retention(outcome: Outcome) -> np.ndarray:
    """sum_d (min(final_d, A_d) - R0[0][d]) / sum_d (A_d - R0[0][d]); nan where nothing was gained."""
    return _ratio(retained_points(outcome, capped(outcome)), gain(outcome).sum(-1))


def worst_retention(outcome: Outcome) -> np.ndarray:
    """The largest A_d - final_d; negative where every domain ends above its own-stage score."""
    return remaining_forgetting(outcome).max(-1)


def surplus(outcome: Outcome) -> np.ndarray:
    """sum_d max(0, final_d - A_d)."""
    return np.maximum(outcome.final - outcome.own, 0).sum(-1)


def normalized_forgetting(outcome: Outcome) -> np.ndarray:
    """sum_d forgetting_d / sum_d (A_d - R0[0][d]) over all domains but the last, of the baseline run; nan where nothing was gained."""
    return _ratio(forgetting(outcome)[..., :-1].sum(-1), gain(outcome)[..., :-1].sum(-1))


def normalized_forgetting_repaired(outcome: Outcome) -> np.ndarray:
    """The same of the final model: sum_d (A_d - final_d) / sum_d (A_d - R0[0][d]) over all domains but the last."""
    return _ratio(remaining_forgetting(outcome)[..., :-1].sum(-1), gain(outcome)[..., :-1].sum(-1))


def backward_transfer(outcome: Outcome) -> np.ndarray:
    """GEM's BWT over T - 1 domains: mean over d < last of final_d - R[d+1][d], both the method's. GEM's own code divides by T."""
    own = np.diagonal(outcome.method[..., 1:, :], axis1=-2, axis2=-1)
    return (outcome.final - own)[..., :-1].mean(-1)


def forward_transfer(outcome: Outcome) -> np.ndarray:
    """GEM's FWT over T - 1 domains: mean over d > first of R[d][d] - R[0][d]; R[d] is the row before the domain's own stage."""
    before = np.diagonal(outcome.method[..., :-1, :], axis1=-2, axis2=-1)
    return (before - outcome.method[..., 0, :])[..., 1:].mean(-1)


def final_average(outcome: Outcome) -> np.ndarray:
    """Mean over domains of final_d."""
    return outcome.final.mean(-1)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)
