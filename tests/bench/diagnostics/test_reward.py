"""J on a fixed set of answers: unbiased, smooth, and covering."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from bench.diagnostics import reward
from bench.diagnostics.reward import SmoothReward, fresh, share_of
from bench.diagnostics.subject import inner, moved, put, weights_of
from bench.training.loss import Batch
from bench.worker.subject import StagesOfRun
from bench.worker.workbench import Workbench

REWARDS = {1: 1.0, 2: 0.5, 3: 0.0}
"""Of three answers of one token each, the only ones."""


class Table:
    """A model that is nothing but the probabilities of the answers 1, 2 and 3."""

    device = "cpu"

    def __init__(self, *probabilities: float) -> None:
        self.of = dict(zip(REWARDS, probabilities, strict=True))

    @property
    def j(self) -> float:
        return sum(REWARDS[answer] * self.of[answer] for answer in REWARDS)


class Silent:
    rows_at_once = 2

    class dialogue:  # noqa: N801 -- a subject's attribute
        pad = 0


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> dict[Table, tuple[int, ...]]:
    """What each table samples to the one prompt; the test fills it in."""
    draws: dict[Table, tuple[int, ...]] = {}

    def answers(subject: object, model: Table, domain: str, group: int, purpose: str) -> Batch:
        tokens = torch.tensor(draws[model]).unsqueeze(1)
        rewards = torch.tensor([[REWARDS[answer] for answer in draws[model]]])
        return Batch([[9]], [domain], tokens, tokens > 0, rewards, torch.zeros(len(tokens), 1))

    def log_probs(model: Table, batch: Batch, pad: int, *, shared: bool) -> torch.Tensor:
        return torch.tensor([[model.of[int(token)]] for token in batch.tokens[:, 0]]).log()

    for name, value in (("answers", answers), ("log_probs", log_probs), ("KEPT", 2), ("put", lambda model, table: table)):
        monkeypatch.setattr(reward, name, value)
    return draws


def test_it_is_unbiased_at_other_weights_over_all_that_the_anchors_can_sample(sampled: dict[Table, tuple[int, ...]]) -> None:
    """Two anchors with two samples each: all 81 outcomes, each with its probability."""
    anchors, other = [Table(0.2, 0.5, 0.3), Table(0.6, 0.1, 0.3)], Table(0.35, 0.25, 0.4)
    mean = whole = 0.0
    for one, two in product(product(REWARDS, repeat=2), repeat=2):
        chance = 1.0
        for anchor, drawn in zip(anchors, (one, two), strict=True):
            sampled[anchor] = drawn
            chance *= anchor.of[drawn[0]] * anchor.of[drawn[1]]
        mean += chance * SmoothReward(Silent(), "a", None, anchors).value(other)
        whole += chance
    assert whole == pytest.approx(1)
    assert mean == pytest.approx(other.j, rel=1e-6)


def test_what_is_sampled_surely_counts_as_it_is(sampled: dict[Table, tuple[int, ...]]) -> None:
    sure, other = Table(1.0, 0.0, 0.0), Table(0.3, 0.2, 0.5)
    sampled[sure] = (1, 1)
    found = SmoothReward(Silent(), "a", None, [sure])
    assert found.value(other) == pytest.approx(0.3)
    assert found.coverage(other) == pytest.approx(1)


def test_coverage_is_lower_where_answers_are_rare(sampled: dict[Table, tuple[int, ...]]) -> None:
    rare = Table(0.1, 0.0, 0.9)
    sampled[rare] = (1, 3)
    found = SmoothReward(Silent(), "a", None, [rare])
    assert found.value(rare) == pytest.approx(0.1 / (1 - 0.9**2))
    assert found.coverage(rare) == pytest.approx(1 - 0.9**2)


def test_without_a_rewarded_answer_j_is_0(sampled: dict[Table, tuple[int, ...]]) -> None:
    bad = Table(0.1, 0.1, 0.8)
    sampled[bad] = (3, 3)
    found = SmoothReward(Silent(), "a", None, [bad])
    assert (found.value(bad), found.coverage(bad)) == (0.0, 0.0)
    model = torch.nn.Linear(2, 1)
    assert {name: tensor.tolist() for name, tensor in found.gradient(model).items()} == {"weight": [[0.0, 0.0]], "bias": [0.0]}


def test_on_a_language_model_it_agrees_with_fresh_samples_and_its_gradient_with_differences(
    tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reward, "PROMPTS", 64)
    monkeypatch.setattr(reward, "FRESH", 16)
    subject = StagesOfRun(tiny_bench, ("math", "qa"), 100, tiny_bench.base, {"math": tiny_bench.base, "qa": tiny_bench.base})
    model = subject.model(tiny_bench.base)
    smooth = SmoothReward(subject, "math", model, [weights_of(model)])
    assert smooth.value(model) == pytest.approx(fresh(subject, model, "math"), abs=0.04)
    assert 0.5 < smooth.coverage(model) <= 1
    gradient, start = smooth.gradient(model), weights_of(model)
    length = inner(gradient, gradient) ** 0.5
    step = 0.01 / length
    up, down = (smooth.value(put(model, moved(start, sign * step, gradient))) for sign in (1, -1))
    assert (up - down) / (2 * step) == pytest.approx(length**2, rel=0.01)


def test_equal_purposes_share_their_random_numbers_and_others_do_not(tiny_bench: Workbench) -> None:
    subject = StagesOfRun(tiny_bench, ("math", "qa"), 100, tiny_bench.base, {"math": tiny_bench.base, "qa": tiny_bench.base})
    model = subject.model(tiny_bench.base)
    one, same, other = (reward.answers(subject, model, "math", 2, purpose) for purpose in ("J", "J", "anchor 0"))
    assert torch.equal(one.tokens, same.tokens)
    assert one.prompts == other.prompts
    assert not torch.equal(one.tokens, other.tokens)
    validation = [item.prompt for item in tiny_bench.suite.items("math", "validation")]
    assert one.prompts == subject.dialogue.encode(validation)


def test_the_anchors_and_the_fresh_samples_are_independent(tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    purposes = []
    real = reward.answers
    monkeypatch.setattr(reward, "answers", lambda *given: purposes.append(given[-1]) or real(*given))
    subject = StagesOfRun(tiny_bench, ("math", "qa"), 100, tiny_bench.base, {"math": tiny_bench.base, "qa": tiny_bench.base})
    model = subject.model(tiny_bench.base)
    SmoothReward(subject, "math", model, [weights_of(model)] * 2)
    fresh(subject, model, "math")
    assert len(set(purposes)) == len(purposes) == 3


def test_a_share_needs_damage() -> None:
    assert share_of(0.1, 0.2) == pytest.approx(0.5)
    assert share_of(0.1, 0.049) is None
    assert share_of(0.1, -0.2) is None
