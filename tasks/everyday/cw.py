"""everyday/cw: one sentence under constraints that can be checked; graded.

Prompt  ``Write one sentence of 8 words with the words "moon" and "road". Begin with the letter T.``
Answer  ``The moon is bright above the empty road.``: words of letters, the first one with a capital, and a full stop, ! or ? at the end.
Anything else cannot be parsed. What is not fluent (`tasks.everyday.fluency`) scores 0. Otherwise, as with the judge in 2606.02398: 1 where
every constraint holds, 0.5 where all but one hold, else 0. Levels:

    1   two words
    2   two words, and the number of words
    3   two words, the number of words, and the first letter
    4   the same, and a letter that no word may contain

The words are two nouns of the corpus. The other constraints are read off a sentence with both, of the corpus or made from a template, so
that every item has an answer. Latent: the two words. Of the corpus, only sentences are used whose pairs of nouns all lie in one split, and
only those of the training split are shown as examples.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
from collections import Counter
from typing import Any

from tasks.everyday.fluency import model, sentences, words_of
from tasks.everyday.words import LETTERS
from tasks.levels import Levelled
from tasks.task import MAX_ANSWER_CHARS, Item, Split, split_of

_SENTENCE = re.compile(r"[A-Z][a-z]*(?: [A-Za-z][a-z]*)*[.!?]")
_SCORES = (1.0, 0.5)
"""By the number of broken constraints; 0 for more."""

_FROM_CORPUS = 0.5
"""Share of draws whose sentence is the pretrained model's own."""
_TEMPLATES = (
    "The {} was in the {}.",
    "The {} is on the {}.",
    "He put the {} in the {}.",
    "She saw the {} and the {}.",
    "We went to the {} with the {}.",
    "The small {} was on the big {}.",
    "I like the {} and the {}.",
    "It was in the {} of the {}.",
    "There was an old {} near the {}.",
)
_BEFORE = frozenset("the a an her my his their this our".split())
_AFTER = frozenset("is was has had in on at of and with to can".split()) | {""}

Constraint = tuple[str, Any]
"""A kind and its argument: ("word", "moon"), ("length", 7), ("begin", "t"), ("without", "e")."""

_ASK = {"length": "Write one sentence of {} words", "begin": "Begin with the letter {}.", "without": "Do not use the letter {}."}


def holds(constraint: Constraint, words: list[str]) -> bool:
    """Whether a sentence, its words in small letters, keeps a constraint."""
    kind, argument = constraint
    if kind == "word":
        return argument in words
    if kind == "length":
        return len(words) == argument
    if kind == "begin":
        return words[0].startswith(str(argument))
    return not any(str(argument) in word for word in words)


@functools.cache
def nouns() -> tuple[str, ...]:
    """Words that the corpus uses as nouns, and not as plurals: between an article or the like and a verb, a preposition or the end."""
    total: Counter[str] = Counter()
    between: Counter[str] = Counter()
    for sentence in sentences():
        words = ["", *words_of(sentence), ""]
        total.update(words)
        between.update(words[at] for at in range(1, len(words) - 1) if words[at - 1] in _BEFORE and words[at + 1] in _AFTER)
    often = (word for word, count in between.items() if count >= 3 and count >= 0.3 * total[word])
    return tuple(sorted(word for word in often if len(word) > 2 and word[-1] != "s" and word not in model().common))


def _nouns_of(sentence: str) -> list[str]:
    """The nouns that a sentence uses, sorted."""
    return sorted(set(words_of(sentence)).intersection(nouns()))


@functools.cache
def _usable() -> dict[str, Split]:
    """Sentences of the corpus with two nouns or more, whose pairs all lie in one split, and that split."""
    found: dict[str, Split] = {}
    for sentence in sentences():
        splits = {split_of(CW.domain, " ".join(pair)) for pair in itertools.combinations(_nouns_of(sentence), 2)}
        if len(splits) == 1:
            found[sentence] = splits.pop()
    return found


def _from_corpus(rng: random.Random) -> tuple[list[str], str]:
    """Two nouns and a sentence of the corpus that has both."""
    sentence = rng.choice(tuple(_usable()))
    return sorted(rng.sample(_nouns_of(sentence), 2)), sentence


def _from_template(rng: random.Random) -> tuple[list[str], str]:
    """Two nouns and a sentence that is made of them."""
    asked = rng.sample(nouns(), 2)
    return sorted(asked), rng.choice(_TEMPLATES).format(*asked)


class CW(Levelled):
    domain = "cw"
    version = 1
    graded = True
    answer_tokens = 20
    all_levels = (1, 2, 3, 4)

    def draw_level(self, level: int, rng: random.Random) -> Item:
        while True:
            asked, sentence = _from_corpus(rng) if rng.random() < _FROM_CORPUS else _from_template(rng)
            words = words_of(sentence)
            absent = [letter for letter in LETTERS if not any(letter in word for word in words)]
            if not absent:
                continue
            further = [("length", len(words)), ("begin", words[0][0]), ("without", rng.choice(absent))]
            constraints = [*(("word", word) for word in asked), *further[: level - 1]]
            item = Item(self.domain, _prompt(constraints), sentence, " ".join(asked), level, constraints)
            if self.score(item, sentence) == 1.0:
                return item

    def score(self, item: Item, answer: str) -> float | None:
        answer = answer.strip() if len(answer) <= MAX_ANSWER_CHARS else ""
        if not _SENTENCE.fullmatch(answer):
            return None
        words = words_of(answer)
        if not model().fluent(words):
            return 0.0
        broken = sum(not holds(tuple(constraint), words) for constraint in item.facts)
        return _SCORES[broken] if broken < len(_SCORES) else 0.0

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: a training sentence that breaks a constraint, with one of the words if there is one."""
        if rng.random() < high_quality:
            return item.answer
        (_, one), (_, other), *_ = item.facts
        own = [sentence for word in (one, other) for sentence in _training().get(word, ())] or _training()[""]
        wrong = [sentence for sentence in rng.sample(own, min(len(own), 8)) if self.score(item, sentence) != 1.0]
        return wrong[0] if wrong else rng.choice(_training()[""])


@functools.cache
def _training() -> dict[str, list[str]]:
    """The sentences of the training split by word, and all of them under no word."""
    found: dict[str, list[str]] = {}
    for sentence, split in _usable().items():
        for word in {*words_of(sentence), ""} if split == "train" else ():
            found.setdefault(word, []).append(sentence)
    return found


def _prompt(constraints: list[Constraint]) -> str:
    words = [f'"{argument}"' for kind, argument in constraints if kind == "word"]
    others = {kind: argument for kind, argument in constraints if kind != "word"}
    first = _ASK["length"].format(others.pop("length")) if "length" in others else "Write one sentence"
    rest = [_ASK[kind].format(str(argument).upper()) for kind, argument in others.items()]
    return " ".join([f"{first} with the words {', '.join(words[:-1])} and {words[-1]}.", *rest])
