"""What a run is: suite x sequence x targets x method x seed, as plain values that travel to workers. No torch."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.suite import Suite, load_suite


class RunSpec(BaseModel):
    """One run. imported: checkpoints to take for the base and the stages (in order) instead of training them, by content hash;
    null: a domain, after whose own stage the rewards of every stage are permuted within their groups ("": of none); the stages up to there
    are the real ones, so that real and null damage to that domain start from the same peak."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = "micro"
    model: str = ""
    """An HF folder or a repository of the hub, instead of the suite's own base."""
    quick: bool = False
    sequence: str = "paper"
    targets: str = "single"
    method: str = "none"
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    engine: Literal["hf", "vllm"] = "hf"
    null: str = ""
    also: tuple[str, ...] = ()
    """Tasks of lm-eval, by name or .yaml file, that every row is scored on beside the domains."""
    also_limit: int | None = Field(default=None, gt=0)
    imported: tuple[str, ...] = ()
    """Domains' checkpoints in order, the base's first; the sequence is then `imported_sequence`."""
    imported_sequence: tuple[str, ...] = ()

    def load_suite(self) -> Suite:
        return load_suite(self.suite, quick=self.quick)

    def domains(self) -> tuple[str, ...]:
        """The sequence's domains in order."""
        return self.imported_sequence or self.load_suite().sequence(self.sequence)

    def target_domains(self) -> tuple[str, ...]:
        return self.load_suite().targets(self.domains(), self.targets)

    def folder_name(self) -> str:
        """A readable name, the same for the same run: micro-paper-single-refresh-steps=30-s0."""
        method = self.method.rpartition(":")[2] if ".py" in self.method else self.method
        method = Path(method).stem if method.endswith(".py") else method
        parts = [Path(self.suite).stem + ("-quick" if self.quick else ""), *([Path(self.model).name] if self.model else [])]
        parts += [self.sequence, self.targets]
        parts += [f"null-after-{self.null}"] if self.null else []
        parts += [method] if self.method != "none" or not self.null else []
        parts += [f"{key}={value}" for key, value in sorted(self.settings.items())]
        if self.imported:
            parts.append(hashlib.sha256("".join(self.imported).encode()).hexdigest()[:8])
        return re.sub(r"[^A-Za-z0-9=._+-]+", "_", "-".join([*parts, f"s{self.seed}"]))
