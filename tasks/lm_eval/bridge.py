"""Our tasks as tasks of EleutherAI's lm-eval: the same items, the same verifier, greedy answers, so the same score.

    lm_eval run --model hf --model_args pretrained=FOLDER,dtype=float32 --include_path tasks/lm_eval --tasks interference_micro
    lm_eval run --model hf --model_args pretrained=FOLDER,enable_thinking=False --apply_chat_template \
        --include_path tasks/lm_eval --tasks interference_gym

The yaml files in this folder have under `metadata`: task ("module:Class"), items (how many of the test split), and, if the task belongs to
one tokenizer, vocabulary ("module:function"). Other tasks use the model's own tokenizer, whose name is in lm-eval's `--model_args` (from
Python: `TaskManager(metadata={"pretrained": FOLDER})`). The tokenizer shows whether an answer was cut at the token limit, in which case it
scores 0: its text has as many tokens as the limit allows.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from datasets import Dataset, DatasetDict

from tasks.task import Item, Task


def items(task: str, items: int, vocabulary: str = "", tokenizer: str = "", pretrained: str = "", **_: Any) -> DatasetDict:
    """The test split as a `datasets.DatasetDict`: prompt, answer, and what `score` needs to find item and tokenizer again.

    ValueError where no tokenizer is named.
    """
    speaker = vocabulary or tokenizer or pretrained
    if not speaker:
        raise ValueError(f'{task}: needs a tokenizer; add --metadata \'{{"tokenizer": "FOLDER"}}\', a folder or a name on the hub')
    found = _items(task, items)
    rows = [{"prompt": item.prompt, "answer": item.answer, "number": number} for number, item in enumerate(found)]
    return DatasetDict(test=Dataset.from_list([row | {"task": task, "items": items, "tokenizer": speaker} for row in rows]))


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """The score of one answer, in [0, 1]; 0 if it was cut or cannot be parsed. `ScoreError` if the verifier fails."""
    task, answer = _task(doc["task"]), results[0]
    if len(_tokenizer(doc["tokenizer"])(answer, add_special_tokens=False)["input_ids"]) >= task.answer_tokens:
        return {"score": 0.0}
    return {"score": task.checked_score(_items(doc["task"], doc["items"])[doc["number"]], answer) or 0.0}


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


@lru_cache
def _task(place: str) -> Task:
    return _named(place)()


@lru_cache
def _items(place: str, count: int) -> list[Item]:
    return _task(place).distinct("test", 0, count)


@lru_cache
def _tokenizer(place: str) -> Any:
    """The tokenizer that a function "module:function" builds, or that of a folder or a name on the hub."""
    if place.startswith("tasks."):
        return _named(place)()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(place, trust_remote_code=False)
