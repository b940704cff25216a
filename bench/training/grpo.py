"""How a stage is trained: GRPO for any HF causal LM. The loss and its gradient are in `bench.training.loss`.

Each step samples G answers to each of P prompts, scores them, and takes one or more optimizer steps on the loss (`Trainer.steps`).
Compared with a textbook version there is no value network, no length penalty, and a KL term only on request. A step whose groups all
have equal rewards still takes its optimizer step, with a gradient of 0. Answers are sampled with counter-based draws, so there is no
generator state to save. On a CPU, a resumed training is bit-identical to an uninterrupted one.

    python -m bench run --method none
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from numbers import Integral
from textwrap import shorten
from typing import Any, Literal

import torch
from transformers import PreTrainedModel

from bench.errors import UserError
from bench.method import LoRA, Rollout, Training
from bench.suite import GRPO, MAX_PROMPTS
from bench.training.loss import Batch, backward, group_advantages, log_probs, narrow, passes, sharing_is_exact, with_spread
from bench.training.prompting import Dialogue
from bench.training.sampling import Completions, NotFiniteError, Writer, generate, joined, uniforms
from tasks.task import Item, Task

Purpose = Literal["stage", "repair"]
"""What a training is for."""


class DivergedError(RuntimeError):
    """The loss, the gradient or the model's output is not finite. The message names the domains and the step."""


def domains_of(mixture: Mapping[str, float], prompts: int, step: int) -> list[str]:
    """The domain of each of a step's prompts, sorted. A low-discrepancy sequence: over any run of steps each domain's count is within a
    few prompts of its share in `mixture`. A pure function of the step."""
    names, shares = sorted(mixture), [mixture[name] for name in sorted(mixture)]
    if len(names) == 1:
        return names * prompts
    golden = (math.sqrt(5) - 1) / 2
    picked = []
    for slot in range(step * prompts, (step + 1) * prompts):
        place = (slot + 1) * golden % 1.0
        for name, share in zip(names, shares, strict=True):  # noqa: B007 (the last one takes what rounding leaves)
            place -= share
            if place < 0:
                break
        picked.append(name)
    return sorted(picked)


