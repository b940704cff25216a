"""Sampling from any HF causal LM, each prompt encoded once, its cache repeated for the group.

A sampled token is the inverse of the cumulative distribution at one uniform number, and that number belongs to (item, token):
it is drawn in advance from a counter-based generator. So results do not depend on how items are batched or ordered, nothing
has to be saved to resume, and the same draws pair two models. Rows whose answer has ended are dropped as the batch thins out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

GREEDY = -1.0
"""In place of a uniform number: take the most likely token."""

_COMPACT_BELOW = 0.8
"""Drop ended rows once fewer than this share of the batch is still writing."""


class NotFiniteError(RuntimeError):
    """The model gives no number for some token: its weights are damaged or have diverged."""


@dataclass(frozen=True)
class Completions:
    """Answers of N rows, row-major over (prompt, group).

    tokens: (N, T) int64, the pad token after the end; lengths: (N,) int64, the end token counted; ended: (N,) bool, False where
    the answer was cut at the token limit.
    """

    tokens: torch.Tensor
    lengths: torch.Tensor
    ended: torch.Tensor


def uniforms(rows: int, tokens: int, *key: object) -> torch.Tensor:
    """(rows, tokens) float32 in [0, 1), a pure function of `key`."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))
    return torch.from_numpy(generator.random((rows, tokens), dtype=np.float32))


def greedy(rows: int, tokens: int) -> torch.Tensor:
    """(rows, tokens): the mark for greedy decoding in every place."""
    return torch.full((rows, tokens), GREEDY)


def left_pad(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, both (B, P) int64, prompts flush right."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad, dtype=torch.int64)
    mask = torch.zeros((len(prompts), width), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def pick(logits: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Next tokens (N,) from logits (N, V): greedy where `draws` (N,) is negative, else the inverse CDF at temperature 1."""
    cdf = torch.softmax(logits.float(), -1).cumsum(-1)
    # The last entry is 1 up to rounding; scaling by it keeps the draw inside the vocabulary.
    sampled = torch.searchsorted(cdf, (draws.clamp(min=0) * cdf[:, -1]).unsqueeze(1), right=True).squeeze(1)
    return torch.where(draws < 0, logits.argmax(-1), sampled.clamp(max=logits.shape[-1] - 1))


class Writer(Protocol):
    """An engine that answers in a model's stead (`bench.training.engines`)."""

    def generate(self, prompts: Sequence[Sequence[int]], draws: torch.Tensor, *, ends: Sequence[int], pad: int) -> Completions:
        """What `generate` does for the model that the engine holds."""

    def take(self, model: PreTrainedModel) -> None:
        """Hold a model's weights as they are now."""


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    draws: torch.Tensor,
    *,
    ends: Sequence[int],
    pad: int,
    at_once: int | None = None,
) -> Completions:
    """Continue each of B prompts B*G/B = G times.

    prompts: B lists of token ids; draws: (B*G, T) from `uniforms` or `greedy` (rows may mix both), G rows a prompt, T the most
    tokens of an answer; ends: the tokens that end one; at_once: rows that go through the model together (whole groups; None: all), which
    bounds memory and changes no row's draws. `NotFiniteError` for a broken model. The model is left in evaluation mode or
    training mode as it was found.
    """
    rows, limit = draws.shape
    group, rest = divmod(rows, len(prompts))
    if rest:
        raise ValueError(f"{rows} rows of draws do not divide into {len(prompts)} prompts")
    size = len(prompts) if at_once is None else max(1, at_once // group)
    if size < len(prompts):
        starts = range(0, len(prompts), size)
        parts = [(prompts[start : start + size], draws[start * group : (start + size) * group]) for start in starts]
        return joined([generate(model, *part, ends=ends, pad=pad) for part in parts], pad)
    device = model.device
    draws = draws.to(device)
    ids, mask = (tensor.to(device) for tensor in left_pad(prompts, pad))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    if not (logits < torch.inf).all():  # -inf is how some models mask tokens
        raise NotFiniteError("the model's logits are not numbers")
    if group > 1:
        cache.batch_repeat_interleave(group)
        logits, mask = logits.repeat_interleave(group, 0), mask.repeat_interleave(group, 0)
    position = mask.sum(1, keepdim=True)

    closing = torch.tensor(list(ends), device=device)
    tokens = torch.full((rows, limit), pad, dtype=torch.int64, device=device)
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    active = torch.arange(rows, device=device)
    for step in range(limit):
        chosen = pick(logits, draws[active, step])
        writing = ~ended[active]
        tokens[active, step] = torch.where(writing, chosen, pad)
        ended[active] |= torch.isin(chosen, closing)
        writing = ~ended[active]
        count = int(writing.sum())
        if count == 0 or step == limit - 1:
            break
        if count < _COMPACT_BELOW * len(active):
            keep = writing.nonzero().squeeze(1)
            cache.batch_select_indices(keep)
            active, chosen, mask, position = active[keep], chosen[keep], mask[keep], position[keep]
        mask = torch.cat([mask, mask.new_ones(len(active), 1)], 1)
        logits = model(
            input_ids=chosen.unsqueeze(1),
            attention_mask=mask,
            position_ids=position,
            past_key_values=cache,
            use_cache=True,
        ).logits[:, -1]
        position = position + 1
    lengths = torch.where(ended, torch.isin(tokens, closing).int().argmax(1) + 1, limit)
    return Completions(tokens, lengths, ended)


def joined(parts: Sequence[Completions], pad: int) -> Completions:
    """Answers of several batches as one, as wide as the widest."""
    width = max(part.tokens.shape[1] for part in parts)
    tokens = [torch.nn.functional.pad(part.tokens, (0, width - part.tokens.shape[1]), value=pad) for part in parts]
    return Completions(torch.cat(tokens), torch.cat([part.lengths for part in parts]), torch.cat([part.ended for part in parts]))


def texts(tokenizer: PreTrainedTokenizerBase, done: Completions) -> list[str]:
    """The answers' texts without their end token. Any other special token stays and makes an answer what it is: unreadable."""
    lengths = (done.lengths - done.ended.long()).tolist()
    return tokenizer.batch_decode([row[:n] for row, n in zip(done.tokens.tolist(), lengths, strict=True)], skip_special_tokens=False)
