"""micro/qa: questions answered again by following the facts that the prompt tells."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from tasks.micro.qa import QA
from tasks.micro.vocabulary import NAMES
from tasks.task import Item

TASK = QA()
TWO = Item("qa", "CidDan,AnnBob,KimLou,BobEva??Ann", "BobEva", "AnnBob BobEva CidDan KimLou 2 Ann", 2, "Eva")
ONE = Item("qa", "CidDan,AnnBob,BobEva?Ann", "Bob", "AnnBob BobEva CidDan 1 Ann", 1, "Bob")


def read(prompt: str) -> tuple[list[tuple[str, str]], int, str]:
    """Facts, hops and key of a prompt."""
    name = "([A-Z][a-z]+)"
    match = re.fullmatch(rf"(.+?)(\?\??){name}", prompt)
    assert match is not None, prompt
    facts = [re.fullmatch(name + name, fact) for fact in match[1].split(",")]
    assert all(facts), prompt
    return [(fact[1], fact[2]) for fact in facts if fact], len(match[2]), match[3]


def question(prompt: str) -> tuple[frozenset[tuple[str, str]], int, str]:
    """What is asked, whatever the order of the facts."""
    facts, hops, key = read(prompt)
    return frozenset(facts), hops, key


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(21_000)]


def test_reading_by_hand() -> None:
    assert read("CidDan,AnnBob,BobEva??Ann") == ([("Cid", "Dan"), ("Ann", "Bob"), ("Bob", "Eva")], 2, "Ann")
    assert question("AnnBob,CidDan?Ann") == question("CidDan,AnnBob?Ann") != question("AnnBob,CidDan??Ann")


def test_prompts_lead_to_the_canonical_answer(drawn: list[Item]) -> None:
    for item in drawn:
        facts, hops, key = read(item.prompt)
        follow = dict(facts)
        path = [follow[key]]
        if hops == 2:
            path.append(follow[path[0]])
        assert item.answer == "".join(path)
        assert item.level == hops
        assert {name for fact in facts for name in fact} <= set(NAMES)


def test_facts_never_contradict_each_other(drawn: list[Item]) -> None:
    for item in drawn:
        facts, _, _ = read(item.prompt)
        assert 3 <= len(facts) <= 6
        assert len({first for first, _ in facts}) == len({second for _, second in facts}) == len(facts)
    assert {len(read(item.prompt)[0]) for item in drawn} == {3, 4, 5, 6}


def test_both_hops_are_asked_and_one_hop_keys_are_no_giveaway(drawn: list[Item]) -> None:
    one = [read(item.prompt) for item in drawn if item.level == 1]
    assert 0.3 < len(one) / len(drawn) < 0.5
    starts = sum(dict(facts)[key] in dict(facts) for facts, _, key in one)
    assert 0.2 < starts / len(one) < 0.6, "one-hop keys are heads of chains as well as other names"


def test_the_asked_fact_stands_anywhere(drawn: list[Item]) -> None:
    places = [[first for first, _ in facts].index(key) for facts, _, key in (read(item.prompt) for item in drawn) if len(facts) == 6]
    assert {places.count(place) > 0.1 * len(places) for place in range(6)} == {True}


def test_latents_are_questions_whatever_the_order_of_facts(drawn: list[Item]) -> None:
    latents = {(question(item.prompt), item.latent) for item in drawn}
    assert len(latents) == len({asked for asked, _ in latents}) == len({latent for _, latent in latents})
    assert len(latents) >= 20_000


class Decided(random.Random):
    """The same draws, but shares fall the same way each time and the key is chosen by its place."""

    def __init__(self, seed: int, share: float, place: int) -> None:
        super().__init__(seed)
        self.share, self.place = share, place

    def random(self) -> float:
        return self.share

    def getrandbits(self, k: int) -> int:
        return super().getrandbits(k)

    def choice(self, seq: list) -> object:
        return super().choice(seq) if isinstance(seq[0], int) else seq[self.place % len(seq)]


def test_hops_and_key_are_part_of_the_latent() -> None:
    for seed in range(50):
        found = [TASK.draw(Decided(seed, share, place)) for share, place in ((0.99, 0), (0.99, 1), (0.0, 0))]
        asked = [question(item.prompt) for item in found]
        assert len({facts for facts, _, _ in asked}) == 1
        assert [hops for _, hops, _ in asked] == [1, 1, 2]
        assert len(set(asked)) == len({item.latent for item in found}) == 3
    # and the same key with one hop and with two
    same_key = 0
    for seed, place in itertools.product(range(50), range(6)):
        one, two = TASK.draw(Decided(seed, 0.99, place)), TASK.draw(Decided(seed, 0.0, 0))
        if question(one.prompt)[2] == question(two.prompt)[2]:
            same_key += 1
            assert one.latent != two.latent
    assert same_key >= 50


class Unshuffled(random.Random):
    """The same draws, but facts stay in the order in which they are made."""

    def shuffle(self, x: list) -> None:
        super().shuffle(list(x))


def test_the_order_of_facts_leaves_the_latent_alone() -> None:
    other_order = 0
    for seed in range(200):
        # a one-hop key is chosen by its place among the shuffled facts, a two-hop key is not
        shuffled, made = TASK.draw(random.Random(seed)), TASK.draw(Unshuffled(seed))
        if shuffled.level == 2:
            other_order += shuffled.prompt != made.prompt
            assert shuffled.latent == made.latent
    assert other_order > 50


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Eva", 1.0),
        ("BobEva", 1.0),
        ("DanEva", 1.0),  # the last name is scored, the bridge is not
        ("Bob", 0.0),  # one hop only
        ("Ann", 0.0),
        ("EvaBob", 0.0),
        ("BobBob", 0.0),
        ("Lou", 0.0),
        ("Zed", 0.0),  # a name that no fact tells
        ("", None),
        ("eva", None),
        ("EVA", None),
        ("Ev", None),
        ("Eve", None),
        ("Evan", None),
        ("AnnBobEva", None),
        ("Bob,Eva", None),
        ("Bob Eva", None),
        ("Eva?", None),
        ("Snow", None),  # a word, not a name
        ("Eva" * 5_000, None),
    ],
)
def test_two_hops_by_hand(answer: str, score: float | None) -> None:
    assert TASK.score(TWO, answer) == score


@pytest.mark.parametrize(("answer", "score"), [("Bob", 1.0), ("Eva", 0.0), ("BobEva", 0.0), ("Ann", 0.0), ("Dan", 0.0), ("", None)])
def test_one_hop_by_hand(answer: str, score: float | None) -> None:
    assert TASK.score(ONE, answer) == score


def test_low_quality_demonstrations_omit_the_bridge() -> None:
    assert TASK.demonstrate(TWO, random.Random(0), 1.0) == "BobEva"
    assert TASK.demonstrate(TWO, random.Random(0), 0.0) == "Eva"
    assert TASK.demonstrate(ONE, random.Random(0), 0.0) == "Bob"


def test_misread_demonstrations_stop_at_the_bridge() -> None:
    assert TASK.demonstrate(TWO, random.Random(0), 0.0, 1.0) == "Bob"
    assert TASK.score(TWO, "Bob") == 0.0
    assert TASK.demonstrate(ONE, random.Random(0), 0.0, 1.0) == "Bob"
    assert TASK.score(ONE, "Bob") == 1.0
    generator = random.Random(0)
    assert sum(TASK.demonstrate(TWO, generator, 0.0, 0.3) == "Bob" for _ in range(1_000)) / 1_000 == pytest.approx(0.3, abs=0.06)
