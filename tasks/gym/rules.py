"""What gym/cw checks: whether something is a text at all, and whether a text keeps a rule.

Rules like "no commas" hold for many things that are no text. So what is shorter than 12 words or longer than 2,000 characters, mostly
signs and digits, a line or sentence twice, less than half different words, a bare list of words or another language (hardly any of the
commonest English words, which make up about half of ordinary prose), hardly anything but those, eight words running from the prompt, or
holds words of more than 20 letters or of one (but a, i and o), is none. What a text means no such rule sees: words thrown together in the
right shares pass, as they do in IFEval.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks.gym.lexicon import EVERYDAY

MIN_WORDS = 12
MAX_CHARS = 2_000
MAX_LETTERS = 20
MIN_DIFFERENT = 0.5
MIN_EVERYDAY, MAX_EVERYDAY = 0.15, 0.75
MIN_LETTERS = 0.75
COPIED = 8

Rule = tuple[Any, ...]
"""A kind and its parameters: words, letters and numbers."""

_WORD = re.compile("[A-Za-z]+(?:['’-][A-Za-z]+)*")
_LETTERS = re.compile("[A-Za-z]")
_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)]*(?=\s|$)")
_BULLET = re.compile(r"[-*•] +")
_CLOSING = " .!?\"'”’)*"


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; ``don't`` and ``half-open`` are one each."""
    return [word.lower().replace("’", "'") for word in _WORD.findall(text)]


@dataclass(frozen=True)
class Text:
    """A text and its parts. Words are in small letters; lines are those that are not empty; a sentence is what ends in . ! or ? before a
    blank or the end, and a rest that does not."""

    raw: str
    words: list[str]
    lines: list[str]
    line_words: list[list[str]]
    sentences: list[list[str]]

    @classmethod
    def of(cls, raw: str) -> Text:
        lines = [line.strip() for line in raw.splitlines() if line.strip()]
        line_words = list(map(words_of, lines))
        sentences = [words for part in _SENTENCE_END.split(raw) if (words := words_of(part))]
        return cls(raw, [word for words in line_words for word in words], lines, line_words, sentences)


def is_text(text: Text, prompt: str) -> bool:
    """Whether something is a text and not signs, a list of words, a repetition or the prompt."""
    words = text.words
    if len(words) < MIN_WORDS or len(text.raw) > MAX_CHARS or max(map(len, words)) > MAX_LETTERS:
        return False
    visible = "".join(text.raw.split())
    return (
        len(_LETTERS.findall(visible)) >= MIN_LETTERS * len(visible)
        and len(set(words)) >= MIN_DIFFERENT * len(words)
        and MIN_EVERYDAY * len(words) <= sum(word in EVERYDAY for word in words) <= MAX_EVERYDAY * len(words)
        and all(len(word) > 1 or word in "aio" for word in words)
        and _all_different(text.line_words)
        and _all_different(text.sentences)
        and _runs(words).isdisjoint(_runs(words_of(prompt)))
    )


def _all_different(parts: list[list[str]]) -> bool:
    told = [tuple(words) for words in parts if words]
    return len(set(told)) == len(told)


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + COPIED]) for start in range(len(words) - COPIED + 1)}


def _ends(text: Text, phrase: str) -> bool:
    """Whether a phrase comes last, whatever marks close the text."""
    told = " ".join(text.raw.lower().split()).rstrip(_CLOSING)
    return told.endswith(phrase) and not told.removesuffix(phrase)[-1:].isalnum()


KEEPS: dict[str, Callable[..., bool]] = {
    "sentences": lambda text, count: len(text.sentences) == count,
    "length": lambda text, low, high: low <= len(text.words) <= high,
    "lines": lambda text, count: len(text.lines) == count,
    "bullets": lambda text, count: len(text.lines) == count and all(map(_BULLET.match, text.lines)),
    "acrostic": lambda text, word: "".join(line[0] for line in text.lines).lower() == word,
    "include": lambda text, *words: set(words) <= set(text.words),
    "exclude": lambda text, *words: set(words).isdisjoint(text.words),
    "times": lambda text, word, count: text.words.count(word) == count,
    "lowercase": lambda text: text.raw == text.raw.lower(),
    "uppercase": lambda text: text.raw == text.raw.upper(),
    "commas": lambda text: "," not in text.raw,
    "longest": lambda text, letters: max(map(len, text.words)) <= letters,
    "without": lambda text, letter: letter not in text.raw.lower(),
    "end": _ends,
    "begin": lambda text, word: text.words[0] == word,
    "first": lambda text, letter: all(_BULLET.sub("", line, count=1)[:1].lower() == letter for line in text.lines),
    "width": lambda text, most: all(len(words) <= most for words in text.line_words),
    "repeats": lambda text: all(len(set(words)) == len(words) for words in text.line_words),
}
"""Whether a text keeps a rule, by kind; called with the text and the rule's parameters."""

WORDINGS: dict[str, tuple[str, str]] = {
    "sentences": ("Write exactly {} sentences.", "The text must have exactly {} sentences."),
    "length": ("Write at least {} and at most {} words.", "The number of words must lie between {} and {}."),
    "lines": ("Write exactly {} lines, one below the other.", "The text must have exactly {} lines."),
    "bullets": (
        'Write exactly {} bullet points, each on a line of its own that starts with "- ", and nothing else.',
        'The text must be a list of exactly {} bullet points: every line starts with "- ".',
    ),
    "acrostic": (
        'Write one line for each letter of the word "{}", so that the first letters of the lines spell it.',
        'Make an acrostic: the first letters of the lines, from top to bottom, must spell "{}".',
    ),
    "include": ('Use the words "{}" and "{}".', 'The words "{}" and "{}" must both occur.'),
    "exclude": ('Do not use the words "{}", "{}" and "{}".', 'The text must not contain any of the words "{}", "{}" and "{}".'),
    "times": ('Use the word "{}" exactly {} times.', 'The word "{}" must occur exactly {} times.'),
    "lowercase": ("Write in lowercase letters only.", "Do not use any capital letters."),
    "uppercase": ("Write in capital letters only.", "Every letter must be a capital letter."),
    "commas": ("Do not use any commas.", "The text must not contain a comma."),
    "longest": ("Do not use words of more than {} letters.", "No word may be longer than {} letters."),
    "without": ('Do not use the letter "{}" anywhere.', 'The letter "{}" must not occur, small or capital.'),
    "end": ('End with the words "{}".', 'The last words of the text must be "{}".'),
    "begin": ('Begin with the word "{}".', 'The first word of the text must be "{}".'),
    "first": ('Start every line with a word that begins with "{}".', 'The first letter of every line must be "{}".'),
    "width": ("Write at most {} words on a line.", "No line may have more than {} words."),
    "repeats": ("Do not use a word twice on the same line.", "Within a line, every word may occur only once."),
}
"""What a rule asks, in two wordings."""
