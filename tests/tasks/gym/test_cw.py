"""gym/cw: rules by hand, what is no text, what pays nothing, and that every item has an answer."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.gym import lexicon
from tasks.gym.base import final_answer, tagged
from tasks.gym.cw import CW, FORMS, GROUPS
from tasks.gym.rules import COPIED, KEEPS, WORDINGS, Rule, Text, is_text, words_of
from tasks.task import Item

TASK = CW()
POEM = "Slowly the ship leaves the harbor\nSome gulls are calling after it\nSalt is on the wind tonight"
PROSE = "The harbor was quiet, and no ship came. Why did the old sailor wait? He didn't say!"


def keeps(kind: str, *parameters: object, text: str) -> bool:
    return KEEPS[kind](Text.of(text), *parameters)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    generator = random.Random(0)
    return [TASK.draw(generator) for _ in range(3_000)]


def test_words_by_hand() -> None:
    assert words_of("The half-open door doesn’t creak: 3 times, O'Neil!") == [
        "the",
        "half-open",
        "door",
        "doesn't",
        "creak",
        "times",
        "o'neil",
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (PROSE, 3),
        ("One. Two! Three?", 3),
        ("One... and two.", 2),
        ("It was 3.5 miles. Far.", 2),
        ('He said "no." Then he left.', 2),
        ("No end", 1),
        ("One. and a rest", 2),
        ("One.\nTwo.\n", 2),
        ("a.b is no end.", 1),
        ("One. !!! ?", 1),
    ],
)
def test_sentences_by_hand(text: str, count: int) -> None:
    assert keeps("sentences", count, text=text) and not keeps("sentences", count + 1, text=text)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (("length", 3, 4), "one two three", "one two"),
        (("length", 3, 4), "one two three four", "one two three four five"),
        (("lines", 2), "one\n\ntwo\n", "one\ntwo\nthree"),
        (("bullets", 2), "- one\n- two", "- one\ntwo"),
        (("bullets", 2), "* one\n• two", "-one\n-two"),
        (("bullets", 2), "- one\n- two\n", "Here:\n- one\n- two"),
        (("acrostic", "sun"), "Slow\nunder\nNever", "Slow\nnever\nunder"),
        (("acrostic", "sun"), "Slow\n\nUnder\nNever", "Slow\nUnder\nNever\nMore"),
        (("include", "gull", "salt"), "Salt and a gull.", "Salt and gulls."),
        (("exclude", "gull", "salt", "net"), "Gulls are here", "A Gull is here"),
        (("times", "gull", 2), "Gull, gull, gulls", "Gull, gull, GULL"),
        (("times", "gull", 2), "gull-gull gull gull", "gull"),
        (("lowercase",), "all small, 3 times", "All small"),
        (("uppercase",), "ALL BIG, 3 TIMES", "ALL BIg"),
        (("commas",), "one and two; three", "one, two"),
        (("longest", 6), "winter is long", "winters are long"),
        (("without", "b"), "no such letter", "a Boat"),
        (("end", "and that is all"), "So it was, and that is all.", "So it was, and that is all of it."),
        (("end", "and that is all"), 'He said: "And that\nis all!"', "Grand that is all"),
        (("end", "and that is all"), "- and so on\n- AND THAT IS ALL", "and that is all 5"),
        (("begin", "slowly"), "Slowly it came", "It slowly came"),
        (("begin", "slowly"), "- Slowly it came", "Slow it came"),
        (("first", "s"), "Slow\nstars\n- Shine", "Slow\nthe stars"),
        (("first", "s"), "- slow\n- stars", "- slow\n- the stars"),
        (("width", 3), "one two three\n- four five six", "one two three four"),
        (("repeats",), "the ship\nthe sea", "the ship on the sea"),
        (("repeats",), "no twice here", "The ship and the sea"),
    ],
)
def test_rules_one_by_one(rule: Rule, good: str, bad: str) -> None:
    assert keeps(*rule, text=good)
    assert not keeps(*rule, text=bad)


HARBOR = Item(
    "cw",
    'Write a short text about the topic "harbor", and use that word in it. Follow these rules:\n1. Write exactly 3 lines.\n'
    '2. Use the words "gull" and "salt".\n3. End with the words "once and for all".',
    "",
    "",
    2,
    {"topic": "harbor", "rules": [["lines", 3], ["include", "gull", "salt"], ["end", "once and for all"]]},
)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("The harbor is grey tonight\nA gull sits on the old wall\nAnd the salt is gone once and for all", 1.0),
        ("The harbor is grey tonight\nA gull sits on the old wall\nAnd the salt is gone now", 0.75),  # another end
        ("The harbour is grey tonight\nA gull sits on the old wall\nAnd the salt is gone once and for all", 0.75),  # no "harbor"
        ("The harbor is grey tonight\nAnd the salt is gone with the gull once and for all", 0.75),  # two lines
        ("The harbor is grey tonight and a bird sits on the old wall", 0.25),  # nothing but the topic
        ("The town is grey tonight and a bird sits on the old wall", 0.0),
        ("The harbor\nA gull and salt\nonce and for all", 0.0),  # ten words are no text
        ("harbor gull salt\nharbor gull salt\nharbor gull salt once and for all", 0.0),  # lines come twice, words are few
        (
            "harbor gull salt rope\nanchor sailor dock crane\nship net wave once and for all",
            1.0,
        ),  # three everyday words among fourteen pass
        ("harbor gull salt rope ship\nanchor sailor dock crane net\nbell mast deck wave once shore all", 0.0),  # two do not
        ("", 0.0),
    ],
)
def test_scores_by_hand(text: str, score: float) -> None:
    assert TASK.score(HARBOR, tagged(text)) == score


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("nothing", ""),
        ("blanks", " \n \n "),
        ("too short", "The ship is in the harbor and it is late"),
        ("signs", "- . ! ? " * 20),
        ("letters that only look Latin", "Тhе ѕhiр iѕ in thе hаrbоr аnd wе аrе оn оur wау tо thе ореn ѕеа"),
        ("digits", " ".join(map(str, range(60)))),
        ("mostly digits", "the ship is in the harbor and a man is on it " + "0123456789" * 10),
        ("one word", "harbor " * 30),
        ("a phrase again and again", "the ship is in the harbor. " * 6),
        ("a line twice", "the ship is in the harbor\nit is late and we are cold\nThe ship is in the harbor!"),
        ("a sentence twice", "The ship is here. We are by the old sea wall now. The ship is here."),
        ("a list of words", "harbor gull salt rope anchor sailor dock crane net wave ship boat mast deck"),
        ("another language", "Das Schiff liegt im Hafen und die Leute gehen langsam nach Hause zum Essen heute"),
        ("words run together", "the ship is in " + "harbor" * 5 + " and we are on it with the others now"),
        ("few different words", "The ship and the ship and the sea and the ship and the sea and the sea and the ship"),
    ],
)
def test_what_is_no_text(what: str, text: str) -> None:
    assert not is_text(Text.of(text), ""), what
    assert TASK.score(HARBOR, tagged(text)) == 0.0


@pytest.mark.parametrize("text", [POEM, PROSE, POEM.upper(), POEM.replace("\n", "\n- "), "“" + PROSE + "”", POEM.replace("\n", "\n\n")])
def test_what_is_a_text(text: str) -> None:
    assert is_text(Text.of(text), HARBOR.prompt)


def test_a_text_is_at_least_12_words_and_at_most_2000_characters() -> None:
    words = "the ship is late and we are on our way to sea".split()
    assert is_text(Text.of(" ".join(words)), "") and not is_text(Text.of(" ".join(words[1:])), "")
    for length in (1_999, 2_000, 2_001):
        told = " ".join(words[:-1])
        text = told + " " * (length - len(told) - 3) + "sea"
        assert len(text) == length
        assert is_text(Text.of(text), "") is (length <= 2_000)


@pytest.mark.parametrize(
    "salad",
    [
        "Out still am into us too should village. Time on yet have upon came made been until the very end.",
        "q what come must robot\nq no though why often\nq my goes who time",
        "the robot went b to its c workshop and d mended an old brass clock there",
    ],
)
def test_little_but_common_words_or_single_letters_are_no_text(salad: str) -> None:
    assert not is_text(Text.of(salad), "")


def test_eight_words_running_from_the_prompt_are_copied() -> None:
    prompt = "Use each of these words in the text: gull, salt, rope."
    told = "use each of these words in the text"
    assert len(told.split()) == COPIED
    rest = " but never tell a fisherman why the harbour sleeps"
    assert not is_text(Text.of(told + rest), prompt)
    assert is_text(Text.of(told.rpartition(" ")[0] + rest), prompt)


@pytest.mark.parametrize("junk", ["", "no tags", "<answer>", "</answer><answer>", "<answer>one"])
def test_without_tags_there_is_no_answer(junk: str) -> None:
    assert TASK.score(HARBOR, junk) is None


# The population


def test_every_rule_has_a_check_and_two_wordings() -> None:
    kinds = {*FORMS, *(kind for group in GROUPS for kind in group)}
    assert kinds == set(KEEPS) == set(WORDINGS)
    for kind, (one, other) in WORDINGS.items():
        assert one != other and one.count("{}") == other.count("{}"), kind


def test_every_item_has_an_answer_so_no_rules_contradict(items: list[Item]) -> None:
    for item in items:
        assert TASK.score(item, item.answer) == 1.0, item
        text = Text.of(final_answer(item.answer) or "")
        assert all(KEEPS[kind](text, *parameters) for kind, *parameters in item.facts["rules"])


def test_items_have_one_form_and_one_to_three_rules_of_different_groups(items: list[Item]) -> None:
    seen: Counter[str] = Counter()
    for item in items:
        kinds = [kind for kind, *_ in item.facts["rules"]]
        seen.update(kinds)
        assert sum(kind in FORMS for kind in kinds) == 1
        assert item.level == len(kinds) - 1 in (1, 2, 3)
        assert all(sum(kind in group for kind in kinds) <= 1 for group in GROUPS)
        if set(kinds) & set(GROUPS[-1]):
            assert {"lines", "bullets"} & set(kinds)
    assert set(seen) == set(KEEPS) and min(seen.values()) > 100


def test_prompts_tell_topic_and_rules(items: list[Item]) -> None:
    for item in items[:500]:
        told = item.prompt.split("\n")
        assert told[0].startswith(f'Write a short text about the topic "{item.facts["topic"]}"')
        wanted = [[wording.format(*parameters) for wording in WORDINGS[kind]] for kind, *parameters in item.facts["rules"]]
        shown = [line.partition(". ")[2] for line in told[1 : 1 + len(wanted)]]
        assert all(any(wording in shown for wording in wordings) for wordings in wanted) and len(set(shown)) == len(wanted)


def test_latents_are_topic_and_rules_whatever_the_wording_and_order(items: list[Item]) -> None:
    asked = {(item.facts["topic"], frozenset(map(tuple, item.facts["rules"]))): item.latent for item in items}
    assert len(set(asked.values())) == len(asked) > 2_900
    shown: dict[str, set[str]] = {}
    for seed in range(300):
        rules: list[Rule] = [("lines", 3), ("commas",), ("begin", "slowly")]
        random.Random(1_000 + seed).shuffle(rules)
        item = TASK._item("clock", rules, "", random.Random(seed))
        shown.setdefault(item.latent, set()).add(item.prompt)
    assert len(shown) == 1 and len(next(iter(shown.values()))) == 6 * 8


def test_each_rule_matters_where_a_text_could_break_it(items: list[Item]) -> None:
    """An item's answer without its last word, or in other case, or with a line more, is no longer right for most rules."""
    broken: Counter[str] = Counter()
    for item in items[:1_000]:
        text = final_answer(item.answer) or ""
        for other in (
            text.swapcase(),
            f"{text}\nAnd, by the way, nobody believes extraordinary bumblebees",
            f"Big old {text}",
            text + " " + text,
        ):
            parsed = Text.of(other)
            broken.update(kind for kind, *parameters in item.facts["rules"] if not KEEPS[kind](parsed, *parameters))
    assert set(broken) >= set(KEEPS) - {"include", "exclude"}


