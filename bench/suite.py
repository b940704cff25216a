"""Suites: model, tasks, sequences, budgets and decoding under one name and version, read from suites/*.yaml. No torch.

Numbers in a suite have upper bounds, far above what is useful, so that a typing error cannot start a run that never ends. A bad file is
refused in one line when it is read; in a user's suite that includes the tasks.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from bench.errors import UserError, nearest
from bench.method import MAX_STEPS, LoRA
from bench.user_code import LoadingError, guarded, load_file
from tasks.levels import Levelled
from tasks.own_files import OwnFiles, SourceError
from tasks.source import class_hash, closure, modules_hash
from tasks.task import MAX_ANSWER_TOKENS, Item, Split, Task

FOLDER = Path(__file__).parent / "suites"
SCORED_SEEDS = range(10)
ADAPTER = "adapter.safetensors"
"""In the folder of a base that begins with pretrained weights (`bench.training.bases.adapters`)."""
DEVELOPMENT_SEEDS = range(100, 110)
MAX_ITEMS = 16_384
"""Most items of a split. Every task that ships has 8,192 distinct test items."""
MAX_PROMPT_TOKENS = 131_072
"""Longest prompt; suites may set a lower bound (`Prompting.prompt_tokens`)."""
MAX_PROMPTS = 1_000_000
"""Most prompts of one training. A stage's are numbered from 0 on, those of repairs from here, and those of `History.gradient`, `fisher` and
`sample` from twice that."""
Decoding = Literal["greedy", "sampled"]
DECODINGS: tuple[Decoding, ...] = ("greedy", "sampled")
"""`sampled` is temperature 1, one answer per item."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Pretrained(_Strict):
    """A GGUF file of pretrained weights. file: its name in `bench.files.default_models`; sha256: of its bytes; fetch: the command that puts
    it there; parameters: of the model, for bounds on costs where its weights are not at hand."""

    file: str
    sha256: Sha256
    fetch: str
    parameters: int = Field(gt=0)


class BaseModelSource(_Strict):
    """The base model. folder: its files, beside the suite's file or shipped with the package. With `pretrained` they hold no weights but
    the adapter (`bench.training.bases.adapters`) that makes them. content: hash of the result (`Checkpoint.content`)."""

    folder: str
    content: Sha256
    pretrained: Pretrained | None = None

    @model_serializer(mode="wrap")  # leaves out what is not set, so that fingerprints of suites without it stay
    def _without_none(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in written(self).items() if value is not None}


class Prompting(_Strict):
    """How prompts are given to the model. chat: none (the prompt as it is, for base models), or the model's own chat template, plain or
    with thinking; prompt_tokens: longer prompts lose their beginning; thinking_tokens: in addition to a task's answer_tokens."""

    chat: Literal["none", "plain", "thinking"] = "none"
    prompt_tokens: int | None = Field(gt=0, le=MAX_PROMPT_TOKENS, default=None)
    thinking_tokens: int = Field(ge=0, le=MAX_ANSWER_TOKENS, default=0)


