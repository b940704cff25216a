"""tasks.gym.answers: what each reader takes for the same answer, what it turns away, and slips that are wrong."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tasks.gym import answers


@pytest.mark.parametrize(
    ("reader", "text", "normal"),
    [
        (answers.integer, "12", "12"),
        (answers.integer, "-12", "-12"),
        (answers.integer, "+12", "12"),
        (answers.integer, "012", "12"),
        (answers.integer, "12.00", "12"),
        (answers.integer, "1,234,567", "1234567"),
        (answers.integer, "-1,234.0", "-1234"),
        (answers.integer, "-0", "0"),
        (answers.fraction, "3/4", "3/4"),
        (answers.fraction, "3 / 4", "3/4"),
        (answers.fraction, "6/8", "6/8"),  # whether it is reduced is for the verifier
        (answers.word, "Mother", "mother"),
        (answers.word, "Logan-Rhys", "logan-rhys"),
        (answers.word, "D'arcy", "d'arcy"),
        (answers.string, "1a0f", "1a0f"),
        (answers.integers, "1 2  3\n4", "1 2 3 4"),
        (answers.matrix, "1 2\n3 4", "1 2\n3 4"),
        (answers.matrix, "1  2 \n\n 3 4\n", "1 2\n3 4"),
        (answers.words, "an,owl , The", "an, owl, The"),
        (answers.quoted_numbers, "['1.5', '-2']", "['1.5', '-2']"),
        (answers.quoted_numbers, '[ "1.5" ,"-2"]', "['1.5', '-2']"),
        (answers.quoted_numbers, "['7']", "['7']"),
    ],
)
def test_the_same_answer_in_normal_form(reader: Callable[..., str | None], text: str, normal: str) -> None:
    assert reader(text, {}) == normal


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        *[
            (answers.integer, text)
            for text in ("", "12.5", "1,2", "1,0,0", "12,34", "1_2", "1e2", "--1", "- 1", "x = 12", "12 apples", "12 12")
        ],
        *[(answers.integer, text) for text in ("٣٤", "²", "½", "12.", ".0", "NaN", "inf", "0x1f", "12\n13", "$12$", "12%", "1 234")],
        *[
            (answers.fraction, text)
            for text in ("", "3", "3/", "/4", "-3/4", "3/4/5", "0.75", r"\frac{3}{4}", "$3/4$", "3/4 or 1/2", "3:4")
        ],
        *[(answers.word, text) for text in ("", "a b", "mother.", '"mother"', "mother, aunt", "m0ther", "mère", "Ann is mother")],
        *[(answers.string, text) for text in ("", "1A", "a b", "'ab'", "ab.", "0x1f ", "á")],
        *[(answers.integers, text) for text in ("", "1, 2", "[1 2]", "1 2.", "1 -2", "1 two", "٣ ٤")],
        *[(answers.matrix, text) for text in ("", "\n", "[[1, 2]]", "1,2\n3,4", "1 2\nthen\n3 4", "a b")],
        *[(answers.words, text) for text in ("", ",", "a,,b", "a b, c", "the words are a, b")],
        *[
            (answers.quoted_numbers, text)
            for text in ("", "[]", "[1.5, 2]", "'1.5', '2'", "['1.5' '2']", "['1.5', '2'", "[['1.5']]", "['a']")
        ],
        *[(answers.quoted_numbers, text) for text in ("['1.5\", '2']", "['1.5', 2]", "['1.5', '2'] or ['3']", "['1.5',]")],
    ],
)
def test_another_form_is_turned_away(reader: Callable[..., str | None], text: str) -> None:
    assert reader(text, {}) is None


@pytest.mark.parametrize("answer", ["12", "-3", "0"])
def test_a_slip_in_a_number_is_another_number(answer: str) -> None:
    rng = random.Random(0)
    slips = {answers.wrong_integer({"answer": answer}, rng) for _ in range(200)}
    assert answer not in slips and len(slips) == 6


@pytest.mark.parametrize(
    ("answer", "slips"),
    [
        ("abc", {"bac", "acb"}),
        ("aab", {"aba"}),
        ("aaa", {"aaaa"}),
        ("1 2 2", {"2 1 2"}),
        ("1 2\n3 3", {"2 1\n3 3", "1 3\n2 3"}),
        ("A# #B", {"#B A#"}),
        ("A#", {"#A"}),
        ("owl, ant", {"ant, owl"}),
        ("5 5\n5 5", {"5 5\n5 5 5"}),
    ],
)
def test_neighbours_change_places(answer: str, slips: set[str]) -> None:
    rng = random.Random(0)
    assert {answers.swapped({"answer": answer}, rng) for _ in range(100)} == slips


def test_another_choice_is_never_the_answer() -> None:
    rng = random.Random(0)
    assert {answers.other(("Leo", "Ann", "Bob"), {"answer": "leo"}, rng) for _ in range(100)} == {"Ann", "Bob"}
