"""tasks.gym.expression: values by hand and against Python's own parser, and one canonical text for one sum."""

from __future__ import annotations

import ast
import contextlib
import operator
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.gym.expression import MAX_CHARS, MAX_DEPTH, ExpressionError, canonical, numbers, parse, text_of, value

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def by_python(text: str) -> Fraction:
    """Exact value as Python's grammar reads the text."""

    def walk(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](walk(node.left), walk(node.right))
        if isinstance(node, ast.UnaryOp):
            return -walk(node.operand) if isinstance(node.op, ast.USub) else walk(node.operand)
        assert isinstance(node, ast.Constant)
        return Fraction(node.value)

    return walk(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("2 + 3*4", 14),
        ("(2+3) * 4", 20),
        ("7 - 2 - 1", 4),
        ("12/4/3", 1),
        ("1/3 + 1/6", Fraction(1, 2)),
        ("5 - -3", 8),
        ("-( 4 - 6 ) * 5", 10),
        ("2*-3", -6),
        ("007", 7),
    ],
)
def test_values_by_hand(text: str, result: int | Fraction) -> None:
    assert value(parse(text)) == result


@pytest.mark.parametrize("x", [0, 1, 7])
def test_a_variable_takes_the_value_it_is_given(x: int) -> None:
    assert value(parse("3*k - 12 + 2*k", "k"), x) == 5 * x - 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "1 2",
        "1 + ",
        "(1",
        "1)",
        "()",
        "2 ** 3",
        "2 // 3",
        "--5",
        "1.5",
        "1e3",
        "1,000",
        "x",
        "3x",
        "2 = 2",
        "4!",
        "4 % 3",
        "__import__('os')",
        "\n1",
        "٣",
        "²",
        "5×3",
    ],
)
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_another_letter_than_the_variable_is_no_expression() -> None:
    with pytest.raises(ExpressionError, match="number is missing"):
        parse("3*y", "x")


def test_division_by_zero_is_an_expression_error() -> None:
    with pytest.raises(ExpressionError, match="zero"):
        value(parse("1/(2 - 2)"))


def test_length_and_depth_are_bounded() -> None:
    assert value(parse("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH)) == 1
    with pytest.raises(ExpressionError, match="parentheses"):
        parse("(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1))
    assert value(parse("1+" * (MAX_CHARS // 2 - 1) + "1")) == MAX_CHARS // 2
    with pytest.raises(ExpressionError, match="longer"):
        parse("1+" * (MAX_CHARS // 2) + "1")


def some(rng: random.Random, depth: int) -> str:
    """A random expression text."""
    kind = rng.randrange(6) if depth else 0
    if kind == 0:
        return str(rng.randrange(100))
    if kind == 1:
        return f"-({some(rng, depth - 1)})"
    text = f"{some(rng, depth - 1)} {rng.choice('+-*/')} {some(rng, depth - 1)}"
    return f"({text})" if kind > 3 else text


def test_values_are_those_of_pythons_grammar() -> None:
    rng = random.Random(0)
    agreed = 0
    for _ in range(2_000):
        text = some(rng, 3)
        try:
            expected = by_python(text)
        except ZeroDivisionError:
            continue
        tree = parse(text)
        assert value(tree) == expected == value(parse(text_of(tree))), text
        assert list(numbers(tree)) == [int(part) for part in "".join(c if c.isdigit() else " " for c in text).split()]
        agreed += 1
    assert agreed > 1_500


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3 + 4 - 5", "-5 + 4 + 3"),
        ("3 + 4 - 5", "3 - (5 - 4)"),
        ("2 * 3 + 4", "4 + 3 * 2"),
        ("-(2 + 3) * 4", "4 * -(3 + 2)"),
        ("-2 * 3", "2 * -3"),
        ("-2 * -3", "3 * 2"),
        ("((7))", "7"),
        ("5 - -3", "3 + 5"),
        ("(1 + 2) * (3 + 4) * 5", "5 * (4 + 3) * (2 + 1)"),
    ],
)
def test_order_and_brackets_leave_the_canonical_text_alone(one: str, other: str) -> None:
    assert canonical(parse(one)) == canonical(parse(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("3 - 4", "4 - 3"), ("2 * 3 + 4", "2 * (3 + 4)"), ("2 * 3", "2 + 3"), ("2 * 6", "3 * 4"), ("1 + 23", "12 + 3"), ("-5", "5")],
)
def test_other_questions_have_other_canonical_texts(one: str, other: str) -> None:
    assert canonical(parse(one)) != canonical(parse(other))


def test_equal_canonical_texts_mean_equal_values() -> None:
    rng = random.Random(1)
    values: dict[str, Fraction] = {}
    for _ in range(3_000):
        text = some(rng, 2).replace("/", "+").replace("0", "1")
        tree = parse(text)
        assert values.setdefault(canonical(tree), value(tree)) == value(tree), text
    assert len(values) > 500


@settings(max_examples=300, deadline=None, database=None)
@given(st.text(st.sampled_from("0123456789+-*/() x"), max_size=250) | st.text(st.characters(codec=None), max_size=60))
def test_any_text_is_an_expression_or_an_expression_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        value(parse(text, "x"))
