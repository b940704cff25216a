"""micro/qa: questions answered again by following the facts of the prompt."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from tasks.micro import qa
from tasks.micro.qa import QA
from tasks.micro.vocabulary import WORDS
from tasks.task import Item

TASK = QA()
THREE = Item("qa", "Moon>RainCake:MoonRain:CakeRain>Sock?Cake:>:=", "Cake", "", 3, ("Moon", "Rain", "Cake"))
TWO = Item("qa", "Moon>RainRain:CakeMoon:Sock?Moon>:=", "Cake", "", 2, ("Rain", "Cake"))
ONE = Item("qa", "Moon>RainRain:CakeMoon:Sock?Moon:=", "Sock", "", 1, ("Sock",))


def read(prompt: str) -> tuple[list[tuple[str, str, str]], str, str]:
    """Facts (key, relation, value), start and relations of a prompt."""
    word = "([A-Z][a-z]+)"
    match = re.fullmatch(rf"((?:{word}[>:]{word})+)\?{word}([>:]+)=", prompt)
    assert match is not None, prompt
    return re.findall(rf"{word}([>:]){word}", match[1]), match[4], match[5]


def followed(prompt: str) -> list[str]:
    """The words on the way, the answer last."""
    facts, word, relations = read(prompt)
    way = []
    for relation in relations:
        (word,) = {value for key, via, value in facts if (key, via) == (word, relation)}
        way.append(word)
    return way


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(4_000)]


def test_reading_by_hand() -> None:
    assert read(TWO.prompt) == ([("Moon", ">", "Rain"), ("Rain", ":", "Cake"), ("Moon", ":", "Sock")], "Moon", ">:")
    assert followed(TWO.prompt) == ["Rain", "Cake"]


def test_prompts_lead_to_the_canonical_answer(drawn: list[Item]) -> None:
    for item in drawn:
        way = followed(item.prompt)
        assert item.answer == way[-1]
        assert list(item.facts) == way
        assert item.level == len(way)
        assert TASK.score(item, item.answer) == 1.0


def test_facts_are_five_to_seven_over_six_words_and_never_contradict_each_other(drawn: list[Item]) -> None:
    sizes = Counter()
    for item in drawn:
        facts, _, _ = read(item.prompt)
        sizes[len(facts)] += 1
        assert len({(key, relation) for key, relation, _ in facts}) == len(facts)
        assert all(key != value for key, _, value in facts)
        words = {word for key, _, value in facts for word in (key, value)}
        assert words <= set(WORDS)
        assert len(words) <= 6
    assert set(sizes) == {5, 6, 7}
    assert min(sizes.values()) > 0.2 * len(drawn)


def test_a_path_visits_no_word_twice(drawn: list[Item]) -> None:
    for item in drawn:
        _, start, _ = read(item.prompt)
        assert len({start, *item.facts}) == 1 + len(item.facts)


def test_the_relation_is_needed(drawn: list[Item]) -> None:
    """The asked key often has the other relation too, and the answer is often a key as well: neither gives it away."""
    both = ends = 0
    for item in drawn:
        facts, start, relations = read(item.prompt)
        keys = {(key, relation) for key, relation, _ in facts}
        both += (start, ">:".replace(relations[0], "")) in keys
        ends += any(key == item.facts[-1] for key, _ in keys)
    assert both > 0.3 * len(drawn)
    assert ends > 0.3 * len(drawn)


def test_levels_are_one_to_three_hops(drawn: list[Item]) -> None:
    levels = Counter(item.level for item in drawn)
    assert levels[1] / len(drawn) == pytest.approx(1 / 7, abs=0.03)
    assert levels[2] / len(drawn) == pytest.approx(3 / 7, abs=0.03)
    assert levels[3] / len(drawn) == pytest.approx(3 / 7, abs=0.03)
    generator = random.Random(0)
    balanced = Counter(TASK.draw_balanced(generator).level for _ in range(1_000))
    assert balanced[1] > balanced[2] > 200


def test_latents_are_questions_whatever_the_order_of_facts(drawn: list[Item]) -> None:
    def question(item: Item) -> tuple[frozenset[tuple[str, str, str]], str, str]:
        facts, start, relations = read(item.prompt)
        return frozenset(facts), start, relations

    pairs = {(question(item), item.latent) for item in drawn}
    assert len(pairs) == len({asked for asked, _ in pairs}) == len({latent for _, latent in pairs})
    words = TWO.prompt.split("?")
    assert question(TWO) != question(ONE)
    reordered = Item("qa", f"Moon:SockMoon>RainRain:Cake?{words[1]}", "", "", 2)
    assert question(reordered) == question(TWO)


def test_the_order_of_facts_leaves_the_latent_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question about one graph, with its facts in two orders."""
    facts = {("Moon", ">"): "Rain", ("Rain", ":"): "Cake", ("Moon", ":"): "Sock", ("Cake", ">"): "Gold", ("Sock", ">"): "Rain"}
    asked = []
    for order in (list(facts.items()), sorted(facts.items(), reverse=True)):
        monkeypatch.setattr(qa, "_graph", lambda rng, order=order: dict(order))
        items = [TASK.draw(random.Random(seed)) for seed in range(200)]
        asked.append({item.prompt.partition("?")[2]: item for item in items})
    assert asked[0].keys() == asked[1].keys()
    assert len(asked[0]) > 5
    assert all(asked[0][question].prompt != asked[1][question].prompt for question in asked[0])
    assert all(asked[0][question].latent == asked[1][question].latent for question in asked[0])
    assert len({item.latent for item in asked[0].values()}) == len(asked[0]), "start and relations are part of the latent"


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("Cake", 1.0),
        ("RainCake", 0.0),  # the way there, where only the answer was asked for
        ("CakeCake", 0.0),
        ("MoonRainSockCake", 0.0),
        ("Rain", 0.0),  # one hop only
        ("Moon", 0.0),
        ("Sock", 0.0),  # the other relation
        ("CakeRain", 0.0),
        ("Snow", 0.0),  # a word that no fact has
        ("", None),
        ("cake", None),
        ("Cak", None),
        ("Rain,Cake", None),
        ("Rain Cake", None),
        ("Cake=", None),
        ("Ann", None),  # no word of the vocabulary
        ("RainCakeRainCakeRain", None),  # more words than an answer may have
        ("Cake" * 5_000, None),
    ],
)
def test_two_hops_by_hand(answer: str, score: float | None) -> None:
    assert TASK.score(TWO, answer) == score


