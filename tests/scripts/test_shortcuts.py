"""scripts/shortcuts.py: every shortcut does what its words say, on items where that can be seen."""

from __future__ import annotations

import pytest
import shortcuts as script

from bench.suite import load_suite
from tasks.task import Item

PASSAGE = "Tom is with Anna. Ben is in the attic. Anna has the lamp. Anna is in the kitchen. Ben has the key."


def question(text: str, answer: str, *rivals: str) -> Item:
    return Item("qa", f"{PASSAGE} {text}", answer, "", 1, list(rivals))


def test_the_sum_of_a_story() -> None:
    assert script.sum_of_all(Item("math", "Tom has 14 apples. He sells 5. How many?", "14-5=9", "", 1, {})) == "19"


@pytest.mark.parametrize(
    ("program", "first"), [("[3, 12, 5][1:]", "[3, 12, 5]"), ('"frog" + "honey"', "frog"), ("max([7, 1])", "[7, 1]"), ("8 - 3", "8")]
)
def test_the_first_literal_of_a_program(program: str, first: str) -> None:
    assert script.first_literal(Item("code", f"What does this Python code print?\n\nprint({program})", "", "", 1, {})) == first


def test_a_question_is_answered_from_a_sentence_that_shares_a_word_with_it() -> None:
    assert script.same_sentence(question("Where is Anna?", "kitchen", "attic")) == "kitchen"
    assert script.same_sentence(question("Who has the key?", "Ben", "Anna", "Tom")) == "Ben"
    assert script.same_sentence(question("Where is Tom?", "kitchen", "attic")) == "attic", "the first one of the passage"


def test_a_question_is_answered_by_the_nearest_word_of_its_kind() -> None:
    assert script.nearest(question("Where is Tom?", "kitchen", "attic")) == "attic"
    assert script.nearest(question("Who has the key?", "Ben", "Anna", "Tom")) == "Ben"
    assert script.nearest(question("Which thing does Anna have?", "lamp", "key")) == "lamp"


def test_sentences_take_both_words() -> None:
    item = Item("cw", "", "", "", 2, [("word", "moon"), ("word", "road"), ("length", 6)])
    assert script.filled("The {} is on the {}.", item) == ["The moon is on the road.", "The road is on the moon."]


def test_a_table_of_sentences_is_better_than_one() -> None:
    suite = load_suite("everyday")
    task, items = suite.loaded_tasks["cw"], suite.items("cw", "test")[:64]
    one, table = (sum(task.score(item, answer(item)) for item in items) for answer in (script.one_sentence, script.by_constraints))
    assert 16 < one < table < 64


def test_every_domain_of_the_suite_has_a_shortcut() -> None:
    assert set(script.SHORTCUTS) == set(load_suite("everyday").domains)
