"""Scoring by hand: what an answer scores, whether it could be parsed, and whether it ended."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from typing import Any

import torch

from bench.evaluation.scoring import mean_score, score_domain
from bench.results.answers import Answer, written
from bench.training.prompting import Dialogue
from bench.training.sampling import Completions
from tasks.micro.math import Math
from tasks.micro.vocabulary import build_tokenizer

TOKENIZER = build_tokenizer()


class Script:
    """A writer whose answers are given, row by row; one without "." at its end is cut at the token limit."""

    def __init__(self, answers: Sequence[str]) -> None:
        self.answers = list(answers)

    def generate(self, prompts: Sequence[Sequence[int]], draws: torch.Tensor, *, ends: Sequence[int], pad: int) -> Completions:
        ids = [TOKENIZER(text.removesuffix("."))["input_ids"] + [ends[0]] * text.endswith(".") for text in self.answers[: len(draws)]]
        del self.answers[: len(draws)]
        width = max(map(len, ids))
        tokens = torch.tensor([row + [pad] * (width - len(row)) for row in ids])
        return Completions(tokens, torch.tensor([len(row) for row in ids]), torch.tensor([row[-1] == ends[0] for row in ids]))

    def take(self, model: Any) -> None:
        raise NotImplementedError


def scored(*texts: str) -> list[Answer]:
    """One greedy answer an item, in batches of two."""
    task = Math()
    items = task.distinct("test", 0, len(texts))
    given = [text.replace("RIGHT", item.answer) for text, item in zip(texts, items, strict=True)]
    return score_domain(None, Dialogue(TOKENIZER), task, items, decodings=("greedy",), batch=2, writer=Script(given))


def test_an_answer_that_was_cut_is_told_from_one_that_cannot_be_parsed() -> None:
    answers = scored("RIGHT.", "999.", "RIGHT", "abc.", "a")
    assert [(answer.score, answer.parsed, answer.ended) for answer in answers] == [
        (1.0, True, True),
        (0.0, True, True),
        (0.0, False, False),  # right, and cut before its end
        (0.0, False, True),  # it ended, and is no number
        (0.0, False, False),
    ]
    assert [answer.item for answer in answers] == list(range(5))
    assert mean_score(answers) == 0.2


def test_whether_it_ended_is_stored_with_every_answer() -> None:
    answers = scored("RIGHT.", "RIGHT")
    stored = written(answers)
    rows = [json.loads(line) for line in gzip.decompress(stored).decode().splitlines()]
    assert [(row["ended"], row["parsed"]) for row in rows] == [(True, True), (False, False)]
    assert set(rows[0]) == {"domain", "decoding", "item", "prompt", "answer", "score", "parsed", "ended"}
    assert written(answers) == stored, "the same bytes for the same answers"
