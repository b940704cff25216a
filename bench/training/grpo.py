"""GRPO for any HF causal LM, in one file, top to bottom.

Group-relative policy optimisation (2402.03300): sample G answers to each of P prompts, take each answer's reward less its group's
mean, over the group's standard deviation, as its advantage, and climb. As in DAPO (2503.14476) the loss is averaged over all answer
tokens of the batch and the clip is asymmetric. Per token, with the ratio r to the policy that sampled it and its reference q:

    loss = -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) + kl (q/p - log q/p - 1),   summed, over the batch's answer tokens

What is left out of the textbook version: no value network, no length penalty, no KL term unless asked for. What is added for speed,
each exact: prompts are encoded once a group where the model allows it (checked on one group before the stage), a mixture's domains go
through the model one after another, since a short prompt beside a long one is mostly padding, and groups whose advantages are all 0
are not run when nothing else needs them; their tokens stay in the denominator, and a batch of nothing but such groups still takes its
optimizer step. Answers are sampled by counter-based draws, so no generator state exists to be saved.

    python -m bench run --method none
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from bench.method import LoRA, Rollout, Training
from bench.suite import GRPO
from bench.training.prompting import Dialogue
from bench.training.sampling import Completions, NotFiniteError, Writer, generate, joined, left_pad, uniforms
from tasks.task import Item, Task

_SHARED_TOLERANCE = 1e-3
"""Largest difference of a log-probability between the shared-prompt pass and the plain one before the plain one is taken."""


class DivergedError(RuntimeError):
    """The loss or the gradient is not finite."""


@dataclass
class Batch:
    """P groups of G answers, row-major. prompts: P lists of ids; tokens, mask: (P*G, T); log_probs, reference_log_probs: (P*G, T) or
    None; advantages: (P*G, 1) or (P*G, T); rewards: (P, G); domains: P names."""

    prompts: list[list[int]]
    domains: list[str]
    tokens: torch.Tensor
    mask: torch.Tensor
    rewards: torch.Tensor
    advantages: torch.Tensor
    log_probs: torch.Tensor | None = None
    reference_log_probs: torch.Tensor | None = None
    unparsed: float = 0.0

    @property
    def group(self) -> int:
        return len(self.tokens) // len(self.prompts)

    def rows(self, groups: Sequence[int]) -> torch.Tensor:
        """The rows of some groups, by index."""
        return torch.tensor([g * self.group + i for g in groups for i in range(self.group)], device=self.tokens.device)

    def select(self, groups: Sequence[int]) -> Batch:
        """The batch of some groups, by index."""
        rows = self.rows(groups)

        def pick(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor[rows]

        return Batch(
            prompts=[self.prompts[g] for g in groups],
            domains=[self.domains[g] for g in groups],
            tokens=self.tokens[rows],
            mask=self.mask[rows],
            rewards=self.rewards[list(groups)],
            advantages=self.advantages[rows],
            log_probs=pick(self.log_probs),
            reference_log_probs=pick(self.reference_log_probs),
        )


# --- log-probabilities ------------------------------------------------------------------------------------------------------------


def _chosen(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """log p of `tokens` (N, T) under `logits` (N, T, V), without a second (N, T, V)."""
    logits = logits.float()
    return logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def log_probs(model: PreTrainedModel, batch: Batch, pad: int, *, shared: bool) -> torch.Tensor:
    """(P*G, T) log-probability of each answer token at temperature 1; what lies under ~mask means nothing.

    shared: encode each prompt once and repeat its cache for the group, gradients flowing through it.
    """
    ids, mask = (tensor.to(model.device) for tensor in left_pad(batch.prompts, pad))
    group, tokens, answer_mask = batch.group, batch.tokens, batch.mask.long()
    if not shared:
        ids, mask = ids.repeat_interleave(group, 0), mask.repeat_interleave(group, 0)
        whole, whole_mask = torch.cat([ids, tokens], 1), torch.cat([mask, answer_mask], 1)
        positions = (whole_mask.cumsum(1) - 1).clamp(min=0)
        logits = model(
            input_ids=whole,
            attention_mask=whole_mask,
            position_ids=positions,
            use_cache=False,
            logits_to_keep=tokens.shape[1] + 1,
        ).logits
        return _chosen(logits[:, :-1], tokens)
    cache = DynamicCache(config=model.config)
    first = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits.repeat_interleave(group, 0)
    if tokens.shape[1] == 1:
        return _chosen(first, tokens)
    cache.batch_repeat_interleave(group)
    mask = mask.repeat_interleave(group, 0)
    rest = model(
        input_ids=tokens[:, :-1],
        attention_mask=torch.cat([mask, answer_mask[:, :-1]], 1),
        position_ids=mask.sum(1, keepdim=True) + torch.arange(tokens.shape[1] - 1, device=tokens.device),
        past_key_values=cache,
        use_cache=True,
    ).logits
    return _chosen(torch.cat([first, rest], 1), tokens)


def sharing_is_exact(model: PreTrainedModel, batch: Batch, pad: int) -> bool:
    """Whether the shared-prompt pass gives this model's plain log-probabilities (it does not under gradient checkpointing, where
    transformers drops the cache with no more than a line in the log)."""
    one = batch.select([0])
    was_training = model.training
    model.train()  # as in the update: checkpointing is off in evaluation mode
    try:
        with torch.enable_grad():
            shared, plain = (log_probs(model, one, pad, shared=way).detach() for way in (True, False))
    except Exception:
        return False  # a model whose cache cannot be repeated
    finally:
        model.train(was_training)
    return bool(((shared - plain).abs() * one.mask).max() < _SHARED_TOLERANCE)


# --- advantages and loss ----------------------------------------------------------------------------------------------------------


def group_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """(P, G) rewards less their group's mean, over its standard deviation (unbiased, plus 1e-4)."""
    centred = rewards - rewards.mean(1, keepdim=True)
    return centred / (rewards.std(1, keepdim=True) + 1e-4)


