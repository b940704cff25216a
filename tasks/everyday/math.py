"""everyday/math: word problems about things that people have, of one to three steps.

Prompt  ``Tom has 14 apples. Tom buys 23 more apples. Tom gives 9 apples to Anna. How many apples does Tom have now?``
Answer  ``28``, or the working before it, one step after the other: ``14+23=37-9=28``. Only the number after the last ``=`` is scored.
Of low quality is a working that overlooks the last event: ``14+23=37``, or ``14=14`` if there is only one.
Latent: the signed terms sorted, the factors of a product sorted; names, things and the kind of event are wording.

    level 1   one step: a sum, a difference, or a product of a digit and a number up to 19
    level 2   two steps of sums and differences
    level 3   two steps, one of them a product
    level 4   three steps, one or two of them products

Every value on the way lies between 0 and 99 at levels 1 and 2, between 0 and 499 at levels 3 and 4. Level 1 alone has about 800 test
latents; together with level 2 there are more than 8,192.
"""

from __future__ import annotations

import random
import re

from tasks.everyday.words import CONTAINERS, GOODS, NAMES
from tasks.levels import Levelled
from tasks.task import MAX_ANSWER_CHARS, Item

Term = tuple[int, tuple[int, ...]]
"""A sign (+1 or -1) and one or two factors."""

_SHAPES: dict[int, tuple[tuple[int, ...], ...]] = {
    1: ((1, 1),) * 9 + ((2,),),
    2: ((1, 1, 1),),
    3: ((2, 1), (1, 2)),
    4: ((2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2)),
}
"""Number of factors of each term, by level."""
_LARGEST = {1: 99, 2: 99, 3: 499, 4: 499}
MAX_NUMBER, MAX_FACTOR = 80, 19
OVERLOOKED = {
    "buys": 0.1, "gives": 0.1, "each": 0.2, "together": 0.2, "sells": 0.3, "finds": 0.5, "loses": 0.7, "receives": 0.8, "more": 0.9,
}  # fmt: skip
"""Kind of the last event -> share of demonstrations that overlook it, at a `high_quality` of 0.5. A base that imitates them answers some
kinds of stories correctly and others not, and reinforcement learning can improve one kind after the other. With the same share for all
kinds, its greedy answers to all of them would change at once."""
_WORKING = re.compile(r"[0-9+*= -]*=|")
_NUMBER = re.compile(r"[0-9]{1,4}")


def steps_of(terms: list[Term]) -> list[tuple[str, int]]:
    """The working: what is computed at each step, and the value that it gives. A product other than the first comes before the sum that it
    is part of."""
    total, steps = 0, []
    for place, (sign, factors) in enumerate(terms):
        value = factors[0]
        if len(factors) == 2:
            value *= factors[1]
            steps.append(("*".join(map(str, factors)), value))
        if place:
            steps.append((f"{total}{'+-'[sign < 0]}{value}", total + sign * value))
        total += sign * value
    return steps


def written(steps: list[tuple[str, int]]) -> str:
    """The working as text. A step that begins with the value before it goes on from there: ``14+23=37-9=28``."""
    text = ""
    for computed, value in steps:
        known = text.rpartition("=")[2]
        follows = bool(known) and re.match(rf"{known}[+-]", computed) is not None
        text = f"{text}{computed.removeprefix(known)}={value}" if follows else f"{text} {computed}={value}".strip()
    return text


def overlooked(terms: list[Term]) -> str:
    """The working of the story without its last event."""
    known = terms[:-1]
    first = (known or terms)[0][1][0]
    return written(steps_of(known)) or f"{first}={first}"


class Math(Levelled):
    domain = "math"
    version = 1
    answer_tokens = 32
    all_levels = (1, 2, 3, 4)

    def draw_level(self, level: int, rng: random.Random) -> Item:
        shape = rng.choice(_SHAPES[level])
        while True:
            terms = [self._term(rng, place, factors) for place, factors in enumerate(shape)]
            steps = steps_of(terms)
            if all(0 <= value <= _LARGEST[level] for _, value in steps):
                break
        latent = " ".join(sorted("+-"[sign < 0] + "*".join(map(str, sorted(factors))) for sign, factors in terms))
        story, kind = _story(terms, rng)
        facts = {"result": steps[-1][1], "slip": overlooked(terms), "kind": kind}
        return Item(self.domain, story, written(steps), latent, level, facts)

    @staticmethod
    def _term(rng: random.Random, place: int, factors: int) -> Term:
        sign = rng.choice((1, -1)) if place else 1
        return sign, (rng.randint(2, MAX_NUMBER),) if factors == 1 else (rng.randint(2, 9), rng.randint(2, MAX_FACTOR))

    def score(self, item: Item, answer: str) -> float | None:
        answer = answer.strip().removesuffix(".") if len(answer) <= MAX_ANSWER_CHARS else ""
        working, equals, result = answer.rpartition("=")
        if not _WORKING.fullmatch(working + equals) or not _NUMBER.fullmatch(result.strip(" ")):
            return None
        return float(int(result) == item.facts["result"])

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: the last event is overlooked. The odds of that are those of its kind, times the odds of low quality."""
        share = OVERLOOKED[item.facts["kind"]]
        low, high = share * (1 - high_quality), (1 - share) * high_quality
        return item.facts["slip"] if rng.random() * (low + high) < low else item.answer


def _story(terms: list[Term], rng: random.Random) -> tuple[str, str]:
    """A story and the kind of its last event."""
    one, other = rng.sample(NAMES, 2)
    goods, containers = rng.choice(GOODS), rng.choice(CONTAINERS)
    (_, first), *rest = terms
    if not rest:
        return f"There are {first[0]} {containers} with {first[1]} {goods} in each. How many {goods} are there?", "each"
    begins = f"{one} has {first[0]} {containers} of {first[1]} {goods}." if len(first) == 2 else f"{one} has {first[0]} {goods}."
    if len(terms) == 2 and len(first) == len(rest[0][1]) == 1 and rng.random() < 0.4:
        question = f"{goods} do they have together" if rest[0][0] > 0 else f"more {goods} does {one} have than {other}"
        return f"{begins} {other} has {rest[0][1][0]} {goods}. How many {question}?", "together" if rest[0][0] > 0 else "more"
    events = [_event(one, other, containers, goods, sign, factors, rng) for sign, factors in rest]
    told = " ".join(text for text, _ in events)
    return f"{begins} {told} How many {goods} does {one} have now?", events[-1][1]


def _event(one: str, other: str, containers: str, goods: str, sign: int, factors: tuple[int, ...], rng: random.Random) -> tuple[str, str]:
    """An event and its kind."""
    if len(factors) == 2:
        count, each = factors
        if sign > 0:
            return f"{one} buys {count} {containers} of {each} {goods}.", "buys"
        return f"{one} gives {each} {goods} to each of {count} friends.", "gives"
    (number,) = factors
    if sign > 0:
        what = f"{number} more {goods}"
        return rng.choice(
            ((f"{one} buys {what}.", "buys"), (f"{other} gives {one} {what}.", "receives"), (f"{one} finds {what}.", "finds"))
        )
    what = f"{number} {goods}"
    return rng.choice(((f"{one} gives {what} to {other}.", "gives"), (f"{one} loses {what}.", "loses"), (f"{one} sells {what}.", "sells")))
