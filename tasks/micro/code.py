"""micro/code: synthesise a program from input/output examples; it is checked by running it on hidden inputs.

Prompt  ``3a1b4c>4145,2a0b5c>3055=``: two examples of a program from the digits a, b, c to two to four digits, modulo 10; the
first is chosen to be informative.
Answer ``a+1,b,c,b+c``: one expression an output digit, in the language of `tasks.micro.program`, each with its value on the first
example before it or without (``4a+1,1b,4c,5b+c``); any program that is right on all hidden inputs scores 1. Latent: per output
the coefficients of a, b, c and the constant modulo 10, that is the program up to equivalence. Level: the number of outputs less 1.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter

from tasks.micro.program import VARIABLES, Inputs, ProgramError, parse, run
from tasks.task import Item, Task, rng

EXAMPLES = 2
_OUTPUTS = (2, 3, 3, 3, *(4,) * 8)
_BALANCED_OUTPUTS = (2, 3, 4, 4)
_OFFSETS = (1, 2, 3, 4, 5)
_OPERATORS = (0, 6, 10, 4)
"""Weights of programs with 0, 1, 2 and 3 elements other than bare variables."""
_OPERATOR_KINDS = {"offset": 4, "sum": 1}
_CANDIDATES = 20
"""A prompt's first example is the most informative of this many."""
_BALANCED_KINDS = {"copy": 5, "offset": 10, "sum": 5}

Element = tuple[int, int, int, int]
"""Coefficients of a, b, c and the constant, each modulo 10."""


def _family() -> dict[str, dict[Element, str]]:
    """Every element the generator draws, by kind, with its shortest text."""
    unit = {v: tuple(int(v == w) for w in VARIABLES) for v in VARIABLES}
    copies = {(*unit[v], 0): v for v in VARIABLES}
    offsets = {(*unit[v], k): f"{v}+{k}" for v in VARIABLES for k in _OFFSETS}
    pairs = itertools.combinations(VARIABLES, 2)
    sums = {(*(x + y for x, y in zip(unit[v], unit[w], strict=True)), 0): f"{v}+{w}" for v, w in pairs}
    return {"copy": copies, "offset": offsets, "sum": sums}


_FAMILY = _family()
_TEXT: dict[Element, str] = {element: text for kind in _FAMILY.values() for element, text in kind.items()}
_ELEMENTS = {kind: tuple(elements) for kind, elements in _FAMILY.items()}


def _value(element: Element, inputs: Inputs) -> int:
    (p, q, r, constant), (a, b, c) = element, inputs
    return (p * a + q * b + r * c + constant) % 10


_FAMILY_VALUES: dict[Inputs, tuple[int, ...]] = {
    x: tuple(_value(element, x) for element in _TEXT) for x in itertools.product(range(10), repeat=3)
}


def _inputs(rng: random.Random) -> Inputs:
    number = rng.randrange(1000)
    return number // 100, number // 10 % 10, number % 10


def _rivals(program: list[Element], example: Inputs) -> int:
    """How many other elements of the family show the same digits on an example, counted for each element of the program."""
    values = _FAMILY_VALUES[example]
    return sum(values.count(_value(element, example)) - 1 for element in program)


def _determined(program: list[Element], examples: list[Inputs]) -> bool:
    """Whether each element is the only one of the family that fits the examples."""
    shown = Counter(zip(*(_FAMILY_VALUES[x] for x in examples), strict=True))
    return all(shown[tuple(_value(element, x) for x in examples)] == 1 for element in program)


def _chosen(rng: random.Random, weights: dict[str, int], count: int) -> list[str]:
    return rng.choices(list(weights), list(weights.values()), k=count)


def _named(inputs: Inputs) -> str:
    return "".join(str(digit) + variable for variable, digit in zip(VARIABLES, inputs, strict=True))


def _digits(values: tuple[int, ...]) -> str:
    return "".join(map(str, values))


_HIDDEN: tuple[Inputs, ...] = tuple(
    dict.fromkeys(((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), *(_inputs(rng("code", "hidden", i)) for i in range(28))))
)


class Code(Task):
    domain = "code"
    version = 3
    answer_tokens = 20

    def draw(self, rng: random.Random) -> Item:
        outputs = rng.choice(_OUTPUTS)
        operators = min(outputs, rng.choices(range(len(_OPERATORS)), _OPERATORS)[0])
        kinds = ["copy"] * (outputs - operators) + _chosen(rng, _OPERATOR_KINDS, operators)
        rng.shuffle(kinds)
        return self._item(rng, kinds)

    def draw_balanced(self, rng: random.Random) -> Item:
        return self._item(rng, _chosen(rng, _BALANCED_KINDS, rng.choice(_BALANCED_OUTPUTS)))

    def _item(self, rng: random.Random, kinds: list[str]) -> Item:
        program = [rng.choice(_ELEMENTS[kind]) for kind in kinds]
        while True:
            first = min((_inputs(rng) for _ in range(_CANDIDATES)), key=lambda x: _rivals(program, x))
            examples = [first, *(_inputs(rng) for _ in range(EXAMPLES - 1))]
            if _determined(program, examples):
                break
        shown = ",".join(f"{_named(x)}>{_digits(tuple(_value(e, x) for e in program))}" for x in examples)
        level = len(program) - 1
        latent = ";".join(_digits(element) for element in program)
        answer = ",".join(f"{_value(e, examples[0])}{_TEXT[e]}" for e in program)
        return Item(self.domain, f"{shown}=", answer, latent, level, tuple(program))

    def score(self, item: Item, answer: str) -> float | None:
        try:
            program = parse(answer)
        except ProgramError:
            return None
        right = (run(program, x) == tuple(_value(e, x) for e in item.facts) for x in _HIDDEN)
        return float(all(right))

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: the bare variable wherever an expression is needed."""
        if rng.random() < high_quality:
            return item.answer
        return ",".join(_TEXT[e][0] for e in item.facts)
