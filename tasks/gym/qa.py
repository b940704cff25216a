"""gym/qa: facts in the prompt and a question about them; five of reasoning-gym's datasets, three levels each.

    family_relationships 20 %  who is married to whom and whose child; "What is Ann to Bob?"; 4-5, 6-8, 9-11 people
    knights_knaves 20 %        who tells the truth; 2 people, 3, and 3 with statements nested deeper
    needle_haystack 20 %       8-15, 20-35, 40-60 statements "Leo scorns cooking."; "Who scorns cooking?"
    path_star 20 %             edges of a star of 3, 4, 5 arms of length 2-3, 3-4, 4-5; the path from its centre to the end of an arm
    color_cube_rotation 20 %   a cube's six colours, 1, 2, 3-4 turns; the colour of a side

Latent: the facts in sorted order and the question, whatever the template; for knights_knaves the statements up to renaming people and to
the order of "and", "or" and "if and only if" (names, role words and templates are other words for the same puzzle).

family_relationships' keys are wrong for parents-in-law (they say what the other person is) and for nieces and nephews of the other sex than
aunt or uncle: the story is read, the answer derived again, and an entry whose key differs drawn again. Names used for both girls and boys
are excluded, since only the name shows a person's sex. knights_knaves' verifier finds its pairs of name and role in any sentence ("I think
that not Ann is a knight"): our reader requires each name once with one role, and nothing else. needle_haystack draws again where two people
would answer.

Considered and not used. Wrong: aiw (the key of "colleagues" forgets Matilda's second circle, half of the siblings' questions ask about the
brother of someone unknown; what is left is "add one"), propositional_logic (a premise repeated is a right conclusion; it stores no answer).
Too easy to guess: syllogism and course_schedule (two answers), acre (three; all items are made at once), self_reference (35 % by one
answer), zebra_puzzles (always asks who lives in house 1, one of three or four; 20 to 100 ms a draw). Not facts and a question:
shortest_path, quantum_lock, largest_island, rectangle_count, rubiks_cube, figlet_font, emoji_mystery, modulo_grid.
"""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

from tasks.gym.answers import Facts, integers, other, swapped, word
from tasks.gym.base import Entry, Gym, Source

MEN = (
    "James John Robert Michael William David Richard Joseph Thomas Charles Peter Daniel Matthew Christopher Andrew George Edward "
    "Benjamin Henry Samuel Alexander Oliver Jack Harry Jacob Ethan Lucas Sebastian Theodore Owen Liam"
).split()
WOMEN = (
    "Mary Patricia Jennifer Linda Elizabeth Barbara Susan Jessica Sarah Karen Emma Lisa Anna Margaret Victoria Charlotte Sophia "
    "Isabella Olivia Mia Emily Abigail Amelia Eleanor Grace Alice Lucy Chloe Lily Hannah Zoe"
).split()
RELATIONS = {
    "parent": ("father", "mother"),
    "child": ("son", "daughter"),
    "spouse": ("husband", "wife"),
    "sibling": ("brother", "sister"),
    "grandparent": ("grandfather", "grandmother"),
    "aunt or uncle": ("uncle", "aunt"),
    "niece or nephew": ("nephew", "niece"),
}
"""Words for a man and for a woman."""

_COUPLE = re.compile(r"(\w+) is married to (\w+)\.(?: They have (?:a child|children) called ([\w, ]+)\.)?")


# Families


