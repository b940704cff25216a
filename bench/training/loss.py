"""GRPO's loss on a batch of sampled answers, for any HF causal LM, and its gradient. `bench.training.grpo` trains with it.

Group-relative policy optimisation (2402.03300): the advantage of an answer is its reward minus the mean of its group, divided by the
group's standard deviation. As in DAPO (2503.14476), the loss is averaged over all answer tokens of the batch and the clip is
asymmetric. With r the ratio of a token's probability p to that under the policy that sampled it, and q its probability under the
reference:

    loss = -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A) + kl (q/p - log q/p - 1),   summed, over the batch's answer tokens

Three things make it faster and change no result:

- prompts are encoded once per group, where the model allows it (`sharing_is_exact` checks);
- the domains of a mixture go through the model separately, since a short prompt beside a long one is mostly padding;
- groups whose advantages are all 0 are skipped when there is no KL term; their tokens still count in the denominator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from bench.suite import GRPO
from bench.training.sampling import cache_argument, left_pad

_SHARED_TOLERANCE = 1e-3
"""Largest difference of a log-probability between the pass with shared prompts and the plain pass; above it the plain pass is used."""


@dataclass
class Batch:
    """P groups of G answers, row-major. prompts: P lists of token ids; domains: P names; tokens: (P*G, T); mask: (P*G, T) bool, True on
    answer tokens; rewards: (P, G); advantages: (P*G, 1) or (P*G, T); log_probs, reference_log_probs: (P*G, T) under the policy that
    sampled and under the reference, or None; unparsed: share of answers that did not end or could not be parsed."""

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
    """log p of `tokens` (N, T) under `logits` (N, T, V), without a second tensor of (N, T, V)."""
    logits = logits.float()
    return logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def log_probs(model: PreTrainedModel, batch: Batch, pad: int, *, shared: bool) -> torch.Tensor:
    """(P*G, T): log-probability of each answer token at temperature 1; undefined where the mask is False.

    shared: encode each prompt once and repeat its cache for the group; gradients flow through the cache.
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
    cache = {cache_argument(model): DynamicCache(config=model.config)}
    first = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        **cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits.repeat_interleave(group, 0)
    if tokens.shape[1] == 1:
        return _chosen(first, tokens)
    next(iter(cache.values())).batch_repeat_interleave(group)
    mask = mask.repeat_interleave(group, 0)
    rest = model(
        input_ids=tokens[:, :-1],
        attention_mask=torch.cat([mask, answer_mask[:, :-1]], 1),
        position_ids=mask.sum(1, keepdim=True) + torch.arange(tokens.shape[1] - 1, device=tokens.device),
        **cache,
        use_cache=True,
    ).logits
    return _chosen(torch.cat([first, rest], 1), tokens)


def sharing_is_exact(model: PreTrainedModel, batch: Batch, pad: int) -> bool:
    """Whether the pass with shared prompts gives this model's plain log-probabilities. It does not under gradient checkpointing:
    transformers then drops the cache and only logs it."""
    one = batch.select([0])
    was_training = model.training
    model.train()  # as in the update: checkpointing is off in evaluation mode
    try:
        with torch.enable_grad():
            shared, plain = (log_probs(model, one, pad, shared=way).detach() for way in (True, False))
    except torch.OutOfMemoryError:
        raise  # says nothing about the model
    except Exception:
        return False  # a model whose cache cannot be repeated
    finally:
        model.train(was_training)
    return bool(((shared - plain).abs() * one.mask).max() < _SHARED_TOLERANCE)


# --- advantages and loss ----------------------------------------------------------------------------------------------------------


def with_spread(rewards: torch.Tensor) -> torch.Tensor:
    """(P,) bool: which groups of rewards (P, G) differ among themselves."""
    return (rewards != rewards[:, :1]).any(1)


def group_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """(P, G): rewards minus their group's mean, divided by its standard deviation (unbiased, plus 1e-4). Exactly 0 in a group of equal
    rewards, whose mean need not be exact: eight times 2/3 have another one."""
    centred = torch.where(with_spread(rewards).unsqueeze(1), rewards - rewards.mean(1, keepdim=True), 0.0)
    return centred / (rewards.std(1, keepdim=True) + 1e-4)


def needed_groups(batch: Batch, kl: float) -> list[int]:
    """Indices of the groups with a gradient: all groups with a KL term, otherwise those with an advantage other than 0."""
    if kl:
        return list(range(len(batch.prompts)))
    moving = (batch.advantages != 0).any(1).view(len(batch.prompts), -1).any(1)
    return moving.nonzero().squeeze(1).tolist()


def token_losses(log_probs: torch.Tensor, batch: Batch, settings: GRPO, kl: float) -> torch.Tensor:
    """(N, T): loss of each token by the module's formula, 0 where the mask is False."""
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
    """Adds the gradient of the batch's loss to the parameters' `.grad` and returns the loss. The denominator is the number of answer
    tokens of the whole batch, including those of skipped groups."""
    tokens = batch.mask.sum().clamp(min=1)
    total = 0.0
    for groups in passes(batch, needed_groups(batch, kl), settings.groups_at_once):
        part = narrow(batch.select(groups))
        with autocast():
            probabilities = log_probs(model, part, pad, shared=shared)
        loss = token_losses(probabilities, part, settings, kl).sum() / tokens
        loss.backward()
        total += loss.item()
    return total


def passes(batch: Batch, groups: Sequence[int], size: int | None) -> Iterator[list[int]]:
    """Splits groups into those that go through the model together: of one domain, at most `size` (None: no bound)."""
    for name in dict.fromkeys(batch.domains[group] for group in groups):
        own = [group for group in groups if batch.domains[group] == name]
        step = size or len(own)
        yield from (own[start : start + step] for start in range(0, len(own), step))


def narrow(batch: Batch) -> Batch:
    """The batch without the answer columns that no row uses. Changes the batch in place."""
    width = int(batch.mask.sum(1).max())
    for name in ("tokens", "mask", "log_probs", "reference_log_probs", "advantages"):
        tensor = getattr(batch, name)
        if tensor is not None and tensor.shape[1] > 1:
            setattr(batch, name, tensor[:, :width])
    return batch
