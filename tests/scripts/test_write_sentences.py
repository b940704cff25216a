"""Which lines of what the model wrote become the corpus of everyday/cw."""

from __future__ import annotations

import pytest
import write_sentences
from write_sentences import COMMON, EXAMPLES, kept, prompt


def test_only_short_plain_sentences_of_common_words_are_kept() -> None:
    good = [f"The {word} was near the {other}." for word in ("moon", "road", "cat") for other in ("lake", "door", "hill")]
    odd = ["The moon.", "the moon was near the lake.", "The moon was near the lake", "The moon, the road was near.", "The moon was 2 near.",
           "The moon was near the zeppelin.", "The moon was near the lake was near the lake was near.", ""]  # fmt: skip
    assert COMMON == 5
    assert kept(good * 2 + odd) == sorted(good)


def test_words_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["The moon is dead now.", "The moon is bright now."] * 6
    assert kept(lines) == ["The moon is bright now."]
    monkeypatch.setattr(write_sentences, "LEFT_OUT", frozenset())
    assert kept(lines) == sorted(set(lines))


def test_a_prompt_ends_with_the_word_after_all_examples() -> None:
    first, second = prompt("river", 0), prompt("river", 1)
    assert first.endswith("\nriver:")
    assert all(example in first and example in second for example in EXAMPLES)
    assert first != second, "in another order"