def families(story: str) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Couples and their children, as a story tells them."""
    told = _COUPLE.findall(story)
    return [(frozenset((first, second)), frozenset(re.findall("[A-Z][a-z]+", children))) for first, second, children in told]


def relation(story: str, first: str, second: str) -> str | None:
    """What `first` is to `second`, in one word; None where the words of `RELATIONS` have no name for it."""
    couples = families(story)
    parents = {child: couple for couple, children in couples for child in children}
    none: frozenset[str] = frozenset()

    def grandparents(person: str) -> frozenset[str]:
        return none.union(*(parents.get(parent, none) for parent in parents.get(person, none)))

    tests = {
        "parent": first in parents.get(second, none),
        "child": second in parents.get(first, none),
        "spouse": frozenset((first, second)) in [couple for couple, _ in couples],
        "sibling": first in parents and parents[first] == parents.get(second),
        "grandparent": first in grandparents(second),
        "aunt or uncle": bool(parents.get(first, none) & grandparents(second)),
        "niece or nephew": bool(parents.get(second, none) & grandparents(first)),
    }
    return next((RELATIONS[kind][first in WOMEN] for kind, holds in tests.items() if holds), None)


def _story(entry: Entry) -> str:
    return entry["question"].partition("\n\n")[0]


def _family_latent(entry: Entry) -> str:
    facts = sorted(f"{'+'.join(sorted(couple))}>{'+'.join(sorted(children))}" for couple, children in families(_story(entry)))
    return f"family {' '.join(facts)} {entry['metadata']['person1']} {entry['metadata']['person2']}"


def _family_fair(entry: Entry) -> bool:
    return relation(_story(entry), entry["metadata"]["person1"], entry["metadata"]["person2"]) == entry["answer"]


_RELATION_WORDS = tuple(itertools.chain(*RELATIONS.values()))


# Knights and knaves


def _statement(statement: Any, order: tuple[int, ...]) -> str:
    """A statement with person p called order[p], in normal form."""
    kind, *parts = statement
    if kind in ("telling-truth", "lying"):
        return f"{'-' * (kind == 'lying')}{order[parts[0]]}"
    inner = [_statement(part, order) for part in parts]
    if kind == "not":
        return inner[0][1:] if inner[0].startswith("-") else f"-{inner[0]}"
    return f"({kind} {' '.join(inner if kind == '->' else sorted(inner))})"


def _knights_latent(entry: Entry) -> str:
    statements = entry["metadata"]["statements"]
    orders = itertools.permutations(range(len(statements)))
    return "knights " + min("; ".join(sorted(f"{order[p]}: {_statement(s, order)}" for p, s in enumerate(statements))) for order in orders)


def _knights_kept(entry: Entry) -> dict[str, Any]:
    terms = entry["metadata"]["knight_knave_terms"]
    return {"names": list(map(str, entry["metadata"]["names"])), "roles": [str(terms["a_knight"]), str(terms["a_knave"])]}


def _told(names: list[str], roles: list[str]) -> str:
    told = [f"{name} is {role}" for name, role in zip(names, roles, strict=True)]
    return f"{', '.join(told[:-1])}, and {told[-1]}."


def _knights_answer(text: str, facts: Facts) -> str | None:
    """``Ann is a knight, and Bob is a knave.``: each name once, in any order; commas, "and" or lines between."""
    names = {name.lower(): name for name in facts["metadata"]["names"]}
    roles = {role.split()[1]: role for role in facts["metadata"]["roles"]}
    parts = [part for part in re.split(r" *(?:,\s*and\s|,|\sand\s|\n)\s*", text.lower().removesuffix(".")) if part]
    found = [re.fullmatch(r"([a-z]+) is an? ([a-z]+)", part) for part in parts]
    pairs = {match[1]: match[2] for match in found if match}
    if len(pairs) != len(parts) or set(pairs) != set(names) or not set(pairs.values()) <= set(roles):
        return None
    return _told(list(names.values()), [roles[pairs[name]] for name in names])


def _one_mistaken(facts: Facts, rng: random.Random) -> str:
    """One person takes the other role."""
    names, roles = facts["metadata"]["names"], facts["metadata"]["roles"]
    right = [roles[f"{name} is {roles[1]}" in facts["answer"]] for name in names]
    place = rng.randrange(len(names))
    right[place] = roles[right[place] == roles[0]]
    return _told(names, right)


# Needles, paths and cubes


def _statements(entry: Entry) -> list[str]:
    return entry["question"].partition("\n")[0].strip().removesuffix(".").split(". ")


def _needle_latent(entry: Entry) -> str:
    return f"needle {'. '.join(sorted(_statements(entry)))}. {entry['metadata']['question']}"


def _needle_fair(entry: Entry) -> bool:
    asked = entry["metadata"]["question"].removeprefix("Who").partition("?")[0]
    return sum(statement.endswith(asked) for statement in _statements(entry)) == 1


def _needle_kept(entry: Entry) -> dict[str, Any]:
    return {"names": sorted({statement.split()[0] for statement in _statements(entry)})}


def _path_latent(entry: Entry) -> str:
    edges = re.findall(r"\|(\d+ \d+)", entry["question"].rpartition("task:")[2])
    return f"path {'|'.join(sorted(edges))} {entry['metadata']['center']} {entry['metadata']['goal']}"


def _cube_latent(entry: Entry) -> str:
    metadata = entry["metadata"]
    colors = " ".join(f"{side}={color}" for side, color in sorted(metadata["initial_state"].items()))
    return f"cube {colors} {' '.join(metadata['rotations'])} {metadata['target_side']}"


def _cube_kept(entry: Entry) -> dict[str, Any]:
    return {"colors": sorted(entry["metadata"]["initial_state"].values())}


class QA(Gym):
    domain = "qa"
    version = 2
    answer_tokens = 320
    sources = (
        Source(
            "family_relationships",
            20,
            tuple(
                {"min_family_size": least, "max_family_size": most, "male_names": MEN, "female_names": WOMEN}
                for least, most in ((4, 5), (6, 8), (9, 11))
            ),
            _family_latent,
            word,
            lambda facts, rng: other(_RELATION_WORDS, facts, rng),
            fair=_family_fair,
        ),
        Source(
            "knights_knaves",
            20,
            ({"n_people": 2, "depth_constraint": 3}, {"n_people": 3}, {"n_people": 3, "depth_constraint": 3}),
            _knights_latent,
            _knights_answer,
            _one_mistaken,
            _knights_kept,
        ),
        Source(
            "needle_haystack",
            20,
            tuple({"min_num_statements": least, "max_num_statements": most} for least, most in ((8, 15), (20, 35), (40, 60))),
            _needle_latent,
            word,
            lambda facts, rng: other(facts["metadata"]["names"], facts, rng),
            _needle_kept,
            _needle_fair,
        ),
        Source(
            "path_star",
            20,
            tuple({"degree": degree, "min_path_length": degree - 1, "max_path_length": degree, "node_range": 1000} for degree in (3, 4, 5)),
            _path_latent,
            integers,
            swapped,
        ),
        Source(
            "color_cube_rotation",
            20,
            ({"max_rotations": 1}, {"min_rotations": 2, "max_rotations": 2}, {"min_rotations": 3, "max_rotations": 4}),
            _cube_latent,
            word,
            lambda facts, rng: other(facts["metadata"]["colors"], facts, rng),
            _cube_kept,
        ),
    )