@pytest.mark.parametrize(("answer", "score"), [("Sock", 1.0), ("Rain", 0.0), ("RainSock", 0.0), ("SockRain", 0.0), ("", None)])
def test_one_hop_by_hand(answer: str, score: float | None) -> None:
    assert TASK.score(ONE, answer) == score


def test_low_quality_demonstrations_show_the_whole_way() -> None:
    assert TASK.demonstrate(THREE, random.Random(0), 1.0) == "Cake"
    assert TASK.demonstrate(THREE, random.Random(0), 0.0) == "MoonRainCake"
    assert TASK.demonstrate(ONE, random.Random(0), 0.0) == TASK.demonstrate(ONE, random.Random(0), 1.0) == "Sock"


def test_misread_demonstrations_are_words_on_the_way() -> None:
    generator = random.Random(0)
    found = Counter(TASK.demonstrate(THREE, generator, 0.0, 0.5) for _ in range(2_000))
    assert set(found) == {"Moon", "Rain", "MoonRainCake"}
    assert found["MoonRainCake"] / 2_000 == pytest.approx(0.5, abs=0.05)
    assert found["Moon"] / found["Rain"] == pytest.approx(1.0, abs=0.25)
    assert TASK.demonstrate(ONE, generator, 0.0, 1.0) == "Sock"