@dataclass(frozen=True)
class GRPO:
    """How stages are trained. Each step samples prompts x group answers and takes `updates` optimizer steps on them. learning_rate: reached
    after `warmup` steps, then constant; groups_at_once: bounds the memory of a forward and backward pass (None: all groups), as
    gradient_checkpointing does at the cost of a second forward pass; lora: rank and alpha of adapters that stages train instead of the
    weights, merged at the end of the stage."""

    steps: Annotated[int, Field(gt=0, le=MAX_STEPS)] = 100
    prompts: Annotated[int, Field(gt=0, le=65_536)] = 32
    group: Annotated[int, Field(gt=1, le=4_096)] = 8
    updates: Annotated[int, Field(gt=0, le=1_000)] = 1
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    warmup: Annotated[int, Field(ge=0)] = 5
    clip_low: Annotated[float, Field(gt=0)] = 0.2
    clip_high: Annotated[float, Field(gt=0)] = 0.28
    kl: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    groups_at_once: Annotated[int, Field(gt=0)] | None = None
    gradient_checkpointing: bool = False
    lora: Mapping[Literal["rank", "alpha"], int | float] | None = None

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    def __post_init__(self) -> None:
        if self.lora is not None:
            LoRA(**self.lora)
        if self.steps * self.prompts > MAX_PROMPTS:
            raise ValueError(f"steps={self.steps} of prompts={self.prompts} are more than {MAX_PROMPTS:,} prompts")

    def groups_of(self, answers: int) -> int:
        """How many groups that many answers make, at least one: as many prompts."""
        return max(1, answers // self.group)


class Suite(_Strict):
    """One suite.

    tasks: domain -> "module:Class", or "file.py:Class" in the suite file's folder; levels: domain -> the levels of difficulty of its items,
    all levels of the task where there are none; sequences: name -> domains in order; designs: name ->
    sequences that are run and reported together (orders of the same domains, each a stratum); test_items: 2 or more, since scores have
    standard errors; rl: settings of `GRPO`; stage_flops: domain -> FLOPs of one plain stage (the mean over five development seeds of
    `paper`), required with a base: costs are shares of their sum over a sequence; base: None if each run names its model;
    answers_at_once: rows sampled or scored together; memory_gb: memory that one worker process needs, on a CPU or on a GPU; gpu_memory_gb:
    on a GPU, where that is more.
    """

    name: str
    version: int
    title: str
    base: BaseModelSource | None = None
    tasks: dict[str, str]
    levels: dict[str, tuple[Annotated[int, Field(ge=1)], ...]] = {}
    sequences: dict[str, tuple[str, ...]]
    designs: dict[str, tuple[str, ...]] = {}
    test_items: int = Field(ge=2, le=MAX_ITEMS)
    validation_items: int = Field(ge=1, le=MAX_ITEMS)
    rl: dict[str, Any]
    stage_flops: dict[str, Annotated[float, Field(gt=0)]] = {}
    prompting: Prompting = Prompting()
    answers_at_once: int = Field(gt=1, le=1_000_000, default=512)
    snapshot_every: int = Field(gt=0, default=25)
    gpu_memory_gb: float = Field(gt=0, default=2.0)
    memory_gb: float = Field(gt=0, default=1.0)
    comparable: bool = True
    _folder: Path = PrivateAttr(default=FOLDER)
    """The folder of the suite's file, and of its own tasks' files."""

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
            needed = f"give one for each of {', '.join(self.tasks)}" if self.base else "only a suite with a base has them"
            raise ValueError(f"stage_flops: {needed}")
        for domain, levels in self.levels.items():
            if domain not in self.tasks or not levels or list(levels) != sorted(set(levels)):
                raise ValueError(f"levels.{domain}: needs a domain of the suite, and one or more different levels in order")
        for name, sequence in self.sequences.items():
            unknown = [domain for domain in sequence if domain not in self.tasks]
            if unknown or len(set(sequence)) != len(sequence) or len(sequence) < 2:
                raise ValueError(f"sequence {name!r}: needs two or more different domains among {', '.join(self.tasks)}")
        for name, members in self.designs.items():
            if name in self.sequences or len({frozenset(self.sequences.get(member, ())) for member in members}) != 1:
                raise ValueError(f"design {name!r}: needs sequences of the same domains, and a name that no sequence has")
        return self

    @property
    def id(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def grpo(self) -> GRPO:
        """The training settings: `rl` over the defaults."""
        return GRPO(**self.rl)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    @cached_property
    def loaded_tasks(self) -> dict[str, Task]:
        """The tasks, by domain. `UserError` for a task that cannot be loaded or breaks the interface."""
        return {domain: self._task(domain, place) for domain, place in self.tasks.items()}

    def _task(self, domain: str, place: str) -> Task:
        source, _, name = place.partition(":")
        try:
            with guarded("its code raised an error"):
                module = load_file(self._folder / source) if source.endswith(".py") else importlib.import_module(source)
                found = getattr(module, name, None)
                if not (isinstance(found, type) and issubclass(found, Task)):
                    raise LoadingError(f"there is no subclass of tasks.task.Task named {name!r} in {source!r}")
            chosen = self._levels_of(found, domain)
            with guarded("its code raised an error"):
                task = found(chosen) if chosen else found()
        except LoadingError as error:
            hint = "write module:Class, or file.py:Class with a file in the suite file's folder"
            raise UserError(f"suite {self.name}: tasks.{domain}: {place!r} cannot be used: {error}; {hint}") from error
        problem = _broken_promise(task, domain)
        if problem:
            raise UserError(f"suite {self.name}: tasks.{domain}: class {name}: {problem}")
        return task

    def _levels_of(self, task: type[Task], domain: str) -> tuple[int, ...]:
        """The levels that the suite chose for a domain. `UserError` where its task does not have them."""
        chosen, there = self.levels.get(domain, ()), task.all_levels if issubclass(task, Levelled) else ()
        if not set(chosen) <= set(there):
            has = f"its task has levels {', '.join(map(str, there))}" if there else "its task has no levels to choose"
            raise UserError(f"suite {self.name}: levels.{domain}: {list(chosen)}: {has}")
        return chosen

    def task_hash(self, domain: str) -> str:
        """Hash of the code that decides a task's items and scores, for a user's task with the data files beside it; the class's name; and
        the suite's choice of levels. `UserError` where the code cannot be hashed."""
        source, _, name = self.tasks[domain].partition(":")
        levels = f" levels {','.join(map(str, self.levels[domain]))}" if domain in self.levels else ""
        return f"{self._source_hash(domain, source)} {name}{levels}"

    def _source_hash(self, domain: str, source: str) -> str:
        if source.partition(".")[0] == "tasks":
            return _code_hash(source)
        try:
            own = class_hash(type(self.loaded_tasks[domain]), "tasks")
            return own if source.endswith(".py") else f"{own} {_code_hash(source)}"
        except OSError as error:
            raise UserError(f"suite {self.name}: tasks.{domain}: {error}") from error

    def items(self, domain: str, split: Split, draw: int = 0) -> list[Item]:
        """The fixed items of the validation or test split: pairwise different latents, the same for every run. Of the reserve, as many as
        of the test split; `draw` decides which. `UserError` if the task has fewer."""
        count = self.validation_items if split == "validation" else self.test_items
        try:
            return self.loaded_tasks[domain].distinct(split, draw, count)
        except RuntimeError as error:
            raise UserError(f"suite {self.name}: {error}, or ask for fewer {split}_items") from error

    def sequence(self, name: str) -> tuple[str, ...]:
        """The domains of a sequence, by name. `UserError` with the nearest names if it is unknown."""
        if name not in self.sequences:
            raise nearest("sequence", name, self.sequences)
        return self.sequences[name]

    def orders(self, name: str) -> tuple[str, ...]:
        """The sequences of a design, or the one sequence of that name. `UserError` with the nearest names if it is unknown."""
        if name in self.designs:
            return self.designs[name]
        if name not in self.sequences:
            raise nearest("sequence or design", name, (*self.sequences, *self.designs))
        return (name,)

    def board(self, sequence: str, targets: str, model: str = "") -> str:
        """The key of tuned settings: suite, model, sequence and targets. A design uses the settings of its first sequence. A model of the
        Hub goes by its whole name, a local one by that of its file or folder."""
        local = os.path.exists(os.path.expanduser(model))  # noqa: PTH110, PTH111 -- unlike pathlib's, these take any text
        name = Path(model).name if local else model.partition("@")[0]
        return " ".join([self.id, *([name] if name else []), self.designs.get(sequence, (sequence,))[0], targets])

    @property
    def base_folder(self) -> Path:
        """Where the files of its base are. Only for a suite that has one."""
        assert self.base is not None
        beside = self._folder / self.base.folder
        return beside if (beside / "config.json").is_file() else FOLDER / self.base.folder

    @property
    def adapter(self) -> Path | None:
        """The file of the adapter that makes its base from pretrained weights; None where its base is no such model."""
        return self.base_folder / ADAPTER if self.base is not None and self.base.pretrained is not None else None

    def is_own_base(self, content: str) -> bool:
        """Whether a model, by content hash, is the suite's own base, for which `stage_flops` was measured."""
        return self.base is not None and self.base.content == content

    def sequence_flops(self, sequence: Iterable[str]) -> float:
        """FLOPs of the plain stages of a sequence, of which costs are shares. 0 if the suite has no `stage_flops`."""
        return sum(self.stage_flops.get(domain, 0.0) for domain in sequence)

    def targets(self, sequence: tuple[str, ...], choice: str) -> tuple[str, ...]:
        """The domains to recover. `single`: math, or the first domain if math is last or absent; `all`: every domain except the last."""
        if choice == "all":
            return sequence[:-1]
        if choice == "single":
            return ("math",) if "math" in sequence[:-1] else sequence[:1]
        raise nearest("targets", choice, ("single", "all"))

    def fingerprint(self) -> str:
        """Hash of everything above but `memory_gb`, and of the tasks' code. Fields that were added later count only where they are set."""
        later = ("levels", "prompting", "answers_at_once")
        left_out = {"memory_gb"} | {name for name in later if getattr(self, name) == type(self).model_fields[name].default}
        content = self.model_dump(mode="json", exclude=left_out) | {"code": {domain: self.task_hash(domain) for domain in self.tasks}}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _broken_promise(task: Task, domain: str) -> str:
    """What a task's class lacks of the interface, in words; empty where nothing is wrong."""
    named, version, tokens = (getattr(task, name, None) for name in ("domain", "version", "answer_tokens"))
    if named != domain:
        return f"its domain is {named!r}, not {domain!r}; both must be the same"
    if type(version) is not int:
        return f"version={version!r}: must be a whole number"
    if type(tokens) is not int or not 1 <= tokens <= MAX_ANSWER_TOKENS:
        return f"answer_tokens={tokens!r}: must be a whole number from 1 to {MAX_ANSWER_TOKENS:,}"
    return ""


def suite_names() -> list[str]:
    """Names of the suites that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str, *, quick: bool = False) -> Suite:
    """The suite with a name, or in a .yaml file. quick: few steps and items, marked not comparable.

    `UserError` for an unknown name, a bad file, or a file whose tasks cannot be used.
    """
    from yaml import YAMLError

    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.exists():
        raise nearest("suite", name, suite_names())
    try:
        text, folder = path.read_text(encoding="utf-8"), path.resolve().parent
        return _parsed(text, quick, folder, _own_stamp(text, folder))
    except RecursionError:
        raise UserError(f"suite file {path}: nested too deeply to be a suite") from None
    except ValidationError as error:
        first = error.errors()[0]
        place, problem = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise UserError(f"suite file {path}: {': '.join(filter(None, [place, problem]))}") from error
    except SourceError as error:
        raise UserError(f"suite file {path}: {error}") from error
    except OSError as error:
        raise UserError(f"suite file {path}: cannot be read ({error.strerror or error}); give the path of a .yaml file") from error
    except (YAMLError, TypeError, AttributeError, ValueError) as error:  # UnicodeDecodeError is a ValueError
        raise UserError(f"suite file {path}: {' '.join(str(error).split())}") from error


@lru_cache
def _code_hash(module: str) -> str:
    return modules_hash(*closure(module))


def _own_stamp(text: str, folder: Path) -> tuple[object, ...]:
    """Changes when a file behind a user's own tasks is edited."""
    return tuple(OwnFiles.of(folder / file).stamp() for file in _own_tasks(text) if (folder / file).is_file())


@lru_cache
def _own_tasks(text: str) -> tuple[str, ...]:
    """The .py files that a suite's text names as tasks."""
    import yaml

    content = yaml.safe_load(text)
    tasks = content.get("tasks") if isinstance(content, dict) else None
    places = tasks.values() if isinstance(tasks, dict) else ()
    files = {place.partition(":")[0] for place in places if isinstance(place, str)}
    return tuple(sorted(file for file in files if file.endswith(".py")))


@lru_cache
def _parsed(text: str, quick: bool, folder: Path, stamp: tuple[object, ...]) -> Suite:
    """The suite in a file's text. Cached: a comparison has hundreds of runs, and each asks several times. stamp: of its own tasks' files,
    so that edited ones are loaded again."""
    import yaml

    content = yaml.safe_load(text)
    shortened = content.pop("quick", {})
    if quick:
        rl = {"rl": content["rl"] | shortened.pop("rl", {})} if "rl" in content else {}
        content |= {name: value for name, value in shortened.items() if name != "rl"} | rl | {"comparable": False}
    suite = Suite(**content)
    suite._folder = folder
    if folder != FOLDER:
        _ = suite.loaded_tasks  # a user's file is refused now, not after hours
    return suite
