"""everyday/math: stories read and computed again by the tests, sentence by sentence."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from tasks.everyday.math import OVERLOOKED, Math, Term, overlooked, steps_of, written
from tasks.task import Item

TASK = Math()
THREE = Item(
    "math",
    "Tom has 14 apples. Tom buys 23 more apples. Tom gives 9 apples to Anna. How many apples does Tom have now?",
    "14+23=37-9=28",
    "",
    2,
    {"result": 28, "slip": "14+23=37", "kind": "gives"},
)


def result(prompt: str) -> int:
    """What a story asks for, read from its sentences."""
    *sentences, question = re.split(r"(?<=[.?]) ", prompt)
    if match := re.fullmatch(r"There are (\d+) \w+ with (\d+) (\w+) in each\.", sentences[0]):
        assert question == f"How many {match[3]} are there?"
        return int(match[1]) * int(match[2])
    match = re.fullmatch(r"(\w+) has (?:(\d+) \w+ of )?(\d+) (\w+)\.", sentences[0])
    assert match is not None, prompt
    one, goods = match[1], match[4]
    total = int(match[3]) * int(match[2] or 1)
    if other := re.fullmatch(rf"(\w+) has (\d+) {goods}\.", sentences[1]):
        assert other[1] != one and len(sentences) == 2
        together = {f"How many {goods} do they have together?": 1, f"How many more {goods} does {one} have than {other[1]}?": -1}[question]
        return total + together * int(other[2])
    for sentence in sentences[1:]:
        total += change(sentence, one, goods)
    assert question == f"How many {goods} does {one} have now?"
    return total


def change(sentence: str, one: str, goods: str) -> int:
    """What a sentence adds to what somebody has."""
    readings = (
        (rf"{one} (?:buys|finds) (\d+) more {goods}\.", 1),
        (rf"(?!{one})\w+ gives {one} (\d+) more {goods}\.", 1),
        (rf"{one} gives (\d+) {goods} to (?!{one})[A-Z]\w+\.", -1),
        (rf"{one} (?:loses|sells) (\d+) {goods}\.", -1),
        (rf"{one} buys (\d+) \w+ of (\d+) {goods}\.", 1),
        (rf"{one} gives (\d+) {goods} to each of (\d+) friends\.", -1),
    )
    ((numbers, sign),) = ((match.groups(), sign) for form, sign in readings if (match := re.fullmatch(form, sentence)))
    value = 1
    for number in numbers:
        value *= int(number)
    return sign * value


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(6_000)]


def test_the_tests_own_reading_by_hand() -> None:
    assert result(THREE.prompt) == 28
    assert result("Ben has 3 bags of 12 nuts. Ben gives 5 nuts to each of 4 friends. How many nuts does Ben have now?") == 16
    assert result("Mia has 9 books. Tom has 4 books. How many more books does Mia have than Tom?") == 5
    assert result("There are 3 bags with 7 pens in each. How many pens are there?") == 21


def test_stories_ask_what_the_working_answers(drawn: list[Item]) -> None:
    for item in drawn:
        assert result(item.prompt) == item.facts["result"] == int(item.answer.rpartition("=")[2]), item


def test_every_step_of_a_working_is_right(drawn: list[Item]) -> None:
    for item in drawn:
        for chain in item.answer.split(" "):
            first, *rest = chain.split("=")
            value = compute(first)
            for part in rest[:-1]:
                number, operation = re.fullmatch(r"(\d+)(.*)", part).groups()  # type: ignore[union-attr]
                assert int(number) == value, item
                value = compute(number + operation)
            assert value == int(rest[-1]), item


def compute(text: str) -> int:
    left, sign, right = re.fullmatch(r"(\d+)([-+*])(\d+)", text).groups()  # type: ignore[union-attr]
    return {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[sign]


def test_levels_are_counted_by_steps_and_products(drawn: list[Item]) -> None:
    for item in drawn:
        steps, products = item.answer.count("="), item.answer.count("*")
        assert (steps, products) in {1: {(1, 0), (1, 1)}, 2: {(2, 0)}, 3: {(2, 1)}, 4: {(3, 1), (3, 2)}}[item.level], item
        assert max(map(int, re.findall(r"=(\d+)", item.answer))) <= (99 if item.level < 3 else 499)
    assert set(Counter(item.level for item in drawn)) == {1, 2, 3, 4}


def test_latents_ignore_wording_and_order() -> None:
    terms = [(1, (14,)), (1, (3, 5)), (-1, (9,))]
    assert written(steps_of(terms)) == "3*5=15 14+15=29-9=20"
    assert written(steps_of([terms[1], terms[0]])) == "3*5=15+14=29"
    by_latent: dict[str, set[int]] = {}
    generator = random.Random(1)
    for _ in range(20_000):
        item = TASK.draw_level(1, generator)
        by_latent.setdefault(item.latent, set()).add(item.facts["result"])
    assert all(len(values) == 1 for values in by_latent.values())
    assert "+14 +23" in by_latent and "+23 +14" not in by_latent


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("28", 1.0), ("28.", 1.0), (" 28\n", 1.0), ("028", 1.0), ("14+23=37-9=28", 1.0), ("14 + 23 = 37 - 9 = 28", 1.0),
        ("14+23=36-9=28", 1.0), ("=28", 1.0), ("14+23=37-9=27", 0.0), ("28+1=29", 0.0), ("128", 0.0), ("27", 0.0), ("2 8", None),
        ("28 apples", None), ("28=", None), ("14+23=37-9", None), ("-28", None), ("٢٨", None), ("²8", None), ("12345", None),
        ("x=28", None), ("14/2=28", None),
    ],
)  # fmt: skip
def test_only_the_last_number_is_scored(answer: str, score: float | None) -> None:
    assert TASK.score(THREE, answer) == score


@pytest.mark.parametrize(
    ("terms", "slip"),
    [
        ([(1, (14,)), (1, (23,)), (-1, (9,))], "14+23=37"),
        ([(1, (60,)), (-1, (45,))], "60=60"),
        ([(1, (3, 4))], "3=3"),
        ([(1, (3, 5)), (1, (40,))], "3*5=15"),
        ([(1, (20,)), (-1, (3, 5))], "20=20"),
        ([(1, (20,)), (1, (3, 5)), (-1, (7,))], "3*5=15 20+15=35"),
    ],
)
def test_the_last_event_can_be_overlooked(terms: list[Term], slip: str) -> None:
    assert overlooked(terms) == slip


def test_low_quality_overlooks_the_last_event(drawn: list[Item]) -> None:
    assert TASK.demonstrate(THREE, random.Random(0), 0.0) == "14+23=37"
    assert TASK.demonstrate(THREE, random.Random(0), 1.0) == THREE.answer
    for item in drawn:
        assert TASK.score(item, TASK.demonstrate(item, random.Random(0), 0.0)) == 0.0, item


def test_how_often_an_event_is_overlooked_depends_on_how_it_is_told() -> None:
    words = {"receives": "gives", "each": "in each", "together": "together", "more": "have than"}
    items = [TASK.draw_level(level, random.Random(100 * index + level)) for level in (1, 2) for index in range(2_000)]
    by_kind: dict[str, list[bool]] = {}
    for place, item in enumerate(items):
        kind = item.facts["kind"]
        *_, last, question = re.split(r"(?<=[.?]) ", item.prompt)
        assert words.get(kind, kind) in f"{last} {question}", item
        assert (kind == "gives") == (" to " in last), item
        by_kind.setdefault(kind, []).append(TASK.demonstrate(item, random.Random(place), 0.5) != item.answer)
    assert set(by_kind) == set(OVERLOOKED)
    for kind, overlook in by_kind.items():
        assert sum(overlook) / len(overlook) == pytest.approx(OVERLOOKED[kind], abs=0.1), kind


def test_answers_fit_the_limit(drawn: list[Item]) -> None:
    assert max(len(item.answer) for item in drawn) < TASK.answer_tokens  # a token holds at least one character
