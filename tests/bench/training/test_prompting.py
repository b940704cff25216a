"""Prompts in a chat model's own template, cut where they are too long; answers without what was thought."""

from __future__ import annotations

import copy
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from bench.errors import UserError
from bench.method import Training
from bench.suite import Prompting
from bench.training import prompting
from bench.training.prompting import Dialogue
from bench.training.sampling import Completions
from bench.worker.workbench import Workbench
from tasks.micro.math import Math
from tasks.micro.vocabulary import build_tokenizer
from tasks.task import Item

PROMPTS = ["37+58=", "What comes after 1 2 3?"]


@pytest.fixture(scope="module")
def tokenizer(chat_model: Path):
    return AutoTokenizer.from_pretrained(chat_model)


def text_of(dialogue: Dialogue, prompt: str) -> str:
    (ids,) = dialogue.encode([prompt])
    return dialogue.tokenizer.decode(ids)


# --- prompts


def test_a_base_model_reads_the_prompt_as_it_is() -> None:
    dialogue = Dialogue(build_tokenizer())
    prompts = [Math().item("train", 0, number).prompt for number in range(3)]
    assert dialogue.encode(prompts) == build_tokenizer()(prompts)["input_ids"]


def test_a_chat_model_reads_a_message(chat_model: Path) -> None:
    plain = Dialogue.of(chat_model, Prompting(chat="plain"))
    head = "<|im_start|>user\n37+58=<|im_end|>\n<|im_start|>assistant\n"
    assert text_of(plain, "37+58=") == head + "<think>\n\n</think>\n\n"
    thinking = Dialogue.of(chat_model, Prompting(chat="thinking"))
    assert text_of(thinking, "37+58=") == head


def test_special_tokens_are_not_added_twice(tokenizer) -> None:
    """Templates that begin with the first token of a text, and tokenizers that would add it."""
    begun = copy.deepcopy(tokenizer)
    begun.chat_template = "<|endoftext|>" + tokenizer.chat_template
    (ids,) = Dialogue(begun, Prompting(chat="plain")).encode(["a"])
    assert ids.count(tokenizer.convert_tokens_to_ids("<|endoftext|>")) == 1


def test_a_template_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match="no chat template"):
        Dialogue(build_tokenizer(), Prompting(chat="plain"))


@pytest.mark.parametrize("chat", ["none", "plain", "thinking"])
def test_a_long_prompt_keeps_its_end_and_its_template(chat_model: Path, chat: str) -> None:
    dialogue = Dialogue.of(chat_model, Prompting(chat=chat, prompt_tokens=56))
    long = " ".join(f"{number}+{number}" for number in range(100)) + " the end?"
    short, cut = dialogue.encode(["1+1=", long])
    assert len(cut) <= 56
    assert len(cut) > 50
    text = dialogue.tokenizer.decode(cut)
    if chat == "none":
        assert text.endswith("the end?")
    else:
        assert text.startswith("<|im_start|>user\n")
        assert "the end?<|im_end|>\n<|im_start|>assistant\n" in text
    assert dialogue.cut == 1
    assert short == Dialogue.of(chat_model, Prompting(chat=chat)).encode(["1+1="])[0]


def test_a_cut_prompt_keeps_the_token_that_a_text_begins_with(tokenizer) -> None:
    start = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    backend = copy.deepcopy(tokenizer)
    backend.backend_tokenizer.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", start)])
    short, cut = Dialogue(backend, Prompting(prompt_tokens=10)).encode(["1+1=", "1+1= " * 20 + "end"])
    assert short[0] == cut[0] == start
    assert len(cut) == 10
    assert backend.decode(cut[1:]).endswith("end")


def test_a_template_is_not_told_the_day(tokenizer) -> None:
    today = copy.deepcopy(tokenizer)
    today.chat_template = "Today: {{ strftime_now('%d %b %Y') }}\n" + tokenizer.chat_template
    assert text_of(Dialogue(today, Prompting(chat="plain")), "1+1=").startswith("Today: 26 Jul 2024\n<|im_start|>user\n1+1=")


def test_a_limit_below_the_template_is_told(chat_model: Path) -> None:
    with pytest.raises(UserError, match="prompt_tokens: 5 leaves no room"):
        Dialogue.of(chat_model, Prompting(chat="plain", prompt_tokens=5)).encode(["1+1="])


def test_a_prompt_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompting, "MAX_PROMPT_TOKENS", 10)
    assert len(Dialogue(build_tokenizer()).encode(["1" * 10])[0]) == 10
    assert len(Dialogue(build_tokenizer(), Prompting(prompt_tokens=8)).encode(["1" * 11])[0]) == 8
    with pytest.raises(UserError, match=r"a prompt has 11 tokens: at most 10 are allowed; set prompting\.prompt_tokens"):
        Dialogue(build_tokenizer()).encode(["1", "1" * 11])


# --- ends and padding


def test_every_end_token_counts(chat_model: Path, tokenizer) -> None:
    ends = Dialogue.of(chat_model, Prompting()).ends
    assert set(ends) == {tokenizer.convert_tokens_to_ids(token) for token in ("<|im_end|>", "<|endoftext|>")}
    assert ends[0] == tokenizer.eos_token_id


def test_one_end_token_is_no_list(chat_model: Path, tmp_path: Path, tokenizer) -> None:
    folder = tmp_path / "one"
    shutil.copytree(chat_model, folder)
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": tokenizer.eos_token_id}))
    assert Dialogue.of(folder, Prompting()).ends == (tokenizer.eos_token_id,)


