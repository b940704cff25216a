"""What a task is: a domain's prompts and its verifier, both pure functions.

A task draws items. An item is a prompt, the canonical answer, and the *latent*: the canonical form of what is asked (sorted
operands, the program up to equivalence, the fact graph, the constraint set). Train, validation and test are split by a hash of
the latent, never by the prompt's text, so that no rewording of a test item is ever trained on.

Every draw is a pure function of (task, split, seed, index): no generator state, no ``hash()``, the same under any PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Split = Literal["train", "validation", "test"]

MAX_ANSWER_CHARS = 400
"""Longer answers score 0 unread: it bounds the time of every verifier."""

_SPLIT_SHARES: tuple[tuple[Split, float], ...] = (("test", 0.10), ("validation", 0.05), ("train", 0.85))


def rng(*key: object) -> random.Random:
    """A generator that depends on `key` alone (its parts' text), counter-based: neighbouring keys share nothing."""
    text = "/".join(map(str, key))
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def split_of(domain: str, latent: str) -> Split:
    """The split a latent belongs to: a hash of the latent, 10 % test, 5 % validation, the rest train."""
    place = int.from_bytes(hashlib.sha256(f"split/{domain}/{latent}".encode()).digest()[:8], "big") / 2**64
    for split, share in _SPLIT_SHARES:
        if place < share:
            return split
        place -= share
    return "train"


@dataclass(frozen=True)
class Item:
    """One question. `answer` is canonical and scores 1; `level` runs from 1 (easiest); `facts` is what the verifier needs."""

    domain: str
    prompt: str
    answer: str
    latent: str
    level: int
    facts: Any = field(default=None, compare=False)


class Task(ABC):
    """A domain's prompts and verifier. Subclasses are pure: no state, no clock, no global generator.

    `domain` names it in a sequence, `version` changes whenever an item or a score changes, `graded` says whether scores lie
    between 0 and 1 or only on 0 and 1, and `answer_tokens` bounds an answer's length in tokens, the end token included.
    """

    domain: ClassVar[str]
    version: ClassVar[int]
    graded: ClassVar[bool] = False
    answer_tokens: ClassVar[int]

    @abstractmethod
    def draw(self, rng: random.Random) -> Item:
        """One item from the whole population, of any split."""

    def draw_balanced(self, rng: random.Random) -> Item:
        """An item for the first phase of a base's training, with rare kinds of items drawn more often than `draw` does. Default: `draw`."""
        return self.draw(rng)

    @abstractmethod
    def score(self, item: Item, answer: str) -> float | None:
        """Score of `answer` in [0, 1]; None where it cannot be parsed (it counts as 0 and is reported apart).

        Total: any string of any length returns in bounded time and raises nothing.
        """

    @abstractmethod
    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """A demonstration for the training text of a base: an answer of high or low quality. Used by bases trained from scratch only.

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
        """The first `count` items of a split with pairwise different latents (the test and validation sets); RuntimeError
        where there are not that many."""
        found: dict[str, Item] = {}
        for index in range(100 * count + 1000):
            if len(found) >= count:
                return list(found.values())[:count]
            item = self.item(split, seed, index)
            found.setdefault(item.latent, item)
        raise RuntimeError(f"task {self.domain}: split {split!r} has but {len(found)} latents in {index + 1} items, not {count}")
