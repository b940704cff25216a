"""micro/code: items whose two examples name one program, and a verifier that runs programs rather than comparing texts."""

from __future__ import annotations

import itertools
import operator
import random
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.micro.code import Code
from tasks.micro.program import Inputs, parse, run
from tasks.task import Item

TASK = Code()
FAMILY = (*"abc", *(f"{v}+{k}" for v in "abc" for k in range(1, 6)), "a+b", "a+c", "b+c")
ITEM = Item(
    "code",
    "3a1b4c>4145,2a0b5c>3055=",
    "4a+1,1b,4c,5b+c",
    "1001;0100;0010;0110",
    3,
    ((1, 0, 0, 1), (0, 1, 0, 0), (0, 0, 1, 0), (0, 1, 1, 0)),
)
SUM = Item("code", "3a1b4c>41,2a0b5c>20=", "4a+b,1b", "1100;0100", 1, ((1, 1, 0, 0), (0, 1, 0, 0)))


def examples(prompt: str) -> list[tuple[Inputs, tuple[int, ...]]]:
    """Inputs and outputs that a prompt shows."""
    one = r"([0-9])a([0-9])b([0-9])c>([0-9]{2,4})"
    match = re.fullmatch(rf"{one},{one}=", prompt)
    assert match is not None, prompt
    digits = [tuple(map(int, part)) for part in match.groups()]
    return [((*a, *b, *c), outputs) for a, b, c, outputs in (digits[:4], digits[4:])]


def bare(answer: str) -> list[str]:
    """The expressions of a canonical answer without the comments before them."""
    return [re.sub("^[0-9](?=[abc])", "", part) for part in answer.split(",")]


def function(text: str) -> tuple[tuple[int, ...], ...]:
    """What a program of sums does, by its values where they tell: at nought and at each unit."""
    program = parse(text)
    return tuple(run(program, inputs) for inputs in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)))


EVERY_INPUT = tuple(itertools.product(range(10), repeat=3))
Values = tuple[int, ...]


def values(expression: str) -> Values:
    """An expression's values on all thousand inputs."""
    program = parse(expression)
    return tuple(run(program, inputs)[0] for inputs in EVERY_INPUT)


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(12_000)]


def test_the_prompt_of_the_docstring_by_hand() -> None:
    assert examples(ITEM.prompt) == [((3, 1, 4), (4, 1, 4, 5)), ((2, 0, 5), (3, 0, 5, 5))]


def test_prompts_show_what_the_program_does(drawn: list[Item]) -> None:
    for item in drawn[:3_000]:
        program = parse(item.answer)
        assert [run(program, inputs) for inputs, _ in examples(item.prompt)] == [outputs for _, outputs in examples(item.prompt)]


def test_the_examples_leave_one_program_of_the_family(drawn: list[Item]) -> None:
    does = {text: parse(text) for text in FAMILY}
    for item in drawn[:2_000]:
        shown = examples(item.prompt)
        for place, wanted in enumerate(bare(item.answer)):
            fitting = [text for text in FAMILY if all(run(does[text], x)[0] == outputs[place] for x, outputs in shown)]
            assert fitting == [wanted], item


def test_the_level_is_the_number_of_outputs_less_1(drawn: list[Item]) -> None:
    assert all(item.level == item.answer.count(",") for item in drawn)
    assert {item.level for item in drawn} == {1, 2, 3}


def test_comments_are_the_values_on_the_first_example(drawn: list[Item]) -> None:
    assert bare(ITEM.answer) == ["a+1", "b", "c", "b+c"]
    for item in drawn[:2_000]:
        _, first = examples(item.prompt)[0]
        assert item.answer == ",".join(f"{value}{part}" for value, part in zip(first, bare(item.answer), strict=True))


