"""Control: give up the later stages and return to the checkpoint right after the last target's own stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.method import History, Method

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


class Revert(Method):
    """No settings. Recovers all that a single target lost, and loses all that came later: a recovery ratio alone does not show that. With
    several targets it returns to the checkpoint of the latest one; the earlier targets keep the scores that they had there."""

    track = "training-free"
    controls = True

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        return history.checkpoint(max(targets, key=history.sequence.index))
