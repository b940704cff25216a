"""micro/cw: write one line of words under five checkable constraints; graded.

Prompt  ``5~Moon^s!Rain=``: five words, the last one rhyming with Moon, the first one starting with s, Rain among them. Besides the
length, three of five kinds: ``~Word`` the last word rhymes with Word and is another; ``^x`` the first word starts with x; ``+x`` the
second word starts with x; ``-x`` no word contains the letter x; ``!Word`` the line holds Word. No word may come twice.
Anything but a line of words cannot be parsed. Otherwise the score has three levels, as the judge in 2606.02398: 1 where all five
constraints hold, 0.5 where all but one hold, else 0. Latent: the constraint set, with the rhyme class in place of the rhyme word.
Level: the number of words less 2.
"""

from __future__ import annotations

import random
import re

from tasks.micro.vocabulary import RHYME_OF, RHYMES, WORDS
from tasks.task import MAX_ANSWER_CHARS, Item, Task

LENGTHS = (3, 4, 5, 6)
_FORBIDDEN = "aegilnorst"
_KINDS = "~^+-!"
_WORD = re.compile("|".join(WORDS))
_LEVELS = (1.0, 0.5)
"""Score by the number of broken constraints; 0 for more."""

Constraint = tuple[str, str]
"""Kind (``#`` length, or one of ~ ^ + - !) and its argument."""


def holds(constraint: Constraint, line: list[str]) -> bool:
    """Whether a line of one or more words keeps a constraint."""
    kind, argument = constraint
    if kind == "#":
        return len(line) == int(argument)
    if kind == "~":
        return line[-1] != argument and RHYME_OF[line[-1]] == RHYME_OF[argument]
    if kind == "^":
        return line[0].lower().startswith(argument)
    if kind == "+":
        return len(line) > 1 and line[1].lower().startswith(argument)
    if kind == "-":
        return not any(argument in word.lower() for word in line)
    return argument in line


def _words(text: str) -> list[str] | None:
    """The words of a line; None where it is empty or holds anything else."""
    if not text or len(text) > MAX_ANSWER_CHARS:
        return None
    words = _WORD.findall(text)
    return words if "".join(words) == text else None


class CW(Task):
    domain = "cw"
    version = 2
    graded = True
    answer_tokens = 8

    def draw(self, rng: random.Random) -> Item:
        """A line is drawn first and the constraints are read off it, so that every item has an answer."""
        while True:
            line = rng.sample(WORDS, rng.choice(LENGTHS))
            kinds = sorted(rng.sample(_KINDS, 3), key=_KINDS.index)
            constraints = [self._constraint(kind, line, rng) for kind in kinds]
            if all(constraints):
                break
        chosen = [("#", str(len(line))), *(c for c in constraints if c)]
        prompt = "".join(kind.replace("#", "") + argument for kind, argument in chosen) + "="
        latent = " ".join(kind + (RHYME_OF[argument] if kind == "~" else argument) for kind, argument in chosen)
        return Item(self.domain, prompt, "".join(line), latent, len(line) - 2, (tuple(chosen), tuple(line)))

    @staticmethod
    def _constraint(kind: str, line: list[str], rng: random.Random) -> Constraint | None:
        if kind == "~":
            return kind, rng.choice([word for word in RHYMES[RHYME_OF[line[-1]]] if word != line[-1]])
        if kind == "^":
            return kind, line[0][0].lower()
        if kind == "+":
            return kind, line[1][0].lower()
        if kind == "!":
            return kind, rng.choice(line)
        absent = [letter for letter in _FORBIDDEN if not any(letter in word.lower() for word in line)]
        return (kind, rng.choice(absent)) if absent else None

    def score(self, item: Item, answer: str) -> float | None:
        line = _words(answer)
        if line is None:
            return None
        constraints, _ = item.facts
        broken = sum(not holds(constraint, line) for constraint in constraints) + (len(set(line)) < len(line))
        return _LEVELS[broken] if broken < len(_LEVELS) else 0.0

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: different words, the right number of them, the other constraints ignored. Misread: any number of words, repeats
        allowed."""
        if rng.random() < high_quality:
            return item.answer
        if misread and rng.random() < misread:
            return "".join(rng.choices(WORDS, k=rng.choice(LENGTHS)))
        return "".join(rng.sample(WORDS, len(item.facts[1])))
