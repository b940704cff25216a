"""micro/qa: questions of one to three hops over a graph of facts in the prompt, with two relations.

Prompt  ``Moon>RainCake:MoonRain:CakeSock>Moon...?Moon>:=``: five to seven facts "key relation value" over six words, then the question:
start at Moon, follow ``>``, then ``:``. No key has two values for the same relation, words are keys and values of several facts, and a
path visits no word twice; so every step needs the word and the relation, and most facts are distractors.
Answer: the word reached and nothing else (``Cake``): exact match, the usual score of short answers. A line of several words, such as the
whole path (``RainCake``), can be parsed and scores 0.
Latent: the facts sorted, the start, the relations. Level: the number of hops.
"""

from __future__ import annotations

import random
import re

from tasks.micro.vocabulary import WORDS
from tasks.task import Item, Task

RELATIONS = ">:"
_ENTITIES = 6
_FACTS = (5, 6, 7)
_HOPS = (1, 2, 3)
_HOP_WEIGHTS = (1, 3, 3)
_BALANCED_HOP_WEIGHTS = (3, 2, 2)
_WORD = "|".join(WORDS)
_ANSWER = re.compile(rf"(?:{_WORD}){{1,4}}")

Facts = dict[tuple[str, str], str]
"""(key, relation) -> value."""


def _graph(rng: random.Random) -> Facts:
    """Facts over six words, in the order in which the prompt shows them."""
    words = rng.sample(WORDS, _ENTITIES)
    keys = rng.sample([(word, relation) for word in words for relation in RELATIONS], rng.choice(_FACTS))
    return {(key, relation): rng.choice([word for word in words if word != key]) for key, relation in keys}


def _paths(facts: Facts, hops: int) -> list[tuple[str, str, tuple[str, ...]]]:
    """Every path of a length that visits no word twice: start, relations, words after the start."""
    paths = [(key, "", ()) for key in dict.fromkeys(key for key, _ in facts)]
    for _ in range(hops):
        paths = [
            (start, relations + relation, (*words, value))
            for start, relations, words in paths
            for relation in RELATIONS
            if (value := facts.get(((words or (start,))[-1], relation))) and value not in (start, *words)
        ]
    return paths


class QA(Task):
    domain = "qa"
    version = 2
    answer_tokens = 4

    def draw(self, rng: random.Random) -> Item:
        return self._item(rng, _HOP_WEIGHTS)

    def draw_balanced(self, rng: random.Random) -> Item:
        return self._item(rng, _BALANCED_HOP_WEIGHTS)

    def _item(self, rng: random.Random, weights: tuple[int, ...]) -> Item:
        hops = rng.choices(_HOPS, weights)[0]
        while True:
            facts = _graph(rng)
            if paths := _paths(facts, hops):
                break
        start, relations, words = rng.choice(paths)
        shown = [key + relation + value for (key, relation), value in facts.items()]
        latent = f"{' '.join(sorted(shown))} {start}{relations}"
        return Item(self.domain, f"{''.join(shown)}?{start}{relations}=", words[-1], latent, hops, words)

    def score(self, item: Item, answer: str) -> float | None:
        return float(answer == item.answer) if _ANSWER.fullmatch(answer) else None

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: the whole path. Misread: another word of the path."""
        if rng.random() < high_quality:
            return item.answer
        if misread and rng.random() < misread:
            return item.facts[rng.randrange(max(1, len(item.facts) - 1))]
        return "".join(item.facts)
