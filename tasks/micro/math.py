"""micro/math: integer arithmetic with +, - and *, two to four operators, every running value between 0 and 99.

Prompt  ``19-5*3+14=``: numbers from 1 to 60, products of a digit and a number up to 19. Answer ``18``, or with the running values before
it, products first, then left to right: ``15:4:18``.
Only what follows the last colon is scored. Latent: the signed terms sorted, the factors of a product sorted.
Levels: 1 = two operators, 2 = three, 3 = four.
"""

from __future__ import annotations

import random
import re

from tasks.task import MAX_ANSWER_CHARS, Item, Task

MAX_NUMBER, MAX_FACTOR = 60, 19
_BALANCED_MAX_NUMBER, _BALANCED_MAX_FACTOR = 30, 9
"""Largest number that stands alone, and largest second factor of a product."""

Term = tuple[int, tuple[int, ...]]
"""A sign (+1 or -1) and one or two factors."""

_ANSWER = re.compile(r"(?:[0-9]{1,4}:){0,8}([0-9]{1,4})")
_SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1, 1, 1), (2, 1), (1, 2)),
    2: ((1, 1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)),
    3: ((2, 1, 1, 1), (1, 2, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2), (2, 2, 1), (2, 1, 2), (1, 2, 2)),
}
"""Number of factors of each term, by level."""
_LEVEL_WEIGHTS = (1, 2, 2)


def _steps(terms: list[Term]) -> list[int] | None:
    """Running values in the order of the working, the last one the result; None where one leaves 0..99."""
    values = []
    steps = []
    for sign, factors in terms:
        value = factors[0]
        if len(factors) == 2:
            value *= factors[1]
            steps.append(value)
        values.append(sign * value)
    total = values[0]
    for value in values[1:]:
        total += value
        steps.append(total)
    return steps if all(0 <= step <= 99 for step in steps) else None


def _text(terms: list[Term]) -> str:
    signed = ("+-"[sign < 0] + "*".join(map(str, factors)) for sign, factors in terms)
    return "".join(signed).removeprefix("+")


class Math(Task):
    domain = "math"
    version = 2
    answer_tokens = 14

    def draw(self, rng: random.Random) -> Item:
        return self._item(rng, MAX_NUMBER, MAX_FACTOR)

    def draw_balanced(self, rng: random.Random) -> Item:
        return self._item(rng, _BALANCED_MAX_NUMBER, _BALANCED_MAX_FACTOR)

    def _item(self, rng: random.Random, number: int, factor: int) -> Item:
        level = rng.choices((1, 2, 3), _LEVEL_WEIGHTS)[0]
        shape = rng.choice(_SHAPES[level])
        while True:
            terms = [self._term(rng, place, factors, number, factor) for place, factors in enumerate(shape)]
            steps = _steps(terms)
            if steps is not None:
                break
        latent = " ".join(sorted(_text([(sign, tuple(sorted(factors)))]) for sign, factors in terms))
        working = ":".join(map(str, steps))
        return Item(self.domain, f"{_text(terms)}=", working, latent, level, steps[-1])

    @staticmethod
    def _term(rng: random.Random, place: int, factors: int, number: int, factor: int) -> Term:
        sign = 1 if place == 0 else rng.choice((1, -1))
        return sign, (rng.randint(1, number),) if factors == 1 else (rng.randint(2, 9), rng.randint(2, factor))

    def score(self, item: Item, answer: str) -> float | None:
        match = _ANSWER.fullmatch(answer) if len(answer) <= MAX_ANSWER_CHARS else None
        return None if match is None else float(int(match[1]) == item.facts)

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        return item.answer if rng.random() < high_quality else item.answer.rpartition(":")[2]
