"""Manifests of runs that were never made, for tests that give the scores by hand (on the path by pytest's `pythonpath`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.costs import AccessRecord, Cost
from bench.results.rows import rows_of
from bench.results.run import Manifest, SuiteRecord
from bench.spec import MethodRecord, ModelRecord, RunSpec


def manifest_of(
    name: str = "none",
    *,
    seed: int = 0,
    sequence: Sequence[str] = ("math", "cw"),
    targets: Sequence[str] = ("math",),
    spec: Mapping[str, Any] | None = None,
    method: Mapping[str, Any] | None = None,
    access: AccessRecord | None = None,
    cost: float = 1.05,
    chain: object = None,
) -> Manifest:
    """A manifest whose parts are given where a test cares about them. spec, method: fields that differ; cost: in all; chain: what the
    checkpoints are named after (the seed where None): runs of one training have one chain."""
    known = {"source": "5" * 64, "track": "light", "control": False, "own_stages": False, "repairs": True, "settings": {}}
    record = MethodRecord(**{"reference": name, "name": name, **known, **(method or {})})
    rows = rows_of(tuple(sequence), own_stages=record.own_stages, repairs=record.repairs)
    return Manifest(
        spec=RunSpec(seed=seed, **(spec or {})),
        suite=SuiteRecord(id="micro/1", fingerprint="f", comparable=True, settings={}),
        model=ModelRecord(name="", revision="", content="b"),
        method=record,
        sequence=tuple(sequence),
        targets=tuple(targets),
        checkpoints={row.name: f"{row.name}-{seed if chain is None else chain}" for row in rows.distinct()},
        distances={},
        cost=Cost(stages=1.0, repair=cost - 1, access=access or AccessRecord()),
        cut={},
        numerics={"device": "cpu"},
        versions={},
    )