def test_answers_to_other_items_seldom_pass(items: list[Item]) -> None:
    scores = [TASK.score(item, other.answer) for item, other in itertools.pairwise(items)]
    assert sum(score == 1.0 for score in scores) < 0.01 * len(scores)
    assert sum(scores) / len(scores) < 0.25


def test_low_quality_demonstrations_keep_the_topic_and_misread_ones_do_not(items: list[Item]) -> None:
    generator = random.Random(0)
    low_quality = [TASK.score(item, TASK.demonstrate(item, generator, 0.0)) for item in items[:300]]
    misread = [TASK.score(item, TASK.demonstrate(item, generator, 0.0, 1.0)) for item in items[:300]]
    assert 0.2 < sum(misread) / 300 + 0.1 < sum(low_quality) / 300 < 0.6
    assert max(*low_quality, *misread) < 1.0


def test_words_of_the_lexicon_are_plain_and_different() -> None:
    assert all(len(words) == len(set(words)) == 8 and topic not in words for topic, words in lexicon.TOPICS.items())
    everything = {*lexicon.TOPICS, *(word for words in lexicon.TOPICS.values() for word in words), *lexicon.NOUNS, *lexicon.VERBS}
    assert all(word.isascii() and word.isalpha() and word.islower() for word in everything)
    assert all(starter[0] == letter for letter, starters in lexicon.STARTERS.items() for starter in starters)
    assert all(letter in lexicon.STARTERS for word in lexicon.ACROSTICS for letter in word)


ITEMS = [TASK.item("test", 0, index) for index in range(30)]


@settings(max_examples=200, deadline=None, database=None)
@given(st.data())
def test_scores_are_total(data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(ITEMS))
    anything = st.text(st.characters(codec=None))
    words = st.lists(st.sampled_from([*lexicon.NOUNS, "the", "and", "\n", ". ", "- ", ","]), max_size=60).map(" ".join)
    text = data.draw(anything | words | st.builds(lambda text, count: text * count, anything | words, st.integers(1, 3_000)))
    for written in (text, tagged(text), tagged(text + (final_answer(item.answer) or ""))):
        score = TASK.score(item, written)
        assert score is None or (isinstance(score, float) and 0.0 <= score <= 1.0)
