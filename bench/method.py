"""The interface of a recovery method: one small class. This file is the whole interface; it does not import torch.

A method decides how stages are trained (`stage`), what happens to a stage's checkpoint (`after_stage`), and how the final model is
repaired (`recover`). It works on checkpoints and gets everything else from a `History`, which counts the cost (FLOPs and access) of
each request and caches results by their inputs: rerun an interrupted repair and it resumes.

    class Refresh(Method):
        \"\"\"Train briefly on the target domains again.\"\"\"

        steps: int = 15

        def recover(self, checkpoint, targets, history):
            return history.train(checkpoint, Training.on(*targets, steps=self.steps))
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint, Tensors

Track = Literal["training-free", "light", "during", "open", "reference"]
"""Limits on what a method may use. `reference` methods (joint training) are shown and not ranked."""

MAX_STEPS = 100_000
"""Most steps of one training, in suites and in methods."""


class TrainingError(ValueError):
    """A value of a `Training` or a `LoRA` that cannot be trained with. setting: the field's name; value: what it was."""

    def __init__(self, setting: str, value: Any, needed: str) -> None:
        super().__init__(f"{setting}={value!r}: must be {needed}")
        self.setting = setting
        self.value = value


def _check_number(setting: str, value: Any, *, above: float | None = None, least: float | None = None) -> None:
    """`TrainingError` unless `value` is a finite int or float in the range."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (above is not None and value <= above) or (least is not None and value < least):
        bound = f"above {above:g}" if above is not None else f"of at least {least:g}"
        raise TrainingError(setting, value, f"a finite number {bound}")


def _check_count(setting: str, value: Any, most: int) -> None:
    """`TrainingError` unless `value` is an int in 1..most."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise TrainingError(setting, value, f"a whole number from 1 to {most:,}")


def _is_stored(value: Any) -> bool:
    """Whether it is a `Checkpoint` or `Tensors`, told without torch."""
    return hasattr(value, "hash") and hasattr(value, "folder")


@dataclass(frozen=True)
class Stage:
    """One stage of a sequence: RL on `domain`, at position `index` (from 0) of `sequence`."""

    index: int
    domain: str
    sequence: tuple[str, ...]

    @property
    def earlier(self) -> tuple[str, ...]:
        """Domains of the stages before this one, oldest first."""
        return self.sequence[: self.index]


class PromptChoice(Protocol):
    """Which training prompts a step uses. A dataclass; `state` holds what resuming needs besides its fields.

    The other hooks may have a `state` too. A hook that keeps something between steps must keep it there, as plain values and tensors: it is
    all that an interrupted training restores of a hook.

    Without this hook, a stage takes the prompts of each of its domains from number 0 on: what it mixes in of an earlier domain are the
    prompts of that domain's own stage. Repairs have other prompts.
    """

    state: dict[str, Any]

    def choose(self, domain: str, count: int, step: int) -> Sequence[int]:
        """Indices (>= 0) of `count` training prompts of `domain`."""

    def feedback(self, domain: str, indices: Sequence[int], pass_rates: Sequence[float]) -> None:
        """Receives the mean reward, in [0, 1], of each chosen prompt's group, after sampling and before the update."""


class Penalty(Protocol):
    """A term added to the loss. A dataclass; the tensors it needs are fields of type `Tensors`, which it receives loaded."""

    def __call__(self, parameters: Mapping[str, torch.Tensor], loaded: Mapping[str, Mapping[str, torch.Tensor]]) -> torch.Tensor:
        """The term, a scalar. parameters: the trained tensors by name; loaded: each `Tensors` field's tensors by name."""


class GradientEdit(Protocol):
    """Combines the gradients of a step's domains into one. A dataclass of plain values: `Tensors` in it are not loaded.

    The penalty's gradient is added to the result. Then the mask of `trainable`, the clipping of its norm and AdamW follow, so that a
    direction removed here can come back.
    """

    def __call__(self, gradients: Mapping[str, Mapping[str, torch.Tensor]]) -> Mapping[str, torch.Tensor]:
        """gradients[domain][parameter]: the gradient of the loss on that domain's prompts only, normalised by its own tokens. Only domains
        that have prompts in this step are there: one with a small share is absent from some steps. Returns a gradient of the same shape
        for every parameter."""


