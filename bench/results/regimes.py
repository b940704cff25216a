"""Seeds that no interval over a few seeds covers: a baseline run that breaks, a stage that fails, a repair that fails on one seed. No
torch.

Where a seed breaks with a small chance, most samples hold no such seed and their intervals know nothing of it; a sample that holds one
has an interval too wide to be of use (docs/statistics.md has the simulated coverage). No procedure corrects that from a few seeds, but a
seed that lies far from the others can be detected and reported. The thresholds were chosen by the same simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.results import metrics
from bench.results.entries import Entry
from bench.results.estimates import domain_strata
from bench.results.measured import Measured
from bench.results.metrics import Outcome

FACTOR = 2.5
"""A seed is far where it forgets more than this times the mean of the others, or gains less than the mean over this."""
LEAST_GAP = 10.0
"""Points; in forgetting and gain, a seed nearer to the others' mean than this is not far."""
LEAST_SHARE, RANGES = 0.5, 1.5
"""A repair fails on a seed where the share that it recovers lies below the mean of the others by more than LEAST_SHARE and by more than
RANGES times their range."""
LEAST_FORGETTING = 5.0
"""Points; on a seed that forgot less there is no share to speak of."""
LEAST_SEEDS = 4

Finding = Literal["baseline breaks", "stage fails", "repair fails"]
TEXTS: dict[Finding, str] = {
    "baseline breaks": "seed {seed}: the baseline run forgets {value:.1f} points of {domain}, on the other seeds {low:.1f} to {high:.1f}",
    "stage fails": "seed {seed}: the stage of {domain} gains {value:.1f} points, on the other seeds {low:.1f} to {high:.1f}",
    "repair fails": "seed {seed}: the repair recovers {value:.0f} % of {domain}, on the other seeds {low:.0f} to {high:.0f} %",
}


@dataclass(frozen=True)
class FarSeed:
    """A seed far from the others. value: points, or percent recovered; low, high: the range of the other seeds."""

    finding: Finding
    domain: str
    seed: int
    value: float
    low: float
    high: float

    def __str__(self) -> str:
        fields = {"seed": self.seed, "domain": self.domain, "value": self.value, "low": self.low, "high": self.high}
        return TEXTS[self.finding].format(**fields) + "; intervals from a few seeds do not cover such breaks"


def of_others(values: np.ndarray) -> np.ndarray:
    """(..., S): the mean of all other seeds, for values (..., S)."""
    return (values.sum(-1, keepdims=True) - values) / (values.shape[-1] - 1)


def breaks(forgetting: np.ndarray) -> np.ndarray:
    """(..., S) bool: seeds whose forgetting, in points, lies far above that of the others; none with fewer than LEAST_SEEDS."""
    others = of_others(forgetting)
    return _enough(forgetting) & (forgetting > FACTOR * others) & (forgetting - others > LEAST_GAP)


def stage_fails(gain: np.ndarray) -> np.ndarray:
    """(..., S) bool: seeds on which a stage gained far less, in points, than on the others."""
    others = of_others(gain)
    return _enough(gain) & (gain < others / FACTOR) & (others - gain > LEAST_GAP)


def repair_fails(recovered: np.ndarray, forgetting: np.ndarray) -> np.ndarray:
    """(..., S) bool: seeds on which a repair recovers a far smaller share than on the others, both in points; none where a seed forgot
    too little for a share."""
    usable = _enough(forgetting) & (forgetting.min(-1, keepdims=True) >= LEAST_FORGETTING)
    shares = recovered / np.where(usable, forgetting, 1.0)
    ordered = np.sort(shares, -1)
    # The range of the others: the lowest is left out where it is the seed itself.
    low = np.where(shares == ordered[..., :1], ordered[..., 1:2], ordered[..., :1])
    below = of_others(shares) - shares
    return usable & (below > LEAST_SHARE) & (below > RANGES * (ordered[..., -1:] - low))


def _enough(values: np.ndarray) -> bool:
    return values.shape[-1] >= LEAST_SEEDS


def far_seeds(measured: Measured) -> list[FarSeed]:
    """What is far from the others: forgetting of a target, the gain of any domain's stage, the share of a target that is recovered."""
    targets = {order.sequence[column] for order in measured.orders for column in order.targets}
    found: list[FarSeed] = []

    def note(finding: Finding, domain: str, far: np.ndarray, values: np.ndarray) -> None:
        for place in np.flatnonzero(far):
            rest = np.delete(values, place)
            found.append(FarSeed(finding, domain, measured.seeds[place], float(values[place]), float(rest.min()), float(rest.max())))

    def by_seed(quantity: Callable[[Outcome], np.ndarray], domain: str) -> np.ndarray:
        return 100 * sum(table.mean(-1) for table in domain_strata(measured, quantity, domain))

    if len(measured.seeds) < LEAST_SEEDS:
        return []
    for domain in measured.orders[0].sequence:
        gain = by_seed(metrics.gain, domain)
        note("stage fails", domain, stage_fails(gain), gain)
        if domain in targets:
            forgetting, recovered = by_seed(metrics.forgetting, domain), by_seed(metrics.recovered, domain)
            note("baseline breaks", domain, breaks(forgetting), forgetting)
            failing = repair_fails(recovered, forgetting)
            if failing.any():
                note("repair fails", domain, failing, 100 * recovered / forgetting)
    return found


def regime_warnings(entries: Sequence[Entry], decoding: str = "greedy") -> list[str]:
    """A line for every far seed: once for the baseline run, which entries share, and for each entry whose repair fails on a seed."""
    lines = []
    for entry in entries:
        for far in far_seeds(entry.measured(decoding)):
            lines.append(f"{entry.label}: {far}" if far.finding == "repair fails" else str(far))
    return list(dict.fromkeys(lines))
