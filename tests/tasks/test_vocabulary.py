"""The micro alphabet: text and tokens determine each other, the tokenizer survives the disk, and every item fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import END, PAD, RHYME_OF, RHYMES, TOKENS, WORDS, build_tokenizer
from tasks.task import Item, Task, rng

TASKS: tuple[Task, ...] = (Math(), Code(), QA(), CW())
CONTEXT = 48
"""Tokens that a prompt, its answer and the end token may take."""

TOKENIZER = build_tokenizer()

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.domain)
ordinary = st.lists(st.integers(0, len(TOKENS) - 1).filter(lambda token: TOKENS[token] not in (PAD, END)), max_size=60)


def encode(text: str) -> list[int]:
    return TOKENIZER(text)["input_ids"]


def items(task: Task) -> list[Item]:
    """Five hundred ordinary items and a hundred balanced ones."""
    ordinary = [task.item(split, 0, index) for split, count in (("train", 300), ("test", 200)) for index in range(count)]
    return ordinary + [task.item("train", 0, index, balanced=True) for index in range(100)]


def test_no_token_begins_another() -> None:
    assert [(a, b) for a in TOKENS for b in TOKENS if a is not b and b.startswith(a)] == []


def test_words_are_words() -> None:
    assert len(set(WORDS)) == len(WORDS) == 60
    assert all(word.isalpha() and word.istitle() for word in WORDS)


def test_rhyme_classes_are_disjoint_and_share_an_ending() -> None:
    assert sorted(RHYME_OF) == sorted(WORDS)
    for ending, words in RHYMES.items():
        assert len(words) >= 2, "a word needs another to rhyme with"
        assert all(word.lower().endswith(ending) and RHYME_OF[word] == ending for word in words)
        others = set(WORDS) - set(words)
        assert not any(word.lower().endswith(ending) for word in others)


def test_tokens_by_hand() -> None:
    def numbers(*tokens: str) -> list[int]:
        return [TOKENS.index(token) for token in tokens]

    assert encode("62-5*7+14=") == numbers(*"62-5*7+14=")
    assert encode("Moon>RainRain:Cake?Moon>:=") == numbers("Moon", ">", "Rain", "Rain", ":", "Cake", "?", "Moon", ">", ":", "=")
    assert encode("5~Moon^s!Rain=") == numbers("5", "~", "Moon", "^", "s", "!", "Rain", "=")
    assert encode("a+1,(b)") == numbers(*"a+1,(b)")
    assert encode("") == []


def test_special_tokens() -> None:
    assert (TOKENIZER.pad_token, TOKENIZER.eos_token) == (PAD, END)
    assert (TOKENIZER.pad_token_id, TOKENIZER.eos_token_id) == (TOKENS.index(PAD), TOKENS.index(END))
    assert len(TOKENIZER) == len(TOKENS) == len(set(TOKENS))
    assert TOKENIZER.padding_side == "left"


@every_task
def test_prompts_and_answers_come_back_from_tokens(task: Task) -> None:
    for item in items(task):
        for text in (item.prompt, item.answer, item.prompt + item.answer):
            tokens = encode(text)
            assert TOKENIZER.pad_token_id not in tokens
            assert TOKENIZER.decode(tokens) == text
        assert encode(item.prompt) + encode(item.answer) == encode(item.prompt + item.answer)


@settings(max_examples=500, deadline=None, database=None)
@given(ordinary)
def test_tokens_come_back_from_text(tokens: list[int]) -> None:
    text = TOKENIZER.decode(tokens)
    assert text == "".join(TOKENS[token] for token in tokens)
    assert encode(text) == tokens
    # the harness decodes answers this way
    assert TOKENIZER.batch_decode([[*tokens, TOKENIZER.eos_token_id, TOKENIZER.pad_token_id]], skip_special_tokens=True) == [text]


@settings(max_examples=300, deadline=None, database=None)
@given(ordinary, st.text(st.characters(codec="utf-8", exclude_characters="".join(token for token in TOKENS if len(token) == 1))))
def test_text_outside_the_alphabet_becomes_pad(tokens: list[int], foreign: str) -> None:
    known = TOKENIZER.decode(tokens)
    assert set(encode(foreign)) <= {TOKENIZER.pad_token_id}
    assert encode(known + foreign)[: len(tokens)] == tokens


def test_foreign_characters_by_hand() -> None:
    pad = TOKENIZER.pad_token_id
    assert encode("Rain  é") == [TOKENS.index("Rain"), pad, pad, pad]
    assert encode("Nam") == [pad, TOKENS.index("a"), TOKENS.index("m")]  # no word


@every_task
def test_items_fit_the_context_and_answers_their_bound(task: Task) -> None:
    longest = 0
    for place, item in enumerate(items(task)):
        answer = len(encode(item.answer)) + 1
        assert answer <= task.answer_tokens, item
        assert len(encode(item.prompt)) + answer <= CONTEXT, item
        for misread in (0.0, 1.0):
            assert len(encode(task.demonstrate(item, rng(place), 0.0, misread))) + 1 <= task.answer_tokens
        longest = max(longest, answer)
    assert longest > 1


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        (Math(), "64:72:73:74"),
        (Code(), "4a+1,4a+1,4a+1,4b+c"),
        (QA(), "MoonRainCake"),
        (CW(), "SnowRainKingBestSoonLow"),
    ],
    ids=lambda value: getattr(value, "domain", value),
)
def test_the_longest_answers_fit_their_bound(task: Task, answer: str) -> None:
    assert len(encode(answer)) + 1 <= task.answer_tokens


def saved(folder: Path) -> PreTrainedTokenizerFast:
    TOKENIZER.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def test_auto_tokenizer_loads_what_was_saved(tmp_path: Path) -> None:
    loaded = saved(tmp_path)
    assert loaded.get_vocab() == {token: place for place, token in enumerate(TOKENS)}
    assert (loaded.pad_token, loaded.eos_token, loaded.padding_side) == (PAD, END, "left")
    assert loaded.model_max_length == 64
    for task in TASKS:
        texts = [text for item in items(task)[:60] for text in (item.prompt, item.answer)]
        assert loaded(texts)["input_ids"] == TOKENIZER(texts)["input_ids"] == [encode(text) for text in texts]
        assert loaded.batch_decode(loaded(texts)["input_ids"]) == texts


def test_a_loaded_tokenizer_pads_on_the_left(tmp_path: Path) -> None:
    loaded = saved(tmp_path)
    batch = loaded(["1+2=", "Rain"], padding=True)
    assert batch["input_ids"] == [[TOKENS.index(token) for token in "1+2="], [TOKENS.index(PAD)] * 3 + [TOKENS.index("Rain")]]
    assert batch["attention_mask"] == [[1, 1, 1, 1], [0, 0, 0, 1]]
