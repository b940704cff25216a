"""Turns a task's prompts into a model's tokens, and a model's tokens into answers.

A base model gets the prompt as it is. A chat model gets it as a user message in its own chat template, with or without thinking if the
template supports it (`enable_thinking`). Text up to </think> is not part of the answer. Templates that contain today's date get a fixed
date, so that prompts do not change from day to day.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from bench.errors import UserError
from bench.suite import MAX_PROMPT_TOKENS, Prompting
from bench.training.models import load_tokenizer
from bench.training.sampling import Completions, texts
from tasks.task import Item, ScoreError, Task

TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")
"""A folder with one of these files has a tokenizer."""
CLOSE = "</think>"
_ONE_DAY = "{%- macro strftime_now(format) -%}26 Jul 2024{%- endmacro -%}"
"""Put before templates that ask for the time. The date is the default of Llama 3's template."""


@dataclass
class Dialogue:
    """A tokenizer and a suite's prompting. ends: tokens that end an answer (if empty, the tokenizer's end token); cut: number of prompts so
    far that were longer than the suite allows and lost their beginning. `UserError` if the tokenizer lacks an end token or the chat
    template that the suite needs."""

    tokenizer: PreTrainedTokenizerBase
    prompting: Prompting = field(default_factory=Prompting)
    ends: tuple[int, ...] = ()
    cut: int = 0

    def __post_init__(self) -> None:
        own = self.tokenizer.eos_token_id
        self.ends = tuple(dict.fromkeys([*([] if own is None else [own]), *self.ends]))
        if not self.ends:
            raise UserError("the model's tokenizer has no end token: set eos_token in its tokenizer_config.json")
        if self.prompting.chat != "none" and not self.tokenizer.chat_template:
            raise UserError(
                f"the model's tokenizer has no chat template, which the suite's prompting (chat: {self.prompting.chat}) needs; use an "
                "instruction-tuned model, or a suite with chat: none"
            )

    @classmethod
    def of(cls, folder: Path, prompting: Prompting) -> Dialogue:
        """The dialogue with the model in an HF folder. `UserError` if the folder has no tokenizer, or one that cannot be used."""
        if not any((folder / name).exists() for name in TOKENIZERS):
            raise UserError(f"{folder}: no tokenizer there ({TOKENIZERS[0]}); save the model's tokenizer beside its weights")
        return cls(load_tokenizer(folder), prompting, _ends_in(folder))

    @property
    def pad(self) -> int:
        """The padding token; always masked."""
        return self.ends[0] if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id

    def limit(self, task: Task) -> int:
        """The most tokens of an answer, including thinking and the end token."""
        return task.answer_tokens + (self.prompting.thinking_tokens if self.prompting.chat == "thinking" else 0)

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of each prompt, in its template. A prompt longer than `prompt_tokens` loses its beginning and is counted in `cut`;
        `UserError` for one of more than `MAX_PROMPT_TOKENS` in a suite that sets no limit."""
        if self.prompting.chat == "none":
            found = self.tokenizer(list(prompts))["input_ids"]
        else:
            found = [self._message(prompt) for prompt in prompts]
        most = self.prompting.prompt_tokens
        if most is None:
            longest = max(map(len, found), default=0)
            if longest > MAX_PROMPT_TOKENS:
                raise UserError(f"a prompt has {longest:,} tokens: at most {MAX_PROMPT_TOKENS:,} are allowed; set prompting.prompt_tokens")
            return found
        self.cut += sum(len(ids) > most for ids in found)
        return [ids if len(ids) <= most else self._shortened(prompt, most) for prompt, ids in zip(prompts, found, strict=True)]

    def answers(self, done: Completions) -> list[str]:
        """The texts of answers, including thinking, without their end token."""
        return texts(self.tokenizer, done)

    def score(self, task: Task, item: Item, written: str, ended: bool) -> float | None:
        """The task's score of an answer, in [0, 1]; None if it was cut at the token limit, is still thinking, or cannot be parsed.
        Training, scoring and derivatives all score here. `UserError` if the task's verifier fails or returns no score."""
        if not ended:
            return None
        if self.prompting.chat == "thinking":
            _, closed, written = written.rpartition(CLOSE)
            if not closed:
                return None
            written = written.strip()
        try:
            return task.checked_score(item, written)
        except ScoreError as error:
            raise UserError(str(error)) from error

    @cached_property
    def _template(self) -> str:
        own = self.tokenizer.get_chat_template()
        return _ONE_DAY + own if "strftime_now" in own else own

    def _message(self, prompt: str) -> list[int]:
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=self.prompting.chat == "thinking",
        )
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _shortened(self, prompt: str, most: int) -> list[int]:
        """A prompt's last tokens in the whole template, at most `most` in all."""
        if self.prompting.chat == "none":
            bare, whole = (self.tokenizer(prompt, add_special_tokens=special)["input_ids"] for special in (False, True))
            start = whole[: max(0, len(whole) - len(bare))] if whole[-len(bare) :] == bare else []  # the tokens that every text begins with
            return start + bare[len(bare) - (most - len(start)) :]
        around = len(self._message(""))
        own = self.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        keep = most - around
        while keep > 0:
            ids = self._message(self.tokenizer.decode(own[-keep:]))
            if len(ids) <= most:
                return ids
            keep -= len(ids) - most  # the shortened text may have more tokens than before
        raise UserError(f"prompt_tokens: {most} leaves no room for a prompt: the chat template alone takes {around}")


def _ends_in(folder: Path) -> tuple[int, ...]:
    """The tokens that end an answer: from the model's generation config, otherwise from its config, as transformers reads them."""
    for name in ("generation_config.json", "config.json"):
        said = json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).exists() else {}
        for part in (said, said.get("text_config") or {}):
            named = part.get("eos_token_id")
            if named is not None:
                return tuple(named) if isinstance(named, list) else (named,)
    return ()
