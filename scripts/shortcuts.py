"""What answers score that need no understanding: shortcuts that a stage on everyday could learn. A table of docs/everyday-result.md.

    python scripts/shortcuts.py

Each shortcut answers the suite's test items. What it has to choose, it chooses on training items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from tabulate import tabulate

from bench.suite import load_suite
from tasks.everyday.cw import _TEMPLATES
from tasks.task import Item

CHOSEN_ON = 600
"""Training items of a domain."""
Shortcut = Callable[[Item], str]


def sum_of_all(item: Item) -> str:
    return str(sum(map(int, re.findall(r"\d+", item.prompt))))


def first_literal(item: Item) -> str:
    """Of a program: its first list, word or number."""
    found = re.search(r"\[[\d, ]+\]|\"[a-z]+\"|\d+", item.prompt.partition("print(")[2])
    return found[0].strip('"') if found else ""


def kind_of(item: Item) -> tuple[str, ...]:
    """The words that could answer a question by their kind, in the order of the passage."""
    words = re.findall(r"\w+", item.prompt.rpartition(". ")[0])
    return tuple(dict.fromkeys(word for word in words if word in {*item.facts, item.answer}))


def asked_of(item: Item) -> tuple[str, set[str]]:
    """The passage of a question, and the names, things and rooms that the question mentions."""
    passage, _, question = item.prompt.rpartition(". ")
    return passage, {word for word in re.findall(r"\w+", question)[1:] if word not in _PLAIN}


def same_sentence(item: Item) -> str:
    """A word of the kind that is asked for from a sentence that shares a name, a thing or a room with the question; else the first one."""
    passage, asked = asked_of(item)
    kind = kind_of(item)
    for sentence in passage.split(". "):
        words = re.findall(r"\w+", sentence)
        found = [word for word in words if word in kind and word not in asked]
        if found and asked.intersection(words):
            return found[0]
    return kind[0]


def nearest(item: Item) -> str:
    """Of the words of the kind that is asked for, the one that stands nearest to a name, a thing or a room of the question."""
    passage, asked = asked_of(item)
    kind, words = kind_of(item), re.findall(r"\w+", passage)
    places = [place for place, word in enumerate(words) if word in asked]
    kinds = [place for place, word in enumerate(words) if word in kind and word not in asked]
    return words[min(kinds, key=lambda place: min((abs(place - other) for other in places), default=0))] if kinds else kind[0]


_PLAIN = frozenset("is the with in has have does thing teacher of person who s".split())
"""Words of questions that name nobody and nothing."""


def filled(template: str, item: Item) -> list[str]:
    """A sentence with the two words that an item asks for, in either order."""
    (_, one), (_, other), *_ = item.facts
    return [template.format(one, other), template.format(other, one)]


def best(templates: Iterable[str], items: Iterable[Item]) -> str:
    """The template that scores most on some items."""
    score, items = load_suite("everyday").loaded_tasks["cw"].score, list(items)
    return max(templates, key=lambda template: sum(score(item, filled(template, item)[0]) or 0.0 for item in items))


def training() -> list[Item]:
    task = load_suite("everyday").loaded_tasks["cw"]
    return [task.item("train", 1000, number) for number in range(CHOSEN_ON)]


def one_sentence(item: Item) -> str:
    return filled(_one(), item)[0]


@cache
def _one() -> str:
    return best(_TEMPLATES, training())


def by_constraints(item: Item) -> str:
    """The template that scores most on training items of the same length and first letter, or else of any."""
    return filled(_table().get(_constraints(item), _one()), item)[0]


@cache
def _table() -> Mapping[tuple[object, ...], str]:
    groups: dict[tuple[object, ...], list[Item]] = {}
    for item in training():
        groups.setdefault(_constraints(item), []).append(item)
    return {asked: best(_TEMPLATES, items) for asked, items in groups.items()}


def _constraints(item: Item) -> tuple[object, ...]:
    return tuple(argument for kind, argument in item.facts if kind != "word")


SHORTCUTS: Mapping[str, Mapping[str, Shortcut]] = {
    "math": {"the sum of all numbers of the story": sum_of_all},
    "code": {"the first list, word or number of the program": first_literal},
    "qa": {
        "a word from a sentence that shares a name, thing or room with the question": same_sentence,
        "the word nearest to one of them": nearest,
    },
    "cw": {
        "one sentence for all pairs of words": one_sentence,
        f"one of {len(_TEMPLATES)} sentences, by length and first letter": by_constraints,
    },
}
"""By domain, and by what is answered."""


def main() -> None:
    suite, rows = load_suite("everyday"), []
    for domain, shortcuts in SHORTCUTS.items():
        items, task = suite.items(domain, "test"), suite.loaded_tasks[domain]
        levels = sorted({item.level for item in items})
        for words, shortcut in shortcuts.items():
            scores = [(item.level, 100 * (task.score(item, shortcut(item)) or 0.0)) for item in items]
            by_level = ", ".join(f"level {one} {mean(score for level, score in scores if level == one):.0f}" for one in levels)
            rows.append([domain, words, f"{mean(score for _, score in scores):.0f}", by_level if len(levels) > 1 else ""])
    print(tabulate(rows, ["domain", "answer", "points", "by level"], tablefmt="github", disable_numparse=True))


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


if __name__ == "__main__":
    main()
