"""Trainer and loss: the formulas on examples worked by hand; resuming, masks, adapters and skipped groups.

`test_grpo_vs_trl.py` compares the gradient with TRL's. No test depends on what a model happens to answer, which differs between CPU
types: rewards are given (`Graded`), and so are answers where they matter (`Script`).
"""

from __future__ import annotations

import copy
import io
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from transformers import Qwen3ForCausalLM

from bench.errors import UserError
from bench.method import LoRA, Rollout, Training
from bench.suite import GRPO
from bench.training import grpo, loss
from bench.training.bases.micro import Recipe, config
from bench.training.bases.micro import batch as text_batch
from bench.training.grpo import DivergedError, Trainer, domains_of
from bench.training.loss import (
    Batch,
    backward,
    group_advantages,
    log_probs,
    needed_groups,
    passes,
    sharing_is_exact,
    token_losses,
)
from bench.training.prompting import Dialogue
from bench.training.sampling import Completions, generate
from bench.worker import keys
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.vocabulary import build_tokenizer
from tasks.source import closure
from tasks.task import Item, Task, rng

TOKENIZER = build_tokenizer()
PAD = TOKENIZER.pad_token_id
TASKS = {"cw": CW(), "math": Math()}
SETTINGS = GRPO(steps=4, prompts=4, group=4, learning_rate=1e-3, warmup=2)


@pytest.fixture(scope="module")
def fitted() -> Qwen3ForCausalLM:
    """A tiny model after a few steps on demonstrations."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config(Recipe(hidden=64, layers=2, heads=2, intermediate=128)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(60):
        losses = []
        for task in TASKS.values():
            ids, labels = text_batch(task, TOKENIZER, Recipe(), step)
            losses.append(model(input_ids=ids, labels=labels).loss)
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture
def model(fitted: Qwen3ForCausalLM) -> Qwen3ForCausalLM:
    fitted.zero_grad()
    return copy.deepcopy(fitted)


@dataclass
class Graded(Dialogue):
    """Rewards that depend on an item and on an answer's place in its group of four, whatever the answer is."""

    place: int = 0

    def score(self, task: Task, item: Item, written: str, ended: bool) -> float | None:
        self.place += 1
        return rng("reward", item.prompt, self.place % 4).randrange(5) / 4


class Script:
    """A writer whose answers are given: one list of token ids a row. One that does not end with the end token was cut."""

    def __init__(self, answers: Sequence[Sequence[int]]) -> None:
        self.answers = answers

    def generate(self, prompts: Sequence[Sequence[int]], draws: torch.Tensor, *, ends: Sequence[int], pad: int) -> Completions:
        lengths = torch.tensor([len(answer) for answer in self.answers])
        tokens = torch.tensor([[*answer, *[pad] * (int(lengths.max()) - len(answer))] for answer in self.answers])
        return Completions(tokens, lengths, torch.tensor([answer[-1] in ends for answer in self.answers]))

    def take(self, model: Any) -> None:
        raise AssertionError("one step needs no new weights")


def trainer(model: Qwen3ForCausalLM, training: Training | None = None, settings: GRPO = SETTINGS, **more: Any) -> Trainer:
    given = {"seed": 0, "dialogue": Graded(TOKENIZER)} | more
    return Trainer(model, tasks=TASKS, training=training or Training.on("cw"), settings=settings, **given)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def gradient(model: Any) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether two sets of tensors are equal bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def synthetic(rewards: Sequence[Sequence[float]], seed: int = 0, width: int = 6) -> Batch:
    """Random answers of 1 to `width` tokens to random prompts of unequal length."""
    draw = torch.Generator().manual_seed(seed)
    prompts, group = len(rewards), len(rewards[0])
    mask = torch.arange(width) < torch.randint(1, width + 1, (prompts * group, 1), generator=draw)
    return Batch(
        prompts=[torch.randint(2, len(TOKENIZER), (3 + 2 * place,), generator=draw).tolist() for place in range(prompts)],
        domains=["cw"] * prompts,
        tokens=torch.randint(2, len(TOKENIZER), mask.shape, generator=draw).where(mask, PAD),
        mask=mask,
        rewards=torch.tensor(rewards),
        advantages=group_advantages(torch.tensor(rewards)).reshape(-1, 1),
    )


