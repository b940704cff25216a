"""What the gym tasks share: the form of an answer, and items and verdicts of reasoning-gym behind readers of our own.

A prompt asks for the final answer between <answer> and </answer>, working before it or none. The last complete pair counts; without one
the answer could not be parsed. What stands between the tags passes two gates. First a reader of ours, which knows the one form that was
asked for (a whole number, a matrix, a list of names and roles) and says no to everything else: further words, a second answer, another
notation. It hands the answer in normal form to the second, reasoning-gym's own verifier, and only its exact 1.0 is a 1. So a verifier
that forgives too much never sees what it would forgive, one that evaluates text never sees text that a model wrote (readers give back
digits, letters and brackets that they put together themselves), and partial credit counts nothing. tests/tasks/gym/test_audit.py tries
both gates on every dataset and level.

Items, and so results, are those of one version: with another one installed every draw is an ImportError that says so. Where the package
moves on: install it, run the audit, look at what changed, raise `VERSION`, every task's `version` and the hashes in test_items.py.
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
"""Of a longer text only the end is looked at: it bounds the time of every verdict."""

ASK = "You may work it out first. Then write the final answer, and nothing else, between <answer> and </answer>."

_TAG = re.compile("</?answer>")
_TRIES = 10_000

Entry = dict[str, Any]
"""What reasoning-gym knows of an item: question, answer and metadata; an item's facts keep of it what scoring needs."""


def tagged(answer: str) -> str:
    """An answer as it is asked for."""
    return f"<answer>{answer}</answer>"


def final_answer(text: str) -> str | None:
    """What stands between the last complete pair of tags, without the blanks around it; None where there is no such pair."""
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
    """One of reasoning-gym's datasets as a part of a task.

    weight: its share of the task's draws, as a part of the weights' sum. levels: its settings at levels 1, 2, ..., drawn evenly.
    latent: the canonical form of what is asked. read: the answer between the tags in normal form, None where it has another form.
    slip: a plausible wrong answer. keep: what of the metadata `read`, `slip` and the verifier need, as plain JSON data.
    fair: whether an entry is used; another one is drawn where its key is wrong or is got by copying or guessing.
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
        """reasoning-gym's generator of a level, made once."""
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
        """What scoring needs to know of an entry, as plain JSON data."""
        return {"dataset": self.name, "level": level, "answer": entry["answer"], "metadata": self.keep(entry)}


class Gym(Task):
    """A task on a weighted mixture of reasoning-gym's datasets. Drawing and scoring raise ImportError without the right version of it."""

    sources: ClassVar[tuple[Source, ...]]

    def draw(self, rng: random.Random) -> Item:
        source = rng.choices(self.sources, [source.weight for source in self.sources])[0]
        level = rng.randint(1, len(source.levels))
        return self.item_of(source, level, source.entry(level, rng))

    def item_of(self, source: Source, level: int, entry: Entry) -> Item:
        """The item made of an entry."""
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
        except Exception:
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
    """The module reasoning_gym; ImportError, in one line that says what to do, where it is missing or of another version."""
    try:
        found = version("reasoning-gym")
    except PackageNotFoundError:
        raise ImportError(f"suite gym needs reasoning-gym {VERSION}, which is not installed: {INSTALL}") from None
    if found != VERSION:
        raise ImportError(f"suite gym's items are those of reasoning-gym {VERSION}, and {found} is installed: {INSTALL}")
    import reasoning_gym

    return reasoning_gym


@functools.cache
def _dataset(source: Source, level: int) -> Any:
    return package().create_dataset(source.name, seed=0, **source.levels[level - 1])
