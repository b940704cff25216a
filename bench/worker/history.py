"""The `History` that methods see: a workbench with a price list.

It gives a method what it may use, remembers what that cost and what access it took, and leaves every computation to the workbench.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bench.checkpoint import Checkpoint, Tensors
from bench.costs import Access
from bench.method import Sample, Training
from bench.storage.cache import Cached
from bench.worker.outcomes import Log
from bench.worker.workbench import Workbench

_OWN_ANSWERS = "own answers"
"""The prompts that `sample`, `fisher` and the first draw of `gradient` share."""


class RunHistory:
    """`bench.method.History` of one run. stages: the checkpoints so far, by domain. `charged` holds the FLOPs of each distinct computation
    requested, by cache key (a repeated request costs nothing); `free` those of the first stage's expert, which the baseline run has
    already; `logs` the log of each training; `given` names the checkpoint that the method has been handed (a domain or "base": at first
    the newest), which is no access."""

    def __init__(self, bench: Workbench, sequence: tuple[str, ...], seed: int, base: Checkpoint, stages: Mapping[str, Checkpoint]) -> None:
        self.sequence = sequence
        self.seed = seed
        self.charged: dict[str, float] = {}
        self.free = 0.0
        self.access = Access()
        self.logs: list[Log] = []
        self._bench = bench
        self._base = base
        self._stages = dict(stages)
        self.given = next(reversed(self._stages), "base")

    @property
    def base(self) -> Checkpoint:
        self._looked_at("base")
        return self._base

    @property
    def stage_steps(self) -> int:
        return self._bench.suite.grpo.steps

    @property
    def spent(self) -> float:
        """FLOPs of everything the method requested."""
        return sum(self.charged.values())

    def checkpoint(self, domain: str) -> Checkpoint:
        if domain not in self._stages:
            raise KeyError(f"no checkpoint of {domain!r} yet: the stages so far are {', '.join(self._stages) or 'none'}")
        self._looked_at(domain)
        return self._stages[domain]

    def expert(self, domain: str) -> Checkpoint:
        entry = self._bench.train(self._base, Training.on(domain), seed=self.seed)
        expert = self._checkpoint(entry)
        if self._stages.get(self.sequence[0]) != expert:
            self._charge(entry)
        else:  # the first stage's checkpoint is that domain's expert: the baseline run has it already
            self.free = entry.flops
        self.access.experts.add(domain)
        return expert

    def sample(self, checkpoint: Checkpoint, domain: str, count: int) -> list[Sample]:
        entry = self._charge(self._bench.sample(checkpoint, domain, count, seed=self.seed))
        self.access.drew(_OWN_ANSWERS, domain, count)
        rows = json.loads((entry.folder / "samples.json").read_text(encoding="utf-8"))
        return [Sample(domain, *row) for row in rows]

    def score(self, checkpoint: Checkpoint, domain: str) -> float:
        entry = self._charge(self._bench.answers(checkpoint, domain, "validation"))
        self.access.drew("score", domain, self._bench.suite.validation_items)
        return entry.value["greedy"]

    def train(self, checkpoint: Checkpoint, training: Training, draw: int = 0) -> Checkpoint:
        entry = self._charge(self._bench.train(checkpoint, training, seed=self.seed, purpose="repair", draw=draw))
        self.logs.append(Log(training.label, str(entry.folder / "log.jsonl")))
        # Where a hook chooses them, no two trainings need have prompts in common.
        self.draws(_numbered("repair", draw) if training.prompts is None else f"repair {entry.work}", training)
        return self._checkpoint(entry)

    def draws(self, prompts: str, training: Training, own: str = "") -> None:
        """Count the prompts of a training under this name, but for a stage's own domain."""
        steps = self._bench.suite.grpo.steps if training.steps is None else training.steps
        for domain, share in training.mixture.items():
            if domain != own:
                self.access.drew(prompts, domain, round(share * steps * self._bench.suite.grpo.prompts))

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int = 512) -> Tensors:
        return self._tensors(self._bench.fisher(checkpoint, domain, count, seed=self.seed), domain, count)

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int = 512, draw: int = 0) -> Tensors:
        entry = self._bench.gradient(checkpoint, domain, count, seed=self.seed, draw=draw)
        return self._tensors(entry, domain, self._bench.suite.grpo.groups_of(count), draw)

    def _looked_at(self, checkpoint: str) -> None:
        if checkpoint != self.given:
            self.access.checkpoints.add(checkpoint)

    def _charge(self, entry: Cached) -> Cached:
        self.charged[entry.work] = entry.flops
        return entry

    def _checkpoint(self, entry: Cached) -> Checkpoint:
        return self._bench.cache.checkpoint(entry.value["checkpoint"])

    def _tensors(self, entry: Cached, domain: str, prompts: int, draw: int = 0) -> Tensors:
        self._charge(entry)
        self.access.drew(_numbered(_OWN_ANSWERS, draw), domain, prompts)
        return self._bench.cache.tensors(entry.value["tensors"])


def _numbered(prompts: str, draw: int) -> str:
    return f"{prompts} {draw}" if draw else prompts
