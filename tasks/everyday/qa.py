"""everyday/qa: who, where and which, over a short passage about people, rooms and things.

Prompt  ``Ben has the lamp. Anna is in the kitchen. Mia has the key. Ben is with Anna. Mia is in the attic. Mia's teacher is Ben. Where is
the lamp?`` (and four more facts). Answer  ``kitchen``; ``in the`` before it, a full stop after it and capital letters change nothing, and
what is not one word cannot be parsed. Latent: the facts sorted, and the question. Level: how many facts the answer needs (here 3: on the
lamp, on Ben, on Anna).

Of five people three are in different rooms and two are with somebody; three have something; two have a teacher. So a passage has ten
facts, and every question has one answer.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.everyday.words import NAMES, ROOMS, THINGS
from tasks.levels import Levelled
from tasks.task import MAX_ANSWER_CHARS, Item

_KINDS = {1: ("who", "where", "which"), 2: ("who", "where", "which"), 3: ("who", "where", "which"), 4: ("where",)}
"""What is asked at each level, equally often; only a room can lie four facts away."""
_PLACED, _COMPANIONS, _OWNED, _TAUGHT = 3, 2, 3, 2
"""People whose room the passage names; people who are with somebody; things; people who have a teacher."""
_ANSWER = re.compile(r"(?:(?:in )?the |an? )?([a-z]+)\.?")


@dataclass(frozen=True)
class Question:
    """kind: who, where or which; hops: how many facts lead to the answer; rivals: other words of its kind in the passage."""

    kind: str
    text: str
    answer: str
    hops: int
    rivals: tuple[str, ...]

    @property
    def given(self) -> bool:
        """Whether the answer is a word of the question, as in "Who is with Anna's teacher?" where that is Anna."""
        return self.answer in re.findall(r"\w+", self.text)


@dataclass(frozen=True)
class World:
    """What a passage says: room: person -> room; companion: person -> the person they are with; owner: thing -> person; teacher: person ->
    person."""

    room: dict[str, str]
    companion: dict[str, str]
    owner: dict[str, str]
    teacher: dict[str, str]

    @classmethod
    def draw(cls, rng: random.Random) -> World:
        """People with companions in different rooms, and teachers who are not their own."""
        people = rng.sample(NAMES, _PLACED + _COMPANIONS)
        placed, others = people[:_PLACED], people[_PLACED:]
        companion = dict(zip(others, rng.sample(placed, _COMPANIONS), strict=True))
        owner = dict(zip(rng.sample(THINGS, _OWNED), rng.sample(people, _OWNED), strict=True))
        pupils, teachers = rng.sample(people, _TAUGHT), rng.sample(people, _TAUGHT)
        while any(pupil == teacher for pupil, teacher in zip(pupils, teachers, strict=True)):
            teachers = rng.sample(people, _TAUGHT)
        room = dict(zip(placed, rng.sample(ROOMS, _PLACED), strict=True))
        return cls(room, companion, owner, dict(zip(pupils, teachers, strict=True)))

    @property
    def people(self) -> tuple[str, ...]:
        return (*self.room, *self.companion)

    def facts(self) -> list[str]:
        """The sentences of the passage."""
        return [
            *(f"{person} is in the {room}." for person, room in self.room.items()),
            *(f"{person} is with {other}." for person, other in self.companion.items()),
            *(f"{person} has the {thing}." for thing, person in self.owner.items()),
            *(f"{person}'s teacher is {other}." for person, other in self.teacher.items()),
        ]

    def place(self, person: str) -> tuple[str, int]:
        """The room that somebody is in, and how many facts lead there."""
        if person in self.companion:
            return self.room[self.companion[person]], 2
        return self.room[person], 1

    def mentions(self) -> Iterator[tuple[str, str, int]]:
        """Ways to refer to somebody: the words, the person, and how many facts lead from one to the other."""
        yield from ((person, person, 0) for person in self.people)
        yield from ((f"{pupil}'s teacher", person, 1) for pupil, person in self.teacher.items())
        for thing, person in self.owner.items():
            yield f"the person who has the {thing}", person, 1
            if person in self.teacher:
                yield f"the teacher of the person who has the {thing}", self.teacher[person], 2

    def questions(self) -> Iterator[Question]:
        """Every question with one answer."""
        things, rooms = tuple(self.owner), tuple(self.room.values())
        inhabitants = Counter(self.place(person)[0] for person in self.people)
        thing_of = {person: thing for thing, person in self.owner.items()}

        def asked(text: str, answer: str, hops: int) -> Question:
            kind, _, _ = text.lower().partition(" ")
            words = {"who": self.people, "where": rooms, "which": things}[kind]
            return Question(kind, text, answer, hops, tuple(word for word in words if word != answer))

        for words, person, hops in self.mentions():
            room, way = self.place(person)
            yield asked(f"Where is {words}?", room, hops + way)
            if words.endswith("'s teacher") or words.startswith("the teacher"):
                yield asked(f"Who is {words}?", person, hops)
            if person in thing_of and not words.startswith("the person"):
                yield asked(f"Which thing does {words} have?", thing_of[person], hops + 1)
            if person in self.companion:
                yield asked(f"Who is with {words}?", self.companion[person], hops + 1)
        for person, room in self.room.items():
            if inhabitants[room] == 1:
                yield asked(f"Who is in the {room}?", person, 1)
        for thing, person in self.owner.items():
            room, way = self.place(person)
            yield asked(f"Who has the {thing}?", person, 1)
            yield asked(f"Where is the {thing}?", room, 1 + way)
            if sum(self.place(other)[0] == room for other in self.owner.values()) == 1:
                yield asked(f"Which thing is in the {room}?", thing, 1 + way)


class QA(Levelled):
    domain = "qa"
    version = 1
    answer_tokens = 8
    all_levels = (1, 2, 3, 4)

    def draw_level(self, level: int, rng: random.Random) -> Item:
        kind = rng.choice(_KINDS[level])
        while True:
            world = World.draw(rng)
            fitting = [q for q in world.questions() if (q.hops, q.kind) == (level, kind) and not q.given]
            if fitting:
                break
        question, facts = rng.choice(fitting), world.facts()
        rng.shuffle(facts)
        latent = f"{' '.join(sorted(facts))} {question.text}"
        return Item(self.domain, f"{' '.join(facts)} {question.text}", question.answer, latent, level, list(question.rivals))

    def score(self, item: Item, answer: str) -> float | None:
        match = _ANSWER.fullmatch(answer.strip().lower()) if len(answer) <= MAX_ANSWER_CHARS and answer.isascii() else None
        return None if match is None else float(match[1] == item.answer.lower())

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        """Low quality: another person, room or thing of the passage."""
        return item.answer if rng.random() < high_quality else rng.choice(item.facts)
