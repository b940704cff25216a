"""TIES-merging (2306.01708) over what each stage changed instead of over experts; nothing is trained.

    tau_k = theta_k - theta_{k-1},    the rest as in `ties`

Taking stages for experts is ours.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from baselines.ties import TIES
from bench.method import History

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


class StageTIES(TIES):
    """share: of all coordinates, the share that each stage's change keeps, in (0, 1]; scale: of the merged change."""

    track = "training-free"
    search = {"share": (0.05, 0.1, 0.2, 0.4), "scale": (1.0, 1.4)}

    def pairs(self, history: History) -> list[tuple[Checkpoint, Checkpoint]]:
        return list(pairwise([history.base, *(history.checkpoint(domain) for domain in history.sequence)]))
