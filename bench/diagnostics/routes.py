"""Claim 3, its first half: domains share the routes of their computation, the MLP channels that are most active.

The paper does not define a route. Here it is the 10 % of all MLP channels with the largest mean absolute activation (the input of the down
projection) on prompts of a domain and the model's own answers to them, at the end of the sequence. Some channels are active
on any text, or follow single tokens; so the overlap is also compared with that of one domain and the other one's tokens in random order.

Its second half, that the direction of updates on shared routes decides between synergy and conflict, is not measured: it needs enough pairs
in which a stage helps another domain, and on micro nearly all of them harm (docs/diagnostics.md).
"""

from __future__ import annotations

import numpy as np
import torch
from transformers import PreTrainedModel

from bench.diagnostics.findings import Routes
from bench.diagnostics.neurons import Channels, by_chance, overlap, top
from bench.diagnostics.reward import answers
from bench.diagnostics.subject import Subject, pairs
from bench.training.loss import Batch
from bench.training.sampling import left_pad


def diagnose(subject: Subject) -> list[Routes]:
    """A finding for every two domains; none for a model without MLPs that have a down projection."""
    model = subject.model(subject.stages[subject.sequence[-1]])
    texts = {domain: _texts(answers(subject, model, domain, 1, "routes")) for domain in subject.sequence}

    def active(chosen: list[list[int]]) -> Channels:
        return activity(model, chosen, subject.dialogue.pad, subject.rows_at_once)

    whole = {domain: active(own) for domain, own in texts.items()}
    if not all(whole.values()):
        return []
    routes = {domain: top(channels) for domain, channels in whole.items()}
    itself = {domain: overlap(top(active(own[::2])), top(active(own[1::2]))) for domain, own in texts.items()}
    noise = {domain: top(active(shuffled(own, subject.seed))) for domain, own in texts.items()}
    found = []
    for one, other in pairs(subject.sequence):
        own, chance = overlap(routes[one], routes[other]), by_chance(routes[one], routes[other], seed=subject.seed)
        again, random = (itself[one] + itself[other]) / 2, (overlap(routes[one], noise[other]) + overlap(routes[other], noise[one])) / 2
        found.append(Routes(f"{one} – {other}", own, chance, again, random, own - chance, own - random))
    return found


def _texts(batch: Batch) -> list[list[int]]:
    """The tokens of prompts and answers together."""
    return [prompt + tokens[mask].tolist() for prompt, tokens, mask in zip(batch.prompts, batch.tokens, batch.mask, strict=True)]


def shuffled(texts: list[list[int]], seed: int) -> list[list[int]]:
    """All texts' tokens in random order, cut to texts of the same lengths."""
    tokens = np.random.default_rng(seed).permutation(np.concatenate(texts))
    return [part.tolist() for part in np.split(tokens, np.cumsum([len(text) for text in texts])[:-1])]


@torch.no_grad()
def activity(model: PreTrainedModel, texts: list[list[int]], pad: int, at_once: int) -> Channels:
    """The mean absolute activation of each MLP channel over all tokens but the first of each text, which many models activate out of all
    proportion."""
    totals: dict[str, torch.Tensor] = {}
    tokens, counted = 0, torch.zeros(0)

    def hear(layer: str, entering: torch.Tensor) -> None:
        own = (entering.abs() * counted.unsqueeze(-1)).double().sum((0, 1))
        totals[layer] = totals.get(layer, 0) + own

    hooks = [
        module.register_forward_pre_hook(lambda module, entering, layer=name.removesuffix(".down_proj"): hear(layer, entering[0]))
        for name, module in model.named_modules()
        if name.endswith(".mlp.down_proj")
    ]
    try:
        for start in range(0, len(texts), at_once):
            ids, mask = (tensor.to(model.device) for tensor in left_pad(texts[start : start + at_once], pad))
            counted = mask * (mask.cumsum(1) > 1)
            tokens += int(counted.sum())
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: (total / tokens).cpu().numpy() for layer, total in totals.items()}