def test_the_config_names_the_ends_where_nothing_else_does(chat_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(chat_model, tmp_path / "trained"))
    (folder / "generation_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    ends = Dialogue.of(chat_model, Prompting()).ends
    for said in ({"eos_token_id": list(ends)}, {"eos_token_id": None, "text_config": {"eos_token_id": list(ends)}}):
        (folder / "config.json").write_text(json.dumps(config | said))
        assert Dialogue.of(folder, Prompting()).ends == ends


def test_a_folder_without_a_tokenizer_is_told(chat_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(chat_model, tmp_path / "bare"))
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match="no tokenizer there"):
        Dialogue.of(folder, Prompting())


def test_without_a_pad_token_an_end_token_fills_up(tokenizer) -> None:
    tokenizer.pad_token = None
    try:
        assert Dialogue(tokenizer).pad == tokenizer.eos_token_id
    finally:
        tokenizer.pad_token = "<|endoftext|>"


def test_without_an_end_nothing_can_be_sampled(tokenizer) -> None:
    tokenizer.eos_token = None
    try:
        with pytest.raises(UserError, match="end token"):
            Dialogue(tokenizer)
    finally:
        tokenizer.eos_token = "<|im_end|>"


# --- answers


def test_answers_are_read_without_their_end(chat_model: Path) -> None:
    dialogue = Dialogue.of(chat_model, Prompting(chat="plain"))
    own = dialogue.tokenizer("95")["input_ids"]
    rows = [[*own, dialogue.ends[1]], [*own, *own]]
    width = max(map(len, rows))
    tokens = torch.tensor([row + [dialogue.pad] * (width - len(row)) for row in rows])
    done = Completions(tokens, torch.tensor([len(own) + 1, 2 * len(own)]), torch.tensor([True, False]))
    assert dialogue.answers(done) == ["95", "9595"]


def test_thinking_is_no_part_of_the_answer(chat_model: Path) -> None:
    task = Math()
    item = task.item("test", 0, 0)
    plain, thinking = (Dialogue.of(chat_model, Prompting(chat=chat, thinking_tokens=50)) for chat in ("plain", "thinking"))
    thought = f"is it 0? no.</think>\n\n{item.answer}"
    assert thinking.score(task, item, thought, ended=True) == 1.0
    assert plain.score(task, item, thought, ended=True) != 1.0
    assert thinking.score(task, item, f"{item.answer}</think>", ended=True) in (None, 0.0)
    assert thinking.score(task, item, item.answer, ended=True) is None, "it was still thinking"
    assert plain.score(task, item, item.answer, ended=True) == 1.0
    assert plain.score(task, item, item.answer, ended=False) is None, "it was cut at the limit"
    assert (plain.limit(task), thinking.limit(task)) == (task.answer_tokens, task.answer_tokens + 50)


class Verdict(Math):
    """math, with a verifier that gives one verdict on every answer."""

    def __init__(self, verdict: Any, graded: bool = True) -> None:
        self.verdict = verdict
        self.graded = graded

    def score(self, item: Item, answer: str) -> Any:
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


@pytest.mark.parametrize("verdict", [2.0, -1.0, math.nan, math.inf, "yes", "1", [1.0], torch.tensor(1.0), 1 + 0j], ids=repr)
def test_what_is_no_score_is_an_error_and_never_a_0(verdict: Any) -> None:
    task = Verdict(verdict)
    with pytest.raises(UserError) as error:
        Dialogue(build_tokenizer()).score(task, task.item("test", 0, 0), "95" * 100, ended=True)
    text = str(error.value)
    assert text.startswith(f"task math: score returned {verdict!r} for answer '9595")
    assert text.endswith("return a number from 0 to 1, or None")
    assert "\n" not in text and len(text) < 200


@pytest.mark.parametrize("verdict", [0, 1, 0.0, -0.0, 1.0, 0.25, True, False, None, np.float32(0.5), np.int64(1)], ids=repr)
def test_every_kind_of_number_from_0_to_1_is_a_score(verdict: Any) -> None:
    task = Verdict(verdict)
    score = Dialogue(build_tokenizer()).score(task, task.item("test", 0, 0), "95", ended=True)
    assert score == verdict
    assert str(score) == str(None if verdict is None else abs(float(verdict)))


def test_a_task_that_is_not_graded_gives_0_or_1() -> None:
    task = Verdict(0.5, graded=False)
    with pytest.raises(UserError, match=r"task math: score returned 0\.5 .*return 0 or 1, or set graded = True"):
        Dialogue(build_tokenizer()).score(task, task.item("test", 0, 0), "95", ended=True)


def test_a_verifier_that_raises_is_an_error_in_one_line() -> None:
    task = Verdict(ZeroDivisionError("division\nby zero"))
    with pytest.raises(UserError) as error:
        Dialogue(build_tokenizer()).score(task, task.item("test", 0, 0), "95", ended=True)
    assert str(error.value) == "task math: score raised ZeroDivisionError for answer '95': division by zero"


def test_no_result_is_made_of_what_is_no_score(tiny_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training, scoring and derivatives alike."""
    monkeypatch.setattr(Math, "score", lambda self, item, answer: 2.0)
    bench = Workbench(tiny_bench.suite, tiny_bench.cache)
    for compute in (
        lambda: bench.train(bench.base, Training.on("math"), seed=987),
        lambda: bench.answers(bench.base, "math", "validation"),
        lambda: bench.sample(bench.base, "math", 5, seed=987),
        lambda: bench.gradient(bench.base, "math", 8, seed=987),
    ):
        with pytest.raises(UserError, match=r"task math: score returned 2\.0"):
            compute()
