"""everyday/cw: constraints checked again by the tests, and how sentences are graded."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter

import pytest

from tasks.everyday.cw import CW, nouns
from tasks.everyday.fluency import sentences
from tasks.task import Item, split_of

TASK = CW()


@pytest.fixture(scope="module")
def drawn() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(1_500)]


def asked(prompt: str) -> dict[str, object]:
    """What a prompt asks for, read from its text."""
    match = re.fullmatch(
        r'Write one sentence(?: of (\d+) words)? with the words "(\w+)" and "(\w+)"\.'
        r"(?: Begin with the letter ([A-Z])\.)?(?: Do not use the letter ([A-Z])\.)?",
        prompt,
    )
    assert match is not None, prompt
    length, one, other, begin, without = match.groups()
    return {"length": length and int(length), "words": {one, other}, "begin": begin, "without": without}


def broken(prompt: str, sentence: str) -> int:
    """How many constraints a sentence breaks."""
    wanted, words = asked(prompt), re.findall("[a-z]+", sentence.lower())
    count = len(wanted["words"] - set(words))
    count += wanted["length"] is not None and len(words) != wanted["length"]
    count += wanted["begin"] is not None and not sentence.startswith(wanted["begin"])
    count += wanted["without"] is not None and wanted["without"].lower() in sentence.lower()
    return count


def test_canonical_sentences_keep_every_constraint(drawn: list[Item]) -> None:
    for item in drawn:
        assert broken(item.prompt, item.answer) == 0
        assert TASK.score(item, item.answer) == 1.0
    own = sum(item.answer in sentences() for item in drawn)
    assert 0.3 * len(drawn) < own < 0.8 * len(drawn), "some are the corpus's, others made from templates"


def test_levels_add_constraints(drawn: list[Item]) -> None:
    for item in drawn:
        given = [asked(item.prompt)[name] is not None for name in ("length", "begin", "without")]
        assert given == [item.level > 1, item.level > 2, item.level > 3]


def test_fluent_sentences_are_graded_by_what_they_break(drawn: list[Item]) -> None:
    """Each item's prompt with the sentences of others, most of which break something."""
    seen = Counter()
    for item, other in itertools.pairwise(drawn):
        score = TASK.score(item, other.answer)
        assert score == {0: 1.0, 1: 0.5}.get(broken(item.prompt, other.answer), 0.0)
        seen[score] += 1
    assert seen[0.0] > 1_000


def test_half_a_point_for_one_of_two_words(drawn: list[Item]) -> None:
    half = 0
    for item in (item for item in drawn if item.level == 1):
        one, _ = sorted(asked(item.prompt)["words"])
        sentence = next((s for s in sentences() if re.search(rf"\b{one}\b", s.lower()) and broken(item.prompt, s) == 1), None)
        half += sentence is not None and TASK.score(item, sentence) == 0.5
    assert half > 100


def test_salad_scores_nothing(drawn: list[Item]) -> None:
    order = random.Random(0)
    scores = []
    for item in drawn:
        words = item.answer.lower().rstrip(".").split()
        order.shuffle(words)
        scores.append(TASK.score(item, " ".join(words).capitalize() + "."))
    assert sum(score == 0.0 for score in scores) > 0.85 * len(scores)


def test_no_sentence_that_is_shown_has_the_words_of_a_test_item(drawn: list[Item]) -> None:
    train = [TASK.item("train", 0, index) for index in range(300)]
    shown = {TASK.demonstrate(item, random.Random(index), quality) for index, item in enumerate(train) for quality in (0.0, 1.0)}
    words = [set(re.findall("[a-z]+", sentence.lower())) for sentence in shown]
    assert len(shown.intersection(sentences())) > 200
    for item in TASK.distinct("test", 0, 300):
        assert set(item.latent.split()) == asked(item.prompt)["words"]
        assert not any(asked(item.prompt)["words"] <= own for own in words), item


def test_low_quality_breaks_something(drawn: list[Item]) -> None:
    for place, item in enumerate(drawn[:300]):
        shown = TASK.demonstrate(item, random.Random(place), 0.0)
        assert shown in sentences()
        assert TASK.score(item, shown) in (0.0, 0.5)


def test_there_are_pairs_enough_for_two_test_sets() -> None:
    test = [split_of("cw", " ".join(pair)) for pair in itertools.combinations(nouns(), 2)]
    assert min(test.count("test"), test.count("reserve")) > 8_192
    assert {"moon", "road", "river", "table"} <= set(nouns())
    assert not {"the", "bright", "quickly", "is", "went"} & set(nouns())


@pytest.mark.parametrize(
    "answer",
    ["", "The moon", "the moon is bright.", "The moon, the road.", "The moon is bright. The road is dark.", "The moon is 2 far.",
     "“The moon.”", "The moon is bright.\nThe", "Sure! Here it is.", "The  moon.", "Thé moon."],
)  # fmt: skip
def test_what_is_not_one_plain_sentence_cannot_be_parsed(answer: str, drawn: list[Item]) -> None:
    assert TASK.score(drawn[0], answer) is None