def test_20000_programs_by_counting_their_parts(drawn: list[Item]) -> None:
    """Drawing alone would take minutes to meet the rare ones: each place holds any part, whatever the others hold."""
    four = [bare(item.answer) for item in drawn if item.level == 3]
    assert len({function(part) for part in FAMILY}) == len(FAMILY) == 21
    assert [{parts[place] for parts in four} for place in range(4)] == [set(FAMILY)] * 4
    for left, right in itertools.combinations(range(4), 2):
        assert len({(parts[left], parts[right]) for parts in four}) > 400  # of 441 pairs
    assert len({item.latent for item in drawn}) > 6_000


def test_latents_are_programs_up_to_equivalence(drawn: list[Item]) -> None:
    latents = {(function(item.answer), item.latent) for item in drawn}
    assert len(latents) == len({does for does, _ in latents}) == len({latent for _, latent in latents})
    assert len({item.prompt for item in drawn}) > len(latents), "no program was shown by two pairs of examples"


@pytest.mark.parametrize(
    "answer",
    [
        "a+1,b,c,b+c",
        "4a+1,1b,4c,5b+c",
        "9a+1,b,0c,b+c",  # comments count for nothing
        "1+a,b,c,c+b",
        "(a)+1,(b),((c)),(b+c)",
        "a-9,b,c,b+c",  # -9 is +1 modulo 10
        "a+6+5,b*1,c+0,b+c",
        "a+1,b*b*b*b*b,c,b+c",  # b to the fifth ends as b does
        "a+a+1-a,(9+2)*b,c,b+c",
        "a+1,0-9*b,c,b-9*c",  # -9 b is b - 10 b
        "a+1,b,c,(b+c)*(3*7)",
    ],
)
def test_equivalent_programs_score_1(answer: str) -> None:
    assert TASK.score(ITEM, answer) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "a,b,c,b+c",
        "a+2,b,c,b+c",
        "a+1,b,c,a+b",
        "a+1,b,c,b",
        "a+1,b,c,b-c",
        "a+1,b,c,b*c",
        "a+1,c,b,b+c",  # two outputs exchanged
        "b,a+1,c,b+c",
        "a+1,b,c",  # one output too few
        "a+1,b,c,b+c,a",  # and one too many
        "a+1,b,c,5",  # both examples show 5
        "a+1,b*b,c,b+c",  # right for b = 0 and b = 1, which the examples show
        "a+1,b*b*b,c,b+c",
        "4,1,4,5",
        "4a,1b,4c,5b",  # right comments, wrong programs
        "4a+1,1b,4c,5b-c",
        "a*1,b,c,b+c",
        "a-1,b,c,b+c",
    ],
)
def test_other_programs_score_0(answer: str) -> None:
    assert TASK.score(ITEM, answer) == 0.0


def test_operands_may_be_exchanged() -> None:
    assert TASK.score(SUM, "a+b,b") == TASK.score(SUM, "b+a,b") == 1.0
    assert [TASK.score(SUM, text) for text in ("a+b,a", "a-b,b", "b-a,b", "a*b,b", "a+b", "b,a+b")] == [0.0] * 6


@pytest.mark.parametrize(
    "answer",
    ["", "a+1,b,c,b+c,", "a+1,b,c,b+", "a+1;b;c;b+c", "a+1, b, c, b+c", "a+1bcb+c", "4145=", "3055>", "a+1,b,c,b+c" + "+0" * 40],
)
def test_what_is_no_program_is_not_parsed(answer: str) -> None:
    assert TASK.score(ITEM, answer) is None


@settings(max_examples=300, deadline=None, database=None)
@given(st.tuples(*[st.integers(0, 9)] * 4), st.tuples(*[st.integers(0, 9)] * 4))
def test_linear_programs_score_1_exactly_where_all_coefficients_agree(
    wanted: tuple[int, int, int, int], written: tuple[int, int, int, int]
) -> None:
    item = Item("code", "", "", "", 1, (wanted,))
    for p, q, r, constant in (wanted, written):
        answer = f"{constant}+c*{r}+{p}*a+b*{q}"
        assert TASK.score(item, answer) == float((p, q, r, constant) == wanted)


