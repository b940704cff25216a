"""The interpreter of micro/code: what Python's arithmetic modulo 10 says, for every program, and an error for anything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.micro.program import ProgramError, parse, run


@pytest.mark.parametrize(
    ("text", "inputs", "outputs"),
    [
        ("a", (1, 2, 3), (1,)),
        ("b", (1, 2, 3), (2,)),
        ("c", (1, 2, 3), (3,)),
        ("7", (1, 2, 3), (7,)),
        ("a,b,c", (1, 2, 3), (1, 2, 3)),
        ("a+b*c", (1, 2, 3), (7,)),  # 1 + 6, not 9
        ("(a+b)*c", (1, 2, 3), (9,)),
        ("a*b+c", (2, 3, 1), (7,)),  # not 2 * 4
        ("a*(b+c)", (2, 3, 1), (8,)),
        ("a-b-c", (9, 2, 3), (4,)),  # not 9 - (2 - 3) = 10
        ("a-(b-c)", (9, 2, 4), (1,)),  # 9 - (-2) = 11
        ("a-b+c", (9, 2, 3), (0,)),  # 10, not 9 - 5
        ("a-b", (0, 1, 0), (9,)),  # -1
        ("0-a", (3, 0, 0), (7,)),
        ("a*b", (7, 8, 0), (6,)),  # 56
        ("9*9", (0, 0, 0), (1,)),
        ("2*a-4*b", (3, 2, 0), (8,)),  # -2
        ("a-b*c", (1, 7, 9), (8,)),  # 1 - 63 = -62
        ("((a))", (5, 0, 0), (5,)),
        ("(a-b)*(a-b)", (1, 4, 0), (9,)),
        ("a+1,b,c,b+c", (3, 1, 4), (4, 1, 4, 5)),  # the two examples of the task's docstring
        ("a+1,b,c,b+c", (2, 0, 5), (3, 0, 5, 5)),
        ("a+1", (9, 0, 0), (0,)),
        ("4a+1", (3, 1, 4), (4,)),  # a digit right before the first variable is a comment
        ("9a", (3, 1, 4), (3,)),  # not 9 * 3
        ("4a+1,1b,4c,5b+c", (2, 0, 5), (3, 0, 5, 5)),
        ("4*a", (3, 1, 4), (2,)),  # a factor is none
        ("4+a", (3, 1, 4), (7,)),
    ],
)
def test_values_by_hand(text: str, inputs: tuple[int, int, int], outputs: tuple[int, ...]) -> None:
    assert run(parse(text), inputs) == outputs


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ",", "+", "*", "(", ")", "()", "a b", " a", "a ", "a\n", "\na"),
        *("a+", "+a", "-a", "a--b", "a*-b", "a**b", "*a", "a//b", "a/b", "a%b", "a^b", "a=b", "a<b"),
        *("12", "a1", "ab", "2(a)", "(a)(b)", "(a", "a)", "((a)", "(a))", "(a,b)", ",a", "a,", "a,,b", "a;b"),
        *("44a", "(2a)", "a+2b", "a*2b", "2a3", "2 a"),  # a comment stands first, and is one digit
        *("d", "A", "x", "0x1", "1.5", "1e3", "a.real", "a[0]", "a if b else c", "lambda: a", "__import__('os')"),
        *("٣", "²", "３", "ａ", "a\u200b", "á", "\0", "\udc80", "<pad>", "<end>"),
    ],
)
def test_junk_is_no_program(text: str) -> None:
    with pytest.raises(ProgramError):
        parse(text)


def test_errors_say_what_is_wrong_and_where() -> None:
    with pytest.raises(ProgramError, match=r"unexpected '2' at 3"):
        parse("a+12")
    with pytest.raises(ProgramError, match=r"no value at 2"):
        parse("a+")
    with pytest.raises(ProgramError, match=r"closing parenthesis at 2"):
        parse("(a")


def test_at_most_eight_expressions() -> None:
    assert run(parse("a,b,c,a,b,c,a,b"), (1, 2, 3)) == (1, 2, 3, 1, 2, 3, 1, 2)
    with pytest.raises(ProgramError, match="8"):
        parse("a,b,c,a,b,c,a,b,c")


def test_at_most_80_characters() -> None:
    longest = "7a" + "+1" * 39
    assert len(longest) == 80
    assert run(parse(longest), (4, 0, 0)) == (3,)  # 4 + 39
    for text in ("a" + "+1" * 40, "a" + "*b" * 10_000, "a," * 10_000_000):
        with pytest.raises(ProgramError, match="80"):
            parse(text)


def test_deep_parentheses_are_bounded() -> None:
    deepest = "(" * 39 + "b" + ")" * 39
    assert run(parse(deepest), (0, 6, 0)) == (6,)
    for text in ("(" * 80, "(" * 40 + ")" * 40, "(" * 100_000, "(" * 100_000 + "a" + ")" * 100_000):
        with pytest.raises(ProgramError):
            parse(text)


def test_errors_are_value_errors() -> None:
    assert issubclass(ProgramError, ValueError)


def expressions() -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from("abc0123456789"),
        lambda inner: st.builds("{}{}{}".format, inner, st.sampled_from("+-*"), inner) | st.builds("({})".format, inner),
        max_leaves=12,
    )


@settings(max_examples=400, deadline=None, database=None)
@given(expressions().filter(lambda text: len(text) <= 80), st.tuples(*[st.integers(0, 9)] * 3))
def test_expressions_are_pythons_arithmetic_modulo_10(text: str, inputs: tuple[int, int, int]) -> None:
    # the text is the test's own: Python may evaluate it
    assert run(parse(text), inputs) == (eval(text, {}, dict(zip("abc", inputs, strict=True))) % 10,)


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(expressions().filter(lambda text: len(text) <= 9), min_size=1, max_size=8), st.tuples(*[st.integers(0, 9)] * 3))
def test_a_program_is_its_expressions_in_order(texts: list[str], inputs: tuple[int, int, int]) -> None:
    assert run(parse(",".join(texts)), inputs) == tuple(run(parse(text), inputs)[0] for text in texts)


@settings(max_examples=500, deadline=None, database=None)
@given(st.text(st.characters(codec=None)) | st.text("abc019+-*(),", max_size=90))
def test_any_text_is_a_program_or_a_program_error(text: str) -> None:
    try:
        program = parse(text)
    except ProgramError:
        return
    assert set(text) <= set("abc0123456789+-*(),")
    assert all(0 <= digit <= 9 for digit in run(program, (9, 9, 9)))
    assert len(run(program, (0, 0, 0))) == text.count(",") + 1
