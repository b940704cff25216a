"""On-policy distillation (OPD): after the last stage, train briefly to answer as each target's own checkpoint would.

    A_t = log q_d(y_t | x, y_<t) - log p(y_t | x, y_<t)

x is a prompt of target d, y an answer sampled from the model being trained, p = pi_theta; q_d is the policy right after d's own stage.
A_t takes the place of the reward's advantage in the suite's loss, without a KL term; rewards are not used. In expectation over the tokens
a step descends the reverse KL(p || q_d) of the next token, for each target against its own teacher.

One teacher a domain is MOPD (2606.30406); this estimate from the sampled token is the one of NeMo-RL (its guide on MOPD), after the
MiMo-V2-Flash report (2601.02780). Thinking Machines ("On-Policy Distillation", 2025) recover lost behaviour from an earlier checkpoint of
the same model. Ours: every target's stage checkpoint as its teacher, and `steps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from baselines.refresh import Refresh
from bench.method import History, Rollout, Training

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint


@dataclass(frozen=True)
class TeacherGap:
    """(P*G, T): log-probability of each token under the teacher minus that under the policy that sampled it; 0 where the mask is False."""

    def __call__(self, rollout: Rollout) -> torch.Tensor:
        return (rollout.reference_log_probs - rollout.log_probs).where(rollout.mask, 0.0)


class OPD(Refresh):
    """steps: as in `refresh`. It needs the targets' checkpoints and their prompts, but no reward."""

    # An answer token costs 2 N FLOPs to sample, 2 N each for teacher and policy, and 6 N to train, because no group is skipped for equal
    # rewards. On micro/3 a step costs 2.7 times as much as one of `refresh`, so that the light track's 10 % is worth nine.
    steps: int = 5
    search = {"steps": (1, 2, 3, 4, 5, 6, 7, 8)}

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        teachers = {target: history.checkpoint(target) for target in targets}
        return history.train(checkpoint, Training.on(*targets, steps=self.steps, advantages=TeacherGap(), reference=teachers, kl=0.0))
