"""Abilities outside the suite: tasks of EleutherAI's lm-eval, scored along a sequence. They rank nobody. No torch at import."""

from __future__ import annotations

import difflib
import logging
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, one_line
from bench.files import file_hash

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)


def check_tasks(names: Sequence[str]) -> None:
    """`UserError` for a task file that is missing or names no task, and for a name that lm-eval does not have. Loads no torch.

    Takes 2 s where there are names; up to 40 s where one of them is rare or unknown, because lm-eval then has to read all its files.
    """
    for name in names:
        if _is_file(name):
            _task_in(_file(name))
    unsure = [name for name in names if not _is_file(name) and name not in _names_in_files()]
    if not unsure:
        return
    from lm_eval.tasks import TaskManager

    known = TaskManager().all_tasks
    for name in unsure:
        if name not in known:
            raise _unknown(name, known)


def identity(names: Sequence[str]) -> list[list[str]]:
    """The key of tasks in a cache: lm-eval's version, names, and for files their content and that of files beside them, which they may
    include. `UserError` for a file that does not exist."""
    return [["lm-eval", version("lm-eval")], *([name, *(_contents(name) if _is_file(name) else [])] for name in names)]


def evaluate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, names: Sequence[str], *, limit: int | None, chat: bool, bf16: bool = False
) -> dict[str, dict[str, list[float]]]:
    """Task -> metric -> value and standard error (0 where lm-eval gives none), as lm-eval reports them.

    names: lm-eval's tasks or groups, or paths of a task's .yaml; limit: items per task (None: all); chat: whether prompts go through the
    model's chat template, without thinking; bf16: whether the model computes in bf16 autocast. `UserError` for an unknown task, and where
    lm-eval cannot run one (its data cannot be loaded).
    """
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    tasks = {name: _task_in(_file(name)) if _is_file(name) else name for name in names}
    folders = sorted({str(_file(name).resolve().parent) for name in names if _is_file(name)})
    metadata = {"pretrained": tokenizer.name_or_path}  # as lm-eval's command line does; some tasks build their prompts with it
    try:
        manager = TaskManager(include_path=folders or None, include_defaults=not all(map(_is_file, names)), metadata=metadata)
        for name, task in tasks.items():
            if task not in manager.all_tasks and _is_file(name):  # it skips files that it cannot read
                raise UserError(f"--also {name}: lm-eval finds no task {task} in it; check its YAML")
            if task not in manager.all_tasks:
                raise _unknown(task, manager.all_tasks)
        # HFLM opens an autocast of its own, which overrides one around it. Its softmax is then in bf16 too, unless it is given a type.
        types = {"mixed_precision_dtype": "bfloat16", "softmax_dtype": "float32"} if bf16 else {}
        found = lm_eval.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, enable_thinking=False if chat else None, **types),
            tasks=list(tasks.values()),
            task_manager=manager,
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
            apply_chat_template=chat,
        )
    except UserError:
        raise
    except Exception as error:  # data, prompts and metrics of tasks are code and files of others, and fail in any way
        log.exception("lm-eval failed")
        hint = "check the network, or that its data are downloaded, and rerun"
        raise UserError(f"--also {','.join(names)}: lm-eval could not run it ({one_line(error)}); {hint}") from error
    results = found["results"]
    return {task: _numbers(results[task]) for task in tasks.values() if task in results}


def _numbers(result: dict[str, Any]) -> dict[str, list[float]]:
    """metric -> value, standard error; the name of a filter follows the metric's unless it is `none`."""
    numbers = {}
    for key, value in result.items():
        metric, _, kind = key.partition(",")
        if kind and not metric.endswith("_stderr") and isinstance(value, int | float) and math.isfinite(value):
            error = result.get(f"{metric}_stderr,{kind}")
            numbers[metric if kind == "none" else f"{metric}, {kind}"] = [
                value,
                error if isinstance(error, int | float) and math.isfinite(error) else 0.0,
            ]
    return numbers


def _unknown(name: str, known: Sequence[str]) -> UserError:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else "`lm_eval ls tasks` lists them"
    return UserError(f"--also {name}: lm-eval has no task or group of that name; {hint}")


@lru_cache
def _names_in_files() -> frozenset[str]:
    """Most tasks and groups that come with lm-eval, by the files they are in. lm-eval's own list is complete, and takes half a minute."""
    spec = find_spec("lm_eval")
    folder = Path((spec.submodule_search_locations or ["."])[0]) / "tasks" if spec else Path("lm_eval")
    line = re.compile(r"^(?:task|group|tag):[ \t]*[\"']?([^\s\"'#]+)[\"']?[ \t]*$", re.MULTILINE)
    return frozenset(name for file in folder.rglob("*.yaml") for name in line.findall(file.read_text(encoding="utf-8", errors="replace")))


def _is_file(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise UserError(f"--also {name}: no such file")
    return path


def _contents(name: str) -> list[str]:
    """Hashes of a task's file and of the yaml files and modules in its folder."""
    file = _file(name)
    beside = (path for path in sorted(file.resolve().parent.iterdir()) if path.suffix in (".yaml", ".yml", ".py") and path.is_file())
    return [file_hash(file), *map(file_hash, beside)]


def _task_in(file: Path) -> str:
    """The name of the task or group in a yaml file of lm-eval."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"--also {file}: cannot be read ({one_line(error)}); give a task's own file") from error
    for line in lines:
        key, colon, value = line.partition(":")
        if colon and key in ("task", "group") and value.strip():
            return value.strip().strip("\"'")
    raise UserError(f"--also {file}: no line `task: NAME` in it; give a task's own file")
