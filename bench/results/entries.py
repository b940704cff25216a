"""Entries: a method's runs on one board, what they measured, cost and had access to. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.costs import AccessRecord, Cost, over_limit
from bench.results.estimates import DomainOutcome, Value, by_domain, measure_all
from bench.results.measured import Measured
from bench.results.run import Run
from bench.spec import MethodRecord
from bench.suite import DECODINGS

FULL_SEEDS = 5
"""With fewer seeds, or fewer trainings behind them, an entry is provisional and no verdict is given on it."""


@dataclass(frozen=True)
class Entry:
    """A method's runs on one board, one for each order and seed. label: its name, with the settings that differ from its siblings' on the
    board; dropped: runs that do not count, since another of the same seed is there or an order lacks the seed."""

    label: str
    runs: tuple[Run, ...]
    dropped: tuple[Run, ...] = ()

    @property
    def method(self) -> MethodRecord:
        return self.runs[0].manifest.method

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted({run.seed for run in self.runs}))

    @property
    def draw(self) -> int:
        """Which test items it was scored on (`RunSpec.draw`)."""
        return self.runs[0].manifest.spec.draw

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        return {decoding: Measured.of(self.runs, decoding) for decoding in DECODINGS}

    def measured(self, decoding: str) -> Measured:
        """Its scores under a decoding."""
        return self._measured[decoding]

    @cached_property
    def metrics(self) -> dict[str, dict[str, Value]]:
        """Decoding -> metric -> value (`bench.results.estimates.measure`)."""
        return {decoding: measure_all(self.measured(decoding)) for decoding in DECODINGS}

    @cached_property
    def domains(self) -> dict[str, dict[str, DomainOutcome]]:
        """Decoding -> domain -> what happened to it."""
        return {decoding: by_domain(self.measured(decoding)) for decoding in DECODINGS}

    @cached_property
    def cost(self) -> Cost:
        """Means over the runs; access is what any of its runs had."""
        costs = [run.manifest.cost for run in self.runs]
        stages, repair = (float(np.mean(values)) for values in ([c.stages for c in costs], [c.repair for c in costs]))
        return Cost(stages=stages, repair=repair, access=AccessRecord.union(run.access for run in self.runs))

    @property
    def access(self) -> AccessRecord:
        """What any of its runs had access to."""
        return self.cost.access

    @property
    def unranked(self) -> str:
        """Why it has no place, or the empty string."""
        if self.method.control:
            return "control"
        if self.method.track == "reference":
            return "reference"
        return over_limit(self.method.track, self.cost.total) if self.runs[0].manifest.suite.comparable else ""

    @cached_property
    def trainings(self) -> int:
        """How many times the stages were trained; fewer than there are seeds where imported checkpoints are repaired several times."""
        chains = {tuple(run.manifest.checkpoints[row.name] for row in run.rows.baseline[1:]) for run in self.runs}
        return min(len(self.seeds), len(chains))

    @property
    def provisional(self) -> bool:
        return self.trainings < FULL_SEEDS
