"""Abilities beside the suite's domains: tasks of EleutherAI's lm-eval, scored along a sequence. They inform, and rank nobody."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError
from bench.files import file_hash

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def identity(names: Sequence[str]) -> list[list[str]]:
    """What a cache knows tasks by: names, and the content of files and of what lies beside them, which they may include; lm-eval's version
    goes with them. `UserError` for a file that is not there."""
    from importlib.metadata import version

    return [["lm-eval", version("lm-eval")], *([name, *(_contents(name) if _is_file(name) else [])] for name in names)]


def evaluate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], *, limit: int | None, chat: bool
) -> dict[str, dict[str, list[float]]]:
    """Task -> metric -> value and standard error (0 where lm-eval gives none), as lm-eval reports them.

    names: lm-eval's tasks or groups, or paths of a task's .yaml; limit: items a task (None: all); chat: whether prompts go through the
    model's chat template, without thinking. `UserError` for an unknown task, and where its data cannot be had.
    """
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    folders = sorted({str(_file(name).resolve().parent) for name in names if _is_file(name)})
    own = {"pretrained": tokenizer.name_or_path}  # as lm-eval's command line does; some tasks build their prompts by it
    manager = TaskManager(include_path=folders or None, include_defaults=not all(map(_is_file, names)), metadata=own)
    tasks = {name: _task_in(_file(name)) if _is_file(name) else name for name in names}
    for name, task in tasks.items():
        if task not in manager.all_tasks:
            raise UserError(f"--also {name}: lm-eval has no task or group of that name; `lm_eval ls tasks` lists them")
    try:
        found = lm_eval.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, enable_thinking=False if chat else None),
            tasks=list(tasks.values()),
            task_manager=manager,
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
            apply_chat_template=chat,
        )
    except (OSError, ConnectionError, ValueError) as error:
        why = " ".join(str(error).split()).partition(". ")[0]
        raise UserError(f"--also {','.join(names)}: lm-eval could not run it ({type(error).__name__}: {why})") from error
    results = found["results"]
    return {task: _numbers(results[task]) for task in tasks.values() if task in results}


def _numbers(result: dict[str, Any]) -> dict[str, list[float]]:
    """metric -> value, standard error; a filter's name follows the metric's unless it is `none`."""
    told = {}
    for key, value in result.items():
        metric, _, kind = key.partition(",")
        if kind and not metric.endswith("_stderr") and isinstance(value, int | float):
            error = result.get(f"{metric}_stderr,{kind}")
            told[metric if kind == "none" else f"{metric}, {kind}"] = [value, error if isinstance(error, int | float) else 0.0]
    return told


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _file(name: str) -> Path:
    path = Path(name)
    if not path.exists():
        raise UserError(f"--also {name}: no such file")
    return path


def _contents(name: str) -> list[str]:
    """A hash each of a task's file and of the yaml files and modules in its folder."""
    file = _file(name)
    beside = (path for path in sorted(file.resolve().parent.iterdir()) if path.suffix in (".yaml", ".yml", ".py") and path.is_file())
    return [file_hash(file), *map(file_hash, beside)]


def _task_in(file: Path) -> str:
    """The name of the task or group in a yaml file of lm-eval."""
    for line in file.read_text(encoding="utf-8").splitlines():
        key, colon, value = line.partition(":")
        if colon and key in ("task", "group") and value.strip():
            return value.strip().strip("\"'")
    raise UserError(f"--also {file}: no line `task: NAME` in it; give a task's own file")
