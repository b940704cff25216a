"""From a spec to a graph of jobs. Ids are equal where the work is, so runs share stages and scorings. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.files import key_hash
from bench.method import Method
from bench.registry import make_method, method_identity
from bench.runs.pool import Job
from bench.spec import RunSpec
from bench.errors import UserError
from tasks.task import Split

DEVICES = ("auto", "cpu", "cuda")


@dataclass
class Plan:
    """One run's part of the graph. rows: part (plain, method, end) -> (name of the row, id of the job that makes its checkpoint)."""

    spec: RunSpec
    method: Method
    sequence: tuple[str, ...]
    split: Split
    jobs: dict[str, Job] = field(default_factory=dict)
    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The method, with the settings that were given for it."""
        name = method_identity(self.spec.method, self.method)["name"]
        words = [f"{key}={value}" for key, value in sorted(self.spec.settings.items())]
        return " ".join([*([f"null after {self.spec.null}"] if self.spec.null else []), name, *words])

    def anchors(self) -> list[str]:
        """The rows that distances are measured from: the plain run's end, and after each target's own stage."""
        plain = [name for name, _ in self.rows["baseline"]]
        return [plain[-1], *(plain[self.sequence.index(target) + 1] for target in self.spec.target_domains())]

    def row_jobs(self) -> dict[str, str]:
        """Row -> id of the job that makes its checkpoint, each row once."""
        return {name: job for part in self.rows.values() for name, job in part}

    def scorings(self) -> list[tuple[str, str]]:
        """(row's job, domain) of every cell, each once. Validation items are for choosing: there only the plain run's rows and where the
        method ends are scored, not its stages on the way."""
        parts = self.rows if self.split == "test" else ("baseline", "final")
        jobs = dict.fromkeys(job for part in parts for _, job in self.rows[part])
        return [(job, domain) for job in jobs for domain in self.sequence]


def plan(spec: RunSpec, split: Split = "test") -> Plan:
    """The jobs of one run, scored on a split; ids are equal where the work is, so that runs share stages. `UserError` for a bad spec."""
    if spec.device not in DEVICES:
        raise UserError(f"device {spec.device!r}: choose auto, cpu or cuda")
    sequence = spec.domains()
    spec.target_domains()
    if spec.null and spec.null not in sequence[:-1]:
        raise UserError(f"null stages after {spec.null!r}: choose one of {', '.join(sequence[:-1])}")
    if not (spec.model or spec.imported or spec.load_suite().base):
        raise UserError(f"suite {spec.suite} has no model of its own: add --model, a folder or a repository of the hub (Qwen/Qwen3-0.6B)")
    method = make_method(spec.method, spec.settings)
    planned = Plan(spec, method, sequence, split)
    dumped = spec.model_dump(mode="json")
    common = json.dumps([spec.suite, spec.model, spec.quick, spec.device, spec.engine, spec.imported])
    stamps = {True: spec.load_suite().fingerprint()}
    stamps[False] = key_hash({"suite": stamps[True], "method": method_identity(spec.method, method)})
    start = f"start/{common}"
    alone = spec.engine != "hf"  # such an engine holds a card's memory until its process ends
    planned.jobs[start] = Job(start, lambda results: {"do": "start", "spec": dumped}, rank=-1)

    def chain(label: str, plain: bool) -> list[str]:
        ids = [start]
        for index in range(len(sequence)):
            null = spec.null if spec.null in sequence[:index] else ""
            own = f"stage/{common}/{label}/{spec.seed}/{null}/{'>'.join(sequence[: index + 1])}"
            before = tuple(ids)

            def payload(results: Mapping[str, Any], index: int = index, before: tuple[str, ...] = before) -> dict[str, Any]:
                previous = [results[job]["checkpoint"] for job in before]
                return {"do": "stage", "spec": dumped, "baseline": plain, "index": index, "previous": previous}

            kind = "stage" if plain else f"stage {spec.method}"
            planned.jobs[own] = Job(own, payload, before, kind=kind, stamp=stamps[plain], alone=alone)
            ids.append(own)
        return ids

    names = ["base", *sequence]
    plain_ids = chain("baseline", plain=True)
    planned.rows["baseline"] = [(f"baseline-{i}-{name}", job) for i, (name, job) in enumerate(zip(names, plain_ids, strict=True))]
    identity = json.dumps([spec.method, method_identity(spec.method, method)["settings"], spec.targets], sort_keys=True)
    own_ids, own_rows = plain_ids, planned.rows["baseline"]
    if not method.plain_stages():
        own_ids = chain(identity, plain=False)
        own_rows = [own_rows[0]]
        own_rows += [(f"method-{i}-{n}", job) for i, (n, job) in enumerate(zip(sequence, own_ids[1:], strict=True), start=1)]
    planned.rows["method"] = own_rows
    planned.rows["final"] = [own_rows[-1]]
    if method.repairs():
        repair = f"recover/{common}/{identity}/{spec.seed}/{spec.null}/{'>'.join(sequence)}"

        def payload(results: Mapping[str, Any]) -> dict[str, Any]:
            return {"do": "recover", "spec": dumped, "previous": [results[job]["checkpoint"] for job in own_ids]}

        planned.jobs[repair] = Job(repair, payload, tuple(own_ids), kind=f"recover {spec.method}", stamp=stamps[False], alone=alone)
        planned.rows["final"] = [("repaired", repair)]
    rows = planned.row_jobs()

    def measured(results: Mapping[str, Any]) -> dict[str, Any]:
        made = {name: results[job]["checkpoint"] for name, job in rows.items()}
        return {"do": "distances", "spec": dumped, "rows": made, "anchors": planned.anchors()}

    measuring = distances_id(planned)
    planned.jobs[measuring] = Job(measuring, measured, tuple(rows.values()), rank=2, kind="distances", stamp=stamps[False])
    for job, domain in planned.scorings():

        def payload(results: Mapping[str, Any], job: str = job, domain: str = domain) -> dict[str, Any]:
            return {"do": "score", "spec": dumped, "checkpoint": results[job]["checkpoint"], "domain": domain, "split": split}

        own = scoring_id(job, domain, split)
        planned.jobs[own] = Job(own, payload, (job,), rank=1, kind=f"score {domain}", stamp=planned.jobs[job].stamp, alone=alone)
    if spec.also and split == "test":
        for job in dict.fromkeys(planned.row_jobs().values()):

            def payload(results: Mapping[str, Any], job: str = job) -> dict[str, Any]:
                return {"do": "also", "spec": dumped, "checkpoint": results[job]["checkpoint"]}

            own = also_id(job, spec)
            planned.jobs[own] = Job(own, payload, (job,), rank=2, kind="also", stamp=planned.jobs[job].stamp)
    return planned


def also_id(job: str, spec: RunSpec) -> str:
    """Id of the job that scores what `job` makes on tasks of lm-eval."""
    return f"also/{json.dumps([spec.also, spec.also_limit])}/{job}"


def distances_id(planned: Plan) -> str:
    """Id of the job that measures how far a run's checkpoints lie from one another."""
    return f"distances/{key_hash({'rows': planned.row_jobs(), 'anchors': planned.anchors()})}"


def scoring_id(job: str, domain: str, split: Split = "test") -> str:
    """Id of the job that scores what `job` makes on a domain."""
    return f"score/{domain}/{job}" if split == "test" else f"score/{domain}:{split}/{job}"