@dataclass(frozen=True)
class Rollout:
    """What an `Advantages` hook receives: P prompts with G answers each.

    domains: P names; rewards: (P, G) in [0, 1]; log_probs and reference_log_probs: (P*G, T) of each answer token under the policy
    before the step (which sampled it, unless the training has a `sampler`) and under the reference (None if there is none); mask: (P*G, T)
    bool, True on answer tokens, including the end token.
    """

    domains: Sequence[str]
    rewards: torch.Tensor
    log_probs: torch.Tensor
    reference_log_probs: torch.Tensor | None
    mask: torch.Tensor


class Advantages(Protocol):
    """Computes advantages from rewards. A dataclass of plain values: `Tensors` in it are not loaded."""

    def __call__(self, rollout: Rollout) -> torch.Tensor:
        """(P*G,): one per answer, or (P*G, T): one per token."""


@dataclass(frozen=True)
class LoRA:
    """Train low-rank adapters on the linear layers inside the blocks and merge them at the end (2106.09685). rank: 1 or more; alpha:
    finite, above 0. `TrainingError` otherwise."""

    rank: int = 8
    alpha: float = 16.0

    def __post_init__(self) -> None:
        _check_count("rank", self.rank, 65_536)
        _check_number("alpha", self.alpha, above=0)


@dataclass(frozen=True)
class Training:
    """A declared training: the suite's GRPO, and what differs from it. The defaults are the plain stage.

    mixture: share of each domain among a step's prompts (each above 0, sum 1); steps: 1 to `MAX_STEPS`, None for the suite's;
    learning_rate: finite and above 0, None for the suite's (0 is an error, not the suite's rate: it would pay for a training that
    changes nothing); kl: weight of the KL term, finite, 0 or more, None for the suite's; prompts, penalty, gradient, advantages: the
    hooks above; trainable: LoRA, or tensors of 0 and 1 that mark the coordinates to train; reference: the checkpoint (or one per
    domain) of the KL term and of `Advantages`, refused where neither is used; sampler: the checkpoint (or one per domain) that writes the
    answers, None for the policy itself. What another policy wrote is not reweighted: the ratio of the loss is to the policy before the
    step. Raises `TrainingError` for any other value.
    """

    mixture: Mapping[str, float]
    steps: int | None = None
    learning_rate: float | None = None
    prompts: PromptChoice | None = None
    penalty: Penalty | None = None
    gradient: GradientEdit | None = None
    advantages: Advantages | None = None
    trainable: LoRA | Tensors | None = None
    reference: Checkpoint | Mapping[str, Checkpoint] | None = None
    sampler: Checkpoint | Mapping[str, Checkpoint] | None = None
    kl: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.mixture, Mapping) or not self.mixture:
            raise TrainingError("mixture", self.mixture, "a share for each domain, such as {'math': 1.0}")
        for domain, share in self.mixture.items():
            _check_number(f"mixture[{domain!r}]", share, above=0)
        if abs(sum(self.mixture.values()) - 1) > 1e-6:
            raise TrainingError("mixture", dict(self.mixture), "shares that add up to 1")
        if self.steps is not None:
            _check_count("steps", self.steps, MAX_STEPS)
        if self.learning_rate is not None:
            _check_number("learning_rate", self.learning_rate, above=0)
        if self.kl is not None:
            _check_number("kl", self.kl, least=0)
        if not (self.trainable is None or isinstance(self.trainable, LoRA) or _is_stored(self.trainable)):
            raise TrainingError("trainable", self.trainable, "a LoRA, or tensors of 0 and 1")
        for name in ("reference", "sampler"):
            given = getattr(self, name)
            if isinstance(given, Mapping) and not set(self.mixture) <= set(given):
                raise TrainingError(name, sorted(given), f"one checkpoint, or one for each of {', '.join(self.mixture)}")
            for one in given.values() if isinstance(given, Mapping) else [given]:
                if not (one is None or _is_stored(one)):
                    raise TrainingError(name, one, "a checkpoint, or one for each domain")

    @classmethod
    def on(cls, *domains: str, **settings: Any) -> Training:
        """Training on `domains` in equal shares; settings: any of the fields above."""
        return cls(mixture={domain: 1 / len(domains) for domain in domains}, **settings)

    def but(self, **settings: Any) -> Training:
        """A copy with some fields changed."""
        return replace(self, **settings)

    @property
    def label(self) -> str:
        """Its domains, as logs and messages name it: ``math+qa``."""
        return "+".join(sorted(self.mixture))