# --- formulas ---------------------------------------------------------------------------------------------------------------------


def test_advantages_by_hand() -> None:
    # Mean 0.5; unbiased variance 4 * 0.25 / 3, so its root is 0.577350.
    found = group_advantages(torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.25, 0.25, 0.25, 0.25]]))
    expected = 0.5 / (math.sqrt(1 / 3) + 1e-4)
    torch.testing.assert_close(found, torch.tensor([[-expected, -expected, expected, expected], [0.0, 0.0, 0.0, 0.0]]))


@pytest.mark.parametrize("score", [1 / 3, 2 / 3, 1 / 5, 4 / 5, 0.1, 1.0])
def test_equal_rewards_give_no_advantage_though_their_mean_is_rounded(score: float) -> None:
    batch = synthetic([[score] * 8, [score] * 7 + [0.0]])
    assert batch.advantages[:8].tolist() == [[0.0]] * 8
    assert needed_groups(batch, kl=0.0) == [1]
    assert grpo._summary(batch)["groups_with_spread"] == 0.5


def test_token_losses_by_hand() -> None:
    """Old probability 0.5, ratios 1.5, 0.5 and 1.1, advantages 2 and -1, clipped to [0.8, 1.28]; the last column is masked."""
    ratios = torch.tensor([1.5, 0.5, 1.1, 9.0])
    new = torch.log(0.5 * ratios).repeat(2, 1).requires_grad_()
    batch = synthetic([[0.0, 1.0]], width=4)
    batch.mask = torch.tensor([True, True, True, False]).repeat(2, 1)
    batch.advantages = torch.tensor([[2.0], [-1.0]])
    batch.log_probs = torch.full((2, 4), math.log(0.5))
    losses = token_losses(new, batch, SETTINGS, kl=0.0)
    torch.testing.assert_close(losses, torch.tensor([[-2.56, -1.0, -2.2, 0.0], [1.5, 0.8, 1.1, 0.0]]))
    losses.sum().backward()
    # The gradient of an unclipped token is -ratio * advantage; a clipped one has none.
    torch.testing.assert_close(new.grad, torch.tensor([[0.0, -1.0, -2.2, 0.0], [1.5, 0.0, 1.1, 0.0]]))


def test_token_losses_with_kl_by_hand() -> None:
    batch = synthetic([[0.0, 1.0]], width=1)
    batch.mask = torch.ones(2, 1, dtype=torch.bool)
    batch.advantages = torch.tensor([[2.0], [-1.0]])
    batch.reference_log_probs = torch.log(torch.tensor([[0.5], [0.25]]))
    new = torch.log(torch.tensor([[0.25], [0.5]]))
    # q/p = 2: 2 - log 2 - 1; q/p = 1/2: 1/2 + log 2 - 1. No old log-probabilities: the ratio is 1.
    expected = torch.tensor([[-2 + 0.1 * (1 - math.log(2))], [1 + 0.1 * (math.log(2) - 0.5)]])
    torch.testing.assert_close(token_losses(new, batch, SETTINGS, kl=0.1), expected)


# --- the two passes ---------------------------------------------------------------------------------------------------------------


def test_shared_prompts_give_the_plain_log_probabilities(model: Qwen3ForCausalLM) -> None:
    batch = synthetic([[0.0, 1.0, 0.5]] * 3)
    shared, plain = (log_probs(model, batch, PAD, shared=shared) for shared in (True, False))
    torch.testing.assert_close(shared[batch.mask], plain[batch.mask], rtol=1e-5, atol=1e-5)
    alone = model(torch.tensor([batch.prompts[1] + batch.tokens[4].tolist()])).logits.log_softmax(-1)[0]
    expected = [alone[len(batch.prompts[1]) - 1 + at, token].item() for at, token in enumerate(batch.tokens[4])]
    assert plain[4][batch.mask[4]].tolist() == pytest.approx(torch.tensor(expected)[batch.mask[4]].tolist(), abs=1e-4)
    assert sharing_is_exact(model, batch, PAD)


