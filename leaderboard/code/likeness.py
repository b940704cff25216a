"""How much of one method's code is also in another's."""

from __future__ import annotations

import ast
import re

from leaderboard.code.text import UNREADABLE


def shingles(source: str) -> frozenset[tuple[str, ...]]:
    """Runs of eight tokens of code; comments and layout do not count. Empty for text that is no Python."""
    try:
        tokens = re.findall(r"\w+|[^\w\s]", ast.unparse(ast.parse(source)))
    except UNREADABLE:
        return frozenset()
    return frozenset(tuple(tokens[place : place + 8]) for place in range(len(tokens) - 7))


def likeness(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of the smaller set of shingles that the other has too, in [0, 1]."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0
