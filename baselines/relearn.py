"""Control: spend the steps of `refresh` on the base instead of on the last checkpoint.

theta <- GRPO on the targets, from theta_0, for `steps` steps. It shows how far the same training takes a model that never learned the
targets: if `refresh` gets no further, it learns them anew rather than recovers them. All other domains lose what their stages gained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.refresh import Refresh
from bench.method import History

if TYPE_CHECKING:
    from bench.checkpoint import Checkpoint


class Relearn(Refresh):
    """steps: as in `refresh`."""

    controls = True
    follows = "refresh"
    search = {}  # a control follows `refresh`'s settings

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        return super().recover(history.base, targets, history)