SAVING = GRPO(**{**vars(SETTINGS), "gradient_checkpointing": True})


def test_sharing_is_refused_under_gradient_checkpointing(model: Qwen3ForCausalLM) -> None:
    assert trainer(model, settings=SAVING).shared is False
    assert not sharing_is_exact(model, synthetic([[0.0, 1.0]]), PAD)


def test_gradient_checkpointing_leaves_the_gradient_alone(model: Qwen3ForCausalLM) -> None:
    plain, saving = trainer(copy.deepcopy(model)), trainer(model, settings=SAVING)
    calls = {id(each.model): 0 for each in (plain, saving)}
    for each in (plain, saving):
        layer = each.model.model.layers[0].mlp
        layer.register_forward_pre_hook(lambda *_, key=id(each.model): calls.update({key: calls[key] + 1}))
        each.update(synthetic(UNEVEN))
    assert list(calls.values()) == [1, 2], "what is inside a layer runs again in the backward pass"
    expected = gradient(plain.model)
    assert (gradient(saving.model) - expected).norm() <= 1e-5 * expected.norm()


# --- the backward pass ------------------------------------------------------------------------------------------------------------

UNEVEN = [[0.0, 1.0, 0.5], [0.25, 0.25, 0.25], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.75, 0.0, 0.0]]


def test_groups_without_spread_are_skipped_and_change_nothing(model: Qwen3ForCausalLM) -> None:
    batch = synthetic(UNEVEN)
    assert needed_groups(batch, kl=0.0) == [0, 2, 4]
    assert needed_groups(batch, kl=0.1) == [0, 1, 2, 3, 4]
    losses = token_losses(log_probs(model, batch, PAD, shared=False), batch, SETTINGS, 0.0)
    (losses.sum() / batch.mask.sum()).backward()
    expected = gradient(model)
    model.zero_grad()
    rows: list[int] = []
    model.register_forward_pre_hook(lambda _, args, inputs: rows.append(len(inputs["input_ids"])), with_kwargs=True)
    loss = backward(model, batch, SETTINGS, pad=PAD, shared=False)
    assert rows == [9]
    assert (gradient(model) - expected).norm() <= 1e-6 * expected.norm()
    assert loss == pytest.approx((losses.sum() / batch.mask.sum()).item(), abs=1e-6)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("size", [1, 2])
def test_groups_at_once_bounds_memory_and_changes_nothing(model: Qwen3ForCausalLM, size: int, shared: bool) -> None:
    batch = synthetic(UNEVEN)
    whole = backward(model, batch, SETTINGS, pad=PAD, shared=shared)
    expected = gradient(model)
    model.zero_grad()
    settings = GRPO(**{**vars(SETTINGS), "groups_at_once": size})
    parts = backward(model, batch, settings, pad=PAD, shared=shared)
    assert (gradient(model) - expected).norm() <= 1e-5 * expected.norm()
    assert parts == pytest.approx(whole, abs=1e-6)


def test_advantages_may_differ_from_token_to_token(model: Qwen3ForCausalLM) -> None:
    """A token whose advantage is 0 counts in the denominator alone."""
    batch = synthetic([[0.0, 1.0]])
    batch.mask = torch.ones_like(batch.mask)
    batch.advantages = torch.zeros(batch.tokens.shape)
    batch.advantages[1, 2] = 3.0
    backward(model, batch, SETTINGS, pad=PAD, shared=True)
    found = gradient(model)
    model.zero_grad()
    (-3.0 * log_probs(model, batch, PAD, shared=False)[1, 2] / batch.tokens.numel()).backward()
    assert (found - gradient(model)).norm() <= 1e-5 * found.norm()


