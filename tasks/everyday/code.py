"""everyday/code: what a few lines of Python print.

Prompt  ``What does this Python code print?``, an empty line, ``print(max([4, 19, 7]) + len("cloud"))``. Answer  ``24``: the printed text,
with or without blanks in a list. Latent: the program, with operands in order where their order changes nothing. Levels:

    1   one operation on numbers, words or lists
    2   two operations, one inside the other
    3   a line that computes x, and one operation on x
    4   a line for x, one for y from x, and an operation on both or on one

A program is built together with its value by `Operation`, so nothing is ever executed, neither our programs nor what a model writes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.everyday.words import LETTERS, SHORT_WORDS
from tasks.levels import Levelled
from tasks.task import MAX_ANSWER_CHARS, Item

ASK = "What does this Python code print?"
_LINE = re.compile(r"[ -~]{1,60}")
_AROUND = re.compile(r" *([\[\],]) *")
"""Blanks beside brackets and commas, which a list may have or not."""
_SIGN = re.compile(r"} (?:[-+*%]|//) ")
"""In the template of an operation that is no call, no index and no brackets."""
_ZEROS = 0.3
"""Share of programs that print 0 and are kept: it would be the commonest answer by far."""


@dataclass(frozen=True)
class Part:
    """An expression. text: as a program has it; value: a number, a word or a list of numbers; latent: its text in canonical form; atom: it
    needs no parentheses as an operand; slips: the values that it was made from, as they would be printed. In a template ``{}`` is the text,
    ``{:operand}`` has parentheses where they are needed."""

    text: str
    value: Any
    latent: str
    atom: bool = True
    slips: tuple[str, ...] = ()

    @classmethod
    def literal(cls, value: Any) -> Part:
        text = f'"{value}"' if isinstance(value, str) else str(value)
        return cls(text, value, text)

    def __format__(self, form: str) -> str:
        return f"({self.text})" if form == "operand" and not self.atom else self.text


@dataclass(frozen=True)
class Operation:
    """template: its text around its arguments; takes: their kinds (`_LITERALS`); gives: the kind of its value; compute: the value from
    theirs; any_order: the order of its arguments, or of the numbers in its only one, changes nothing."""

    template: str
    takes: tuple[str, ...]
    gives: str
    compute: Callable[..., Any]
    any_order: bool = False

    def of(self, *arguments: Part) -> Part:
        """The operation applied."""
        text = self.template.format(*arguments)
        slips = tuple(str(part.value) for part in arguments)
        return Part(
            text, self.compute(*(part.value for part in arguments)), self._latent(arguments), not _SIGN.search(self.template), slips
        )

    def _latent(self, arguments: tuple[Part, ...]) -> str:
        latents = [part.latent for part in arguments]
        if self.any_order and latents == [str(arguments[0].value)]:  # a literal list
            latents = [str(sorted(arguments[0].value))]
        elif self.any_order:
            latents.sort()
        return f"({self.template.replace(':operand', '').format(*latents)})"


_LITERALS: dict[str, Callable[[random.Random], Any]] = {
    "number": lambda rng: rng.randint(2, 30),
    "digit": lambda rng: rng.randint(2, 9),
    "word": lambda rng: rng.choice(SHORT_WORDS),
    "cut": lambda rng: rng.randint(1, 4),
    "letter": lambda rng: rng.choice(LETTERS),
    "list": lambda rng: rng.sample(range(1, 30), rng.choice((3, 3, 4))),
}
"""How a literal of each kind is drawn."""

OPERATIONS = (
    Operation("max({})", ("list",), "number", max, any_order=True),
    Operation("min({})", ("list",), "number", min, any_order=True),
    Operation("sum({})", ("list",), "number", sum, any_order=True),
    Operation("len({})", ("word",), "number", len),
    Operation("{:operand}[0]", ("list",), "number", lambda numbers: numbers[0]),
    Operation("{:operand}[1]", ("list",), "number", lambda numbers: numbers[1]),
    Operation("{:operand}[-1]", ("list",), "number", lambda numbers: numbers[-1]),
    Operation("{:operand}.count({})", ("word", "letter"), "number", lambda word, letter: word.count(letter)),
    Operation("{:operand} + {:operand}", ("number", "number"), "number", lambda a, b: a + b, any_order=True),
    Operation("{:operand} - {:operand}", ("number", "number"), "number", lambda a, b: a - b),
    Operation("{:operand} * {:operand}", ("number", "digit"), "number", lambda a, b: a * b, any_order=True),
    Operation("{:operand} % {:operand}", ("number", "digit"), "number", lambda a, b: a % b),
    Operation("{:operand} // {:operand}", ("number", "digit"), "number", lambda a, b: a // b),
    Operation("{:operand} + {:operand}", ("word", "word"), "word", lambda a, b: a + b),
    Operation("{:operand} * 2", ("word",), "word", lambda word: word * 2),
    Operation("{:operand}[:{}]", ("word", "cut"), "word", lambda word, cut: word[:cut]),
    Operation("{:operand}[{}:]", ("word", "cut"), "word", lambda word, cut: word[cut:]),
    Operation("{:operand}.upper()", ("word",), "word", str.upper),
    Operation("{:operand}.replace({}, {})", ("word", "letter", "letter"), "word", lambda word, old, new: word.replace(old, new)),
    Operation("sorted({})", ("list",), "list", sorted, any_order=True),
    Operation("{:operand}[::-1]", ("list",), "list", lambda numbers: numbers[::-1]),
    Operation("{:operand}[1:]", ("list",), "list", lambda numbers: numbers[1:]),
    Operation("{:operand} + [{}]", ("list", "number"), "list", lambda numbers, number: [*numbers, number]),
    Operation("[n * {} for n in {}]", ("digit", "list"), "list", lambda factor, numbers: [n * factor for n in numbers]),
    Operation("[n for n in {1} if n > {0}]", ("number", "list"), "list", lambda least, numbers: [n for n in numbers if n > least]),
)


def _usable(part: Part) -> bool:
    """Whether a value is short enough to be an answer, long enough to go on from, and none of those it was made from."""
    value = part.value
    if str(value) in part.slips:
        return False
    if isinstance(value, int):
        return -99 <= value <= 999
    return 1 <= len(value) <= 12 if isinstance(value, str) else 2 <= len(value) <= 4 and max(value) <= 99


def _literal(kind: str, rng: random.Random) -> Part:
    return Part.literal(_LITERALS[kind](rng))


class _DeadEndError(Exception):
    """No operation goes on from here."""


def _applied(rng: random.Random, *given: tuple[str, Part]) -> tuple[str, Part]:
    """An operation on the given parts (kind, part), each used once, with literals for its other arguments: the kind and the part that it
    makes. `_DeadEndError` after a hundred attempts."""
    for _ in range(100):
        operation = rng.choice(OPERATIONS)
        arguments = [_literal(kind, rng) for kind in operation.takes]
        places = rng.sample(range(len(arguments)), len(arguments))
        for kind, part in given:
            place = next((place for place in places if operation.takes[place] == kind), None)
            if place is None:
                break
            places.remove(place)
            arguments[place] = part
        else:
            made = operation.of(*arguments)
            if _usable(made):
                return operation.gives, made
    raise _DeadEndError


def _program(rng: random.Random, level: int) -> tuple[list[str], Part]:
    """The lines before the last one, and what the last one prints. `_DeadEndError` as `_applied`."""
    kind, x = _applied(rng)
    if level == 1:
        return [], x
    if level == 2:
        return [], _applied(rng, (kind, x))[1]
    lines, x = [f"x = {x}"], Part("x", x.value, x.latent)
    if level == 4:
        next_kind, y = _applied(rng, (kind, x))
        lines, y = [*lines, f"y = {y}"], Part("y", y.value, y.latent)
        given = [(next_kind, y), (kind, x)] if rng.random() < 0.5 else [(next_kind, y)]
        return lines, _applied(rng, *given)[1]
    return lines, _applied(rng, (kind, x))[1]


class Code(Levelled):
    domain = "code"
    version = 1
    answer_tokens = 20
    all_levels = (1, 2, 3, 4)

    def draw_level(self, level: int, rng: random.Random) -> Item:
        while True:
            try:
                lines, printed = _program(rng, level)
            except _DeadEndError:
                continue
            if printed.value != 0 or rng.random() < _ZEROS:
                break
        program = "\n".join([*lines, f"print({printed})"])
        facts = {"list": isinstance(printed.value, list), "slips": list(printed.slips)}
        return Item(self.domain, f"{ASK}\n\n{program}", str(printed.value), printed.latent, level, facts)

    def score(self, item: Item, answer: str) -> float | None:
        answer = answer.strip() if len(answer) <= MAX_ANSWER_CHARS else ""
        if not _LINE.fullmatch(answer):
            return None
        return float(_AROUND.sub(r"\1", answer) == _AROUND.sub(r"\1", item.answer) if item.facts["list"] else answer == item.answer)

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: a value that the last operation was applied to."""
        return item.answer if rng.random() < high_quality else rng.choice(item.facts["slips"])
