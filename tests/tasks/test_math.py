"""micro/math: workings checked by an arithmetic of the tests' own, latents that ignore the order of operands."""

from __future__ import annotations

import random
import re

import pytest

from tasks.micro.math import Math
from tasks.task import Item, split_of

TASK = Math()
ITEM = Item("math", "19-5*3+14=", "15:4:18", "-3*5 14 19", 2, 18)


def terms(prompt: str) -> list[tuple[int, list[int]]]:
    """Signs and factors of a prompt as it is read."""
    assert re.fullmatch(r"[0-9]+([-+*][0-9]+){2,4}=", prompt)
    found = re.findall(r"([+-]?)([0-9*]+)", prompt)
    return [(-1 if sign == "-" else 1, [int(factor) for factor in product.split("*")]) for sign, product in found]


def working(prompt: str) -> list[int]:
    """Products from left to right, then the running sum after each further term."""
    values = [sign * factors[0] * (factors[1] if len(factors) == 2 else 1) for sign, factors in terms(prompt)]
    products = [abs(value) for value, (_, factors) in zip(values, terms(prompt), strict=True) if len(factors) == 2]
    return products + [sum(values[: place + 1]) for place in range(1, len(values))]


def question(prompt: str) -> tuple:
    """What is asked, whatever the order of terms and factors."""
    return tuple(sorted((sign, *sorted(factors)) for sign, factors in terms(prompt)))


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(66_000)]


def test_the_tests_own_arithmetic_by_hand() -> None:
    assert working("19-5*3+14=") == [15, 4, 18]
    assert working("7*3+6*8=") == [21, 48, 69]
    assert working("30-28+7=") == [2, 9]
    assert working("3*9-2+8-30=") == [27, 25, 33, 3]
    assert question("19-5*3+14=") == question("14+19-3*5=") != question("19+5*3-14=")


def test_prompts_ask_what_the_canonical_working_answers(drawn: list[Item]) -> None:
    for item in drawn[:5_000]:
        steps = working(item.prompt)
        assert item.answer == ":".join(map(str, steps))
        assert all(0 <= step <= 99 for step in steps)


def test_the_level_is_the_number_of_operators_less_1(drawn: list[Item]) -> None:
    assert all(len(re.findall(r"[-+*]", item.prompt)) == item.level + 1 for item in drawn)
    assert {item.level for item in drawn} == {1, 2, 3}


def operands(items: list[Item]) -> tuple[set[int], set[int], set[int]]:
    """Numbers that stand alone, first and second factors."""
    found = [factors for item in items for _, factors in terms(item.prompt)]
    assert {len(factors) for factors in found} == {1, 2}
    products = [factors for factors in found if len(factors) == 2]
    return {factors[0] for factors in found if len(factors) == 1}, {first for first, _ in products}, {second for _, second in products}


def test_operands_are_numbers_up_to_60_and_products_of_a_digit_and_a_number_up_to_19(drawn: list[Item]) -> None:
    assert operands(drawn[:5_000]) == (set(range(1, 61)), set(range(2, 10)), set(range(2, 20)))


def test_balanced_items_have_smaller_numbers() -> None:
    generator = random.Random(0)
    found = operands([TASK.draw_balanced(generator) for _ in range(2_000)])
    assert found == (set(range(1, 31)), set(range(2, 10)), set(range(2, 10)))


def test_each_operator_occurs_at_each_level(drawn: list[Item]) -> None:
    for level in (1, 2, 3):
        assert set("+-*") <= set("".join(item.prompt for item in drawn if item.level == level))


def test_latents_are_questions_whatever_the_order_of_operands(drawn: list[Item]) -> None:
    latents = {(question(item.prompt), item.latent) for item in drawn}
    assert len(latents) == len({asked for asked, _ in latents}) == len({latent for _, latent in latents})
    assert len(latents) >= 20_000
    rewordings = {(question(item.prompt), item.prompt) for item in drawn}
    assert len(rewordings) > len(latents) + 100, "no question was drawn in two orders: this test has seen nothing"


def test_orders_of_a_question_share_a_split(drawn: list[Item]) -> None:
    splits: dict[tuple, set[str]] = {}
    for item in drawn[:20_000]:
        splits.setdefault(question(item.prompt), set()).add(split_of("math", item.latent))
    assert all(len(found) == 1 for found in splits.values())


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("18", 1.0),
        ("15:4:18", 1.0),
        ("4:18", 1.0),  # some of the working
        ("15:5:18", 1.0),  # only what follows the last colon is scored
        ("17", 0.0),
        ("19", 0.0),
        ("14", 0.0),
        ("56", 0.0),  # (19 - 5) * 3 + 14
        ("15:4:17", 0.0),
        ("18:15:4", 0.0),  # the right number in the wrong place
        ("15:4", 0.0),  # stopped too soon
        ("181", 0.0),
        ("1", 0.0),
        ("9999", 0.0),
        ("", None),
        ("-18", None),
        ("+18", None),
        ("18.0", None),
        ("1 8", None),
        ("18=", None),
        ("18:", None),
        (":18", None),
        ("15::18", None),
        ("19-5*3+14", None),
        ("١٨", None),  # 18 in Arabic digits
        ("１８", None),  # and in full-width ones
        ("eighteen", None),
        ("1" * 4_000, None),
    ],
)
def test_scores_by_hand(answer: str, score: float | None) -> None:
    assert TASK.score(ITEM, answer) == score


def test_zero_is_an_answer_like_any_other() -> None:
    item = Item("math", "8+1-9=", "9:0", "-9 1 8", 1, 0)
    assert [TASK.score(item, answer) for answer in ("0", "1", "9", "")] == [1.0, 0.0, 0.0, None]


def test_low_quality_demonstrations_omit_the_working() -> None:
    assert TASK.demonstrate(ITEM, random.Random(0), 0.0) == "18"
    assert TASK.demonstrate(ITEM, random.Random(0), 1.0) == "15:4:18"
