"""A bounded interpreter for the programs that models write in micro/code.

A program is up to eight expressions joined by commas, over the variables a, b, c (one digit each), the digits, ``+``, ``-``, ``*`` and
parentheses; each expression's value modulo 10 is one output digit. A digit right before an expression's first variable is a comment.
The text is parsed into a small tree and the tree is walked: model output never reaches ``eval`` or ``exec``. Length, depth and size are
bounded, so parsing and running are too.
"""

from __future__ import annotations

from collections.abc import Callable

VARIABLES = "abc"
DIGITS = tuple("0123456789")
MAX_CHARS = 80
MAX_EXPRESSIONS = 8

Inputs = tuple[int, int, int]
Expression = Callable[[Inputs], int]


class ProgramError(ValueError):
    """The text is not a program."""


def parse(text: str) -> list[Expression]:
    """The expressions of a program; `ProgramError` says what is wrong with the text."""
    if not text or len(text) > MAX_CHARS:
        raise ProgramError(f"a program has 1 to {MAX_CHARS} characters")
    return _Parser(text).program()


def run(program: list[Expression], inputs: Inputs) -> tuple[int, ...]:
    """Output digits of `program` on three input digits."""
    return tuple(expression(inputs) % 10 for expression in program)


class _Parser:
    """Recursive descent: program = item {, item}; item = [0] sum; sum = product {+- product}; product = atom {* atom};
    atom = a | 0 | (sum)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def program(self) -> list[Expression]:
        expressions = [self.commented()]
        while self.take(","):
            expressions.append(self.commented())
        if self.at < len(self.text):
            raise ProgramError(f"unexpected {self.text[self.at]!r} at {self.at}")
        if len(expressions) > MAX_EXPRESSIONS:
            raise ProgramError(f"more than {MAX_EXPRESSIONS} expressions")
        return expressions

    def take(self, symbols: str) -> str:
        """The next character where it is one of `symbols`, else the empty string."""
        if self.at < len(self.text) and self.text[self.at] in symbols:
            self.at += 1
            return self.text[self.at - 1]
        return ""

    def commented(self) -> Expression:
        first, second = self.text[self.at : self.at + 1], self.text[self.at + 1 : self.at + 2]
        if first in DIGITS and second in tuple(VARIABLES):
            self.at += 1
        return self.sum()

    def sum(self) -> Expression:
        total = self.product()
        while sign := self.take("+-"):
            total = _binary(sign, total, self.product())
        return total

    def product(self) -> Expression:
        total = self.atom()
        while self.take("*"):
            total = _binary("*", total, self.atom())
        return total

    def atom(self) -> Expression:
        if symbol := self.take("0123456789"):
            digit = int(symbol)
            return lambda inputs: digit
        if symbol := self.take(VARIABLES):
            place = VARIABLES.index(symbol)
            return lambda inputs: inputs[place]
        if self.take("("):
            inner = self.sum()
            if not self.take(")"):
                raise ProgramError(f"no closing parenthesis at {self.at}")
            return inner
        raise ProgramError(f"no value at {self.at}")


def _binary(sign: str, left: Expression, right: Expression) -> Expression:
    if sign == "+":
        return lambda inputs: (left(inputs) + right(inputs)) % 10
    if sign == "-":
        return lambda inputs: (left(inputs) - right(inputs)) % 10
    return lambda inputs: (left(inputs) * right(inputs)) % 10
