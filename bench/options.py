"""The options that commands share: one definition for the command line and for Python. No torch, and nothing slow to import.

A field of `Options` is an option of both: its help, its bounds and its words are written here and nowhere else. `takes` gives a function
the options it names, as keyword parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from bench.errors import UserError, nearest

R = TypeVar("R")
FLAGS = {"source": "--from"}
"""Options whose word is no name in Python."""


def _option(default: Any, help: str, *, least: int | None = None, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": help, "least": least, "choices": choices})


@dataclass(frozen=True)
class Options:
    """The options of `run`, `compare`, `tune` and `import`."""

    suite: str = _option("micro", "Suite: a name or a .yaml file.")
    model: str = _option("", "HF folder, GGUF file, or owner/name[@revision] on the Hub; if the suite has no base or a pretrained one.")
    sequence: str = _option("paper", "Sequence of domains, or a design of several (see `list sequences`).")
    targets: str = _option(
        "single",
        "Domains to recover: single (math, or the first one if math is last or absent) or all (all but the last).",
        choices=("single", "all"),
    )
    seed: int = _option(0, "First seed.", least=0)
    seeds: int = _option(1, "Number of seeds, starting at --seed.", least=1)
    null: bool = _option(False, "Replace the stages after each target's own with null stages (rewards permuted within groups).")
    source: Path | None = _option(None, "Repair the stage checkpoints of this run instead of training new ones.")
    device: str = _option("auto", "auto, cpu or cuda.", choices=("auto", "cpu", "cuda"))
    engine: str = _option("hf", "Generation backend: hf, or vllm where it is installed.", choices=("hf", "vllm"))
    quick: bool = _option(False, "Smoke test (~1 min on micro); results are not comparable.")
    also: tuple[str, ...] = _option((), "Extra lm-eval tasks to score each checkpoint on, by name or .yaml file: mmlu,hellaswag.")
    also_limit: int | None = _option(None, "Items per lm-eval task (default: all).", least=1)
    out: Path = _option(Path("runs"), "Folder for run folders.")
    cache: Path | None = _option(None, "Folder for checkpoints (default: $BENCH_CACHE or the user's cache folder).")
    jobs: int | None = _option(None, "Worker processes, one thread each (default: one per core, or as many as memory holds).", least=1)
    log_to: str | None = _option(None, "tensorboard: training curves in the run folders, as they grow.", choices=("tensorboard",))
    shard: str = _option("1/1", "i/n: part i of n, for machines that share --cache and --out.")
    dry_run: bool = _option(False, "Print the forecast and stop.")

    @classmethod
    def checked(cls, **given: Any) -> Options:
        """The options with these values. `UserError` in one line for an unknown one or a bad value."""
        known = {f.name: f for f in fields(cls)}
        for name in given:
            if name not in known:
                raise nearest("option", name, known)
        return cls(**{name: _converted(name, value, known[name]) for name, value in given.items()})

    def but(self, **changed: Any) -> Options:
        """The same with some values changed."""
        return replace(self, **changed)

    def changed(self, *names: str) -> list[str]:
        """Those of the named options that are not at their default."""
        return [name for name in names if getattr(self, name) != getattr(Options, name)]


def _converted(name: str, value: Any, option: Any) -> Any:
    """A value in its option's type."""
    kind, choices, least = option.type, option.metadata["choices"], option.metadata["least"]
    if value is None and option.default is None:
        return None
    if name == "also":
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else tuple(value)
    if kind.startswith("Path"):
        if not isinstance(value, str | PathLike):
            raise UserError(f"{flag(name)} {value!r}: must be a path")
        return Path(value)
    expected = {"str": str, "int": int, "bool": bool}[kind.partition(" ")[0]]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise UserError(f"{flag(name)} {value!r}: must be of type {expected.__name__}")
    if choices and value not in choices:
        raise nearest(flag(name), value, choices)
    if least is not None and value < least:
        raise UserError(f"{flag(name)} {value}: must be at least {least}")
    return value


def flag(name: str) -> str:
    """An option as the command line writes it."""
    return FLAGS.get(name, f"--{name.replace('_', '-')}")


def described(name: str) -> str:
    """An option's help."""
    return Options.__dataclass_fields__[name].metadata["help"]


PLACE = ("out", "cache", "jobs", "log_to")
WHAT = ("suite", "model", "sequence", "targets", "seed", "seeds", "null", "source", "device", "engine", "quick", "also", "also_limit")
RUN = (*WHAT, *PLACE, "shard", "dry_run")
"""Of `run` and `compare`."""
TUNE = ("suite", "model", "sequence", "targets", "source", "device", "engine", "quick", "cache", "jobs", "dry_run")
"""Tuning chooses its seeds itself and writes no run folders."""
IMPORT = ("suite", "targets", "device", "quick", "also", "also_limit", *PLACE[:3])


def takes(*names: str, **defaults: Any) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a function that takes `options` the named ones as keyword parameters, with these defaults where they differ."""

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        parameters = [p for p in inspect.signature(function, eval_str=True).parameters.values() if p.name != "options"]
        for name in names:
            default = defaults.get(name, "" if name == "also" else getattr(Options, name))
            parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=_annotated(name)))

        @wraps(function)
        def called(*args: Any, **given: Any) -> R:
            chosen = defaults | {name: given.pop(name) for name in names if name in given}
            return function(*args, **given, options=Options.checked(**chosen))

        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        del called.__wrapped__  # type: ignore[attr-defined]
        return called

    return decorate


def _annotated(name: str) -> Any:
    """An option's type with what the command line shows of it."""
    import typer

    kind = str if name == "also" else get_type_hints(Options)[name]
    words = [flag(name)] if name in FLAGS or kind is bool else []
    return Annotated[kind, typer.Option(*words, help=described(name), min=Options.__dataclass_fields__[name].metadata["least"])]
