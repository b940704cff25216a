"""Task arithmetic (2212.04089) over what the stages changed instead of over experts: nothing is trained.

    theta = theta_0 + scale * sum_k tau_k,    tau_k = theta_k - theta_(k-1)

The tau_k sum up to theta_T - theta_0: scale 1 is the last checkpoint, and less goes back towards the base. Taking stages for experts is
ours.
"""

from itertools import pairwise

from baselines.task_arithmetic import TaskArithmetic
from bench.checkpoint import Checkpoint
from bench.method import History


def stage_changes(history: History) -> list[tuple[Checkpoint, Checkpoint]]:
    """The checkpoints before and after each stage."""
    return list(pairwise([history.base, *(history.checkpoint(domain) for domain in history.sequence)]))


class StageArithmetic(TaskArithmetic):
    """scale: of the summed changes."""

    track = "training-free"
    scale: float = 0.8
    search = {"scale": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)}

    def pairs(self, history: History) -> list[tuple[Checkpoint, Checkpoint]]:
        return stage_changes(history)
