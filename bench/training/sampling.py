"""Samples answers from any HF causal LM. Each prompt is encoded once and its cache repeated for the group.

A sampled token is the inverse of the cumulative distribution at one uniform number. These numbers belong to (item, token) and are drawn
in advance from a counter-based generator: results do not depend on how items are batched or ordered, nothing has to be saved for
resuming, and the same draws can be used for two models. Rows whose answer has ended are dropped from the batch.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import DynamicCache

GREEDY = -1.0
"""Marks greedy decoding where a uniform number would be: take the most likely token."""

_COMPACT_BELOW = 0.8
"""Drop ended rows once fewer than this share of the batch is unfinished."""


class NotFiniteError(RuntimeError):
    """The model's logits are not numbers: its weights are damaged or have diverged."""


@dataclass(frozen=True)
class Completions:
    """Answers of N rows, row-major over (prompt, group).

    tokens: (N, T) int64, padded after the end; lengths: (N,) int64, including the end token; ended: (N,) bool, False if the answer was
    cut at the token limit.
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
    """(rows, tokens): `GREEDY` everywhere."""
    return torch.full((rows, tokens), GREEDY)


def left_pad(prompts: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, both (B, P) int64, padded on the left."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad, dtype=torch.int64)
    mask = torch.zeros((len(prompts), width), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.int64)
        mask[row, width - len(prompt) :] = 1
    return ids, mask


def pick(logits: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Next tokens (N,) from logits (N, V): greedy where `draws` (N,) is negative, otherwise the inverse CDF at temperature 1."""
    cdf = torch.softmax(logits.float(), -1).cumsum(-1)
    # The last entry is 1 up to rounding; scaling by it keeps the draw inside the vocabulary.
    sampled = torch.searchsorted(cdf, (draws.clamp(min=0) * cdf[:, -1]).unsqueeze(1), right=True).squeeze(1)
    return torch.where(draws < 0, logits.argmax(-1), sampled.clamp(max=logits.shape[-1] - 1))


def cache_argument(model: PreTrainedModel) -> str:
    """The name under which a model takes its cache: `cache` where the installed transformers has it (since 5.24), else
    `past_key_values`, which goes in 5.40."""
    inner = getattr(model, "get_base_model", lambda: model)()  # adapters pass on what they are given
    return "cache" if "cache" in inspect.signature(inner.forward).parameters else "past_key_values"


class Writer(Protocol):
    """A generation backend that replaces the model's own generation (`bench.training.engines`)."""

    def generate(self, prompts: Sequence[Sequence[int]], draws: torch.Tensor, *, ends: Sequence[int], pad: int) -> Completions:
        """As the function `generate`, for the model that the backend holds."""

    def take(self, model: PreTrainedModel) -> None:
        """Take over a model's current weights."""


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
    """Samples G answers to each of B prompts.

    prompts: B lists of token ids; draws: (B*G, T) from `uniforms` or `greedy` (rows may mix both), G rows per prompt, T the most tokens
    of an answer; ends: the tokens that end an answer; at_once: rows that go through the model together (whole groups; None: all), which
    bounds memory and changes no draws. `NotFiniteError` for a broken model. The model stays in training or evaluation mode.
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
    cached = {cache_argument(model): cache, "use_cache": True}
    logits = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        logits_to_keep=1,
        **cached,
    ).logits[:, -1]
    if not (logits < torch.inf).all():  # some models mask tokens with -inf
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
            **cached,
        ).logits[:, -1]
        position = position + 1
    lengths = torch.where(ended, torch.isin(tokens, closing).int().argmax(1) + 1, limit)
    return Completions(tokens, lengths, ended)


def joined(parts: Sequence[Completions], pad: int) -> Completions:
    """The answers of several batches as one batch, as wide as the widest."""
    width = max(part.tokens.shape[1] for part in parts)
    tokens = [torch.nn.functional.pad(part.tokens, (0, width - part.tokens.shape[1]), value=pad) for part in parts]
    return Completions(torch.cat(tokens), torch.cat([part.lengths for part in parts]), torch.cat([part.ended for part in parts]))


def texts(tokenizer: PreTrainedTokenizerBase, done: Completions) -> list[str]:
    """The answers' texts without their end token. Other special tokens stay in the text, and usually make it impossible to parse."""
    lengths = (done.lengths - done.ended.long()).tolist()
    return tokenizer.batch_decode([row[:n] for row, n in zip(done.tokens.tolist(), lengths, strict=True)], skip_special_tokens=False)