# --- mixtures and rewards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", [{"a": 0.5, "b": 0.5}, {"a": 0.9, "b": 0.1}, {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}])
def test_domains_keep_their_shares(mixture: dict[str, float]) -> None:
    """Over any run of steps, to within a few prompts (independent draws would stray by about 30 here)."""
    drift = {name: [0.0] for name in mixture}
    for step in range(250):
        counts = Counter(domains_of(mixture, 8, step))
        assert sum(counts.values()) == 8
        for name, share in mixture.items():
            drift[name].append(drift[name][-1] + counts[name] - 8 * share)
    assert max(max(path) - min(path) for path in drift.values()) <= 4


def test_domains_depend_on_shares_and_step_alone() -> None:
    mixture = {"b": 0.37, "a": 0.63}
    steps = [domains_of(mixture, 5, step) for step in range(20)]
    assert [domains_of({"a": 0.63, "b": 0.37}, 5, step) for step in reversed(range(20))] == steps[::-1]
    assert len({tuple(names) for names in steps}) > 1
    assert domains_of({"a": 1.0}, 3, 7) == ["a", "a", "a"]


def test_a_mixtures_domains_go_through_the_model_apart(model: Qwen3ForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short prompt beside a long one of another domain would be padded to it, and cost as much."""
    sampled, passed = [], []

    def sampling(model: Any, prompts: Any, *args: Any, **kwargs: Any) -> Any:
        sampled.append(prompts)
        return generate(model, prompts, *args, **kwargs)

    def passing(model: Any, batch: Batch, *args: Any, **kwargs: Any) -> torch.Tensor:
        passed.append(set(batch.domains))
        assert batch.mask.any(0).all(), "columns that no answer of these uses"
        return log_probs(model, batch, *args, **kwargs)

    monkeypatch.setattr(grpo, "generate", sampling)
    mixed = trainer(model, Training.on("cw", "math"), GRPO(steps=1, prompts=8, group=4, updates=2))
    batch = mixed.rollout()
    assert [len(prompts) for prompts in sampled] == [batch.domains.count("cw"), batch.domains.count("math")]
    assert sampled[0] + sampled[1] == batch.prompts
    monkeypatch.setattr(grpo, "log_probs", passing)
    monkeypatch.setattr(loss, "log_probs", passing)
    mixed.update(batch)
    mixed._all_log_probs(model, batch)
    assert passed == [{"cw"}, {"math"}] * 2
    assert list(passes(batch, [0, 2, 5, 7], 1)) == [[0], [2], [5], [7]]
    assert [len(groups) for groups in passes(batch, range(8), 3)] == [3, 1, 3, 1]


def test_permuted_rewards_keep_each_groups_rewards(model: Qwen3ForCausalLM) -> None:
    plain, null = trainer(model).rollout(), trainer(model, permute_rewards=True).rollout()
    assert torch.equal(plain.tokens, null.tokens)
    assert torch.equal(plain.rewards.sort(1).values, null.rewards.sort(1).values)
    assert not torch.equal(plain.rewards, null.rewards)
    assert torch.equal(null.advantages, group_advantages(null.rewards).reshape(-1, 1))


def _almost(item: Item) -> str:
    """A line that breaks one of its constraints only."""
    lines = ("".join(words) for words in itertools.permutations(item.facts[1]))
    return next(text for text in lines if TASKS["cw"].score(item, text) == 0.5)


def test_rewards_are_the_tasks_scores_and_0_where_the_answer_did_not_end(model: Qwen3ForCausalLM) -> None:
    items = [TASKS["cw"].item("train", 0, number) for number in range(4)]
    answers, end = [], TOKENIZER.eos_token_id
    for item in items:  # right; right but cut; no line of words; right but for one constraint
        right, no_line, word = (TOKENIZER(text)["input_ids"] for text in (item.answer, "1+", _almost(item)))
        answers += [[*right, end], right, [*no_line, end], [*word, end]]
    batch = trainer(model, dialogue=Dialogue(TOKENIZER), writer=Script(answers)).rollout()
    assert batch.prompts == TOKENIZER([item.prompt for item in items])["input_ids"]
    assert [tokens[mask].tolist() for tokens, mask in zip(batch.tokens, batch.mask, strict=True)] == answers
    expected = [[1.0, 0.0, 0.0, 0.5] for item in items]
    torch.testing.assert_close(batch.rewards, torch.tensor(expected))
    assert batch.unparsed == 0.5


# --- a training -------------------------------------------------------------------------------------------------------------------


@dataclass
class Curriculum:
    """Continues after the last prompts: an example of a choice that keeps state."""

    state: dict[str, Any] = field(default_factory=lambda: {"next": 0, "rates": []})

    def choose(self, domain: str, count: int, step: int) -> Sequence[int]:
        self.state["next"] += count
        return range(self.state["next"] - count, self.state["next"])

    def feedback(self, domain: str, indices: Sequence[int], pass_rates: Sequence[float]) -> None:
        # What comes next depends on the feedback.
        self.state["next"] += sum(rate < 0.5 for rate in pass_rates)
        self.state["rates"].append(list(pass_rates))


@dataclass
class Growing:
    """A pull to zero that grows step by step: an example of another hook that keeps state."""

    state: dict[str, Any] = field(default_factory=lambda: {"calls": 0})

    def __call__(self, parameters: Mapping[str, torch.Tensor], loaded: Any) -> torch.Tensor:
        self.state["calls"] += 1
        return 0.01 * self.state["calls"] * sum(parameter.square().sum() for parameter in parameters.values())


@dataclass(frozen=True)
class Averaged:
    """A frozen hook that keeps tensors: the mean of a step's gradient and all before it."""

    state: dict[str, Any] = field(default_factory=lambda: {"mean": {}})

    def __call__(self, gradients: Mapping[str, Mapping[str, torch.Tensor]]) -> Mapping[str, torch.Tensor]:
        (own,) = gradients.values()
        before = self.state["mean"]
        self.state["mean"] = {name: (gradient + before.get(name, gradient)) / 2 for name, gradient in own.items()}
        return self.state["mean"]


TRAININGS = {
    "plain": (Training.on("cw"), 1),
    "two updates, two domains": (Training.on("cw", "math"), 2),
    "chosen prompts": (Training.on("cw", prompts=Curriculum()), 1),
    "averaged gradients": (Training.on("cw", gradient=Averaged()), 1),
    "a growing penalty": (Training.on("cw", penalty=Growing()), 1),
    "adapters": (Training.on("cw", trainable=LoRA(rank=2)), 1),
}


@pytest.mark.parametrize(("training", "updates"), TRAININGS.values(), ids=TRAININGS)
@pytest.mark.parametrize("stop", [1, 3])
def test_resumed_is_uninterrupted(model: Qwen3ForCausalLM, training: Training, updates: int, stop: int) -> None:
    settings = GRPO(**{**vars(SETTINGS), "updates": updates})
    whole = trainer(copy.deepcopy(model), copy.deepcopy(training), settings)
    expected = list(whole.steps())
    assert any(line["gradient_norm"] > 0 for line in expected[stop:])

    first = trainer(copy.deepcopy(model), copy.deepcopy(training), settings)
    lines = list(itertools.islice(first.steps(), stop))
    file = io.BytesIO()
    torch.save(first.state(), file)
    file.seek(0)
    second = trainer(copy.deepcopy(model), copy.deepcopy(training), settings)
    second.restore(torch.load(file, weights_only=True))
    assert lines + list(second.steps()) == expected
    assert same(weights(second.finished()), weights(whole.finished()))
    assert not same(weights(whole.finished()), weights(model))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_the_training(model: Qwen3ForCausalLM, bad: float) -> None:
    @dataclass
    class Explode:
        calls: int = 0

        def __call__(self, parameters: Mapping[str, torch.Tensor], loaded: Any) -> torch.Tensor:
            self.calls += 1
            return next(iter(parameters.values())).sum() * (bad if self.calls == 3 else 0.0)

    training = trainer(model, Training.on("cw", penalty=Explode()))
    steps = training.steps()
    next(steps), next(steps)
    before = weights(model)
    with pytest.raises(DivergedError, match=r"training on cw diverged at step 3\b"):
        next(steps)
    assert same(weights(model), before)


def test_a_model_that_is_not_finite_stops_the_training(model: Qwen3ForCausalLM) -> None:
    with torch.no_grad():
        model.model.norm.weight[0] = math.nan
    with pytest.raises(DivergedError):
        list(trainer(model).steps())


def test_a_training_does_not_depend_on_the_global_generator(model: Qwen3ForCausalLM) -> None:
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.2
    models = [copy.deepcopy(model), copy.deepcopy(model)]
    for seed, each in enumerate(models):
        torch.manual_seed(seed)
        list(trainer(each).steps())
    assert same(weights(models[0]), weights(models[1]))


@pytest.mark.parametrize(("given", "used"), [(None, SETTINGS.learning_rate), (1e-9, 1e-9)])
def test_the_suites_rate_is_used_where_a_training_gives_none(model: Qwen3ForCausalLM, given: float | None, used: float) -> None:
    assert trainer(model, Training.on("cw", learning_rate=given)).rate == used


@pytest.mark.parametrize(
    ("start", "keyed"),
    [
        ("bench.training.grpo", keys.TRAINING_CODE),
        ("bench.training.derivatives", keys.DERIVATIVES_CODE),
        ("bench.evaluation.scoring", keys.SCORING_CODE),
    ],
)
def test_the_code_that_decides_a_result_is_in_its_key(start: str, keyed: tuple[str, ...]) -> None:
    needed = {name for name in closure(start) if name.startswith(("bench.training.", "bench.evaluation."))}
    assert {start, "bench.training.sampling", "bench.training.prompting"} <= needed
    assert needed <= set(keyed)


def test_the_rate_warms_up_and_stays(model: Qwen3ForCausalLM) -> None:
    training = trainer(model, Training.on("cw", learning_rate=3e-3), GRPO(**{**vars(SETTINGS), "warmup": 3}))
    rates = [training.optimizer.param_groups[0]["lr"] for _ in training.steps()]
    assert rates == pytest.approx([1e-3, 2e-3, 3e-3, 3e-3])


def test_adapters_alone_move_and_merge_into_the_linear_layers(model: Qwen3ForCausalLM) -> None:
    before, adapters = weights(model), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        training = trainer(copy.deepcopy(model), Training.on("cw", trainable=LoRA(rank=2)))
        adapters.append({name: parameter.detach().clone() for name, parameter in training.parameters.items()})
        after = torch.rand(())
        assert after == torch.rand((), generator=torch.Generator().manual_seed(seed))
    assert same(*adapters)  # neither drawn from the global generator nor drawing from it
    assert training.parameters and all("lora_" in name for name in training.parameters)
    list(training.steps())
    held = {n.replace("base_model.model.", "").replace(".base_layer", ""): p for n, p in weights(training.model).items()}
    assert same({name: tensor for name, tensor in held.items() if "lora_" not in name}, before)

    batch = synthetic([[0.0, 1.0]])
    adapted = log_probs(training.model, batch, PAD, shared=False)
    merged = training.finished()
    assert type(merged) is Qwen3ForCausalLM
    after = weights(merged)
    assert after.keys() == before.keys()
    linear = {name for name in before if name.endswith("_proj.weight")}
    assert {name for name in before if not torch.equal(before[name], after[name])} == linear
    torch.testing.assert_close(log_probs(merged, batch, PAD, shared=False), adapted, rtol=1e-4, atol=1e-4)


def test_masked_coordinates_stay_bit_identical(model: Qwen3ForCausalLM) -> None:
    draw = torch.Generator().manual_seed(0)
    mask = {n: torch.randint(0, 2, p.shape, generator=draw).float() for n, p in model.named_parameters()}
    before = weights(model)
    list(trainer(model, mask=mask).steps())
    moved = {name: weights(model)[name] != before[name] for name in before}
    assert not any((moved[name] & (mask[name] == 0)).any() for name in before)
    assert all(moved[name].any() for name in before)


def test_a_gradient_edit_sees_each_domain_alone(model: Qwen3ForCausalLM) -> None:
    seen: dict[str, dict[str, torch.Tensor]] = {}

    def first_only(gradients: Mapping[str, Mapping[str, torch.Tensor]]) -> Mapping[str, torch.Tensor]:
        seen.update({domain: dict(tensors) for domain, tensors in gradients.items()})
        return gradients["cw"]

    settings = GRPO(**{**vars(SETTINGS), "prompts": 32, "max_grad_norm": 1e9})
    training = trainer(model, Training.on("cw", "math", gradient=first_only), settings)
    batch = training.rollout()
    start = copy.deepcopy(model)
    training.update(batch)
    assert seen.keys() == {"cw", "math"}
    for domain, tensors in seen.items():
        start.zero_grad()
        backward(start, batch.select([g for g, name in enumerate(batch.domains) if name == domain]), settings, pad=PAD)
        expected = gradient(start)
        found = torch.cat([tensors[name].flatten() for name, _ in start.named_parameters()])
        assert expected.norm() > 0
        assert (found - expected).norm() <= 1e-5 * expected.norm()
    assert all(torch.equal(parameter.grad, seen["cw"][name]) for name, parameter in model.named_parameters())


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda gradients: None, "returned a NoneType"),
        (lambda gradients: {}, "returned no gradient for model"),
        (lambda gradients: {**gradients["cw"], "other": torch.ones(1)}, "returned one for an unknown parameter, other"),
        (
            lambda gradients: {name: tensor.sum() for name, tensor in gradients["cw"].items()},
            r"returned shape \(\) for .*: return a tensor of shape",
        ),
        (
            lambda gradients: {name: tensor[:1] for name, tensor in gradients["cw"].items()},
            r"returned shape \(1,.* for .*: return a tensor of shape",
        ),
    ],
)
def test_a_gradient_edit_must_give_every_parameter_a_gradient(model: Qwen3ForCausalLM, edit: Callable[..., Any], said: str) -> None:
    """Otherwise a parameter would keep the gradient of one of the domains, or have one number for all its coordinates."""
    training = trainer(model, Training.on("cw", "math", gradient=edit))
    before = weights(model)
    with pytest.raises(UserError, match=said):
        training.update(training.rollout())
    assert all(torch.equal(before[name], after) for name, after in weights(model).items())


