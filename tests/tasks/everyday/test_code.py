"""everyday/code: our own programs, run by Python here; what counts as what they print."""

from __future__ import annotations

import contextlib
import io
import random

import pytest

from tasks.everyday.code import ASK, OPERATIONS, Code, Part
from tasks.task import Item

TASK = Code()
LIST = Item("code", f"{ASK}\n\nprint(sorted([9, 2, 5]))", "[2, 5, 9]", "", 1, {"list": True, "slips": ["[9, 2, 5]"]})
TWO = Item("code", f"{ASK}\n\nprint([25, 9])", "[25, 9]", "", 1, {"list": True, "slips": []})
WORD = Item("code", f'{ASK}\n\nprint("sun" + "set")', "sunset", "", 1, {"list": False, "slips": ["sun", "set"]})


def printed(prompt: str) -> str:
    asked, _, program = prompt.partition("\n\n")
    assert asked == ASK
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(program, {})
    return out.getvalue()


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(6_000)]


def test_programs_print_the_answer(drawn: list[Item]) -> None:
    for item in drawn:
        assert printed(item.prompt) == f"{item.answer}\n", item


def test_a_latent_is_a_program_of_the_same_value(drawn: list[Item]) -> None:
    for item in drawn:
        assert str(eval(item.latent)) == item.answer, item


def test_the_order_of_operands_is_no_other_question() -> None:
    operations = {operation.template: operation for operation in OPERATIONS}
    one, two = Part.literal([9, 2, 5]), Part.literal([2, 5, 9])
    for name in ("max({})", "min({})", "sum({})", "sorted({})"):
        assert operations[name].of(one).latent == operations[name].of(two).latent
    assert operations["{:operand}[::-1]"].of(one).latent != operations["{:operand}[::-1]"].of(two).latent
    plus, minus = operations["{:operand} + {:operand}"], operations["{:operand} - {:operand}"]
    assert plus.gives == "word", "the last one of that template joins words"
    assert plus.of(Part.literal("sun"), Part.literal("set")).latent != plus.of(Part.literal("set"), Part.literal("sun")).latent
    assert minus.of(Part.literal(9), Part.literal(2)).latent != minus.of(Part.literal(2), Part.literal(9)).latent


def test_operands_have_parentheses_where_they_need_them() -> None:
    total = next(operation for operation in OPERATIONS if operation.template == "{:operand} + {:operand}" and operation.gives == "number")
    product = next(operation for operation in OPERATIONS if operation.template == "{:operand} * {:operand}")
    assert str(product.of(total.of(Part.literal(2), Part.literal(3)), Part.literal(4)).text) == "(2 + 3) * 4"
    assert next(o for o in OPERATIONS if o.template == "len({})").of(Part("a + b", "ab", "", atom=False)).text == "len(a + b)"


def test_every_operation_and_level_is_drawn(drawn: list[Item]) -> None:
    assert {item.level for item in drawn} == {1, 2, 3, 4}
    for word in (
        "max(",
        "min(",
        "sum(",
        "len(",
        ".count(",
        "//",
        "%",
        "[0]",
        "[-1]",
        ".upper()",
        ".replace(",
        "sorted(",
        "[::-1]",
        " for n in ",
    ):
        assert sum(word in item.prompt for item in drawn) > 20, word
    for item in drawn:
        lines = item.prompt.partition("\n\n")[2].splitlines()
        assert len(lines) == {1: 1, 2: 1, 3: 2, 4: 3}[item.level]
        assert all(line.startswith(start) for line, start in zip(lines, ("x = ", "y = "), strict=False) if not line.startswith("print("))


def test_no_answer_is_common(drawn: list[Item]) -> None:
    for level in TASK.all_levels:
        own = [item.answer for item in drawn if item.level == level]
        assert max(own.count(answer) for answer in set(own)) < 0.06 * len(own)


@pytest.mark.parametrize(
    ("item", "answer", "score"),
    [
        (LIST, "[2, 5, 9]", 1.0), (LIST, "[2,5,9]", 1.0), (LIST, " [2, 5, 9]\n", 1.0), (LIST, "[ 2 , 5,9 ]", 1.0),
        (LIST, "[2 5, 9]", 0.0), (TWO, "[25,9]", 1.0), (TWO, "[2 5, 9]", 0.0),
        (LIST, "2, 5, 9", 0.0), (LIST, "[2, 5, 9].", 0.0), (LIST, "[9, 2, 5]", 0.0),
        (WORD, "sunset", 1.0), (WORD, "sun set", 0.0), (WORD, "'sunset'", 0.0), (WORD, "Sunset", 0.0),
        (WORD, "sunset\nsunset", None), (WORD, "", None), (WORD, "x" * 61, None), (WORD, "sunsét", None),
    ],
)  # fmt: skip
def test_an_answer_is_the_printed_text(item: Item, answer: str, score: float | None) -> None:
    assert TASK.score(item, answer) == score


def test_no_program_prints_what_it_was_given(drawn: list[Item]) -> None:
    """Nothing like ``"hat"[:4]`` or ``sorted([1, 2, 3])``, so that copying is never right."""
    for item in drawn:
        assert item.answer not in item.facts["slips"]


def test_low_quality_is_wrong(drawn: list[Item]) -> None:
    generator = random.Random(0)
    for item in drawn[:500]:
        shown = TASK.demonstrate(item, generator, 0.0)
        assert shown in item.facts["slips"]
        assert TASK.score(item, shown) == 0.0
    assert TASK.demonstrate(WORD, generator, 0.0) in ("sun", "set")
