"""Suites: model, tasks, sequences, budgets and decoding under one name and version, read from suites/*.yaml. No torch."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError, field_validator, model_validator

from bench.errors import UserError, nearest
from bench.user_code import LoadingError, load_file
from tasks.source import class_hash, closure, modules_hash
from tasks.task import Item, Split, Task

FOLDER = Path(__file__).parent / "suites"
SCORED_SEEDS = range(10)
DEVELOPMENT_SEEDS = range(100, 110)
Decoding = Literal["greedy", "sampled"]
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
"""`sampled` is temperature 1, one answer an item."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseModelSource(_Strict):
    """Where the base comes from: a folder shipped with the package, and the sha256 of its weights' content."""

    folder: str
    content: str = Field(pattern="^[0-9a-f]{64}$")


class Prompting(_Strict):
    """How the suite speaks to its model. chat: none (the prompt as it is, for base models), or the model's own template, plain or with
    thinking; prompt_tokens: longer prompts lose their beginning; thinking_tokens: on top of a task's answer_tokens."""

    chat: Literal["none", "plain", "thinking"] = "none"
    prompt_tokens: int | None = Field(gt=0, default=None)
    thinking_tokens: int = Field(ge=0, default=0)


@dataclass(frozen=True)
class GRPO:
    """The suite's training. prompts x group answers a step; `updates` optimizer steps on each; learning_rate reached after `warmup`
    steps and kept; groups_at_once bounds the memory of a pass (None: all), as gradient_checkpointing does at the price of a second forward
    pass; lora: rank and alpha of adapters that stages train instead of the weights, merged at their end."""

    steps: Annotated[int, Field(gt=0)] = 100
    prompts: Annotated[int, Field(gt=0)] = 32
    group: Annotated[int, Field(gt=1)] = 8
    updates: Annotated[int, Field(gt=0)] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    warmup: Annotated[int, Field(ge=0)] = 5
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    kl: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    groups_at_once: Annotated[int, Field(gt=0)] | None = None
    gradient_checkpointing: bool = False
    lora: Mapping[Literal["rank", "alpha"], int | float] | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")