def needed_groups(batch: Batch, kl: float) -> list[int]:
    """Groups that can move the weights: all with a KL term, else those with an advantage other than 0."""
    if kl:
        return list(range(len(batch.prompts)))
    moving = (batch.advantages != 0).any(1).view(len(batch.prompts), -1).any(1)
    return moving.nonzero().squeeze(1).tolist()


def token_losses(log_probs: torch.Tensor, batch: Batch, settings: GRPO, kl: float) -> torch.Tensor:
    """(N, T) loss of each token, 0 outside the mask (the formula in the module's docstring)."""
    old = log_probs.detach() if batch.log_probs is None else batch.log_probs
    ratio = torch.exp(log_probs - old)
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    losses = -torch.min(ratio * batch.advantages, clipped * batch.advantages)
    if kl and batch.reference_log_probs is not None:
        gap = batch.reference_log_probs - log_probs
        losses = losses + kl * (gap.exp() - gap - 1)
    return torch.where(batch.mask, losses, 0.0)


def backward(
    model: PreTrainedModel,
    batch: Batch,
    settings: GRPO,
    *,
    pad: int,
    kl: float = 0.0,
    shared: bool = True,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> float:
    """Add the gradient of the batch's loss to the parameters' `.grad`; returns the loss. Token-level normalisation: the
    denominator is the number of answer tokens of the whole batch, those of skipped groups included."""
    tokens = batch.mask.sum().clamp(min=1)
    total = 0.0
    for groups in passes(batch, needed_groups(batch, kl), settings.groups_at_once):
        part = _narrow(batch.select(groups))
        with autocast():
            probabilities = log_probs(model, part, pad, shared=shared)
        loss = token_losses(probabilities, part, settings, kl).sum() / tokens
        loss.backward()
        total += loss.item()
    return total


def passes(batch: Batch, groups: Sequence[int], size: int | None) -> Iterator[list[int]]:
    """The groups that go through the model together: of one domain, since a short prompt beside a long one is mostly padding, and at
    most `size`."""
    for name in dict.fromkeys(batch.domains[group] for group in groups):
        own = [group for group in groups if batch.domains[group] == name]
        step = size or len(own)
        yield from (own[start : start + step] for start in range(0, len(own), step))


def _narrow(batch: Batch) -> Batch:
    """The batch without answer columns that no row uses."""
    width = int(batch.mask.sum(1).max())
    for name in ("tokens", "mask", "log_probs", "reference_log_probs", "advantages"):
        tensor = getattr(batch, name)
        if tensor is not None and tensor.shape[1] > 1:
            setattr(batch, name, tensor[:, :width])
    return batch


# --- a training -------------------------------------------------------------------------------------------------------------------


def domains_of(mixture: Mapping[str, float], prompts: int, step: int) -> list[str]:
    """The domain of each of a step's prompts: shares of `mixture` to within one prompt over any run of steps (a low-discrepancy
    sequence), a pure function of the step."""
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

    key: whatever the randomness may depend on (the seed, the purpose); reference: models by domain for KL and advantages, or one
    under the name "*"; loaded: tensors of the penalty's fields; writer: samples in the model's stead; answers_at_once: rows that are
    sampled together. `steps()` trains and yields a log line a step; `state()` and `restore()` are all that resume needs.
    """

    model: PreTrainedModel
    dialogue: Dialogue
    tasks: Mapping[str, Task]
    training: Training
    settings: GRPO
    seed: int
    purpose: str = "stage"
    reference: Mapping[str, PreTrainedModel] = field(default_factory=dict)
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
        adapters = self.training.trainable
        if adapters is None and self.settings.lora is not None:
            adapters = LoRA(**self.settings.lora)
        if isinstance(adapters, LoRA):
            self.model = _with_adapters(self.model, adapters, self.seed)
        if self.settings.gradient_checkpointing:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            self.shared = False
        _without_dropout(self.model)
        self.parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=self.rate, betas=(0.9, 0.99), weight_decay=0.0)

    # what a resumed training needs
    def state(self) -> dict[str, Any]:
        choice = self.training.prompts
        return {
            "step": self.step,
            "shared": self.shared,
            "parameters": {name: p.detach() for name, p in self.parameters.items()},
            "optimizer": self.optimizer.state_dict(),
            "prompts": None if choice is None else choice.state,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.step, self.shared = state["step"], state["shared"]
        with torch.no_grad():
            for name, saved in state["parameters"].items():
                self.parameters[name].copy_(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        if self.writer is not None:
            self.writer.take(self.model)
        if self.training.prompts is not None:
            self.training.prompts.state = state["prompts"]

    def steps(self) -> Iterator[dict[str, Any]]:
        """Train to the end, one step a yield. `DivergedError` names the step where loss or gradient is not finite."""
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

    # sampling
    def rollout(self) -> Batch:
        """Sample and score one step's answers."""
        settings = self.settings
        names = domains_of(self.training.mixture, settings.prompts, self.step)
        items, prompts, answers, numbers = [], [], [], {}
        for name in dict.fromkeys(names):
            numbers[name] = self._prompts(name, names.count(name))
            own = [self.tasks[name].item("train", self.seed, number) for number in numbers[name]]
            ids = self.dialogue.encode([item.prompt for item in own])
            key = ("rollout", self.seed, name, self.purpose, self.step)
            draws = uniforms(len(own) * settings.group, self.dialogue.limit(self.tasks[name]), *key)
            answers.append(self._write(ids, draws))
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

    def _write(self, prompts: list[list[int]], draws: torch.Tensor) -> Completions:
        ends = self.dialogue.ends
        if self.writer is not None:
            done = self.writer.generate(prompts, draws, ends=ends, pad=self.pad)
            return Completions(*(tensor.to(self.model.device) for tensor in (done.tokens, done.lengths, done.ended)))
        try:
            with self._autocast():
                return generate(self.model, prompts, draws, ends=ends, pad=self.pad, at_once=self.answers_at_once)
        except NotFiniteError as error:
            raise self._diverged(str(error)) from error

    def _prompts(self, name: str, count: int) -> list[int]:
        if self.training.prompts is not None:
            return list(self.training.prompts.choose(name, count, self.step))
        # Repairs draw other prompts than the stage of the same domain and seed did.
        offset = 0 if self.purpose == "stage" else 1_000_000
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
                    model = self.reference.get(name) or self.reference["*"]
                    batch.reference_log_probs[batch.rows(groups)] = self._all_log_probs(model, batch.select(groups))
        if hook is not None:
            rollout = Rollout(batch.domains, batch.rewards, batch.log_probs, batch.reference_log_probs, batch.mask)
            advantages = hook(rollout).to(batch.tokens.device)
            batch.advantages = advantages if advantages.ndim == 2 else advantages.unsqueeze(1)
        return batch

    def _all_log_probs(self, model: PreTrainedModel, batch: Batch) -> torch.Tensor:
        found = torch.zeros(batch.tokens.shape, device=batch.tokens.device)
        for groups in passes(batch, range(len(batch.prompts)), self.settings.groups_at_once):
            part = _narrow(batch.select(groups))
            own = log_probs(model, part, self.pad, shared=bool(self.shared))
            found[batch.rows(groups), : own.shape[1]] = own
        return found

    # learning
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
        """The gradient of each domain's prompts apart, made one by the training's hook."""
        gradients, loss = {}, 0.0
        for name in dict.fromkeys(batch.domains):
            self.optimizer.zero_grad(set_to_none=False)
            loss += self._backward(batch.select([g for g, domain in enumerate(batch.domains) if domain == name]))
            gradients[name] = {n: p.grad.clone() for n, p in self.parameters.items()}
        for name, gradient in self.training.gradient(gradients).items():
            self.parameters[name].grad.copy_(gradient)
        return loss

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(
            f"training on {'+'.join(sorted(self.training.mixture))} diverged at step {self.step + 1}: {what}; lower the learning rate "
            f"({self.rate:g}) or max_grad_norm ({self.settings.max_grad_norm:g})"
        )

    def _autocast(self) -> AbstractContextManager:
        device = self.model.device.type
        return torch.autocast(device, torch.bfloat16) if self.bf16 else nullcontext()


def _summary(batch: Batch) -> dict[str, Any]:
    rewards = {
        name: round(batch.rewards[[g for g, domain in enumerate(batch.domains) if domain == name]].mean().item(), 6)
        for name in dict.fromkeys(batch.domains)
    }
    spread = (batch.rewards.std(1) > 0).float().mean().item()
    length = (batch.mask.sum() / len(batch.mask)).item()
    return {"reward": rewards, "groups_with_spread": spread, "tokens": length, "unparsed": batch.unparsed}


def _permuted(rewards: torch.Tensor, *key: object) -> torch.Tensor:
    """Rewards shuffled within each group: the null stage, the same prompts and steps with nothing to learn."""
    order = uniforms(*rewards.shape, "permute", *key).argsort(1)
    return rewards.gather(1, order)


def _without_dropout(model: PreTrainedModel) -> None:
    """Dropout draws from torch's global generator, and makes the ratio to the sampling policy wrong: it is off in RL."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0


def _with_adapters(model: PreTrainedModel, lora: LoRA, seed: int) -> Any:
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(devices=[]):  # peft draws the initial adapters from torch's global generator
        torch.manual_seed(seed)
        config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM")
        return get_peft_model(model, config)