@dataclass
class Trainer:
    """One training of one model, from step to step.

    seed, purpose, draw: what draws depend on besides domain and step; reference: models for the KL term and for advantages, by domain, or
    one under "*"; samplers: models that write the answers instead of the one that is trained, in the same way; loaded: tensors of the
    penalty's fields; mask: tensors of 0 and 1 by parameter, 1 where it may change; writer: an engine that generates the model's answers;
    answers_at_once: rows sampled together; permute_rewards: a null stage; shared: whether prompts are encoded once per group (None: decided
    on the first batch). `steps()` trains and yields one log line per step; `state()` and `restore()` are all that resuming needs.
    """

    model: PreTrainedModel
    dialogue: Dialogue
    tasks: Mapping[str, Task]
    training: Training
    settings: GRPO
    seed: int
    purpose: Purpose = "stage"
    draw: int = 0
    reference: Mapping[str, PreTrainedModel] = field(default_factory=dict)
    samplers: Mapping[str, PreTrainedModel] = field(default_factory=dict)
    loaded: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    mask: Mapping[str, torch.Tensor] | None = None
    bf16: bool = False
    writer: Writer | None = None
    answers_at_once: int | None = None
    permute_rewards: bool = False
    step: int = 0
    shared: bool | None = None

    def __post_init__(self) -> None:
        self.pad = self.dialogue.pad
        self.kl = self.settings.kl if self.training.kl is None else self.training.kl
        self.rate = self.settings.learning_rate if self.training.learning_rate is None else self.training.learning_rate
        self.total = self.settings.steps if self.training.steps is None else self.training.steps
        if self.total * self.settings.prompts > MAX_PROMPTS:
            asked = f"{self.total:,} steps of {self.settings.prompts:,} prompts"
            raise UserError(
                f"training on {self.training.label}: {asked} are more than {MAX_PROMPTS:,}, where other prompts begin; take fewer"
            )
        adapters = self.training.trainable
        if adapters is None and self.settings.lora is not None:
            adapters = LoRA(**self.settings.lora)
        if isinstance(adapters, LoRA):
            self.model = with_adapters(self.model, adapters, self.seed)
        if self.settings.gradient_checkpointing:
            _checkpoint_activations(self.model)
            self.shared = False
        _without_dropout(self.model)
        self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=self.rate, betas=(0.9, 0.99), weight_decay=0.0)

    def state(self) -> dict[str, Any]:
        """Everything that a resumed training needs, as `torch.save` takes it."""
        return {
            "step": self.step,
            "shared": self.shared,
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "hooks": {name: hook.state for name, hook in self._keeping_state().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()`."""
        self.step, self.shared = state["step"], state["shared"]
        with torch.no_grad():
            for name, saved in state["parameters"].items():
                self.parameters[name].copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.writer is not None:
            self.writer.take(self.model)
        for name, hook in self._keeping_state().items():
            object.__setattr__(hook, "state", state["hooks"][name])  # hooks may be frozen

    def _keeping_state(self) -> dict[str, Any]:
        """The training's hooks that keep something between steps, by field."""
        hooks = {name: getattr(self.training, name) for name in ("prompts", "penalty", "gradient", "advantages")}
        return {name: hook for name, hook in hooks.items() if hasattr(hook, "state")}

    def steps(self) -> Iterator[dict[str, Any]]:
        """Train to the end; yields a log line after each step. `DivergedError` if the loss or the gradient is not finite."""
        while self.step < self.total:
            batch = self.rollout()
            line = {"step": self.step + 1, **_summary(batch)}
            for update in range(self.settings.updates):
                line |= self.update(batch, update)
            self.step += 1
            if self.writer is not None and self.step < self.total:
                self.writer.take(self.model)
            yield line

    def finished(self) -> PreTrainedModel:
        """The trained model, adapters merged."""
        merge = getattr(self.model, "merge_and_unload", None)
        return merge() if merge is not None else self.model

    # --- sampling

    def rollout(self) -> Batch:
        """Samples and scores one step's answers."""
        settings = self.settings
        names = domains_of(self.training.mixture, settings.prompts, self.step)
        items, prompts, answers, numbers = [], [], [], {}
        for name in dict.fromkeys(names):
            numbers[name] = self._prompts(name, names.count(name))
            own = [self.tasks[name].item("train", self.seed, number) for number in numbers[name]]
            ids = self.dialogue.encode([item.prompt for item in own])
            key = ("rollout", self.seed, name, self.purpose, self.step, *([self.draw] if self.draw else []))
            draws = uniforms(len(own) * settings.group, self.dialogue.limit(self.tasks[name]), *key)
            answers.append(self._write(ids, draws, _of(self.samplers, name) or self.model))
            items += own
            prompts += ids
        done = joined(answers, self.pad)
        rewards, unparsed = self._rewards(items, done)
        if self.permute_rewards:
            rewards = _permuted(rewards, self.seed, names[0], self.purpose, self.step)
        if self.training.prompts is not None:
            at = 0
            for name, chosen in numbers.items():
                rates = rewards[at : at + len(chosen)].mean(1).tolist()
                self.training.prompts.feedback(name, chosen, rates)
                at += len(chosen)
        width = torch.arange(done.tokens.shape[1], device=done.tokens.device)
        batch = Batch(
            prompts=prompts,
            domains=names,
            tokens=done.tokens,
            mask=width < done.lengths.unsqueeze(1),
            rewards=rewards,
            advantages=group_advantages(rewards).reshape(-1, 1).to(done.tokens.device),
            unparsed=unparsed,
        )
        return self._with_references(batch)

    def _write(self, prompts: list[list[int]], draws: torch.Tensor, model: PreTrainedModel) -> Completions:
        ends = self.dialogue.ends
        if self.writer is not None and model is self.model:
            done = self.writer.generate(prompts, draws, ends=ends, pad=self.pad)
            return Completions(*(tensor.to(self.model.device) for tensor in (done.tokens, done.lengths, done.ended)))
        try:
            with self._autocast():
                return generate(model, prompts, draws, ends=ends, pad=self.pad, at_once=self.answers_at_once)
        except NotFiniteError as error:
            raise self._diverged(str(error)) from error

    def _prompts(self, name: str, count: int) -> list[int]:
        if self.training.prompts is not None:
            return self._checked_choice(self.training.prompts.choose(name, count, self.step), count)
        # Repairs use other prompts than the stage on the same domain with the same seed; further draws begin beyond all that others use.
        offset = 10**13 * self.draw or (0 if self.purpose == "stage" else MAX_PROMPTS)
        return [offset + self.step * self.settings.prompts + place for place in range(count)]

    def _rewards(self, items: list[Item], done: Completions) -> tuple[torch.Tensor, float]:
        answers, ended = self.dialogue.answers(done), done.ended.tolist()
        group = len(answers) // len(items)
        scores = [
            self.dialogue.score(self.tasks[item.domain], item, answers[row], ended[row])
            for i, item in enumerate(items)
            for row in range(i * group, (i + 1) * group)
        ]
        return torch.tensor([score or 0.0 for score in scores]).view(-1, group), sum(score is None for score in scores) / len(scores)

    def _with_references(self, batch: Batch) -> Batch:
        hook = self.training.advantages
        if self.shared is None:
            self.shared = sharing_is_exact(self.model, batch, self.pad)
        with torch.no_grad(), self._autocast():
            if self.settings.updates > 1 or hook is not None:
                batch.log_probs = self._all_log_probs(self.model, batch)
            if (self.kl or hook is not None) and self.reference:
                batch.reference_log_probs = torch.zeros(batch.tokens.shape, device=batch.tokens.device)
                for name in dict.fromkeys(batch.domains):
                    groups = [g for g, domain in enumerate(batch.domains) if domain == name]
                    batch.reference_log_probs[batch.rows(groups)] = self._all_log_probs(_of(self.reference, name), batch.select(groups))
        if hook is not None:
            rewards = batch.rewards.to(batch.tokens.device)
            given = hook(Rollout(batch.domains, rewards, batch.log_probs, batch.reference_log_probs, batch.mask))
            batch.advantages = self._checked_advantages(given, batch.tokens)
        return batch

    def _all_log_probs(self, model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        found = torch.zeros(batch.tokens.shape, device=batch.tokens.device)
        for groups in passes(batch, range(len(batch.prompts)), self.settings.groups_at_once):
            part = narrow(batch.select(groups))
            own = log_probs(model, part, self.pad, shared=bool(self.shared))
            found[batch.rows(groups), : own.shape[1]] = own
        return found

    # --- learning

    def update(self, batch: Batch, number: int = 0) -> dict[str, float]:
        """One optimizer step on a batch; `number` counts the updates on it."""
        self.optimizer.param_groups[0]["lr"] = self.rate * min(1.0, (self.step + 1) / max(self.settings.warmup, 1))
        self.optimizer.zero_grad(set_to_none=False)
        for parameter in self.parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.model.train()
        loss = self._edited(batch) if self.training.gradient is not None else self._backward(batch)
        if self.training.penalty is not None:
            penalty = self.training.penalty(self.parameters, self.loaded)
            penalty.backward()
            loss += penalty.item()
        self.model.eval()
        if self.mask is not None:
            for name, parameter in self.parameters.items():
                parameter.grad.mul_(self.mask[name])
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.settings.max_grad_norm).item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self._diverged(f"loss {loss}, gradient norm {norm}")
        self.optimizer.step()
        return {"loss": loss, "gradient_norm": norm}

    def _backward(self, batch: Batch) -> float:
        return backward(
            self.model,
            batch,
            self.settings,
            pad=self.pad,
            kl=self.kl,
            shared=bool(self.shared),
            autocast=self._autocast,
        )

    def _edited(self, batch: Batch) -> float:
        """The gradients of each domain's prompts, combined by the training's hook."""
        gradients, loss = {}, 0.0
        for name in dict.fromkeys(batch.domains):
            self.optimizer.zero_grad(set_to_none=False)
            loss += self._backward(batch.select([g for g, domain in enumerate(batch.domains) if domain == name]))
            gradients[name] = {n: p.grad.clone() for n, p in self.parameters.items()}
        edited = self.training.gradient(gradients)
        self._check_edited(edited)
        for name, gradient in edited.items():
            self.parameters[name].grad.copy_(gradient)
        return loss

    def _checked_choice(self, chosen: Any, count: int) -> list[int]:
        """`UserError` unless a hook chose as many prompts as it was asked for: others would be sampled and not counted."""
        hook = f"prompts hook {type(self.training.prompts).__name__}"
        numbers = list(chosen) if isinstance(chosen, Iterable) else []
        if len(numbers) != count or not all(isinstance(number, Integral) and number >= 0 for number in numbers):
            raise UserError(f"{hook} chose {shorten(repr(chosen), 80)}: return {count} whole numbers of at least 0")
        return [int(number) for number in numbers]

    def _checked_advantages(self, given: Any, tokens: torch.Tensor) -> torch.Tensor:
        """(N, 1) or (N, T). `UserError` unless a hook gave one advantage an answer or one a token."""
        rows, width = tokens.shape
        if not isinstance(given, torch.Tensor) or given.shape not in ((rows,), (rows, 1), (rows, width)):
            what = f"shape {tuple(given.shape)}" if isinstance(given, torch.Tensor) else f"a {type(given).__name__}"
            hook = f"advantages hook {type(self.training.advantages).__name__}"
            raise UserError(f"{hook} returned {what}: return a tensor of shape {(rows,)}, one an answer, or {(rows, width)}, one a token")
        return (given if given.ndim == 2 else given.unsqueeze(1)).to(tokens.device)

    def _check_edited(self, edited: Any) -> None:
        """`UserError` unless a hook gave every parameter a gradient of its shape. Any other would keep that of the last domain, or have one
        number for all its coordinates."""
        hook = f"gradient hook {type(self.training.gradient).__name__}"
        if not isinstance(edited, Mapping):
            raise UserError(f"{hook} returned a {type(edited).__name__}: return a gradient for every parameter, by its name")
        for name in sorted({*edited} ^ {*self.parameters}, key=str):
            fault = "no gradient for" if name in self.parameters else "one for an unknown parameter,"
            raise UserError(f"{hook} returned {fault} {name}: return one for every parameter, by its name")
        for name, parameter in self.parameters.items():
            found = edited[name]
            if not isinstance(found, torch.Tensor) or found.shape != parameter.shape:
                what = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
                raise UserError(f"{hook} returned {what} for {name}: return a tensor of shape {tuple(parameter.shape)}")

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"training on {self.training.label} diverged at step {self.step + 1}: {what}; lower the learning rate "
            f"({self.rate:g}) or max_grad_norm ({self.settings.max_grad_norm:g})"
        )

    def _autocast(self) -> AbstractContextManager:
        device = self.model.device.type
        return torch.autocast(device, torch.bfloat16) if self.bf16 else nullcontext()


def _of(models: Mapping[str, PreTrainedModel], domain: str) -> PreTrainedModel | None:
    """A domain's model, or the one of all domains."""
    return models.get(domain) or models.get("*")


def _summary(batch: Batch) -> dict[str, Any]:
    rewards = {
        name: round(batch.rewards[[g for g, domain in enumerate(batch.domains) if domain == name]].mean().item(), 6)
        for name in dict.fromkeys(batch.domains)
    }
    spread = with_spread(batch.rewards).float().mean().item()
    length = (batch.mask.sum() / len(batch.mask)).item()
    return {"reward": rewards, "groups_with_spread": spread, "tokens": length, "unparsed": batch.unparsed}


def _permuted(rewards: torch.Tensor, *key: object) -> torch.Tensor:
    """Rewards permuted within each group (null stage): the same prompts and steps, with nothing to learn."""
    order = uniforms(*rewards.shape, "permute", *key).argsort(1)
    return rewards.gather(1, order)


def _without_dropout(model: PreTrainedModel) -> None:
    """Turns dropout off: it draws from torch's global generator, and makes the ratio to the sampling policy wrong."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0


def _checkpoint_activations(model: PreTrainedModel) -> None:
    """Gradient checkpointing, under its name in the installed transformers (the old one is deprecated since 5.24)."""
    how = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)


def with_adapters(model: PreTrainedModel, lora: LoRA, seed: int) -> Any:
    """The model wrapped by peft, with new adapters on all linear layers but the output; they alone are trained."""
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(devices=[]):  # peft draws the initial adapters from torch's global generator
        torch.manual_seed(seed)
        config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
        return get_peft_model(model, config)
