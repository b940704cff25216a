"""Compares a submission with others: with the reference entry of its board, the baseline run, and with entries whose code it may repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.files import canonical
from bench.results.rows import Row
from bench.suite import DECODINGS
from leaderboard.code import likeness, packaged_file
from leaderboard.limits import DAMAGE_LEVEL, NEAR_DUPLICATE, SAME_BASE
from leaderboard.problems import Problem
from leaderboard.runs import SubmittedRun, file_of
from leaderboard.submission import FILE, METHOD_FILE, RunEntry, Submission
from leaderboard.verify.board import RunKey
from leaderboard.verify.contents import read_model


class Reference(Protocol):
    """A verified submission of the baseline run on the same board."""

    runs: tuple[SubmittedRun, ...]


def check_against_reference(submission: Submission, runs: Sequence[SubmittedRun], reference: Reference | None) -> Iterator[Problem]:
    """The base answers as it always does, and the baseline run forgets no more than the reference's."""
    if reference is None:
        yield Problem(FILE, "board", "there is no reference entry of this board: base and baseline run were not compared", warning=True)
        return
    yield from _check_base(runs, reference.runs)
    yield from _check_damage(submission, runs, reference.runs)


def _check_base(runs: Sequence[SubmittedRun], reference: Sequence[SubmittedRun]) -> Iterator[Problem]:
    base = Row("baseline", 0)
    for run in {run.digests[base.name]: run for run in reversed(runs)}.values():
        own, theirs = run.tables[base], reference[0].tables[base]
        for domain in run.sequence:
            for decoding in DECODINGS:
                same = float((own[domain, decoding] == theirs[domain, decoding]).all(1).mean())
                if same < SAME_BASE:
                    where = f"rows.{base.name}"
                    reason = f"only {100 * same:.1f} % of its {decoding} answers on {domain} are like those of the suite's base"
                    yield Problem(file_of(run.manifest.spec.sequence, run.seed), where, reason)


def _check_damage(submission: Submission, runs: Sequence[SubmittedRun], reference: Sequence[SubmittedRun]) -> Iterator[Problem]:
    """Welch's t-test over seeds, one-sided: a baseline run that was damaged more leaves more to recover."""
    from scipy.stats import ttest_ind

    targets = {run.sequence: run.targets for run in runs}
    own, theirs = _forgetting(runs, targets), _forgetting(reference, targets)
    if np.array_equal(own, theirs) or min(np.var(own), np.var(theirs)) == 0:
        return
    p = float(ttest_ind(own, theirs, equal_var=False, alternative="greater").pvalue)
    if p < DAMAGE_LEVEL:
        points = f"{100 * own.mean():.1f} points of the targets, the reference's {100 * theirs.mean():.1f}"
        yield Problem(FILE, "rows", f"its baseline runs forget {points} (p = {p:.2g})")


def _forgetting(runs: Sequence[SubmittedRun], targets: Mapping[tuple[str, ...], tuple[str, ...]]) -> np.ndarray:
    """(S,) mean forgetting of the targets in the baseline run, greedily, averaged over the orders of a seed."""
    by_seed: dict[int, list[float]] = {}
    for run in runs:
        rows = run.rows
        for target in targets[run.sequence]:
            peak, end = rows.after(run.sequence.index(target)), rows.baseline[-1]
            lost = run.tables[peak][target, "greedy"][:, 0].mean() - run.tables[end][target, "greedy"][:, 0].mean()
            by_seed.setdefault(run.seed, []).append(float(lost))
    return np.array([np.mean(lost) for lost in by_seed.values()])


def check_same_models(submission: Submission, entries: Mapping[RunKey, RunEntry], others: Path, reference: str) -> Iterator[Problem]:
    """A model that another submission has too, scored on the same type of machine, answers there as it does here. A warning, because the
    other submission may be the forged one, unless that is the reference."""
    theirs: dict[tuple[str, str], tuple[str, str]] = {}
    for file in sorted(others.glob("*/runs/*.json"), key=lambda file: (file.parents[1].name == reference, file)):
        if file.parents[1].name != submission.name and file.name in {Path(file_of(*key)).name for key in entries}:
            other, _ = read_model(file.parents[1], f"runs/{file.name}", RunEntry)
            for name, content in other.checkpoints.items() if other is not None else ():
                theirs[content, canonical(other.numerics)] = (file.parents[1].name, other.rows.get(name, ""))
    for key, entry in entries.items():
        for name, content in entry.checkpoints.items():
            where, row = theirs.get((content, canonical(entry.numerics)), ("", entry.rows[name]))
            if row != entry.rows[name]:
                reason = f"the same model as in {where}, with other answers"
                yield Problem(file_of(*key), f"rows.{name}", reason, warning=where != reference)


def check_likeness(folder: Path, submission: Submission, others: Path) -> Iterator[Problem]:
    """A warning where a method's code is nearly that of a method of the package or of another entry."""
    file = folder / METHOD_FILE
    if submission.method.from_package or not file.is_file():
        return
    source = file.read_text(encoding="utf-8")
    known = [(path.stem, path) for path in sorted(packaged_file("none").parent.glob("*.py")) if path.stem != "__init__"]
    known += [(path.parent.name, path) for path in sorted(others.glob(f"*/{METHOD_FILE}")) if path.parent.name != submission.name]
    for name, other in known:
        if name in submission.declared.earlier_entries:
            continue
        share = likeness(source, other.read_text(encoding="utf-8", errors="replace"))
        if share >= NEAR_DUPLICATE:
            yield Problem(METHOD_FILE, "", f"{100 * share:.0f} % of its code is also in {name}: is it a variant of it?", warning=True)
