"""Our GRPO against TRL's GRPOTrainer: the same weights, answers, rewards and settings must give the same gradient.

TRL runs whole: its own scoring, advantages, old and reference log-probabilities, loss and optimizer. Only its generation is
replaced, through its `rollout_func`, so that both see the same answers. TRL 1.16 multiplies the KL term by the importance ratio by
default (`use_bias_correction_kl`); our loss is the plain one of 2402.03300, so that is off here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3ForCausalLM, TrainerCallback

from bench.method import Training
from bench.suite import GRPO
from bench.training.bases.micro import Recipe, config
from bench.training.grpo import Trainer
from bench.training.loss import Batch, backward, group_advantages, log_probs
from bench.training.prompting import Dialogue
from tasks.micro.math import Math
from tasks.micro.vocabulary import TOKENS, build_tokenizer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*rollout_func.*experimental"),
    pytest.mark.filterwarnings("ignore:.gradient_checkpointing. is deprecated:FutureWarning"),  # TRL 1.16's own
]

TOLERANCE = 1e-4
PAD = TOKENS.index("<pad>")
SETTINGS = GRPO(steps=3, prompts=4, group=4, learning_rate=1e-3, warmup=1, max_grad_norm=0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Qwen3 on disk: TRL builds its reference model from a folder."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config(Recipe(hidden=64, layers=2, heads=2, intermediate=128)))
    with torch.no_grad():
        for parameter in model.parameters():
            # At the usual scale a random model is all but blind to its context, and so to a wrong mask or position.
            parameter.mul_(6 if parameter.ndim == 2 else 1)
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


def load(folder: Path, noise: float = 0.0) -> Qwen3ForCausalLM:
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * parameter.std() * torch.randn(parameter.shape, generator=draw))
    return model


def make_batch(seed: int, lengths: tuple[int, ...] = (3, 9, 5, 14), flat: tuple[int, ...] = ()) -> Batch:
    """Random answers, 1 to 7 tokens, to random prompts of `lengths` tokens; the groups in `flat` have no spread of rewards."""
    draw = torch.Generator().manual_seed(seed)
    rows, width = len(lengths) * SETTINGS.group, 7
    mask = torch.arange(width) < torch.randint(1, width + 1, (rows, 1), generator=draw)
    mask[0] = True
    tokens = torch.randint(2, len(TOKENS), mask.shape, generator=draw).where(mask, PAD)
    rewards = torch.randint(0, 5, (len(lengths), SETTINGS.group), generator=draw) / 4
    rewards[:, 0], rewards[:, 1] = 0.0, 1.0
    rewards[list(flat)] = 0.25
    return Batch(
        prompts=[torch.randint(2, len(TOKENS), (length,), generator=draw).tolist() for length in lengths],
        domains=["math"] * len(lengths),
        tokens=tokens,
        mask=mask,
        rewards=rewards,
        advantages=group_advantages(rewards).reshape(-1, 1),
    )


@dataclass
class Replay:
    """A `rollout_func` and a reward function that hand TRL the answers of prepared batches, one batch a rollout."""

    batches: list[Batch]
    __name__ = "replay"

    def __post_init__(self) -> None:
        self.pending: Iterator[Batch] = iter(self.batches)

    def rollout(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        self.current = next(self.pending)
        rows = zip(self.current.tokens, self.current.mask, strict=True)
        group = self.current.group
        return {
            "prompt_ids": [prompt for prompt in self.current.prompts for _ in range(group)],
            "completion_ids": [tokens[mask].tolist() for tokens, mask in rows],
            "logprobs": None,
        }

    def __call__(self, **columns: Any) -> list[float]:
        return self.current.rewards.flatten().tolist()


def trl_trainer(folder: Path, out: Path, batches: list[Batch], settings: GRPO = SETTINGS, beta: float = 0.0) -> Any:
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    replay, rows = Replay(batches), len(batches[0].tokens)
    args = GRPOConfig(
        output_dir=str(out),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        disable_dropout=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        per_device_train_batch_size=rows,
        num_generations=settings.group,
        max_completion_length=7,
        temperature=1.0,
        loss_type="dapo",
        scale_rewards="group",
        beta=beta,
        use_bias_correction_kl=False,
        epsilon=settings.clip_low,
        epsilon_high=settings.clip_high,
        num_iterations=settings.updates,
        max_steps=len(batches) * settings.updates,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=settings.max_grad_norm,
        optim="adamw_torch",
        adam_beta2=0.99,
        weight_decay=0.0,
        model_init_kwargs={"dtype": "float32"},
    )
    trainer = GRPOTrainer(
        model=str(folder),
        reward_funcs=replay,
        args=args,
        train_dataset=Dataset.from_dict({"prompt": ["a"] * rows}),
        processing_class=build_tokenizer(),
        rollout_func=replay.rollout,
    )
    trainer.current_gradient_accumulation_steps = 1  # the training loop sets it
    trainer.model.train()
    return trainer


def trl_inputs(trainer: Any, batch: Batch) -> dict[str, Any]:
    """What TRL makes of a rollout: padding, masks, advantages, old and reference log-probabilities."""
    return trainer._generate_and_score_completions([{"prompt": "a"} for _ in range(len(batch.tokens))])


def trl_gradient(trainer: Any, model: Qwen3ForCausalLM, inputs: dict[str, Any]) -> tuple[dict[str, torch.Tensor], float]:
    """Gradient and loss of TRL at the weights of `model`."""
    trainer.model.load_state_dict(model.state_dict())
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in trainer.model.named_parameters()}, loss.item()


def distance(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """||found - expected|| / ||expected|| over all tensors."""
    assert found.keys() == expected.keys()
    gap = sum((found[name] - expected[name]).double().square().sum() for name in expected)
    norm = sum(tensor.double().square().sum() for tensor in expected.values())
    assert norm > 0
    return float((gap / norm).sqrt())


def our_gradient(
    model: Qwen3ForCausalLM, batch: Batch, *, shared: bool, settings: GRPO = SETTINGS, kl: float = 0.0
) -> tuple[dict[str, torch.Tensor], float]:
    model.zero_grad()
    loss = backward(model, batch, settings, pad=PAD, kl=kl, shared=shared)
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}, loss


both_paths = pytest.mark.parametrize("shared", [True, False], ids=["shared prompts", "plain"])


@both_paths
@pytest.mark.parametrize(
    ("lengths", "flat"),
    [((8, 8, 8, 8), ()), ((3, 9, 5, 14), ()), ((3, 9, 5, 14), (1, 3))],
    ids=["equal prompts", "left padding", "groups without spread"],
)
def test_the_gradient_is_that_of_trl(folder: Path, tmp_path: Path, lengths: tuple[int, ...], flat: tuple[int, ...], shared: bool) -> None:
    batch = make_batch(0, lengths, flat)
    model = load(folder)
    trainer = trl_trainer(folder, tmp_path, [batch])
    inputs = trl_inputs(trainer, batch)
    expected, expected_loss = trl_gradient(trainer, model, inputs)
    found, loss = our_gradient(model, batch, shared=shared)
    assert distance(found, expected) <= TOLERANCE
    assert loss == pytest.approx(expected_loss, abs=1e-6)


def test_advantages_are_those_of_trl(folder: Path, tmp_path: Path) -> None:
    batch = make_batch(0, flat=(2,))
    inputs = trl_inputs(trl_trainer(folder, tmp_path, [batch]), batch)
    torch.testing.assert_close(batch.advantages.flatten(), inputs["advantages"], rtol=1e-6, atol=1e-7)
    assert not batch.advantages[8:12].any()


@both_paths
def test_an_active_asymmetric_clip_is_that_of_trl(folder: Path, tmp_path: Path, shared: bool) -> None:
    settings = GRPO(**{**vars(SETTINGS), "clip_low": 0.1, "clip_high": 0.35})
    batch, model = make_batch(2), load(folder)
    noise = 0.5 * torch.randn(batch.tokens.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        batch.log_probs = log_probs(model, batch, PAD, shared=shared) + noise
    ratio, advantage = torch.exp(-noise), batch.advantages.expand_as(noise)
    assert (batch.mask & (ratio > 1.35) & (advantage > 0)).sum() >= 5
    assert (batch.mask & (ratio < 0.9) & (advantage < 0)).sum() >= 5
    trainer = trl_trainer(folder, tmp_path, [batch], settings)
    inputs = trl_inputs(trainer, batch) | {"old_per_token_logps": batch.log_probs}
    expected, expected_loss = trl_gradient(trainer, model, inputs)
    found, loss = our_gradient(model, batch, shared=shared, settings=settings)
    assert distance(found, expected) <= TOLERANCE
    assert loss == pytest.approx(expected_loss, abs=1e-6)


@both_paths
def test_the_kl_term_is_that_of_trl(folder: Path, tmp_path: Path, shared: bool) -> None:
    """Groups without spread count too: the KL term moves the weights on their tokens."""
    batch, model, reference = make_batch(4, flat=(0,)), load(folder, noise=0.1), load(folder)
    trainer = trl_trainer(folder, tmp_path, [batch], beta=0.5)
    inputs = trl_inputs(trainer, batch)
    expected, expected_loss = trl_gradient(trainer, model, inputs)
    with torch.no_grad():
        batch.reference_log_probs = log_probs(reference, batch, PAD, shared=shared)
    found, loss = our_gradient(model, batch, shared=shared, kl=0.5)
    assert distance(found, expected) <= TOLERANCE
    assert loss == pytest.approx(expected_loss, abs=1e-6)
    without, _ = our_gradient(model, batch, shared=shared)
    assert distance(without, expected) > 0.1


class Replayed(Trainer):
    """Our trainer on prepared answers."""

    batches: list[Batch]

    def rollout(self) -> Batch:
        return self._with_references(copy.copy(self.batches[self.step]))


def replayed(model: Qwen3ForCausalLM, batches: list[Batch], settings: GRPO, shared: bool) -> Replayed:
    trainer = Replayed(
        model, Dialogue(build_tokenizer()), {"math": Math()}, Training.on("math", steps=len(batches)), settings, seed=0, shared=shared
    )
    trainer.batches = batches
    return trainer


@both_paths
def test_the_second_update_of_a_rollout_is_that_of_trl(folder: Path, tmp_path: Path, shared: bool) -> None:
    """Its old log-probabilities are from before the first update."""
    settings = GRPO(**{**vars(SETTINGS), "updates": 2, "learning_rate": 1e-2, "max_grad_norm": 1e9})
    batch, model = make_batch(5), load(folder)
    theirs = trl_trainer(folder, tmp_path, [batch], settings)
    inputs = trl_inputs(theirs, batch)
    ours = replayed(model, [batch], settings, shared)
    rollout = ours.rollout()
    ours.update(rollout, 0)
    expected, _ = trl_gradient(theirs, model, inputs)
    first_order, _ = trl_gradient(theirs, model, {**inputs, "old_per_token_logps": None})
    ours.update(rollout, 1)
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    assert distance(found, expected) <= TOLERANCE
    assert distance(first_order, expected) > 0.1


class Snapshots(TrainerCallback):
    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.weights.append({n: p.detach().clone() for n, p in kwargs["model"].named_parameters()})


@both_paths
@pytest.mark.parametrize("updates", [1, 2])
def test_a_training_moves_the_weights_as_trl_does(folder: Path, tmp_path: Path, updates: int, shared: bool) -> None:
    """Three rollouts, the second without any spread: with momentum in the optimizer that step moves the weights too."""
    settings = GRPO(**{**vars(SETTINGS), "updates": updates})
    batches = [make_batch(6), make_batch(7, flat=(0, 1, 2, 3)), make_batch(8, flat=(2,))]
    snapshots = Snapshots()
    theirs = trl_trainer(folder, tmp_path, batches, settings)
    theirs.add_callback(snapshots)
    theirs.train()

    model = load(folder)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for step, _ in enumerate(replayed(model, batches, settings, shared).steps()):
        moved = {name: p.detach() - before[name] for name, p in model.named_parameters()}
        expected = {name: p - before[name] for name, p in snapshots.weights[(step + 1) * updates - 1].items()}
        # Adam divides each coordinate by its own size, so those whose gradient is mere rounding weigh as much as the others.
        assert distance(moved, expected) <= 10 * TOLERANCE
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
    assert len(snapshots.weights) == 3 * updates
