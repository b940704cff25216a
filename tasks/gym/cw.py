"""gym/cw: a short text on a topic under two to four checkable rules, in the manner of IFEval (arXiv:2311.07911); graded.

Prompt: the topic, the rules in any order, each in one of two wordings, and what counts as a text. One rule gives the form:

    sentences n · length low high (words) · lines n · bullets n · acrostic word

and one to three give more, at most one of each group (the last group goes with lines and bullets):

    include two words · exclude three words that belong to the topic · times (a word exactly n times)
    lowercase · uppercase · commas (none) · longest (no word of more than n letters) · without (a letter)
    end (the last words) · begin (the first word)
    first (every line starts with a letter) · width (at most n words a line) · repeats (no word twice in a line)

The text goes between <answer> and </answer>. Score: the share of the rules that hold, where using the topic's word counts as one more
rule; 0 for anything that is not a text (`tasks.gym.rules`). A text is generated first and the rules are derived from it, so every item has
an answer and no two rules contradict each other. Latent: topic and rules in sorted order. Level: the number of rules less
1.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from tasks.gym import lexicon
from tasks.gym.base import final_answer, tagged
from tasks.gym.rules import KEEPS, MIN_WORDS, WORDINGS, Rule, Text, is_text
from tasks.task import Item, Task

FORMS = ("sentences", "length", "lines", "bullets", "acrostic")
GROUPS = (
    ("include", "exclude", "times"),
    ("lowercase", "uppercase", "commas", "longest", "without"),
    ("end", "begin"),
    ("first", "width", "repeats"),
)
_TOPICS = tuple(lexicon.TOPICS)
_STARTERS = tuple(lexicon.STARTERS.values())
_LONGEST = (6, 7, 8)
_TRIES = 50
_LETTERS = "bcdfgkmpvwyu"
_SPREAD = 8
"""The least and the most words of a length lie so far apart."""

_ASK = (
    f"Write phrases or sentences of everyday English, at least {MIN_WORDS} words in all, and no line or sentence twice.\n"
    "Write the text, and nothing else, between <answer> and </answer>."
)


class _NoTextError(Exception):
    """The words at hand do not suffice for a plan."""


class _Generator:
    """Generates a text on a topic from which rules of the given kinds can be derived. One object per text."""

    def __init__(self, rng: random.Random, topic: str, form: str, kinds: list[str]) -> None:
        self.rng, self.topic, self.form, self.kinds = rng, topic, form, kinds
        self.spelled = rng.choice(lexicon.ACROSTICS) if form == "acrostic" else ""
        taken = topic + self.spelled
        self.letter = rng.choice([x for x in _LETTERS if x not in taken]) if "without" in kinds else ""
        self.longest = rng.choice(_LONGEST) if "longest" in kinds else 99
        self.related = self.usable(lexicon.TOPICS[topic])
        self.pools: dict[tuple[str, ...], list[str]] = {}
        if not self.usable([topic]):
            raise _NoTextError

    def usable(self, words: Sequence[str]) -> list[str]:
        """Those of the words that are short enough and lack the forbidden letter."""
        return [word for word in words if len(word) <= self.longest and not (self.letter and self.letter in word)]

    def some(self, words: list[str], count: int) -> list[str]:
        """So many different ones of the words; `_NoTextError` where there are not as many."""
        if len(words) < count:
            raise _NoTextError
        return self.rng.sample(words, count)

    def one(self, words: tuple[str, ...], besides: Sequence[str] = ()) -> str:
        """A usable word that is not among others."""
        if words not in self.pools:
            self.pools[words] = self.usable(words)
        for _ in range(_TRIES if self.pools[words] else 0):
            word = self.rng.choice(self.pools[words])
            if word not in besides:
                return word
        raise _NoTextError

    def write(self) -> tuple[str, list[Rule]]:
        """The text and its rules; `_NoTextError` where words are lacking."""
        parts = len(self.spelled) or self.rng.randint(*((2, 5) if self.form in ("sentences", "length") else (3, 6)))
        words_rule, needed = self.needed()
        others = [word for word in self.usable(lexicon.NOUNS) if word not in (self.topic, *lexicon.TOPICS[self.topic])]
        nouns = needed + self.some(others, 2 * parts - len(needed))
        pairs = list(zip(nouns[:parts], nouns[parts:], strict=True))
        self.rng.shuffle(pairs)
        clauses = [self.clause(pair, starter) for pair, starter in zip(pairs, self.starters(parts), strict=True)]
        if "end" in self.kinds:
            clauses[-1] += self.some([phrase for phrase in lexicon.ENDINGS if len(self.usable(phrase)) == len(phrase)], 1)[0]
        text = self.laid_out(clauses)
        return text, [self.form_rule(clauses), *words_rule, *(self.read_off(kind, clauses) for kind in self.kinds if kind not in GROUPS[0])]

    def needed(self) -> tuple[list[Rule], list[str]]:
        """The rule on words, if there is one, and the nouns that the text has to hold for it, the topic among them."""
        if "include" in self.kinds:
            two = sorted(self.some(self.related, 2))
            return [("include", *two)], [self.topic, *two]
        if "exclude" in self.kinds:
            return [("exclude", *sorted(self.some(list(lexicon.TOPICS[self.topic]), 3)))], [self.topic]
        if "times" in self.kinds:
            word, count = self.some(self.related, 1)[0], self.rng.randint(2, 3)
            return [("times", word, count)], [word] * count + [self.topic]
        return [], [self.topic]

    def starters(self, parts: int) -> list[str]:
        """What each clause begins with, before its article; empty for nothing."""
        if self.spelled:
            return [self.one(lexicon.STARTERS[letter]) for letter in self.spelled]
        if "first" in self.kinds:
            words = self.rng.choice(_STARTERS)
            return [self.one(words) for _ in range(parts)]
        first = self.one(self.rng.choice(_STARTERS)) if "begin" in self.kinds else ""
        return [first] + [""] * (parts - 1)

    def clause(self, nouns: tuple[str, str], starter: str) -> tuple[str, ...]:
        """``slowly the old ship waits near every dock``"""
        words = [starter] if starter else []
        adjective = [self.one(lexicon.ADJECTIVES)] if self.rng.random() < 0.6 else []
        words += [self.one(lexicon.DETERMINERS, words), *adjective, nouns[0], self.one(lexicon.VERBS)]
        words.append(self.one(lexicon.PREPOSITIONS, words))
        return (*words, self.one(lexicon.DETERMINERS, words), nouns[1])

    def laid_out(self, clauses: list[tuple[str, ...]]) -> str:
        """The clauses as sentences or lines, in small or capital letters or as usual."""
        told = [" ".join(words) for words in clauses]
        told = told if "lowercase" in self.kinds else [text[0].upper() + text[1:] for text in told]
        if self.form in ("sentences", "length"):
            text = " ".join(f"{sentence}." for sentence in told)
        else:
            text = "\n".join("- " * (self.form == "bullets") + line for line in told)
        return text.upper() if "uppercase" in self.kinds else text

    def form_rule(self, clauses: list[tuple[str, ...]]) -> Rule:
        if self.form == "acrostic":
            return "acrostic", self.spelled
        if self.form == "length":
            low = max(MIN_WORDS, sum(map(len, clauses)) - self.rng.randint(0, _SPREAD))
            return "length", low, low + _SPREAD
        return self.form, len(clauses)

    def read_off(self, kind: str, clauses: list[tuple[str, ...]]) -> Rule:
        """The rule of a kind that the text keeps."""
        parameters = {
            "longest": lambda: self.longest,
            "without": lambda: self.letter,
            "end": lambda: " ".join(next(phrase for phrase in lexicon.ENDINGS if clauses[-1][-len(phrase) :] == phrase)),
            "begin": lambda: clauses[0][0],
            "first": lambda: clauses[0][0][0],
            "width": lambda: max(map(len, clauses)),
        }
        return (kind, parameters[kind]()) if kind in parameters else (kind,)


class CW(Task):
    domain = "cw"
    version = 2
    graded = True
    answer_tokens = 256

    def draw(self, rng: random.Random) -> Item:
        while True:
            topic, form = rng.choice(_TOPICS), rng.choice(FORMS)
            groups = GROUPS if form in ("lines", "bullets") else GROUPS[:-1]
            kinds = [rng.choice(group) for group in rng.sample(groups, rng.randint(1, 3))]
            try:
                text, rules = _Generator(rng, topic, form, kinds).write()
            except _NoTextError:
                continue
            item = self._item(topic, rules, text, rng)
            # a rare text repeats a word by chance that a rule wants once, or has too few different words
            if self.score(item, item.answer) == 1.0:
                return item

    def _item(self, topic: str, rules: list[Rule], text: str, rng: random.Random) -> Item:
        shown = [rng.choice(WORDINGS[kind]).format(*parameters) for kind, *parameters in rng.sample(rules, len(rules))]
        numbered = "\n".join(f"{number}. {rule}" for number, rule in enumerate(shown, 1))
        prompt = f'Write a short text about the topic "{topic}", and use that word in it. Follow these rules:\n{numbered}\n\n{_ASK}'
        latent = f"{topic}: {'; '.join(sorted(' '.join(map(str, rule)) for rule in rules))}"
        facts = {"topic": topic, "rules": [list(rule) for rule in rules]}
        return Item(self.domain, prompt, tagged(text), latent, len(rules) - 1, facts)

    def score(self, item: Item, answer: str) -> float | None:
        given = final_answer(answer)
        if given is None:
            return None
        text = Text.of(given)
        if not is_text(text, item.prompt):
            return 0.0
        kept = [KEEPS[kind](text, *parameters) for kind, *parameters in item.facts["rules"]]
        return (sum(kept) + (item.facts["topic"] in text.words)) / (len(kept) + 1)

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: on the topic, the rules ignored. Misread: on another topic."""
        if rng.random() < high_quality:
            return item.answer
        topic = rng.choice(_TOPICS) if misread and rng.random() < misread else item.facts["topic"]
        while True:
            written = tagged(_Generator(rng, topic, rng.choice(FORMS), []).write()[0])
            if self.score(item, written) != 1.0:
                return written
