"""From a spec to a graph of jobs. Jobs with equal keys are the same work, so runs share stages and scorings. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from bench import hardware
from bench.errors import UserError, nearest
from bench.registry import describe
from bench.results.rows import Row, Rows, rows_of
from bench.spec import MethodRecord, RunSpec
from bench.suite import Suite
from bench.worker.jobs import Distances, Job, LMEval, Recover, Score, Setup, Stage, Start
from tasks.task import Split

Maker = Start | Stage | Recover
"""A job that makes a checkpoint."""


@dataclass(frozen=True)
class Plan:
    """One run's part of the graph. suite: as it was when the run was planned; makers: the job behind each row."""

    spec: RunSpec
    suite: Suite
    method: MethodRecord
    sequence: tuple[str, ...]
    targets: tuple[str, ...]
    split: Split
    """Whose items are scored: test, the reserve for a spec with a draw, or validation."""
    makers: Rows[Maker]

    @cached_property
    def rows(self) -> Rows[Row]:
        """The rows that its folder will have."""
        return rows_of(self.sequence, own_stages=self.method.own_stages, repairs=self.method.repairs)

    @cached_property
    def maker_of(self) -> dict[Row, Maker]:
        """Each row once, with the job that makes its checkpoint."""
        return dict(zip(self.rows, self.makers, strict=True))

    @property
    def label(self) -> str:
        """The method, with the settings that were given for it."""
        words = [f"{key}={value}" for key, value in sorted(self.spec.settings.items())]
        return " ".join([*([f"null after {self.spec.null}"] if self.spec.null else []), self.method.name, *words])

    @property
    def anchors(self) -> tuple[Row, ...]:
        """The rows that distances are measured from: the baseline run's end, and after each target's own stage."""
        return (self.rows.baseline[-1], *(self.rows.after(self.sequence.index(target)) for target in self.targets))

    @property
    def scored(self) -> tuple[Row, ...]:
        """The rows that are scored. Validation items are for choosing: there a method's own stages are left out."""
        return tuple(self.maker_of) if self.split != "validation" else tuple(dict.fromkeys([*self.rows.baseline, self.rows.final]))

    def scoring(self, row: Row, domain: str) -> Score:
        """The job that scores a cell."""
        return Score(self.maker_of[row], domain, self.split, self.spec.draw if self.split == "reserve" else 0)

    def general(self, row: Row) -> LMEval:
        """The job that scores a row on tasks of lm-eval."""
        return LMEval(self.maker_of[row], self.spec.also, self.spec.also_limit)

    @property
    def distances(self) -> Distances:
        """The job that measures how far its checkpoints lie from one another."""
        rows = list(self.maker_of)
        return Distances(tuple(self.maker_of.values()), tuple(rows.index(anchor) for anchor in self.anchors))

    @cached_property
    def jobs(self) -> dict[str, Job]:
        """Every job of this run by its key."""
        found: list[Job] = [*self.makers.distinct()]
        found += [self.scoring(row, domain) for row in self.scored for domain in self.sequence]
        if self.split != "validation":
            found.append(self.distances)
            found += [self.general(row) for row in self.maker_of] if self.spec.also else []
        return {job.key: job for job in found}


def plan(spec: RunSpec, split: Split = "test", method: MethodRecord | None = None) -> Plan:
    """The jobs of one run, scored on a split; on the reserve where the spec has a draw. method: what the spec's method is, where its file
    must not be read here. `UserError` for a bad spec."""
    split = "reserve" if spec.draw and split == "test" else split
    suite, sequence, targets = spec.load_suite(), spec.domains(), spec.target_domains()
    if spec.null and spec.imported:
        raise UserError(f"--null {spec.null}: imported checkpoints are trained already, so nothing can be permuted; leave out --null")
    if spec.null and spec.null not in sequence[:-1]:
        raise nearest("domain before the last", spec.null, sequence[:-1])
    if spec.model and suite.base and not suite.base.pretrained:
        raise UserError(f"--model {spec.model}: suite {spec.suite} has a base of its own; choose a suite without one, or copy its file")
    if not (spec.model or spec.imported or suite.base):
        raise UserError(f"suite {spec.suite} has no model of its own: add --model, a folder or a repository of the Hub (Qwen/Qwen3-0.6B)")
    method = describe(spec.method, spec.settings).record if method is None else method
    # So that a forecast knows the same work under both names.
    device = "cpu" if spec.device == "auto" and not hardware.has_cuda() else spec.device
    setup = Setup(spec.suite, spec.quick, spec.model, device, spec.engine, spec.imported, suite.fingerprint())

    def stages(runs: MethodRecord | None) -> tuple[Start | Stage, ...]:
        chain: list[Start | Stage] = [Start(setup)]
        for index in range(len(sequence)):
            seen = sequence if runs is not None else sequence[: index + 1]
            null = bool(spec.null) and spec.null in sequence[:index]
            chain.append(Stage(chain[-1], seen, index, spec.seed, null, runs))
        return tuple(chain)

    baseline = stages(None)
    own = stages(method) if method.own_stages else baseline
    last = own[-1]
    assert isinstance(last, Stage)
    final = Recover(last, sequence, targets, method) if method.repairs else last
    return Plan(spec, suite, method, sequence, targets, split, Rows(baseline, own, final))


def graph_of(plans: Iterable[Plan]) -> dict[str, Job]:
    """The jobs of all plans, each once, by key."""
    return {key: job for planned in plans for key, job in planned.jobs.items()}
