"""Methods that hold later stages back: EWC, L2, KL."""

from __future__ import annotations

import pytest
import torch

from baselines.cpr import CPR
from baselines.ewc import EWC
from baselines.kl import KL
from baselines.l2 import L2
from bench.checkpoint import Tensors
from bench.method import Method, Stage, Training
from bench.suite import GRPO
from bench.training.loss import Batch, token_losses


@pytest.fixture
def penalised(house):
    """penalised(training, row): the training's penalty at a row of eight numbers, and its gradient there."""

    def at(training: Training, row: tuple[float, ...]) -> tuple[float, list[float]]:
        parameters = {name: tensor.requires_grad_() for name, tensor in house.named(row)}
        held = {name: value for name, value in vars(training.penalty).items() if isinstance(value, Tensors)}
        value = training.penalty(parameters, {name: dict(tensors.items()) for name, tensors in held.items()})
        value.backward()
        return value.item(), [part for parameter in parameters.values() for part in parameter.grad.flatten().tolist()]

    return at


@pytest.mark.parametrize("method", [EWC(), L2(), KL(), CPR()], ids=lambda method: type(method).__name__)
def test_the_first_stage_has_nothing_to_protect(house, method: Method) -> None:
    history = house.history()
    assert method.stage(Stage(0, "math", ("math", "qa")), history) == Training({"math": 1.0})
    assert history.asked == []


def test_l2_by_hand(house, penalised) -> None:
    """strength / 2 x 35 and strength x delta, delta = LAST - OWN."""
    history = house.history(stages={"code": house.checkpoint(*house.FISHER), "math": house.checkpoint(*house.OWN)})
    training = L2(strength=0.5).stage(history.stage(2), history)
    assert history.asked == [("checkpoint", "math")]
    assert training.mixture == {"qa": 1.0}
    assert penalised(training, house.LAST) == (8.75, [1, 0.5, 0, -2, 0.5, 0, -1.5, 1])
    assert penalised(training, house.OWN) == (0, [0] * 8)


def test_ewc_with_one_earlier_domain_by_hand(house, math_only, penalised) -> None:
    """strength / 2 x 19 and strength x F delta = 2 8 0 -1/2 3 0 0 1."""
    training = EWC(strength=0.5, prompts=16).stage(Stage(1, "qa", ("math", "qa")), math_only)
    assert math_only.asked == [("checkpoint", "math"), ("fisher", math_only.stages["math"], "math", 16)]
    assert penalised(training, house.LAST) == (4.75, [1, 4, 0, -0.25, 1.5, 0, 0, 0.5])


def test_ewc_with_two_earlier_domains_by_hand(two_targets, penalised) -> None:
    """At 0 the penalties of code and math add up to strength / 2 x 152 and pull by strength x (F_code theta_code + F_math theta_math);
    at 4 they are strength / 2 x (200 + 160)."""
    training = EWC(strength=0.5).stage(two_targets.stage(2), two_targets)
    at_0, pull = penalised(training, (0.0,) * 8)
    assert pull == [-8, -6, -3, -3, 0, 0, 0, 0]
    at_4, _ = penalised(training, (4.0,) * 8)
    assert at_4 - at_0 == 0.25 * (360 - 152)


def test_kl_refers_to_the_previous_stage(four_stages) -> None:
    previous = four_stages.stages
    assert four_stages.trainings(KL(strength=0.25))[1:] == [
        Training({"math": 1.0}, kl=0.25, reference=previous["code"]),
        Training({"qa": 1.0}, kl=0.25, reference=previous["math"]),
        Training({"cw": 1.0}, kl=0.25, reference=previous["qa"]),
    ]


def test_kl_adds_no_gradient_at_the_reference(four_stages) -> None:
    """Two answers of one token, no advantage; the second is half as likely as under the reference: strength x (1 - q/p) = -1/4."""
    training = KL(strength=0.25).stage(four_stages.stage(1), four_stages)
    own = torch.tensor([[0.5], [0.25]]).log().requires_grad_()
    batch = Batch(
        prompts=[[1]],
        domains=["math"],
        tokens=torch.zeros(2, 1, dtype=torch.long),
        mask=torch.ones(2, 1, dtype=torch.bool),
        rewards=torch.zeros(1, 2),
        advantages=torch.zeros(2, 1),
        reference_log_probs=torch.tensor([[0.5], [0.5]]).log(),
    )
    token_losses(own, batch, GRPO(), training.kl).sum().backward()
    torch.testing.assert_close(own.grad, torch.tensor([[0.0], [-0.25]]))
