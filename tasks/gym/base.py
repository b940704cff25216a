"""What the gym tasks share: the format of an answer, and reasoning-gym's items and verifiers behind readers of our own.

A prompt asks for the final answer between <answer> and </answer>, with or without working before it. The last complete pair counts;
without one the answer cannot be parsed. The text between the tags is checked twice. First our reader, which accepts exactly the requested
format (a whole number, a matrix, a list of names and roles) and rejects everything else: extra words, a second answer, another notation.
It passes the answer in normal form to reasoning-gym's own verifier, and only exactly 1.0 scores 1. A lenient verifier therefore never sees
what it would wrongly accept, a verifier that evaluates text never sees text that a model wrote (readers return digits, letters and
brackets that they assemble themselves), and partial credit does not count. tests/tasks/gym/test_audit.py tests both checks on every
dataset and level.

Items, and so results, belong to one version of reasoning-gym: with another version installed every draw raises an ImportError that names
both. To move to a new version: install it, run the audit, look at what changed, raise `VERSION`, every task's `version` and the hashes in
test_items.py.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from tasks.task import MAX_ANSWER_CHARS, Item, Task

VERSION = "0.1.25"
INSTALL = 'pip install "interference-bench[gym]"'
READ_CHARS = 20_000
"""Only the end of a longer text is read, which bounds the time of every verifier."""

ASK = "You may work it out first. Then write the final answer, and nothing else, between <answer> and </answer>."

_TAG = re.compile("</?answer>")
_TRIES = 10_000

Entry = dict[str, Any]
"""An item of reasoning-gym: question, answer and metadata. An item's facts keep the parts that scoring needs."""


def tagged(answer: str) -> str:
    """An answer in the requested format."""
    return f"<answer>{answer}</answer>"


def final_answer(text: str) -> str | None:
    """The text between the last complete pair of tags, stripped; None if there is no such pair."""
    text = text[-READ_CHARS:]
    found = start = None
    for tag in _TAG.finditer(text):
        if tag[0] == "<answer>":
            start = tag.end()
        elif start is not None:
            found, start = text[start : tag.start()].strip(), None
    return found


@dataclass(frozen=True, eq=False)
class Source:
    """One of reasoning-gym's datasets as part of a task.

    weight: its share of the task's draws, relative to the sum of all weights. levels: its settings at levels 1, 2, ..., drawn with equal
    probability. latent: the question in canonical form. read: the answer between the tags in normal form, None if its format is wrong.
    slip: a plausible wrong answer. keep: the metadata that `read`, `slip` and the verifier need, as plain JSON data. fair: whether an entry
    is used; entries with a wrong key, or that can be solved by copying or guessing, are drawn again.
    """

    name: str
    weight: int
    levels: tuple[dict[str, Any], ...]
    latent: Callable[[Entry], str]
    read: Callable[[str, Entry], str | None]
    slip: Callable[[Entry, random.Random], str]
    keep: Callable[[Entry], dict[str, Any]] = lambda entry: {}
    fair: Callable[[Entry], bool] = lambda entry: True

    def dataset(self, level: int) -> Any:
        """reasoning-gym's generator for a level, created once."""
        return _dataset(self, level)

    def entry(self, level: int, rng: random.Random) -> Entry:
        """A fair entry of a level."""
        dataset = self.dataset(level)
        for _ in range(_TRIES):
            entry = dataset[rng.getrandbits(48)]
            if self.fair(entry):
                return entry
        raise RuntimeError(f"{self.name}, level {level}: no fair entry in {_TRIES:,} draws")

    def facts(self, level: int, entry: Entry) -> dict[str, Any]:
        """The data of an entry that scoring needs, as plain JSON data."""
        return {"dataset": self.name, "level": level, "answer": entry["answer"], "metadata": self.keep(entry)}


class Gym(Task):
    """A task on a weighted mixture of reasoning-gym's datasets. Drawing and scoring raise ImportError without the right version."""

    sources: ClassVar[tuple[Source, ...]]

    def draw(self, rng: random.Random) -> Item:
        source = rng.choices(self.sources, [source.weight for source in self.sources])[0]
        level = rng.randint(1, len(source.levels))
        return self.item_of(source, level, source.entry(level, rng))

    def item_of(self, source: Source, level: int, entry: Entry) -> Item:
        """The item for an entry."""
        prompt = f"{entry['question'].strip()}\n\n{ASK}"
        return Item(self.domain, prompt, tagged(entry["answer"]), source.latent(entry), level, source.facts(level, entry))

    def score(self, item: Item, answer: str) -> float | None:
        source = self._source(item)
        dataset = source.dataset(item.facts["level"])
        given = final_answer(answer)
        if given is None:
            return None
        normal = source.read(given, item.facts) if len(given) <= MAX_ANSWER_CHARS else None
        if normal is None:
            return 0.0
        try:
            return float(dataset.score_answer(normal, item.facts) == 1.0)
        except Exception:  # what reasoning-gym's verifier cannot evaluate is not right
            return 0.0

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: a slip (a digit off, two parts swapped, another name)."""
        if rng.random() < high_quality:
            return item.answer
        return tagged(self._source(item).slip(item.facts, rng))

    def _source(self, item: Item) -> Source:
        return next(source for source in self.sources if source.name == item.facts["dataset"])


@functools.cache
def package() -> Any:
    """The module reasoning_gym. ImportError, in one line with the fix, if it is missing or has another version."""
    try:
        found = version("reasoning-gym")
    except PackageNotFoundError:
        raise ImportError(f"suite gym needs reasoning-gym {VERSION}, which is not installed: {INSTALL}") from None
    if found != VERSION:
        raise ImportError(f"suite gym needs reasoning-gym {VERSION}, and {found} is installed: {INSTALL}")
    import reasoning_gym

    return reasoning_gym


@functools.cache
def _dataset(source: Source, level: int) -> Any:
    return package().create_dataset(source.name, seed=0, **source.levels[level - 1])