@dataclass
class Chosen:
    """Prompts that are given."""

    numbers: Any

    def choose(self, domain: str, count: int, step: int) -> Any:
        return self.numbers

    def feedback(self, domain: str, indices: Sequence[int], pass_rates: Sequence[float]) -> None:
        raise AssertionError("nothing was sampled")


@pytest.mark.parametrize("numbers", [[0, 1, 2], [0, 1, 2, 3, 4], [0, 1, 2, -1], [0, 1, 2, 0.5], None, 4])
def test_a_choice_of_prompts_must_be_as_many_as_asked(model: Qwen3ForCausalLM, numbers: Any) -> None:
    """More would be sampled than the access that is recorded."""
    with pytest.raises(UserError, match=r"prompts hook Chosen chose .*: return 4 whole numbers of at least 0"):
        trainer(model, Training.on("cw", prompts=Chosen(numbers))).rollout()


@pytest.mark.parametrize(
    ("shape", "said"),
    [((4, 4), r"shape \(4, 4\)"), ((1, 16), r"shape \(1, 16\)"), ((3,), r"shape \(3,\)"), (None, "a NoneType")],
)
def test_an_advantages_hook_must_give_one_an_answer_or_one_a_token(model: Qwen3ForCausalLM, shape: Any, said: str) -> None:
    def hook(rollout: Rollout) -> Any:
        return None if shape is None else torch.ones(shape)

    with pytest.raises(UserError, match=rf"advantages hook function returned {said}: return a tensor of shape \(16,\), one an answer, or"):
        trainer(model, Training.on("cw", advantages=hook)).rollout()