def functions_of_up_to_three_atoms() -> dict[Values, str]:
    """Every function that a program with at most two operators computes, by its values on all inputs, with a text of it."""
    sizes: dict[int, dict[Values, str]] = {1: {}, 2: {}, 3: {}}
    for atom in "abc0123456789":
        sizes[1][values(atom)] = atom
    for left, right in ((1, 1), (1, 2), (2, 1)):
        for (first, text), (second, other) in itertools.product(sizes[left].items(), sizes[right].items()):
            for sign, apply in (("+", operator.add), ("-", operator.sub), ("*", operator.mul)):
                both = tuple(value % 10 for value in map(apply, first, second))
                sizes[left + right].setdefault(both, f"({text}){sign}({other})")
    return sizes[3] | sizes[2] | sizes[1]


def test_no_program_of_up_to_three_atoms_is_right_by_luck() -> None:
    functions = functions_of_up_to_three_atoms()
    assert len(functions) > 500
    assert all(values(text) == found for found, text in itertools.islice(functions.items(), 0, None, 100))
    for wanted, element in (("a", (1, 0, 0, 0)), ("b+3", (0, 1, 0, 3)), ("c+1", (0, 0, 1, 1)), ("a+c", (1, 0, 1, 0))):
        item = Item("code", "", wanted, "", 1, (element,))
        assert [found for found, text in functions.items() if TASK.score(item, text) == 1.0] == [values(wanted)]


def test_balanced_items_hold_more_bare_variables_and_short_programs(drawn: list[Item]) -> None:
    generator = random.Random(0)
    balanced = [bare(TASK.draw_balanced(generator).answer) for _ in range(1_000)]
    ordinary = [bare(item.answer) for item in drawn[:1_000]]

    def mean(found: list[list[str]], of: Callable[[list[str]], float]) -> float:
        return sum(map(of, found)) / len(found)

    assert {part for parts in balanced for part in parts} == set(FAMILY)
    assert mean(balanced, len) < mean(ordinary, len) - 0.2
    # Weights 6, 10 and 4 of 20; none has only bare variables.
    operators = [sum("+" in part for part in own) for own in ordinary]
    assert [operators.count(n) / 1_000 for n in range(4)] == pytest.approx([0.0, 0.3, 0.52, 0.18], abs=0.05)
    assert any(all("+" not in part for part in parts) for parts in balanced)


def test_low_quality_demonstrations_are_bare_variables() -> None:
    assert TASK.demonstrate(ITEM, random.Random(0), 1.0) == "4a+1,1b,4c,5b+c"
    assert TASK.demonstrate(ITEM, random.Random(0), 0.0) == "a,b,c,b"
    assert TASK.score(ITEM, "a,b,c,b") == 0.0


def test_low_quality_demonstrations_are_right_where_variables_are_enough() -> None:
    generator = random.Random(0)
    found = [TASK.draw_balanced(generator) for _ in range(500)]
    right = [item for item in found if TASK.score(item, TASK.demonstrate(item, generator, 0.0)) == 1.0]
    assert right == [item for item in found if "+" not in item.answer]
    assert 0 < len(right) < 500


def test_prompts_begin_with_an_informative_example(drawn: list[Item]) -> None:
    """How many expressions of the family fit what an example shows of an element: fewer for the first example than for the second."""

    def fits(prompt: str, place: int) -> float:
        inputs, outputs = examples(prompt)[place]
        shown = [run(parse(text), inputs)[0] for text in FAMILY]
        return sum(shown.count(output) for output in outputs) / len(outputs)

    first, second = (sum(fits(item.prompt, place) for item in drawn[:1_000]) / 1_000 for place in (0, 1))
    assert 1 <= first < second - 0.5