class Suite(_Strict):
    """One suite.

    tasks: domain -> "module:Class", or "file.py:Class" beside the suite's file; sequences: name -> domains in order; designs: name ->
    sequences that are run and reported together (orders of the same domains, each a stratum); rl: settings of `GRPO`; stage_flops:
    domain -> FLOPs of its plain stage (the mean over five development seeds of `paper`), whose sums are the constants that costs are
    shares of, where the suite has one base; base: None where a run names its model; answers_at_once: rows that are sampled or scored
    together; gpu_memory_gb: of a card, that one worker process needs.
    """

    name: str
    version: int
    title: str
    base: BaseModelSource | None = None
    tasks: dict[str, str]
    sequences: dict[str, tuple[str, ...]]
    designs: dict[str, tuple[str, ...]] = {}
    test_items: int = Field(gt=0)
    validation_items: int = Field(gt=0)
    rl: dict[str, Any]
    stage_flops: dict[str, Annotated[float, Field(gt=0)]] = {}
    prompting: Prompting = Prompting()
    answers_at_once: int = Field(gt=1, default=512)
    snapshot_every: int = Field(gt=0, default=25)
    gpu_memory_gb: float = Field(gt=0, default=2.0)
    comparable: bool = True
    _folder: Path = PrivateAttr(default=FOLDER)
    """Where the suite's file lies, and the files of tasks of one's own."""

    @field_validator("rl")
    @classmethod
    def _known_settings(cls, rl: dict[str, Any]) -> dict[str, Any]:
        try:
            made = TypeAdapter(GRPO).validate_python(rl)
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        return {name: getattr(made, name) for name in rl}

    @model_validator(mode="after")
    def _known_domains(self) -> Suite:
        if set(self.stage_flops) != (set(self.tasks) if self.base else set()):
            wanted = f"one for each of {', '.join(self.tasks)}" if self.base else "none without a base of the suite's own"
            raise ValueError(f"stage_flops: {wanted}")
        for name, sequence in self.sequences.items():
            unknown = [domain for domain in sequence if domain not in self.tasks]
            if unknown or len(set(sequence)) != len(sequence) or len(sequence) < 2:
                raise ValueError(f"sequence {name!r}: needs two or more different domains among {', '.join(self.tasks)}")
        for name, members in self.designs.items():
            if name in self.sequences or len({frozenset(self.sequences.get(member, ())) for member in members}) != 1:
                raise ValueError(f"design {name!r}: needs sequences of the same domains and a name of its own")
        return self

    @property
    def id(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def grpo(self) -> GRPO:
        """How stages are trained: the settings in `rl`, and what it leaves to their defaults."""
        return GRPO(**self.rl)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    @cached_property
    def loaded_tasks(self) -> dict[str, Task]:
        """The tasks, by domain."""
        loaded = {}
        for domain, place in self.tasks.items():
            source, _, name = place.partition(":")
            try:
                module = load_file(self._folder / source) if source.endswith(".py") else importlib.import_module(source)
                loaded[domain] = getattr(module, name)()
            except (ImportError, AttributeError, ValueError, TypeError, LoadingError) as error:
                hint = "write module:Class, or file.py:Class beside the suite's file"
                raise UserError(f"suite {self.name}: task {domain} is not at {place!r} ({error}); {hint}") from error
        return loaded

    def task_hash(self, domain: str) -> str:
        """Hash of the code that decides a task's items and scores."""
        source = self.tasks[domain].partition(":")[0]
        return class_hash(type(self.loaded_tasks[domain]), "tasks") if source.endswith(".py") else _code_hash(source)

    def items(self, domain: str, split: Split) -> list[Item]:
        """The fixed items of the validation or test split: pairwise different latents, the same for every run."""
        count = self.test_items if split == "test" else self.validation_items
        return self.loaded_tasks[domain].distinct(split, 0, count)

    def sequence(self, name: str) -> tuple[str, ...]:
        """The domains of a sequence by name; `UserError` with the nearest names."""
        if name not in self.sequences:
            raise nearest("sequence", name, self.sequences)
        return self.sequences[name]

    def orders(self, name: str) -> tuple[str, ...]:
        """The sequences behind a name: a design's, or the one of that name; `UserError` with the nearest names."""
        if name in self.designs:
            return self.designs[name]
        if name not in self.sequences:
            raise nearest("sequence or design", name, (*self.sequences, *self.designs))
        return (name,)

    def board(self, sequence: str, targets: str, model: str = "") -> str:
        """What settings are tuned for; a design takes those of its first order."""
        return " ".join([self.id, *([Path(model).name] if model else []), self.designs.get(sequence, (sequence,))[0], targets])

    def sequence_flops(self, sequence: Iterable[str]) -> float:
        """FLOPs of the plain stages of a sequence: what costs are shares of. 0 where the suite has no constants."""
        return sum(self.stage_flops.get(domain, 0.0) for domain in sequence)

    def targets(self, sequence: tuple[str, ...], choice: str) -> tuple[str, ...]:
        """The domains to win back: `single` is math (or the first domain, where math is last or absent), `all` every one but the last."""
        if choice == "all":
            return sequence[:-1]
        if choice == "single":
            return ("math",) if "math" in sequence[:-1] else sequence[:1]
        raise nearest("targets", choice, ("single", "all"))

    def fingerprint(self) -> str:
        """Hash of everything above and of the tasks' code. What suites had no word for at first counts where it is used."""
        unused = {name for name in ("prompting", "answers_at_once") if getattr(self, name) == type(self).model_fields[name].default}
        content = self.model_dump(mode="json", exclude=unused) | {"code": {domain: self.task_hash(domain) for domain in self.tasks}}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def suite_names() -> list[str]:
    """Names of the suites that are there."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str, *, quick: bool = False) -> Suite:
    """The suite of a name, or of a path to a .yaml file. quick: few steps and items, marked not comparable.

    `UserError` for an unknown name or a bad file.
    """
    from yaml import YAMLError

    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.exists():
        raise nearest("suite", name, suite_names())
    try:
        return _parsed(path.read_text(encoding="utf-8"), quick, path.resolve().parent)
    except (YAMLError, ValidationError, TypeError, AttributeError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        said = first["msg"].removeprefix("Value error, ") if first else ""
        what = ": ".join(filter(None, [".".join(map(str, first["loc"])), said])) if first else " ".join(str(error).split())
        raise UserError(f"suite file {path}: {what}") from error


@lru_cache
def _code_hash(module: str) -> str:
    return modules_hash(*closure(module))


@lru_cache
def _parsed(text: str, quick: bool, folder: Path) -> Suite:
    """The suite of a file's text in a folder, one object for all who ask: a comparison has hundreds of runs that ask several times."""
    import yaml

    content = yaml.safe_load(text)
    shortened = content.pop("quick", {})
    if quick:
        rl = {"rl": content["rl"] | shortened.pop("rl", {})} if "rl" in content else {}
        content |= {name: value for name, value in shortened.items() if name != "rl"} | rl | {"comparable": False}
    suite = Suite(**content)
    suite._folder = folder
    return suite