def test_a_training_keeps_to_its_own_prompts(model: Qwen3ForCausalLM) -> None:
    """Beyond a million those of repairs begin."""
    with pytest.raises(UserError, match="training on cw: 100,000 steps of 11 prompts are more than 1,000,000"):
        trainer(model, Training.on("cw", steps=100_000), GRPO(**{**vars(SETTINGS), "prompts": 11}))
    trainer(model, Training.on("cw", steps=100_000), GRPO(**{**vars(SETTINGS), "prompts": 10}))


def test_an_advantages_hook_sees_policy_and_reference(model: Qwen3ForCausalLM, fitted: Qwen3ForCausalLM) -> None:
    reference = copy.deepcopy(fitted)
    with torch.no_grad():
        reference.model.norm.weight.mul_(1.5)
    seen: list[Rollout] = []

    def hook(rollout: Rollout) -> torch.Tensor:
        seen.append(rollout)
        return torch.arange(len(rollout.mask)).float()

    batch = trainer(model, Training.on("cw", "math", advantages=hook), reference={"*": reference}).rollout()
    torch.testing.assert_close(batch.advantages, torch.arange(16.0).unsqueeze(1))
    rollout, mask = seen[0], batch.mask
    assert rollout.domains == batch.domains and rollout.mask.shape == batch.tokens.shape
    for found, source in ((rollout.log_probs, model), (rollout.reference_log_probs, reference)):
        torch.testing.assert_close(found[mask], log_probs(source, batch, PAD, shared=False)[mask], rtol=1e-4, atol=1e-4)
    assert (rollout.log_probs - rollout.reference_log_probs)[mask].abs().max() > 0.01


