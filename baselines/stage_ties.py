"""TIES-merging (2306.01708) over what the stages changed instead of over experts: nothing is trained. Taking stages for experts is ours."""

from baselines.stage_arithmetic import stage_changes
from baselines.ties import TIES
from bench.checkpoint import Checkpoint
from bench.method import History


class StageTIES(TIES):
    """share: of all coordinates that a stage's change keeps, in (0, 1]; scale: of the merged change."""

    track = "training-free"
    search = {"share": (0.1, 0.2, 0.4), "scale": (0.7, 1.0, 1.4)}

    def pairs(self, history: History) -> list[tuple[Checkpoint, Checkpoint]]:
        return stage_changes(history)
