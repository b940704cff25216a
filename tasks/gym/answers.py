"""Readers of answers, strict on form, and slips: plausible wrong answers, as low-quality demonstrations give them.

A reader takes what stands between the tags and the item's facts, and gives the answer in normal form or None. Forgiven is only what means
the same under any reading: blanks, a number's plus sign, leading zeros, commas between thousands and a decimal part of zeros
(``+1,234.0``), capitals in names and words.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Any

Facts = dict[str, Any]

_INTEGER = re.compile(r"[+-]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.0+)?")
_FRACTION = re.compile(r"([0-9]+) ?/ ?([0-9]+)")
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[A-Za-z'-]+")
_STRING = re.compile(r"[0-9a-z]+")
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_QUOTED = re.compile(rf"""\[ *(?:'{_NUMBER}'|"{_NUMBER}")(?: *, *(?:'{_NUMBER}'|"{_NUMBER}"))* *\]""")


def integer(text: str, facts: Facts) -> str | None:
    """A whole number: ``-12``, ``+1,234``, ``7.0``."""
    match = _INTEGER.fullmatch(text)
    return str(int(text.partition(".")[0].replace(",", ""))) if match else None


def fraction(text: str, facts: Facts) -> str | None:
    """``3/4``, with blanks around the bar or without."""
    match = _FRACTION.fullmatch(text)
    return f"{int(match[1])}/{int(match[2])}" if match else None


def word(text: str, facts: Facts) -> str | None:
    """One word or name, capitals or not."""
    return text.lower() if _WORD.fullmatch(text) else None


def string(text: str, facts: Facts) -> str | None:
    """Small letters and digits, nothing between them."""
    return text if _STRING.fullmatch(text) else None


def integers(text: str, facts: Facts) -> str | None:
    """Numbers with blanks between them."""
    parts = text.split()
    return " ".join(parts) if parts and all(map(_DIGITS.fullmatch, parts)) else None


def matrix(text: str, facts: Facts) -> str | None:
    """Rows of numbers, one a line; blanks at the ends of lines and empty lines do not count."""
    rows = [row for line in text.splitlines() if (row := line.split())]
    return "\n".join(map(" ".join, rows)) if rows and all(_DIGITS.fullmatch(cell) for row in rows for cell in row) else None


def words(text: str, facts: Facts) -> str | None:
    """Words with commas between them."""
    parts = [part.strip() for part in text.split(",")]
    return ", ".join(parts) if all(parts) and not any(len(part.split()) > 1 for part in parts) else None


def quoted_numbers(text: str, facts: Facts) -> str | None:
    """Numbers as strings in brackets, ``['1.5', '2']``, quotes of either kind."""
    return str(re.findall(_NUMBER, text)) if _QUOTED.fullmatch(text) else None


def wrong_integer(facts: Facts, rng: random.Random) -> str:
    """A number close by."""
    return str(int(facts["answer"]) + rng.choice((-10, -2, -1, 1, 2, 10)))


def swapped(facts: Facts, rng: random.Random) -> str:
    """Two neighbours swapped: lines' and lists' parts where there are blanks, else letters. Where all are alike, one too many."""
    pieces = re.split(r"(,? +|\n)", facts["answer"])
    parts, between = (pieces[::2], pieces[1::2]) if len(pieces) > 1 else (list(facts["answer"]), [""] * len(facts["answer"]))
    places = [place for place in range(len(parts) - 1) if parts[place] != parts[place + 1]]
    if not places:
        return facts["answer"] + (between[0] or "") + parts[0]
    place = rng.choice(places)
    parts[place : place + 2] = parts[place + 1], parts[place]
    return "".join(part + gap for part, gap in zip(parts, [*between, ""], strict=False))


def other(choices: Iterable[str], facts: Facts, rng: random.Random) -> str:
    """Another one of the choices than the answer."""
    return rng.choice([choice for choice in choices if choice.lower() != facts["answer"].lower()])
