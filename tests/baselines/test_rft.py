"""Rejection-sampling fine-tuning: which training it declares, its loss by hand, and whom the trainer asks for answers."""

from __future__ import annotations

import pytest
import torch

from baselines.opd import TeacherGap
from baselines.rft import RFT, Likelihood
from bench.checkpoint import Checkpoint
from bench.method import Rollout, Training
from bench.suite import GRPO
from bench.training.loss import Batch, token_losses
from bench.worker.history import RunHistory
from bench.worker.workbench import Workbench


def test_rft_trains_the_last_checkpoint_on_what_each_targets_own_writes(house) -> None:
    """kl=0.0 and not None: a suite's KL term would hold the model where the other domains left it."""
    own, last = {"math": house.checkpoint(*house.OWN), "code": house.checkpoint(*house.FISHER)}, house.checkpoint(*house.LAST)
    history = house.history(stages=own)
    repaired = RFT(steps=7).recover(last, ("math", "code"), history)
    declared = Training({"math": 0.5, "code": 0.5}, steps=7, sampler=own, advantages=Likelihood(), kl=0.0)
    assert history.asked == [("checkpoint", "math"), ("checkpoint", "code"), ("train", last, declared)]
    assert house.row(repaired) == [value + 1 for value in house.LAST]


def test_the_loss_is_the_likelihood_of_the_rewarded_answers() -> None:
    """Three answers of one prompt, the second of one token: right, half right, wrong. The slope by log p is -r, whatever p is."""
    logs = torch.tensor([[-0.1, -2.0], [-3.0, 0.0], [-1.0, -1.0]], requires_grad=True)
    mask, rewards = torch.tensor([[True, True], [True, False], [True, True]]), torch.tensor([[1.0, 0.5, 0.0]])
    advantages = Likelihood()(Rollout(["math"], rewards, logs.detach(), None, mask)).unsqueeze(1)
    batch = Batch([[1]], ["math"], torch.zeros(3, 2, dtype=torch.long), mask, rewards, advantages, logs.detach())
    token_losses(logs, batch, GRPO(), kl=0.0).sum().backward()
    assert logs.grad.tolist() == [[-1.0, -1.0], [-0.5, 0.0], [0.0, 0.0]]


# --- with the real trainer


def rft(bench: Workbench, own: Checkpoint) -> tuple[Checkpoint, RunHistory]:
    """The base, repaired by one step on what `own` writes."""
    history = RunHistory(bench, ("math", "code"), 100, bench.base, {"math": own, "code": bench.base})
    return RFT(steps=1).recover(bench.base, ("math",), history), history


def test_a_writer_equal_to_the_policy_gives_the_same_step_at_the_same_cost(tiny_bench: Workbench) -> None:
    base = tiny_bench.base
    repaired, history = rft(tiny_bench, base)
    plain = RunHistory(tiny_bench, ("code", "math"), 100, base, {})
    assert plain.train(base, Training.on("math", steps=1, advantages=Likelihood(), kl=0.0)) == repaired != base
    assert history.spent == plain.spent > 0
    assert (history.access.checkpoints, history.access.prompts) == ({"math"}, {"math": tiny_bench.suite.grpo.prompts})


def test_another_writer_gives_another_step(tiny_bench: Workbench) -> None:
    other = tiny_bench.base.map(lambda name, own: own * 0.5 if name == "model.norm.weight" else own)
    assert rft(tiny_bench, other)[0] != rft(tiny_bench, tiny_bench.base)[0]


def test_a_checkpoint_that_writes_and_judges_is_loaded_once(tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    base, loaded = tiny_bench.base, []
    load = Workbench.load
    monkeypatch.setattr(Workbench, "load", lambda self, checkpoint, meter=None: loaded.append(checkpoint) or load(self, checkpoint, meter))
    training = Training.on("math", "qa", steps=1, sampler=base, reference={"math": base, "qa": base}, advantages=TeacherGap(), kl=0.0)
    tiny_bench.train(base, training, seed=100)
    assert loaded == [base, base], "one to train, one to write and judge"
