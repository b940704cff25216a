"""What a recovery method is: one small class. This file holds the whole interface and needs no torch.

A method decides how stages are trained (`stage`), what becomes of a stage's checkpoint (`after_stage`), and how the final model
is repaired (`recover`). It works on checkpoints and asks a `History` for everything else; the History charges for what it gives
(FLOPs and access) and remembers results by their inputs, so an interrupted repair goes on by simply running again.

    class Refresh(Method):
        \"\"\"Train briefly on the target domains again.\"\"\"

        steps: int = 15

        def recover(self, checkpoint, targets, history):
            return history.train(checkpoint, Training.on(*targets, steps=self.steps))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from bench.checkpoint import Checkpoint, Tensors

Track = Literal["training-free", "light", "during", "open", "reference"]
"""What a method may use; `reference` lines (joint training) are shown and not ranked."""


@dataclass(frozen=True)
class Stage:
    """One stage of a sequence: RL on `domain`, at place `index` (from 0) of `sequence`."""

    index: int
    domain: str
    sequence: tuple[str, ...]

    @property
    def earlier(self) -> tuple[str, ...]:
        """Domains of the stages before this one, oldest first."""
        return self.sequence[: self.index]


class PromptChoice(Protocol):
    """Which training prompts a step uses. A dataclass; `state` is what resume needs beside its fields."""

    state: dict[str, Any]

    def choose(self, domain: str, count: int, step: int) -> Sequence[int]:
        """Indices (>= 0) of `count` training prompts of `domain`."""

    def feedback(self, domain: str, indices: Sequence[int], pass_rates: Sequence[float]) -> None:
        """Mean reward in [0, 1] of each chosen prompt's group, right after sampling."""


class Penalty(Protocol):
    """A term added to the loss. A dataclass; tensors it needs are fields of type `Tensors`, handed to it loaded."""

    def __call__(self, parameters: Mapping[str, torch.Tensor], loaded: Mapping[str, Mapping[str, torch.Tensor]]) -> torch.Tensor:
        """The term, a scalar. parameters: the trained tensors by name; loaded: each `Tensors` field's tensors by name."""


class GradientEdit(Protocol):
    """How the gradients of a step's domains become one. A dataclass."""

    def __call__(self, gradients: Mapping[str, Mapping[str, torch.Tensor]]) -> Mapping[str, torch.Tensor]:
        """gradients[domain][parameter], each of the loss on that domain's prompts alone (its own tokens in the denominator)."""


@dataclass(frozen=True)
class Rollout:
    """What an `Advantages` hook sees of P prompts with G answers each.

    domains: P names; rewards: (P, G) in [0, 1]; log_probs and reference_log_probs: (P*G, T) of each answer token under the policy
    that sampled it and under the reference (None without one); mask: (P*G, T) bool, True on answer tokens, the end token included.
    """

    domains: Sequence[str]
    rewards: torch.Tensor
    log_probs: torch.Tensor
    reference_log_probs: torch.Tensor | None
    mask: torch.Tensor


class Advantages(Protocol):
    """How rewards become advantages. A dataclass."""

    def __call__(self, rollout: Rollout) -> torch.Tensor:
        """(P*G,) one for an answer, or (P*G, T) one for a token."""


@dataclass(frozen=True)
class LoRA:
    """Train low-rank adapters on the linear layers inside the blocks, and merge them at the end (2106.09685)."""

    rank: int = 8
    alpha: float = 16.0


