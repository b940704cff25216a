"""Integer arithmetic as text: parsing, exact values, and one canonical text for every order of terms and factors.

The language: whole numbers, ``+``, ``-``, ``*``, ``/``, parentheses, blanks, and one variable where a caller names it. The text is parsed
into a small tree and the tree is walked: what a model writes never reaches ``eval``. Length and depth are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

MAX_CHARS = 200
MAX_DEPTH = 12

Tree = int | str | tuple
"""A number, the variable, or (operator, left, right) with operator one of + - * /; a part with a minus sign before it is ("-", part)."""

_TOKEN = re.compile(r"([0-9]+|[a-z]|[-+*/()])| +")


class ExpressionError(ValueError):
    """The text is no expression, or it divides by zero."""


def parse(text: str, variable: str = "") -> Tree:
    """The tree of an expression of up to `MAX_CHARS` characters; `ExpressionError` where it is none."""
    if len(text) > MAX_CHARS:
        raise ExpressionError(f"longer than {MAX_CHARS} characters")
    tokens: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"unexpected {text[at]!r}")
        tokens += [match[1]] if match[1] else []
        at = match.end()
    return _Parser(tokens, variable).whole()


def value(tree: Tree, variable: int = 0) -> Fraction:
    """Exact value of a tree; `variable` stands for its variable. `ExpressionError` on a division by zero."""
    if isinstance(tree, int):
        return Fraction(tree)
    if isinstance(tree, str):
        return Fraction(variable)
    if len(tree) == 2:
        return -value(tree[1], variable)
    operator, left, right = tree[0], value(tree[1], variable), value(tree[2], variable)
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if right == 0:
        raise ExpressionError("division by zero")
    return left / right


def numbers(tree: Tree) -> Iterator[int]:
    """The numbers of a tree as written, from left to right."""
    if isinstance(tree, int):
        yield tree
    elif isinstance(tree, tuple):
        for part in tree[1:]:
            yield from numbers(part)


def text_of(tree: Tree) -> str:
    """A tree as text, every operation in parentheses."""
    if not isinstance(tree, tuple):
        return str(tree)
    return f"({tree[0].join(map(text_of, tree[1:]))})" if len(tree) == 3 else f"(-{text_of(tree[1])})"


def canonical(tree: Tree) -> str:
    """The same text for the same sums and products in any order, whatever brackets were redundant. For trees without division."""
    return "".join(sorted(_terms(tree, 1))).removeprefix("+")


def _terms(tree: Tree, sign: int) -> Iterator[str]:
    if isinstance(tree, tuple) and len(tree) == 2:
        yield from _terms(tree[1], -sign)
    elif isinstance(tree, tuple) and tree[0] in "+-":
        yield from _terms(tree[1], sign)
        yield from _terms(tree[2], sign if tree[0] == "+" else -sign)
    else:
        sign, factors = _factors(tree, sign)
        yield "+-"[sign < 0] + "*".join(sorted(factors))


def _factors(tree: Tree, sign: int) -> tuple[int, list[str]]:
    if isinstance(tree, tuple) and len(tree) == 2:
        return _factors(tree[1], -sign)
    if isinstance(tree, tuple) and tree[0] == "*":
        sign, left = _factors(tree[1], sign)
        sign, right = _factors(tree[2], sign)
        return sign, left + right
    return sign, [f"({canonical(tree)})" if isinstance(tree, tuple) else str(tree)]


class _Parser:
    """Recursive descent: sum = product {+- product}; product = signed {*/ signed}; signed = [+-] atom; atom = 0 | x | (sum)."""

    def __init__(self, tokens: list[str], variable: str) -> None:
        self.tokens = tokens
        self.variable = variable
        self.at = 0
        self.depth = 0

    def whole(self) -> Tree:
        tree = self.sum()
        if self.at < len(self.tokens):
            raise ExpressionError(f"unexpected {self.tokens[self.at]!r}")
        return tree

    def take(self, symbols: str) -> str:
        """The next token where it is one of `symbols`, else the empty string."""
        if self.at < len(self.tokens) and self.tokens[self.at] in tuple(symbols):
            self.at += 1
            return self.tokens[self.at - 1]
        return ""

    def sum(self) -> Tree:
        total = self.product()
        while operator := self.take("+-"):
            total = (operator, total, self.product())
        return total

    def product(self) -> Tree:
        total = self.signed()
        while operator := self.take("*/"):
            total = (operator, total, self.signed())
        return total

    def signed(self) -> Tree:
        sign = self.take("+-")
        return ("-", self.atom()) if sign == "-" else self.atom()

    def atom(self) -> Tree:
        if self.take("("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ExpressionError(f"more than {MAX_DEPTH} parentheses in each other")
            inner = self.sum()
            self.depth -= 1
            if not self.take(")"):
                raise ExpressionError("no closing parenthesis")
            return inner
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        self.at += 1
        if token.isdigit():
            return int(token)
        if token and token == self.variable:
            return token
        raise ExpressionError("a number is missing")
