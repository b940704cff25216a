"""Our tasks as tasks of EleutherAI's lm-eval: the same items, the same verifier, greedy answers, so the same score.

    lm_eval run --model hf --model_args pretrained=FOLDER,dtype=float32 --include_path tasks/lm_eval --tasks interference_micro

What each yaml file beside this one says under `metadata`: task ("module:Class"), items (how many of the test split), and, where the task
belongs to one tokenizer, tokenizer ("module:function"), by which an answer that was cut at the token limit is told from one that ended.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from datasets import Dataset, DatasetDict

from tasks.task import Item, Task


def items(task: str, items: int, tokenizer: str = "", **_: Any) -> DatasetDict:
    """The test split as a `datasets.DatasetDict`: prompt, answer, and what `score` needs to find the item again."""
    found = _items(task, items)
    rows = [{"prompt": item.prompt, "answer": item.answer, "number": number} for number, item in enumerate(found)]
    return DatasetDict(test=Dataset.from_list([row | {"task": task, "items": items, "tokenizer": tokenizer} for row in rows]))


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """The score of one answer, in [0, 1]; 0 where it was cut or cannot be parsed."""
    task, answer = _task(doc["task"]), results[0]
    if doc["tokenizer"] and len(_tokenizer(doc["tokenizer"])(answer)["input_ids"]) >= task.answer_tokens:
        return {"score": 0.0}
    return {"score": task.score(_items(doc["task"], doc["items"])[doc["number"]], answer) or 0.0}


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
    return _named(place)()