class Idle:
    """A writer that must not be asked: it generates what the trained model answers."""

    def generate(self, *given: Any, **more: Any) -> Completions:
        raise AssertionError("the sampler writes")


def test_a_sampler_writes_the_answers_of_its_domain(model: Qwen3ForCausalLM, fitted: Qwen3ForCausalLM) -> None:
    """And the policy before the step is what hooks see and the loss compares with."""
    other = copy.deepcopy(fitted)
    with torch.no_grad():
        other.model.norm.weight.mul_(-1.0)
    seen: list[Rollout] = []

    def hook(rollout: Rollout) -> torch.Tensor:
        seen.append(rollout)
        return rollout.rewards.flatten()

    training = Training.on("cw", "math", advantages=hook)
    plain = trainer(model, training).rollout()
    mixed = trainer(model, training, samplers={"cw": other, "math": model}).rollout()
    alone = trainer(other, training).rollout()

    def written(batch: Batch, domain: str) -> list[list[int]]:
        rows = batch.rows([group for group, name in enumerate(batch.domains) if name == domain]).tolist()
        return [batch.tokens[row, batch.mask[row]].tolist() for row in rows]

    assert mixed.prompts == plain.prompts == alone.prompts
    assert written(mixed, "cw") == written(alone, "cw") != written(plain, "cw")
    assert written(mixed, "math") == written(plain, "math") != written(alone, "math")
    torch.testing.assert_close(seen[1].log_probs[mixed.mask], log_probs(model, mixed, PAD, shared=False)[mixed.mask], rtol=1e-4, atol=1e-4)
    everywhere = trainer(model, training, samplers={"*": other}, writer=Idle()).rollout()
    assert torch.equal(everywhere.tokens, alone.tokens)


def test_repairs_and_other_seeds_see_other_prompts(model: Qwen3ForCausalLM) -> None:
    stage, again = trainer(model).rollout(), trainer(model).rollout()
    assert stage.prompts == again.prompts and torch.equal(stage.tokens, again.tokens)
    repair = trainer(model, purpose="repair").rollout()
    assert repair.prompts != stage.prompts
    second = trainer(model, purpose="repair", draw=1).rollout()
    assert not {*map(tuple, second.prompts)} & {*map(tuple, repair.prompts), *map(tuple, stage.prompts)}
    assert trainer(model, seed=1).rollout().prompts != stage.prompts
