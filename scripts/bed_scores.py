"""Baseline runs of a suite for its test bed: trained, scored, and kept by seed."""

from __future__ import annotations

import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from graphs import computed, needed

from bench import hardware
from bench.errors import UserError, one_line
from bench.files import key_hash, lock_for, write_bytes
from bench.results.answers import table_of
from bench.runs.plan import plan
from bench.runs.workers import on_cpu, places
from bench.spec import RunSpec
from bench.suite import Decoding, Suite, load_suite
from bench.worker.arithmetic import arithmetic
from bench.worker.jobs import Job
from tasks.task import Split

Which = tuple[str, str]
"""Order, and the domain after which stages are null (or "")."""
Key = tuple[str, str, int]
"""The same, and the seed."""
Table = dict[tuple[str, Decoding], np.ndarray]
"""Of one checkpoint: (domain, decoding) -> (I, 3): score, parsed, ended."""


@dataclass(frozen=True)
class Scored:
    """A baseline run. tables: of its rows, the base's first, each with the cells that were scored (`cells_of`); flops: of its stages in
    order; machine: where it was trained."""

    tables: Sequence[Table]
    flops: tuple[float, ...]
    machine: str


def scores_of(suite_name: str, runs: Sequence[Which], seed: int, split: Split, device: str, keep: Path | None) -> dict[Key, Scored]:
    """The runs of one seed. keep: a folder where they are stored, and taken from where they are there.

    On another type of machine a seed is another draw. Null stages may be of one, with the stages before them trained again: what they take
    is measured from their own training. `UserError` where real stages would be of two types.
    """
    suite = load_suite(suite_name)
    file = keep / f"{split}-s{seed}.npz" if keep else None
    found = read(file, suite) if file else {}
    missing = [which for which in runs if which not in found]
    if missing:
        elsewhere = {run.machine for (_, null), run in found.items() if not null} - {machine(device, suite)}
        lacking = [order for order, null in missing if not null]
        if elsewhere and lacking:
            words = f"lacks the real stages of {lacking[0]}, and those in it are of {min(elsewhere)}"
            raise UserError(f"{file}: {words}: add the others there, or choose another --keep")
        found |= trained(suite, suite_name, missing, seed, split, device)
        if file:
            with lock_for(file):  # what another process added meanwhile stays
                found = read(file, suite) | found
                check_shared(file, suite, found)
                write(file, suite, found)
    return {(order, null, seed): found[order, null] for order, null in runs}


def trained(suite: Suite, name: str, runs: Sequence[Which], seed: int, split: Split, device: str) -> dict[Which, Scored]:
    """Train and score what is not in the cache yet."""
    specs = {(order, null): RunSpec(suite=name, sequence=order, seed=seed, null=null, device=device) for order, null in runs}
    plans = {which: plan(spec, split) for which, spec in specs.items()}
    cells = {which: cells_of(run.sequence, run.spec.null) for which, run in plans.items()}

    def scoring(which: Which, row: int, domain: str) -> Job:
        return plans[which].scoring(plans[which].rows.baseline[row], domain)

    jobs = [scoring(which, *cell) for which, own in cells.items() for cell in own]
    trainings = [stage for run in plans.values() for stage in run.makers.baseline[1:]]
    results = computed(needed([*jobs, *trainings]), list(plans.values()), log="test-bed-")
    here = machine(device, suite)

    def scored(which: Which) -> Scored:
        stages = plans[which].makers.baseline[1:]
        tables: list[Table] = [{} for _ in range(len(stages) + 1)]
        for row, domain in cells[which]:
            file = Path(results[scoring(which, row, domain).key].answers)
            tables[row] |= table_of(file.read_bytes(), str(file))
        return Scored(tables, tuple(results[stage.key].flops for stage in stages), here)

    return {which: scored(which) for which in plans}


