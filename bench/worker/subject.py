"""The stages of a run as diagnostics see them, and their findings, each remembered by its inputs."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from transformers import PreTrainedModel

import bench.diagnostics
from bench.checkpoint import Checkpoint, Tensors
from bench.diagnostics.findings import Finding, from_json, to_json
from bench.diagnostics.subject import before
from bench.method import Training
from bench.storage.cache import Computed
from bench.training.prompting import Dialogue
from bench.worker.keys import DERIVATIVES_CODE
from bench.worker.workbench import Workbench
from tasks.task import Item, Task

_CODE = ("bench.worker.subject", *(f"bench.diagnostics.{module.name}" for module in pkgutil.iter_modules(bench.diagnostics.__path__)))
_ROWS = 128
"""Answers that go through a model together where the suite sets no bound."""


@dataclass(frozen=True)
class StagesOfRun:
    """`bench.diagnostics.subject.Subject` on a workbench. null: the domains whose stages were null ones; imported: its stages were trained
    elsewhere."""

    bench: Workbench
    sequence: tuple[str, ...]
    seed: int
    base: Checkpoint
    stages: Mapping[str, Checkpoint]
    null: frozenset[str] = frozenset()
    imported: bool = False

    def findings(self, kind: str, domain: str) -> list[Finding]:
        """What `bench.diagnostics.<kind>` finds; domain: of a kind that is measured domain by domain, else empty."""
        key = self.bench.key(self.base, (*_CODE, *DERIVATIVES_CODE), list(self.sequence)) | {
            "stages": [[name, checkpoint.hash] for name, checkpoint in self.stages.items()],
            "settings": asdict(self.bench.suite.grpo),
            "seed": self.seed,
            "items": self.bench.suite.validation_items,
            "null": sorted(self.null),
            "imported": self.imported,
            "kind of finding": kind,
            "domain": domain,
        }

        def make(files: Path, work: Path) -> Computed:
            diagnose = importlib.import_module(f"bench.diagnostics.{kind}").diagnose
            return Computed({"findings": to_json(diagnose(self, domain) if domain else diagnose(self))})

        return from_json(self.bench.cache.remember("diagnosis", key, make).value["findings"])

    @property
    def steps(self) -> int:
        return self.bench.suite.grpo.steps

    @property
    def at_once(self) -> int:
        return self.bench.suite.answers_at_once

    @property
    def rows_at_once(self) -> int:
        settings = self.bench.suite.grpo
        return settings.groups_at_once * settings.group if settings.groups_at_once else _ROWS

    @cached_property
    def dialogue(self) -> Dialogue:
        return self.bench.dialogue(self.base)

    def task(self, domain: str) -> Task:
        return self.bench.suite.loaded_tasks[domain]

    def model(self, checkpoint: Checkpoint) -> PreTrainedModel:
        return self.bench.load(checkpoint)

    def items(self, domain: str) -> Sequence[Item]:
        return self.bench.suite.items(domain, "validation")

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int) -> Tensors:
        return self.bench.cache.tensors(self.bench.fisher(checkpoint, domain, count, seed=self.seed).value["tensors"])

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int, draw: int) -> Tensors:
        return self.bench.cache.tensors(self.bench.gradient(checkpoint, domain, count, seed=self.seed, draw=draw).value["tensors"])

    def refreshed(self, checkpoint: Checkpoint, domain: str, steps: int, *, null: bool) -> Checkpoint:
        return self._trained(checkpoint, Training.on(domain, steps=steps), purpose="repair", null=null)

    def trained_again(self, domain: str) -> Checkpoint | None:
        if self.imported:
            return None
        return self._trained(before(self, domain), Training.on(domain), draw=1, null=domain in self.null)

    def _trained(self, checkpoint: Checkpoint, training: Training, **what: object) -> Checkpoint:
        return self.bench.checkpoint(self.bench.train(checkpoint, training, seed=self.seed, **what).value["checkpoint"])