@dataclass(frozen=True)
class Training:
    """A declared training: the suite's GRPO with what differs from it. The defaults are the plain stage.

    mixture: share of each domain among a step's prompts (adds up to 1); steps, learning_rate: None for the suite's; prompts,
    penalty, gradient, advantages: hooks above; trainable: LoRA, or tensors of 0 and 1 that say which coordinates may move;
    reference: the checkpoint (or one a domain) that `kl` pulls to and that `Advantages` sees; kl: weight of the KL term.
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
    kl: float | None = None

    def __post_init__(self) -> None:
        if not self.mixture or min(self.mixture.values()) <= 0 or abs(sum(self.mixture.values()) - 1) > 1e-6:
            raise ValueError(f"mixture {dict(self.mixture)}: shares must be above 0 and add up to 1")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps={self.steps}: a training has at least one step")

    @classmethod
    def on(cls, *domains: str, **settings: Any) -> Training:
        """Training on `domains` in equal shares, with any of the fields above."""
        return cls(mixture={domain: 1 / len(domains) for domain in domains}, **settings)

    def but(self, **settings: Any) -> Training:
        """The same training with some fields changed."""
        return replace(self, **settings)


@dataclass(frozen=True)
class Sample:
    """A prompt of `domain` (its training split), an answer of the model at temperature 1, and its reward in [0, 1]."""

    domain: str
    prompt: str
    answer: str
    reward: float


class History(Protocol):
    """What a method may use. Every call is charged, and remembered by its inputs."""

    sequence: tuple[str, ...]
    seed: int

    @property
    def base(self) -> Checkpoint:
        """The model before the first stage."""

    @property
    def stage_steps(self) -> int:
        """Steps of one plain stage (a constant of the suite)."""

    def checkpoint(self, domain: str) -> Checkpoint:
        """The checkpoint right after the stage of `domain`; KeyError where that stage is not behind us."""

    def expert(self, domain: str) -> Checkpoint:
        """The base trained on `domain` alone, by a plain stage."""

    def sample(self, checkpoint: Checkpoint, domain: str, count: int) -> list[Sample]:
        """`count` answers of the checkpoint at temperature 1, one a prompt."""

    def score(self, checkpoint: Checkpoint, domain: str) -> float:
        """Mean greedy score in [0, 1] on the validation items."""

    def train(self, checkpoint: Checkpoint, training: Training) -> Checkpoint:
        """The checkpoint trained further."""

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int = 512) -> Tensors:
        """Diagonal Fisher information per coordinate, >= 0: the mean over `count` answers, sampled by the checkpoint itself, of
        the squared gradient of the answer's log-probability (so from the policy's own samples, not from labels)."""

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int = 512) -> Tensors:
        """Gradient of minus the expected reward, estimated on `count` answers (groups of 8) sampled by the checkpoint: what a step of
        plain GRPO would descend."""


@dataclass
class Method:
    """A recovery method. Subclasses are dataclasses too (made so on definition): their fields are the method's settings, which
    ``--set name=value`` changes. Override one or more of the three steps; the defaults leave the plain run as it is."""

    track: ClassVar[Track] = "light"
    follows: ClassVar[str] = ""
    """The method whose tuned settings this control takes, where it has settings of the same names."""
    controls: ClassVar[bool] = False
    """Whether this is a control (shown in every table) rather than a proposal."""
    search: ClassVar[Mapping[str, Sequence[Any]]] = {}
    """Values of settings that `python -m bench tune` tries: every combination, at most twelve."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclass(cls)

    def stage(self, stage: Stage, history: History) -> Training:
        """How a stage is trained. Default: plain GRPO on the stage's domain."""
        return Training.on(stage.domain)

    def after_stage(self, stage: Stage, checkpoint: Checkpoint, history: History) -> Checkpoint:
        """What goes on to the next stage. Default: the stage's checkpoint as it is."""
        return checkpoint

    def recover(self, checkpoint: Checkpoint, targets: tuple[str, ...], history: History) -> Checkpoint:
        """The repaired model, given the last stage's checkpoint and the domains to win back. Default: as it is."""
        return checkpoint

    @classmethod
    def plain_stages(cls) -> bool:
        """Whether the stages of this method are those of the plain run."""
        return cls.stage is Method.stage and cls.after_stage is Method.after_stage

    @classmethod
    def repairs(cls) -> bool:
        """Whether the method does anything after the last stage."""
        return cls.recover is not Method.recover

    def settings(self) -> dict[str, Any]:
        """The method's settings by name."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)}