@dataclass(frozen=True)
class Sample:
    """A training prompt of `domain`, an answer of the model at temperature 1, and its reward in [0, 1]."""

    domain: str
    prompt: str
    answer: str
    reward: float


class History(Protocol):
    """What a method may use. The cost of every call is counted, and results are cached by their inputs.

    sequence: the domains in order; seed: of the run, for a method's own random draws.
    """

    sequence: tuple[str, ...]
    seed: int

    @property
    def base(self) -> Checkpoint:
        """The model before the first stage."""

    @property
    def stage_steps(self) -> int:
        """Steps of one plain stage, a constant of the suite."""

    def checkpoint(self, domain: str) -> Checkpoint:
        """The checkpoint after the stage on `domain`, as the method's `after_stage` left it. KeyError if there is none yet: in
        `after_stage`, the checkpoint of the stage itself is its argument."""

    def expert(self, domain: str) -> Checkpoint:
        """The base after one plain stage on `domain`."""

    def sample(self, checkpoint: Checkpoint, domain: str, count: int) -> list[Sample]:
        """`count` answers of the checkpoint at temperature 1, one per training prompt."""

    def score(self, checkpoint: Checkpoint, domain: str) -> float:
        """Mean greedy score, in [0, 1], on the validation items."""

    def train(self, checkpoint: Checkpoint, training: Training, draw: int = 0) -> Checkpoint:
        """The checkpoint trained further, with a new optimizer and the suite's warm-up. Each draw (0 or more) has prompts of its own: two
        trainings with the same draw see the same prompts in the same order, so a repair that trains several times should number its
        draws."""

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int = 512) -> Tensors:
        """Diagonal of the Fisher information, per coordinate, >= 0: the mean over `count` answers, sampled from the checkpoint, of the
        squared gradient of the answer's log-probability. It uses the policy's samples, not labels."""

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int = 512, draw: int = 0) -> Tensors:
        """Gradient of a plain GRPO step's loss, estimated from `count` answers of the checkpoint in groups of the suite's size (rounded
        down to whole groups, at least one). It is not the gradient of minus the expected reward: advantages are divided by their group's
        spread. Each draw (0 or more) has prompts of its own, for methods that take one gradient after another."""


@dataclass
class Method:
    """A recovery method. Subclasses become dataclasses automatically; their fields are the method's settings (``--set name=value``).
    Override one or more of `stage`, `after_stage` and `recover`; the defaults give the baseline run."""

    track: ClassVar[Track] = "light"
    follows: ClassVar[str] = ""
    """A method whose tuned settings this control uses, for settings with the same names."""
    controls: ClassVar[bool] = False
    """Whether this is a control, shown in every table, rather than a proposed method."""
    search: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values of settings that `python -m bench tune` tries, in every combination; at most twelve combinations."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        annotations, inherited = inspect.get_annotations(cls), {setting.name: setting.type for setting in fields(cls)}
        for name, kind in annotations.items():
            if name in ("track", "follows", "controls", "search") and "ClassVar" not in str(kind):
                raise TypeError(f"{cls.__name__}: {name} is no setting: write it without an annotation")
        for name in inherited.keys() & vars(cls).keys() - annotations.keys():  # a dataclass would keep the inherited default
            kind = getattr(inherited[name], "__name__", inherited[name])  # a text where annotations are postponed
            raise TypeError(f"{cls.__name__}: to change the default of {name}, write it with its annotation: `{name}: {kind} = ...`")
        dataclass(cls)

    def stage(self, stage: Stage, history: History) -> Training:
        """How a stage is trained; it does not know the targets. Default: plain GRPO on the stage's domain."""
        return Training.on(stage.domain)

    def after_stage(self, stage: Stage, checkpoint: Checkpoint, history: History) -> Checkpoint:
        """The checkpoint that the next stage starts from. Default: the stage's checkpoint."""
        return checkpoint

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        """The repaired model. checkpoint: the last stage's; targets: the domains to recover. Default: the checkpoint unchanged."""
        return checkpoint

    @classmethod
    def plain_stages(cls) -> bool:
        """Whether this method's stages are those of the baseline run."""
        return cls.stage is Method.stage and cls.after_stage is Method.after_stage

    @classmethod
    def repairs(cls) -> bool:
        """Whether the method does anything after the last stage."""
        return cls.recover is not Method.recover

    def settings(self) -> dict[str, Any]:
        """The method's settings by name."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)}
