"""RAM+ (Reinforced Agent Merging, 2601.13572): a merge for sparse updates of RL, in which no average dilutes what one expert alone changed.

    changed         c_k,i = 1 where |tau_k,i| is among the `share` largest of tau_k, else 0;    n_i = sum_k c_k,i
    shared          tau_i = sum_k c_k,i tau_k,i / n_i                 where n_i >= 2
    unique          tau_i = lambda_k tau_k,i                          where k alone changed i
                    lambda_k = 1 + rescale * min(1, rho_k),    rho_k = k's shared coordinates / k's unique ones
    theta = theta_0 + scale * tau

`rescale` 0 is the paper's RAM; min(1, .) and 0.2 are those of the authors' code (github.com/xiangchi-yuan/mrl), which has no `scale`. There
a coordinate is changed where |tau| > 1e-5, as few are in the paper's models. Adam moves nearly all of micro's fp32 weights further than
that, so all would be shared and RAM a plain mean. Ours is therefore the share with the largest |tau|, as in `ties`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baselines.mode_imm import TINY
from baselines.ties import TIES
from bench.method import History

if TYPE_CHECKING:
    import torch

    from baselines.task_arithmetic import Merge
    from bench.checkpoint import Checkpoint


class RAM(TIES):
    """share: of all coordinates, the share that counts as changed in each task vector, in (0, 1]; rescale: the most that is added to the
    factor of unique changes, at least 0; scale: of the merged task vector."""

    rescale: float = 0.2
    search = {"share": (0.05, 0.1, 0.2, 0.4), "rescale": (0.0, 0.2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rescale < float("inf"):
            raise ValueError(f"rescale={self.rescale}: must be at least 0")

    def merger(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]], history: History) -> Merge:
        cuts = [max(self.cut(before, after), TINY) for before, after in pairs]  # 0 is no change, however large the share
        factors = self.factors(pairs, cuts)

        def merge(name: str, taus: Sequence[torch.Tensor]) -> torch.Tensor:
            changed = changes(taus, cuts)
            count = sum(c.int() for c in changed)
            kept = [tau.where(c, 0.0) for tau, c in zip(taus, changed, strict=True)]
            unique = sum(factor * tau for factor, tau in zip(factors, kept, strict=True))
            return unique.where(count == 1, sum(kept) / count.clamp(min=1))

        return merge

    def factors(self, pairs: Sequence[tuple[Checkpoint, Checkpoint]], cuts: Sequence[float]) -> list[float]:
        """lambda_k of each task vector; 1 + `rescale`, without effect, where it has no unique change."""
        unique, all_changed = [0] * len(pairs), [0] * len(pairs)
        first, *others = (end for pair in pairs for end in pair)
        for _, *ends in first.pieces(*others):
            changed = changes([after - before for before, after in zip(ends[::2], ends[1::2], strict=True)], cuts)
            count = sum(c.int() for c in changed)
            for k, c in enumerate(changed):
                unique[k] += int((c & (count == 1)).sum())
                all_changed[k] += int(c.sum())
        return [1 + self.rescale * min(1.0, (n - own) / max(own, 1)) for own, n in zip(unique, all_changed, strict=True)]


def changes(taus: Sequence[torch.Tensor], cuts: Sequence[float]) -> list[torch.Tensor]:
    """Where each task vector counts as changed."""
    return [tau.abs() >= cut for tau, cut in zip(taus, cuts, strict=True)]
