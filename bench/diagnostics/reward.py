"""A domain's expected reward J at temperature 1, in two ways: from fresh samples, and as a smooth function of the weights.

Prompts are validation items, which nothing is trained on. Fresh samples are unbiased anywhere, but too noisy for derivatives. So J is also
estimated on a fixed set of answers: the distinct rewarded ones among those sampled at some anchor models. Each counts with its reward r and
its probability under the weights, divided by the probability with which it came into the set (Horvitz and Thompson, 1952), with K samples a
prompt at each anchor m:

    J(w) = mean over prompts of  sum_a  r(a) p_w(a) / (1 - prod_m (1 - p_m(a))^K)

This is unbiased wherever rewarded answers can be sampled at the anchors. Where the samples hold nearly all of the probability (short
answers of which few are right) the divisor is 1 and the estimate has no sampling noise but that of the prompts; where answers are rare it
becomes importance sampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from bench.diagnostics.subject import Subject, Weights, put
from bench.training.derivatives import answers_to
from bench.training.loss import Batch, log_probs
from bench.training.sampling import uniforms

PROMPTS = 256
"""The most validation items that J is estimated on."""
FRESH = 4
"""Answers a prompt, where J is estimated from fresh samples."""
KEPT = 8
"""Answers a prompt and anchor, for the smooth estimate."""
LEAST_DAMAGE = 0.05
"""Shares of less damage than this are not given: they would be noise (the standard error of J is about 0.01)."""


def answers(subject: Subject, model: PreTrainedModel, domain: str, group: int, purpose: str) -> Batch:
    """`group` answers at temperature 1 to each of the prompts, the same prompts for every model. purpose: equal ones share their random
    numbers, so that two models are compared on common ones; different ones are independent."""
    dialogue, task, items = subject.dialogue, subject.task(domain), subject.items(domain)[:PROMPTS]
    draws = uniforms(len(items) * group, dialogue.limit(task), "diagnose", subject.seed, domain, purpose)
    return answers_to(items, draws, model, dialogue, task, at_once=subject.at_once)[0]


def fresh(subject: Subject, model: PreTrainedModel, domain: str) -> float:
    """J in [0, 1] from fresh samples."""
    return float(answers(subject, model, domain, FRESH, "J").rewards.double().mean())


def share_of(change: float, damage: float, *, least: float = LEAST_DAMAGE) -> float | None:
    """A change of J as a share of the damage; None where the damage is below `least`."""
    return change / damage if damage >= least else None


class SmoothReward:
    """J as a function of the weights, on answers that were sampled at the anchors. model: takes the anchors' weights in turn."""

    def __init__(self, subject: Subject, domain: str, model: PreTrainedModel, anchors: Sequence[Weights]) -> None:
        self._pad, self._at_once = subject.dialogue.pad, subject.rows_at_once
        rewarded: dict[tuple[int, tuple[int, ...]], float] = {}
        prompts: list[list[int]] = []
        for number, weights in enumerate(anchors):
            batch = answers(subject, put(model, weights), domain, KEPT, f"anchor {number}")
            prompts = batch.prompts
            rewards = batch.rewards.flatten().tolist()
            for row in (place for place, reward in enumerate(rewards) if reward > 0):
                rewarded[row // KEPT, tuple(batch.tokens[row, batch.mask[row]].tolist())] = rewards[row]
        self._rows = [(prompts[place], list(tokens)) for place, tokens in rewarded]
        reward = torch.tensor(list(rewarded.values()), dtype=torch.float64)
        missed = torch.zeros_like(reward)  # log of the probability that no anchor's sample holds the answer
        for weights in anchors:
            missed += KEPT * torch.log1p(-self._probabilities(put(model, weights)).clamp(max=1 - 1e-12))
        self._plain = reward / len(prompts)
        self._factors = self._plain / -torch.expm1(missed)

    def value(self, model: PreTrainedModel) -> float:
        """J in [0, 1], up to noise."""
        return float(self._factors @ self._probabilities(model))

    def coverage(self, model: PreTrainedModel) -> float:
        """The share of J that lies on the sampled answers; the rest is extrapolated from the rare ones among them."""
        probabilities = self._probabilities(model)
        whole = float(self._factors @ probabilities)
        return float(self._plain @ probabilities) / whole if whole else 0.0

    def gradient(self, model: PreTrainedModel) -> Weights:
        """dJ / dw, by parameter."""
        model.zero_grad(set_to_none=True)
        if self._rows:  # nothing splits into one empty part
            for factors, probabilities in zip(self._factors.split(self._at_once), self._parts(model), strict=True):
                (factors @ probabilities).backward()
        found = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in model.named_parameters()}
        model.zero_grad(set_to_none=True)
        return found

    @torch.no_grad()
    def _probabilities(self, model: PreTrainedModel) -> torch.Tensor:
        """(N,) float64: of each answer."""
        return torch.cat([torch.zeros(0, dtype=torch.float64), *self._parts(model)])

    def _parts(self, model: PreTrainedModel) -> Iterator[torch.Tensor]:
        for start in range(0, len(self._rows), self._at_once):
            part = self._rows[start : start + self._at_once]
            width = max(len(tokens) for _, tokens in part)
            lengths = torch.tensor([len(tokens) for _, tokens in part])
            tokens = torch.tensor([tokens + [self._pad] * (width - len(tokens)) for _, tokens in part], device=model.device)
            batch = Batch(
                prompts=[prompt for prompt, _ in part],
                domains=[""] * len(part),
                tokens=tokens,
                mask=(torch.arange(width) < lengths.unsqueeze(1)).to(model.device),
                rewards=torch.zeros(len(part), 1),
                advantages=torch.zeros(len(part), 1),
            )
            logs = torch.where(batch.mask, log_probs(model, batch, self._pad, shared=False), 0.0)
            yield logs.double().sum(1).exp().cpu()
