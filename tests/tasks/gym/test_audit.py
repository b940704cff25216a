"""The audit of every reasoning-gym dataset in use, at every level: what is right scores 1, and what is nearly right does not.

For each dataset: texts that mean the answer (they score 1), texts that come near it (they score 0), and junk. Equivalence is decided here
without the readers: two numbers are the same by `Decimal`, two expressions by Python's own arithmetic, two lists by their parts.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.gym.base import INSTALL, Gym, Source, final_answer, tagged
from tasks.gym.code import Code
from tasks.gym.lexicon import NOUNS
from tasks.gym.math import Math
from tasks.gym.qa import QA
from tasks.task import Item, Split, Task

pytestmark = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason=f"needs reasoning-gym: {INSTALL}")

Drawn = Callable[[Task, Split], list[Item]]
BUILT: tuple[Gym, ...] = (Math(), Code(), QA())
PAIRS = [(task, source) for task in BUILT for source in task.sources]
every_source = pytest.mark.parametrize(("task", "source"), PAIRS, ids=lambda value: value.name if isinstance(value, Source) else "")
PER_LEVEL = 10


def audited(drawn: Drawn, task: Gym, source: Source) -> list[Item]:
    """Ten test items of each level."""
    found = [item for item in drawn(task, "test") if item.facts["dataset"] == source.name]
    return [item for level in (1, 2, 3) for item in [item for item in found if item.level == level][:PER_LEVEL]]


def answer_of(item: Item) -> str:
    return final_answer(item.answer) or ""


# Near misses and equivalents, by the kind of answer


def integer_same(answer: str, item: Item) -> Iterator[str]:
    number = int(answer)
    yield from (f" {answer}\n", f"{answer}.0", f"{answer}.00", f"{number:,}", f"{number:05d}")
    if number >= 0:
        yield f"+{answer}"


def integer_near(answer: str, item: Item) -> Iterator[str]:
    number = int(answer)
    yield from map(str, (number - 1, number + 1, number - 10, number + 10, number * 10, -number or 7, number + 10 ** (len(answer) - 1)))
    yield from (f"{answer}.5", f"1{answer}", f"{answer}1", answer[:-1], answer[::-1], f"{answer}{answer}")
    yield from (
        f"{answer} {answer}",
        f"{answer}, {number + 1}",
        f"{answer} or {number + 1}",
        f"{answer}\n{number - 1}",
        f"{answer}; {answer}",
    )
    yield from (
        f"The answer is {answer}",
        f"{answer} is the result",
        f"= {answer}",
        f"x = {answer}",
        f"{answer} apples",
        f"{answer}.",
        f"${answer}$",
    )
    yield from (
        f"{answer}e0",
        f"{answer}/1",
        f"{answer} + 0",
        f"({answer})",
        f"{answer}%",
        f"0x{abs(number):x}",
        f"{answer}_0",
        f"- {abs(number)}1",
    )
    yield from (answer.translate({48 + digit: 0x660 + digit for digit in range(10)}), f"**{answer}**", f"\\boxed{{{answer}}}")
    if len(answer) > 2:
        yield ",".join(answer)


def integer_equal(text: str, answer: str) -> bool:
    """Whether a text is the number itself, written as schools do."""
    if not re.fullmatch(r"\s*[+-]?[0-9,]+(\.0+)?\s*", text) or ",".join(answer) == text != answer:
        return False
    try:
        return Decimal(text.strip().replace(",", "")) == Decimal(answer)
    except InvalidOperation:
        return False


def fraction_same(answer: str, item: Item) -> Iterator[str]:
    top, bottom = answer.split("/")
    yield from (f"{top} / {bottom}", f" {answer} ", f"{top} /{bottom}")


def fraction_near(answer: str, item: Item) -> Iterator[str]:
    top, bottom = map(int, answer.split("/"))
    metadata = item.facts["metadata"]
    yield from (f"{top + 1}/{bottom}", f"{top}/{bottom + 1}", f"{bottom}/{top}", f"{2 * top}/{2 * bottom}", f"-{answer}", f"{answer}/1")
    yield from (
        f"{metadata['numerator']}/{metadata['denominator']}",
        f"{top}",
        f"{top / bottom:.6f}",
        f"{answer} {answer}",
        f"{answer} or 1/2",
    )
    yield from (
        rf"\frac{{{top}}}{{{bottom}}}",
        rf"$\frac{{{top}}}{{{bottom}}}$ or $\frac{{1}}{{2}}$",
        f"{answer}.",
        f"= {answer}",
        f"{top}:{bottom}",
    )


def expression_value(text: str, numbers: list[int]) -> float | None:
    """Value of an arithmetic text that uses each number once, by Python itself; None for any other text."""
    if not re.fullmatch(r"[0-9+\-*/() ]+", text) or "**" in text or "//" in text:
        return None
    if sorted(map(int, re.findall("[0-9]+", text))) != sorted(numbers):
        return None
    try:
        return eval(compile(ast.parse(text.strip(), mode="eval"), "", "eval"))
    except (SyntaxError, ZeroDivisionError, TypeError):
        return None


def countdown_same(answer: str, item: Item) -> Iterator[str]:
    yield from (f"({answer})", answer.replace(" ", ""), f"(({answer}))", answer.replace("*", " * "))


def countdown_near(answer: str, item: Item) -> Iterator[str]:
    numbers, target = item.facts["metadata"]["numbers"], item.facts["metadata"]["target"]
    yield from (
        str(target),
        f"{answer} = {target}",
        f"{target} = {answer}",
        f"{answer} + 0",
        f"{answer} + 1 - 1",
        f"({answer})*1",
        f"({answer})**1",
    )
    yield from (
        f"-({answer})",
        f"{answer} + {numbers[0]}",
        f"{answer} # right",
        f"{answer}; {answer}",
        f"{answer} {answer}",
        f"{answer}\n",
    )[:-1]
    yield from (
        " + ".join(map(str, numbers)),
        " ".join(map(str, numbers)),
        f"{answer}.",
        f"x = {answer}",
        answer.replace("+", "-", 1) + " ",
    )
    yield from (f"__import__('math').floor({answer})", f"{answer} if 1 else 0", f"float({answer})", f"lambda: {answer}", f"{answer}//1")
    yield answer.replace(str(numbers[0]), str(numbers[0] + 1), 1)


def word_same(answer: str, item: Item) -> Iterator[str]:
    yield from (answer.upper(), answer.lower(), answer.capitalize(), f"\n{answer} ")


def word_near(answer: str, item: Item) -> Iterator[str]:
    yield from (
        answer[:-1],
        f"{answer}s",
        f"{answer}.",
        f'"{answer}"',
        f"the {answer}",
        f"{answer} {answer}",
        f"{answer}, {answer}",
        answer[::-1],
    )
    others = [word for word in re.findall("[A-Za-z]+", item.prompt) if word.lower() != answer.lower()]
    yield from (
        f"{answer} or {others[0]}",
        f"{others[0]}, {answer}",
        f"not {answer}",
        f"It is {answer}",
        f"{answer}{others[0]}",
        " ".join(answer),
    )


def string_same(answer: str, item: Item) -> Iterator[str]:
    yield f"\n {answer} "


def string_near(answer: str, item: Item) -> Iterator[str]:
    yield from (
        f"{answer}a",
        f"1{answer}",
        answer[:-1],
        answer[1:],
        answer[::-1],
        answer.upper(),
        " ".join(answer),
        f"'{answer}'",
        f"{answer}.",
    )
    yield from (
        f"{answer} {answer}",
        f"{answer}{answer}",
        f"{answer}\n{answer}0",
        f"The result is {answer}",
        f"{answer} (final)",
        f"0x{answer}",
    )
    yield answer[:-1] + ("b" if answer[-1] != "b" else "c")


def parts_near(answer: str, item: Item) -> Iterator[str]:
    """For what has parts with blanks or commas between: one more, one fewer, another, in another order, in brackets, with words around."""
    gap = ", " if "," in answer else " "
    parts = answer.replace(",", "").split()
    changed = {"A#": "B#", "#A": "#B"}.get(parts[-1], str((int(parts[-1]) + 1) % 10) if parts[-1].isdigit() else parts[-1] + "s")
    yield from (
        gap.join(parts[::-1]),
        gap.join(parts[1:]),
        gap.join(parts[:-1]),
        gap.join([*parts, parts[0]]),
        gap.join([parts[-1], *parts]),
    )
    yield from (
        gap.join([*parts[:-1], changed]),
        gap.join([*parts[1:], parts[0]]),
        f"[{gap.join(parts)}]",
        f"{answer}.",
        f"{answer}{gap}and",
    )
    yield from (
        f"{answer}\n{answer}",
        f"{answer}{gap}{answer}",
        f"The answer is {answer}",
        f"{answer} is it",
        "; ".join(parts),
        "".join(parts),
    )
    yield from ("|".join(parts), gap.join(sorted(parts)), gap.join(sorted(parts, reverse=True)), gap.join([*parts, "0"]))
    yield " ".join(parts) if "," in answer else ", ".join(parts)


def parts_same(answer: str, item: Item) -> Iterator[str]:
    yield from (answer.replace(" ", "  "), answer.replace(" ", "\n"), f" {answer}\n")


def matrix_same(answer: str, item: Item) -> Iterator[str]:
    yield from (answer.replace(" ", "  "), answer.replace("\n", " \n"), answer.replace("\n", "\n\n"), f"\n{answer}\n")


def matrix_near(answer: str, item: Item) -> Iterator[str]:
    rows = [line.split() for line in answer.split("\n")]

    def told(changed: list[list[str]]) -> str:
        return "\n".join(map(" ".join, changed))

    yield from (told(rows[::-1]), told([row[::-1] for row in rows]), told([list(row) for row in zip(*rows, strict=True)]), told(rows[:-1]))
    yield from (
        told([*rows, rows[0]]),
        told([[*row, "0"] for row in rows]),
        told([row[1:] for row in rows]),
        told([rows[0] + rows[-1], *rows[1:]]),
    )
    yield from (told([*rows[:-1], [*rows[-1][:-1], str((int(rows[-1][-1]) + 1) % 10)]]), str([list(map(int, row)) for row in rows]))
    yield from (
        f"The matrix is\n{answer}",
        f"{answer}\n\n{answer}",
        f"{answer}.",
        answer.replace(" ", ","),
        answer.replace(" ", ""),
        f"[{answer}]",
    )
    yield from (f"{answer}\nand", " ".join(cell for row in rows for cell in row) + " 0")
    if len(rows) > 1:
        yield " ".join(cell for row in rows for cell in row)


def quoted_same(answer: str, item: Item) -> Iterator[str]:
    yield from (answer.replace("'", '"'), answer.replace(", ", ","), answer.replace("[", "[ ").replace("]", " ]"))


def quoted_near(answer: str, item: Item) -> Iterator[str]:
    parts = re.findall("'([^']*)'", answer)
    listed = item.facts["metadata"]["original_numbers"]
    extra = next(number for number in listed if number not in parts)
    yield from map(str, (parts[::-1], parts[1:], parts[:-1], [*parts, extra], [extra, *parts], [*parts, parts[0]], listed, []))
    yield from map(str, ([*parts[:-1], parts[-1] + "1"], [*parts[:-1], f"-{parts[-1]}".replace("--", "")], [*parts[:-1], parts[-1] + ".0"]))
    yield from (
        answer.replace("'", ""),
        answer[1:-1],
        f"{answer}.",
        f"The list is {answer}",
        f"{answer}, {answer}",
        f"[{answer}]",
        f"{answer} = list",
    )


def knights_same(answer: str, item: Item) -> Iterator[str]:
    told = answer.rstrip(".").replace(", and ", ", ").split(", ")
    yield from (answer.rstrip("."), answer.upper(), ", ".join(told), "\n".join(told), " and ".join(told), ", and ".join(told[::-1]) + ".")
    yield answer.replace(" an ", " a ")


def knights_near(answer: str, item: Item) -> Iterator[str]:
    told = answer.rstrip(".").replace(", and ", ", ").split(", ")
    names, roles = item.facts["metadata"]["names"], item.facts["metadata"]["roles"]
    other = {roles[0]: roles[1], roles[1]: roles[0]}
    flipped = [f"{part.split(' is ')[0]} is {other[part.split(' is ')[1]]}" for part in told]
    yield from (", ".join(flipped), ", ".join([*told[:-1], flipped[-1]]), ", ".join([flipped[0], *told[1:]]), ", ".join(told[:-1]), told[0])
    yield from (
        ", ".join([*told, told[0]]),
        ", ".join([*told, flipped[0]]),
        ", ".join([*flipped, *told]),
        ", ".join([*told, f"Zed is {roles[0]}"]),
    )
    yield from (
        answer.replace(" is ", " is not "),
        f"Surely {answer}",
        f"I think that not {answer}",
        f"{answer} {answer}",
        f"{answer} Or not.",
    )
    yield from (
        answer.replace(names[0], "Zed"),
        answer.replace(" is ", " "),
        answer.replace(" is ", ": "),
        f'"{answer}"',
        " ".join(answer.split()[:3]),
    )
    yield ", ".join(f"{name} is {roles[0].split()[1]}/{roles[1].split()[1]}" for name in names)
    yield from (", ".join(names), ", ".join(part.split(" is ")[1] for part in told), answer.replace(roles[0].split()[1], "knightess"))[:2]


Texts = Callable[[str, Item], Iterator[str]]
KINDS: dict[str, tuple[Texts, Texts]] = {
    **dict.fromkeys(
        ("chain_sum", "basic_arithmetic", "products", "gcd", "lcm", "simple_equations"),
        (integer_same, integer_near),
    ),
    "fraction_simplification": (fraction_same, fraction_near),
    "countdown": (countdown_same, countdown_near),
    **dict.fromkeys(("family_relationships", "needle_haystack", "color_cube_rotation"), (word_same, word_near)),
    **dict.fromkeys(("string_manipulation", "base_conversion"), (string_same, string_near)),
    **dict.fromkeys(("ab", "path_star", "spiral_matrix"), (parts_same, parts_near)),
    "word_sorting": (lambda answer, item: iter((answer.replace(", ", ","), answer.replace(", ", " , "), f" {answer}\n")), parts_near),
    **dict.fromkeys(("manipulate_matrix", "rotate_matrix"), (matrix_same, matrix_near)),
    "number_filtering": (quoted_same, quoted_near),
    "knights_knaves": (knights_same, knights_near),
}


def equal(text: str, answer: str, item: Item) -> bool:
    """Whether a near miss happens to mean the answer, decided without our readers."""
    kind = KINDS[item.facts["dataset"]][0]
    if kind is integer_same:
        return integer_equal(text, answer)
    if kind is countdown_same:
        return expression_value(text, item.facts["metadata"]["numbers"]) == pytest.approx(item.facts["metadata"]["target"])
    if kind is matrix_same:
        return [line.split() for line in text.split("\n") if line.split()] == [line.split() for line in answer.split("\n")]
    if kind is parts_same:
        return text.split() == answer.split()
    return text.strip() == answer


def test_every_dataset_in_use_is_audited() -> None:
    assert set(KINDS) == {source.name for _, source in PAIRS}


@every_source
def test_the_same_answer_in_other_dress_scores_1(task: Gym, source: Source, drawn: Drawn) -> None:
    same, _ = KINDS[source.name]
    items = audited(drawn, task, source)
    assert Counter(item.level for item in items) == {1: PER_LEVEL, 2: PER_LEVEL, 3: PER_LEVEL}
    for item in items:
        answer = answer_of(item)
        assert task.score(item, item.answer) == task.score(item, f"Working: 1, 2.\n{item.answer}\nThat is it.") == 1.0
        for text in same(answer, item):
            assert task.score(item, tagged(text)) == 1.0, (text, answer)


@every_source
def test_near_misses_score_0(task: Gym, source: Source, drawn: Drawn) -> None:
    _, near = KINDS[source.name]
    tried = 0
    for item in audited(drawn, task, source):
        answer = answer_of(item)
        for text in near(answer, item):
            if not equal(text, answer, item):
                assert task.score(item, tagged(text)) == 0.0, (text, answer, item.prompt)
                tried += 1
    assert tried >= 12 * 3 * PER_LEVEL


@every_source
def test_junk_scores_0_or_is_no_answer(task: Gym, source: Source, drawn: Drawn) -> None:
    rng = random.Random(0)
    for item in audited(drawn, task, source):
        answer = answer_of(item)
        junk = [
            "",
            " \n\t",
            "0",
            "1",
            "none",
            "?",
            "[]",
            "{}",
            "()",
            "None",
            "True",
            "\0",
            "nan",
            "<answer>",
            "\ud800",
            " ".join(rng.sample(NOUNS, 6)),
        ]
        for text in (*junk, item.prompt, item.prompt.partition("\n\n")[0], "x" * 400, "1 " * 200):
            assert task.score(item, text) in (None, 0.0), text
            if not equal(text, answer, item):
                assert task.score(item, tagged(text)) == 0.0, (text, answer)


@every_source
def test_answers_without_tags_are_not_read(task: Gym, source: Source, drawn: Drawn) -> None:
    for item in audited(drawn, task, source):
        answer = answer_of(item)
        assert [task.score(item, text) for text in (answer, f"<answer>{answer}", f"{answer}</answer>", f"<think>{answer}</think>")] == [
            None
        ] * 4


@every_source
def test_another_items_answer_scores_0(task: Gym, source: Source, drawn: Drawn) -> None:
    items = audited(drawn, task, source)
    for item in items:
        answer = answer_of(item)
        for other in items:
            text = answer_of(other)
            if text.lower() != answer.lower() and not equal(text, answer, item):
                assert task.score(item, other.answer) == 0.0, (text, answer)


@every_source
def test_of_two_answers_the_last_counts(task: Gym, source: Source, drawn: Drawn) -> None:
    rng = random.Random(0)
    for item in audited(drawn, task, source):
        wrong = task.demonstrate(item, rng, 0.0)
        assert task.score(item, wrong) == task.score(item, f"{item.answer} {wrong}") == 0.0
        assert task.score(item, f"{wrong} {item.answer}") == 1.0
        assert task.score(item, tagged(f"{answer_of(item)}\n{final_answer(wrong)}")) == 0.0


@every_source
def test_no_constant_answer_is_right_often(task: Gym, source: Source, drawn: Drawn) -> None:
    items = [item for split in ("test", "validation") for item in drawn(task, split) if item.facts["dataset"] == source.name]
    assert Counter(item.answer.lower() for item in items).most_common(1)[0][1] <= 0.3 * len(items)


LAX: dict[str, Callable[[str, Item], str]] = {
    "chain_sum": lambda answer, item: f"{answer[:-1]}_{answer[-1]}" if answer[:-1].isdigit() else f"{answer}e0",
    "products": lambda answer, item: answer.translate({48 + digit: 0x660 + digit for digit in range(10)}),
    "fraction_simplification": lambda answer, item: rf"\frac{{{answer.replace('/', '}{')}}} or \frac{{1}}{{2}}",
    "countdown": lambda answer, item: f"__import__('math').floor({answer})" if "/" not in answer else f"max([{answer}])",
    "word_sorting": lambda answer, item: f"{answer}, and, more",
    "knights_knaves": lambda answer, item: f"I think that not {answer}",
}
"""Wrong or unsafe texts that reasoning-gym's own verifiers take for right: why there are readers before them."""


