"""Claim 3, its first half: domains share the routes of their computation, the MLP channels that are most active.

The paper does not define a route. Here it is the 10 % of all MLP channels with the largest mean absolute activation (the input of the down
projection) on prompts of a domain and the model's own answers to them, at the end of the sequence.

Its second half, that the direction of updates on shared routes decides between synergy and conflict, is not measured: it needs enough pairs
in which a stage helps another domain, and on micro nearly all of them harm (docs/diagnostics.md).
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from bench.diagnostics.findings import Routes
from bench.diagnostics.neurons import Channels, by_chance, overlap, top
from bench.diagnostics.reward import answers
from bench.diagnostics.subject import Subject, pairs
from bench.training.loss import Batch
from bench.training.sampling import left_pad

_AT_ONCE = 64


def diagnose(subject: Subject) -> list[Routes]:
    """A finding for every two domains; none for a model without MLPs that have a down projection."""
    model = subject.model(subject.stages[subject.sequence[-1]])
    halves: dict[str, tuple[Channels, Channels]] = {}
    for domain in subject.sequence:
        batch = answers(subject, model, domain, 1, "routes")
        even, odd = (activity(model, batch, range(first, len(batch.prompts), 2), subject.dialogue.pad) for first in (0, 1))
        halves[domain] = even, odd
    if not all(half for pair in halves.values() for half in pair):
        return []
    itself = {domain: overlap(*map(top, pair)) for domain, pair in halves.items()}
    routes = {domain: top({layer: even[layer] + odd[layer] for layer in even}) for domain, (even, odd) in halves.items()}
    found = []
    for one, other in pairs(subject.sequence):
        own, chance = overlap(routes[one], routes[other]), by_chance(routes[one], routes[other], seed=subject.seed)
        found.append(Routes(f"{one} – {other}", own, chance, (itself[one] + itself[other]) / 2, own - chance))
    return found


@torch.no_grad()
def activity(model: PreTrainedModel, batch: Batch, rows: range, pad: int) -> Channels:
    """The mean absolute activation of each MLP channel over all tokens of these rows' prompts and answers."""
    texts = [batch.prompts[row] + batch.tokens[row, batch.mask[row]].tolist() for row in rows]
    totals: dict[str, torch.Tensor] = {}
    tokens, mask = 0, torch.zeros(0)

    def hear(layer: str, entering: torch.Tensor) -> None:
        own = (entering.abs() * mask.unsqueeze(-1)).double().sum((0, 1))
        totals[layer] = totals.get(layer, 0) + own

    hooks = [
        module.register_forward_pre_hook(lambda module, entering, layer=name.removesuffix(".down_proj"): hear(layer, entering[0]))
        for name, module in model.named_modules()
        if name.endswith(".down_proj")
    ]
    try:
        for start in range(0, len(texts), _AT_ONCE):
            ids, mask = (tensor.to(model.device) for tensor in left_pad(texts[start : start + _AT_ONCE], pad))
            tokens += int(mask.sum())
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=1)
    finally:
        for hook in hooks:
            hook.remove()
    return {layer: (total / tokens).cpu().numpy() for layer, total in totals.items()}
