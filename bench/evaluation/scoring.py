"""Scores a checkpoint: every item of a split, greedily and at temperature 1. Every answer is stored.

The draws at temperature 1 depend on the suite's items, not on a run's seed: a checkpoint has one score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from transformers import PreTrainedModel

from bench.results.answers import Answer
from bench.suite import DECODINGS, Decoding
from bench.training.prompting import Dialogue
from bench.training.sampling import Writer, generate, greedy, uniforms
from tasks.task import Item, Split, Task


def score_domain(
    model: PreTrainedModel,
    dialogue: Dialogue,
    task: Task,
    items: list[Item],
    *,
    decodings: tuple[Decoding, ...] = DECODINGS,
    split: Split = "test",
    batch: int = 256,
    writer: Writer | None = None,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
) -> list[Answer]:
    """The answers to every item under every decoding, in order of (decoding, item). Each prompt is encoded once for all decodings.
    writer: generates instead of the model. `UserError` if the task's verifier fails."""
    limit = dialogue.limit(task)
    draws = uniforms(len(items), limit, "scoring", task.domain, split)
    answers: dict[Decoding, list[Answer]] = {decoding: [] for decoding in decodings}
    for start in range(0, len(items), batch):
        part = items[start : start + batch]
        own = draws[start : start + batch]
        rows = torch.stack([greedy(len(part), limit) if d == "greedy" else own for d in decodings], 1).flatten(0, 1)
        prompts = dialogue.encode([item.prompt for item in part])
        if writer is not None:
            done = writer.generate(prompts, rows, ends=dialogue.ends, pad=dialogue.pad)
        else:
            with autocast():
                done = generate(model, prompts, rows, ends=dialogue.ends, pad=dialogue.pad)
        written, ended = dialogue.answers(done), done.ended.tolist()
        for place, item in enumerate(part):
            for number, decoding in enumerate(decodings):
                row = place * len(decodings) + number
                score = dialogue.score(task, item, written[row], ended[row])
                answer = Answer(
                    domain=task.domain,
                    decoding=decoding,
                    item=start + place,
                    prompt=item.prompt,
                    answer=written[row],
                    score=score or 0.0,
                    parsed=score is not None,
                    ended=ended[row],
                )
                answers[decoding].append(answer)
    return [answer for decoding in decodings for answer in answers[decoding]]


def mean_score(answers: Iterable[Answer], decoding: Decoding = "greedy") -> float:
    """Mean score in [0, 1] of the answers under a decoding."""
    scores = [answer.score for answer in answers if answer.decoding == decoding]
    return sum(scores) / len(scores)
