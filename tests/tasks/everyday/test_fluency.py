"""The guard against word salad: its probabilities by hand, and what it accepts of sentences that it has not seen."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tasks.everyday import fluency
from tasks.everyday.fluency import EDGE, Bigrams, sentences, words_of

TOY = Bigrams([["a", "b"], ["a", "c"]])
"""Pairs: edge a (twice), a b, a c, b edge, c edge."""


def test_probabilities_by_hand() -> None:
    alone = 0.99 * 1 / 5 + 0.01 / 50_000
    assert TOY.probability("a", EDGE) == pytest.approx((2 - 0.75) / 2 + 0.75 * 1 / 2 * alone)
    assert TOY.probability("b", "a") == pytest.approx((1 - 0.75) / 2 + 0.75 * 2 / 2 * alone)
    assert TOY.probability("b", "z") == pytest.approx(alone), "nothing is known of z"
    assert TOY.probability("z", "a") == pytest.approx(0.75 * 2 / 2 * 0.01 / 50_000)


def test_probabilities_sum_to_one() -> None:
    for previous in (EDGE, "a", "b", "z"):
        known = sum(TOY.probability(word, previous) for word in ("a", "b", "c", EDGE))
        assert known + 50_000 * TOY.probability("unknown", previous) == pytest.approx(1, abs=1e-5)


def test_bits_are_a_mean_over_words_and_the_end() -> None:
    import math

    steps = [("a", EDGE), ("b", "a"), (EDGE, "b")]
    assert TOY.bits(["a", "b"]) == pytest.approx(-sum(math.log2(TOY.probability(*step)) for step in steps) / 3, abs=1e-6)


@pytest.fixture(scope="module")
def held_out() -> tuple[Bigrams, list[list[str]], list[str]]:
    """A model of nine tenths of the corpus, some of the other sentences, and all words as often as they occur."""
    corpus = list(map(words_of, sentences()))
    random.Random(0).shuffle(corpus)
    cut = len(corpus) * 9 // 10
    return Bigrams(corpus[:cut]), corpus[cut:][:400], [word for words in corpus for word in words]


def test_unseen_sentences_are_fluent(held_out) -> None:
    model, unseen, _ = held_out
    assert sum(map(model.fluent, unseen)) > 0.85 * len(unseen)


def test_the_same_words_in_another_order_are_not(held_out) -> None:
    model, unseen, _ = held_out
    order = random.Random(1)
    shuffled = [order.sample(words, len(words)) for words in unseen]
    assert sum(model.fluent(words) for words in shuffled) < 0.08 * len(unseen)


def test_words_drawn_at_random_are_not(held_out) -> None:
    model, _, words = held_out
    order = random.Random(2)
    assert sum(model.fluent(order.choices(words, k=order.randint(5, 9))) for _ in range(400)) < 0.06 * 400


@pytest.mark.parametrize(
    "text",
    [
        "The country of the cow of the of",
        "The the the the country of the cow",
        "The the the the",
        "A a a a",
        "The of the moon of the road of the",
        "There was the moon and the road was there was",
        "The moon of the road of the river",
        "The moon moon is bright",
    ],
)
def test_common_words_without_sense_are_not(text: str) -> None:
    """What a policy might find: each has few bits a word."""
    assert fluency.model().bits(words_of(text)) < fluency.MAX_BITS
    assert not fluency.model().fluent(words_of(text))


def test_plain_sentences_are() -> None:
    for text in ("She saw the moon and the road", "The moon is bright above the empty road", "We went to the park in the morning"):
        assert fluency.model().fluent(words_of(text))


def test_the_verdict_does_not_depend_on_what_came_before(held_out) -> None:
    model, unseen, _ = held_out
    assert [model.fluent(words) for words in unseen[:50]] == [model.fluent(words) for words in reversed(unseen[:50])][::-1]


def test_the_corpus_is_simple_sentences_each_once() -> None:
    assert len(set(sentences())) == len(sentences()) > 5_000
    for sentence in sentences():
        assert sentence[0].isupper() and sentence.endswith(".")
        assert 4 <= len(sentence.split()) <= 10


def test_another_corpus_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sentences.txt").write_text("The cat sat on the mat.\n")
    monkeypatch.setattr(fluency, "CORPUS", tmp_path / "sentences.txt")
    with pytest.raises(RuntimeError, match="reinstall the package"):
        fluency.sentences.__wrapped__()