def cells_of(sequence: Sequence[str], null: str) -> list[tuple[int, str]]:
    """What a bed looks at, as (row, domain): the base, a domain before and after its own stage, and the end. Of a run with null stages: the
    domain before them and at the end."""
    last = len(sequence)
    if null:
        return [(row, null) for row in sorted({sequence.index(null) + 1, last})]
    return sorted({(row, domain) for place, domain in enumerate(sequence) for row in (0, place, place + 1, last)})


def machine(device: str, suite: Suite) -> str:
    """What the numbers depend on besides the code: the CPU's capability, or the type of the cards that workers are put on. The number of
    cores or cards does not count."""
    import torch

    if not on_cpu(device):
        kinds = {card.uuid: card.kind for card in hardware.cards()}
        used = places(device, suite)[0]
        return f"{device}, torch {torch.__version__}, {kinds.get(used, used)}, {platform.machine()}"
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{device}, torch {torch.__version__}, {capability}, arithmetic {arithmetic()}, {platform.machine()}"


# --- kept on disk


def decided_by(suite: Suite) -> str:
    """Hash of all that decides a suite's scores; its version, title and budgets do not."""
    settings = suite.model_dump(mode="json", include={"base", "levels", "prompting", "rl", "test_items", "validation_items"})
    return key_hash(settings | {"tasks": {domain: suite.task_hash(domain) for domain in suite.tasks}})


def write(file: Path, suite: Suite, runs: Mapping[Which, Scored]) -> None:
    """The runs of a seed as arrays: of each run "order/null/flops", "order/null/machine" and "order/null/row/domain/decoding"."""
    arrays = {"decided_by": np.array(decided_by(suite))}
    for (order, null), run in runs.items():
        arrays |= {f"{order}/{null}/flops": np.array(run.flops), f"{order}/{null}/machine": np.array(run.machine)}
        for row, table in enumerate(run.tables):
            arrays |= {f"{order}/{null}/{row}/{domain}/{decoding}": scores for (domain, decoding), scores in table.items()}
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_bytes(file, content.getvalue())


def check_shared(file: Path, suite: Suite, found: Mapping[Which, Scored]) -> None:
    """`UserError` where a run with null stages does not begin with the scores of the run without, and both are of one type of machine."""
    for (order, null), run in found.items():
        real = found.get((order, ""), run)
        if real.machine != run.machine:
            continue
        for row in range(suite.sequence(order).index(null) + 2 if null else 0):
            shared = real.tables[row].keys() & run.tables[row].keys()
            if any(not np.array_equal(real.tables[row][cell], run.tables[row][cell]) for cell in shared):
                raise UserError(f"{file}: {order} with null stages after {null} begins with other scores than {order}: nothing was written")


def read(file: Path, suite: Suite) -> dict[Which, Scored]:
    """The runs in a file, none where there is no file. `UserError` where it is damaged, and where the suite's settings were others."""
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise UserError(f"{file}: damaged ({one_line(error)}): remove it, or choose another --keep") from error
    if str(arrays.pop("decided_by")) != decided_by(suite):
        raise UserError(f"{file}: made with other settings of suite {suite.name}: remove it, or choose another --keep")
    flops: dict[Which, tuple[float, ...]] = {}
    machines: dict[Which, str] = {}
    cells: dict[Which, list[tuple[int, str, str, np.ndarray]]] = {}
    for name, values in arrays.items():
        order, null, *cell = name.split("/")
        if cell == ["flops"]:
            flops[order, null] = tuple(values.tolist())
        elif cell == ["machine"]:
            machines[order, null] = str(values)
        else:
            row, domain, decoding = cell
            cells.setdefault((order, null), []).append((int(row), domain, decoding, values))
    found = {}
    for which, own in cells.items():
        tables: list[Table] = [{} for _ in range(len(flops[which]) + 1)]
        for row, domain, decoding, values in own:
            tables[row][domain, decoding] = values  # type: ignore[index]
        found[which] = Scored(tables, flops[which], machines[which])
    return found
