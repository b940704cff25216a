"""Rejection-sampling fine-tuning (RFT, 2308.01825): after the last stage, fine-tune on rewarded answers of each target's own checkpoint.

    loss = -mean over the answer tokens of a step of  r(x, y) log p(y_t | x, y_<t)

x is a prompt of target d, y an answer that the policy right after d's own stage samples at temperature 1, r its reward, p = pi_theta: with
rewards of 0 and 1, supervised fine-tuning on the right answers. It is the off-policy counterpart of `opd`, which learns from the same
checkpoints on its own answers, and of `refresh`, which learns from the same rewards.

The paper fine-tunes a pretrained model on distinct right solutions of a fine-tuned one, over several epochs. Ours: the last checkpoint as
the model to be fine-tuned, new prompts in each step, equal answers counted as often as they are sampled, partial credit as a weight,
and `steps`.
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
class Likelihood:
    """(P*G,): each answer's reward as its weight, so that the loss is the negative log-likelihood of the rewarded answers."""

    def __call__(self, rollout: Rollout) -> torch.Tensor:
        return rollout.rewards.flatten()


class RFT(Refresh):
    """steps: as in `refresh`. It needs the targets' checkpoints beside their prompts and rewards."""

    steps: int = 10
    search = {"steps": (1, 2, 4, 6, 8, 10, 12, 14)}  # the light track's 10 % is worth 14 steps on math (micro/3, cost by `tune`)

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        owners = {target: history.checkpoint(target) for target in targets}
        return history.train(checkpoint, Training.on(*targets, steps=self.steps, sampler=owners, advantages=Likelihood(), kl=0.0))