@pytest.mark.parametrize(("task", "source"), [pair for pair in PAIRS if pair[1].name in LAX], ids=lambda value: getattr(value, "name", ""))
def test_what_the_verifiers_forgive_never_reaches_them(task: Gym, source: Source, drawn: Drawn) -> None:
    forgiven = 0
    for item in audited(drawn, task, source):
        text = LAX[source.name](answer_of(item), item)
        forgiven += source.dataset(item.level).score_answer(text, item.facts) == 1.0
        assert task.score(item, tagged(text)) == 0.0
    assert forgiven >= 2 * PER_LEVEL, "the verifier has become stricter: look whether its reader may go"


@pytest.mark.parametrize("source", Code.sources, ids=lambda source: source.name)
def test_copying_from_the_prompt_is_no_answer(source: Source, drawn: Drawn) -> None:
    """Any run of the prompt's lines, and whatever follows a colon."""
    task = Code()
    for item in audited(drawn, task, source):
        lines = item.prompt.split("\n")
        runs = ["\n".join(lines[start:end]) for start in range(len(lines)) for end in range(start + 1, len(lines) + 1)]
        tails = [line.rpartition(":")[2] for line in lines]
        assert not any(task.score(item, tagged(text)) for text in (*runs, *tails))


@pytest.mark.parametrize("task", BUILT, ids=lambda task: task.domain)
def test_verdicts_are_total(task: Gym, drawn: Drawn) -> None:
    items = drawn(task, "validation")
    anything = st.text(st.characters(codec=None))
    texts = anything | st.builds(lambda text, count: text * count, anything, st.integers(1, 5_000)) | anything.map(tagged)

    @settings(max_examples=300, deadline=None, database=None)
    @given(st.data())
    def total(data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(items))
        answer = answer_of(item)
        start = data.draw(st.integers(0, len(answer)))
        end = data.draw(st.integers(start, len(answer)))
        middle = data.draw(st.text(st.characters(codec=None), max_size=3) | st.sampled_from(list(answer)))
        text, near = data.draw(texts), answer[:start] + middle + answer[end:]
        for written in (text, tagged(text), tagged(near), text + tagged(near)):
            assert task.score(item, written) in (None, 0.0, 1.0)

    total()
