"""The interface of a task: a domain's prompts and its verifier, both pure functions.

A task draws items. An item is a prompt, the canonical answer, and the *latent*: the question in canonical form (sorted operands, the
program up to equivalence, the fact graph, the constraint set). Items are split by a hash of the latent, never by the prompt's text, so
no rewording of a test item is ever trained on. There are two disjoint test sets: `test`, on which every result is measured, and
`reserve`, which no result has seen and which re-runs of submissions draw from.

Every draw is a pure function of (task, split, seed, index): no generator state, no ``hash()``, the same under any PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import numbers
import random
import reprlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Split = Literal["train", "validation", "test", "reserve"]

MAX_ANSWER_CHARS = 400
"""Longer answers score 0 without being parsed, which bounds the time of every verifier."""

MAX_ANSWER_TOKENS = 32_768
"""Largest `Task.answer_tokens`."""

_SPLIT_SHARES: tuple[tuple[Split, float], ...] = (
    ("test", 0.15),
    ("validation", 0.05),
    ("reserve", 0.15),
    ("train", 0.65),
)


def rng(*key: object) -> random.Random:
    """A generator that depends only on `key` (the text of its parts). Generators of different keys are independent."""
    text = "/".join(map(str, key))
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def split_of(domain: str, latent: str) -> Split:
    """The split of a latent, by its hash: 15 % test, 15 % reserve, 5 % validation, the rest train."""
    place = int.from_bytes(hashlib.sha256(f"split/{domain}/{latent}".encode()).digest()[:8], "big") / 2**64
    for split, share in _SPLIT_SHARES:
        if place < share:
            return split
        place -= share
    return "train"


@dataclass(frozen=True)
class Item:
    """One question. `answer` is canonical and scores 1; `level` counts from 1 (easiest); `facts` holds what the verifier needs."""

    domain: str
    prompt: str
    answer: str
    latent: str
    level: int
    facts: Any = field(default=None, compare=False)


class ScoreError(RuntimeError):
    """A verifier failed, or returned something other than a score: one line that names task, value and answer. It is never a score of 0."""


class Task(ABC):
    """A domain's prompts and verifier. Subclasses are pure: no state, no clock, no global generator.

    domain: its name in a sequence; version: raised whenever an item or a score changes; graded: whether scores take values between 0
    and 1 (otherwise 0 and 1 only); answer_tokens: the most tokens of an answer, including the end token, 1 to `MAX_ANSWER_TOKENS`.
    """

    domain: ClassVar[str]
    version: ClassVar[int]
    graded: ClassVar[bool] = False
    answer_tokens: ClassVar[int]

    @abstractmethod
    def draw(self, rng: random.Random) -> Item:
        """One item from the whole population, whatever its split."""

    def draw_balanced(self, rng: random.Random) -> Item:
        """An item for the first phase of a base's training, with rare kinds of items drawn more often than `draw` does. Default: `draw`."""
        return self.draw(rng)

    @abstractmethod
    def score(self, item: Item, answer: str) -> float | None:
        """Score of `answer` in [0, 1]; None if it cannot be parsed (it counts as 0 and is reported separately).

        Must return in bounded time, and raise nothing, for any string of any length. Callers use `checked_score`.
        """

    def checked_score(self, item: Item, answer: str) -> float | None:
        """`score`, with its result checked: a number in [0, 1] (0 or 1 unless the task is `graded`; True and False count as 1 and 0), or
        None. `ScoreError` for anything else, and if `score` raises."""

        def wrong(what: str, todo: str) -> ScoreError:
            given = answer[:60] + "..." * (len(answer) > 60)
            return ScoreError(" ".join(f"task {self.domain}: score {what} for answer {given!r}{todo}".split()))

        try:
            score = self.score(item, answer)
        except Exception as error:
            raise wrong(f"raised {type(error).__name__}", f": {error}") from error
        if score is None:
            return None
        if not isinstance(score, numbers.Real) or not 0 <= score <= 1:
            raise wrong(f"returned {reprlib.repr(score)}", "; return a number from 0 to 1, or None")
        if not self.graded and score not in (0, 1):
            raise wrong(f"returned {score!r}", "; return 0 or 1, or set graded = True")
        return abs(float(score))  # -0.0 becomes 0.0

    @abstractmethod
    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """A demonstration for the training text of a base: an answer of high or low quality. Used to train bases only.

        high_quality: probability, in [0, 1], of a correct answer with its working; low-quality ones omit the working or ignore constraints.
        misread: probability that a low-quality demonstration also answers another question, where the task defines such a mistake.
        """

    def item(self, split: Split, seed: int, index: int, *, balanced: bool = False) -> Item:
        """Item `index` of `split` under `seed`: drawn (with `balanced`, by `draw_balanced`) again until its latent lies in the split.
        RuntimeError after 10,000 draws."""
        take = self.draw_balanced if balanced else self.draw
        for attempt in range(10_000):
            item = take(rng(self.domain, split, seed, index, attempt))
            if split_of(self.domain, item.latent) == split:
                return item
        raise RuntimeError(f"task {self.domain}: no item of split {split!r} in 10,000 draws; widen its population")

    def distinct(self, split: Split, seed: int, count: int) -> list[Item]:
        """The first `count` items of a split with pairwise different latents (the test and validation sets). RuntimeError if there are too
        few."""
        found: dict[str, Item] = {}
        for index in range(100 * count + 1000):
            if len(found) >= count:
                return list(found.values())[:count]
            item = self.item(split, seed, index)
            found.setdefault(item.latent, item)
        raise RuntimeError(
            f"task {self.domain}: split {split!r} has only {len(found)} latents in {index + 1} items, not {count}; widen its population"
        )
