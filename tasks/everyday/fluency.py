"""Whether words are a fluent sentence, by a bigram model of sentences that the pretrained model wrote.

The corpus, `sentences.txt`, holds simple English by SmolLM2-135M-Instruct (`scripts/write_sentences.py`). A sentence is fluent if the
model gives it few bits a word, if hardly any other order of its words is likelier, and if it is `plain`. The first alone lets common words
pass in any order, the second does not depend on how rare words are, and the third refuses "the moon of the road of the". The model is an
interpolated Kneser-Ney bigram model (Chen & Goodman 1999, section 2.7) with one discount, and a floor for words that the corpus lacks:

    p(w | v) = max(c(v w) - D, 0) / c(v) + D N(v .) / c(v) p(w),   p(w) = (1 - FLOOR) N(. w) / N(. .) + FLOOR / UNKNOWN

c counts a pair of neighbours, N different neighbours. A neural model would judge better, but verifiers run without torch, and give the same
score on every machine.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tasks.task import rng

CORPUS = Path(__file__).with_name("sentences.txt")
SHA256 = "7922e793a190cd65fa7a904bf8f1e09090ba9deeb9114d71a02895c6b7b8515f"
"""Of the corpus. It is part of the code so that another corpus is another task."""
DISCOUNT = 0.75
FLOOR, UNKNOWN = 0.01, 50_000
"""Probability of all words that the corpus does not have, and how many they are taken to be."""
MAX_BITS = 9.5
"""Most bits a word of a fluent sentence."""
SHUFFLES, MAX_LIKELIER = 40, 1
"""Random orders of its words that are tried, and how many of them may be likelier."""
MAX_USES = 2
"""How often a fluent sentence may use a word."""
COMMONEST = 30
"""So many words count as common: articles, pronouns, prepositions and the like."""
EDGE = ""
"""Stands before and after a sentence."""


def words_of(text: str) -> list[str]:
    """The words of a text in small letters."""
    return re.findall("[a-z]+", text.lower())


class Bigrams:
    """The model of some sentences, each a list of words."""

    def __init__(self, sentences: Iterable[Sequence[str]]) -> None:
        self.pairs: Counter[tuple[str, str]] = Counter()
        for words in sentences:
            self.pairs.update(zip((EDGE, *words), (*words, EDGE), strict=True))
        self.before: Counter[str] = Counter()
        self.continuations: Counter[str] = Counter()
        self.followers: Counter[str] = Counter()
        for (first, second), count in self.pairs.items():
            self.before[first] += count
            self.followers[first] += 1
            self.continuations[second] += 1
        ranked = sorted(self.before, key=lambda word: (-self.before[word], word))
        self.common = frozenset(ranked[: COMMONEST + 1])
        """The commonest words, and the edge."""
        self.surprisal = functools.lru_cache(maxsize=1 << 16)(self._surprisal)

    def probability(self, word: str, previous: str) -> float:
        """p(word | previous), above 0."""
        alone = (1 - FLOOR) * self.continuations[word] / len(self.pairs) + FLOOR / UNKNOWN
        count = self.before[previous]
        if not count:
            return alone
        kept = max(self.pairs[previous, word] - DISCOUNT, 0) / count
        return kept + DISCOUNT * self.followers[previous] / count * alone

    def _surprisal(self, previous: str, word: str) -> float:
        """In bits, above 0. `surprisal` keeps what was asked for lately: other orders of the same words ask again."""
        return -math.log2(self.probability(word, previous))

    def bits(self, words: Sequence[str]) -> float:
        """Mean number of bits of a word, the end counted as one, to six decimals."""
        return round(math.fsum(map(self.surprisal, (EDGE, *words), (*words, EDGE))) / (len(words) + 1), 6)

    def plain(self, words: Sequence[str]) -> bool:
        """Whether no word stands next to itself or comes three times, and any two of the commonest words that meet also meet in the corpus,
        at least twice. The beginning and the end are among them."""
        steps = list(zip((EDGE, *words), (*words, EDGE), strict=True))
        if max(Counter(words).values()) > MAX_USES or any(previous == word for previous, word in steps):
            return False
        return all(self.pairs[step] > 1 for step in steps if self.common.issuperset(step))

    def fluent(self, words: Sequence[str]) -> bool:
        """Whether one or more words, in small letters, are a fluent sentence."""
        own, order = self.bits(words), rng("fluency", *words)
        if own > MAX_BITS or not self.plain(words):
            return False
        likelier = sum(self.bits(order.sample(words, len(words))) < own for _ in range(SHUFFLES))
        return likelier <= MAX_LIKELIER


@functools.cache
def sentences() -> tuple[str, ...]:
    """The corpus. RuntimeError if its file is not the one that this version of the task was made with."""
    content = CORPUS.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise RuntimeError(f"{CORPUS} has sha256 {found}, not {SHA256}: reinstall the package")
    return tuple(content.decode().splitlines())


@functools.cache
def model() -> Bigrams:
    """The model of the corpus."""
    return Bigrams(map(words_of, sentences()))
