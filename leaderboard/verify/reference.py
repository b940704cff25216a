"""Compares a submission with the reference of its board, the maintainers' own baseline runs, and with other entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from bench.files import canonical
from bench.results.rows import Row
from bench.suite import DECODINGS
from leaderboard.code import likeness, method_text, packaged_file, shingles
from leaderboard.limits import NEAR_DUPLICATE, REFUSED_LEVEL, SAME_BASE, SAME_DECODING, SAME_SEEDS, WARNING_LEVEL
from leaderboard.problems import Problem, RefusedError
from leaderboard.runs import SubmittedRun, run_file
from leaderboard.submission import FILE, METHOD_FILE, RunEntry, Submission
from leaderboard.verify.board import BASE, RunKey
from leaderboard.verify.contents import read_model

Runs = Sequence[SubmittedRun]


def check_against_reference(runs: Runs, reference: Runs) -> Iterator[Problem]:
    """The base scores as it always does; the baseline runs learn as much as the reference's and forget no more. Lower peaks and a deeper
    fall would both leave a repair more to be praised for."""
    yield from _check_base(runs, reference)
    if _same_baseline(runs, reference):
        return
    targets = {run.sequence: run.targets for run in runs}
    for what, own, theirs in _quantities(runs, reference, targets):
        p = _p_above(own, theirs)
        if p < WARNING_LEVEL:
            points = f"{100 * abs(own.mean()):.1f} against {100 * abs(theirs.mean()):.1f} points"
            reason = f"its baseline runs {what} than the reference entry's: {points} (p = {p:.2g}, limit {REFUSED_LEVEL})"
            yield Problem(FILE, "rows", reason, warning=p >= REFUSED_LEVEL)


def _same_baseline(runs: Runs, reference: Runs) -> bool:
    """Whether the baseline runs are the reference's own, as on one type of machine: some of its seeds may well differ from all of them."""
    theirs = {(run.manifest.spec.sequence, run.seed): run.digests for run in reference}
    for run in runs:
        other = theirs.get((run.manifest.spec.sequence, run.seed), {})
        if any(run.digests[row.name] != other.get(row.name) for row in run.rows.baseline):
            return False
    return True


def _check_base(runs: Runs, reference: Runs) -> Iterator[Problem]:
    base = Row("baseline", 0)
    for run in {run.digests[base.name]: run for run in reversed(runs)}.values():
        own, theirs = run.tables[base], reference[0].tables[base]
        for domain in run.sequence:
            for decoding in DECODINGS:
                same = float((own[domain, decoding] == theirs[domain, decoding]).all(1).mean())
                if same < SAME_BASE:
                    items = f"{100 * same:.1f} % of the {domain} items ({decoding}); {100 * SAME_BASE:.0f} % are required"
                    reason = f"the base scores like the reference entry's base on only {items}"
                    yield Problem(run_file(run.manifest.spec.sequence, run.seed), f"rows.{base.name}", reason)


def _quantities(
    runs: Runs, reference: Runs, targets: Mapping[tuple[str, ...], Sequence[str]]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """What would flatter a repair if it were larger, in words, with a number for each seed, in shares of 1."""

    def forgetting(run: SubmittedRun) -> float:
        own = targets[run.sequence]
        return float(np.mean([_score(run, run.sequence.index(domain) + 1, domain) - _score(run, -1, domain) for domain in own]))

    yield "forget significantly more", _by_seed(runs, forgetting), _by_seed(reference, forgetting)
    for domain in runs[0].sequence:

        def lost_gain(run: SubmittedRun, domain: str = domain) -> float:
            place = run.sequence.index(domain)
            return _score(run, place, domain) - _score(run, place + 1, domain)

        yield f"learn significantly less in the stage of {domain}", _by_seed(runs, lost_gain), _by_seed(reference, lost_gain)


def _score(run: SubmittedRun, row: int, domain: str) -> float:
    """The mean greedy score of a row of the baseline run."""
    return float(run.tables[run.rows.baseline[row]][domain, "greedy"][:, 0].mean())


def _by_seed(runs: Runs, quantity: object) -> np.ndarray:
    """(S,) a quantity of runs, averaged over the orders of a seed."""
    found: dict[int, list[float]] = {}
    for run in runs:
        found.setdefault(run.seed, []).append(quantity(run))  # type: ignore[operator]
    return np.array([np.mean(values) for values in found.values()])


def _p_above(own: np.ndarray, theirs: np.ndarray) -> float:
    """The one-sided p-value of Welch's t-test that the first mean is above the second. Where neither varies, the means decide."""
    from scipy.stats import ttest_ind_from_stats

    if np.array_equal(own, theirs):
        return 1.0
    if max(np.var(own), np.var(theirs)) == 0:
        return 0.0 if own.mean() > theirs.mean() else 1.0
    both = [(values.mean(), values.std(ddof=1), len(values)) for values in (own, theirs)]
    return float(ttest_ind_from_stats(*both[0], *both[1], equal_var=False, alternative="greater").pvalue)


def check_seeds(runs: Runs) -> Iterator[Problem]:
    """Models of different seeds do not answer alike: at temperature 1 they agree on far fewer items."""
    by_place: dict[tuple[str, Row], list[SubmittedRun]] = {}
    for run in runs:
        for row in run.rows.distinct():
            if row.name != BASE:
                by_place.setdefault((run.manifest.spec.sequence, row), []).append(run)
    for (sequence, row), same in by_place.items():
        for one, other in combinations(same, 2):
            agreement = [
                float((one.tables[row][cell][:, 0] == other.tables[row][cell][:, 0]).mean())
                for cell in one.tables[row]
                if cell[1] == "sampled" and 0.1 < one.tables[row][cell][:, 0].mean() < 0.9
            ]
            if agreement and np.mean(agreement) >= SAME_SEEDS:
                reason = f"scores like seed {one.seed} on {100 * np.mean(agreement):.1f} % of the items: seeds are not so much alike"
                yield Problem(run_file(sequence, other.seed), f"rows.{row.name}", reason)


def check_decoding(runs: Runs) -> Iterator[Problem]:
    """A warning where a model scores at temperature 1 as it does greedily: sampled answers are hardly ever so good."""
    for run in runs:
        for row, table in run.tables.items():
            same = float(np.mean([table[domain, "greedy"][:, 0] == table[domain, "sampled"][:, 0] for domain in run.sequence]))
            if same >= SAME_DECODING:
                reason = f"scores at temperature 1 as it does greedily on {100 * same:.1f} % of the items: a maintainer should rerun it"
                yield Problem(run_file(run.manifest.spec.sequence, run.seed), f"rows.{row.name}", reason, warning=True)


class Models:
    """Which submissions have which model, and with which answers; every run's file is read once."""

    def __init__(self, submissions: Path) -> None:
        self._rows: dict[tuple[str, str], dict[str, str]] = {}
        for file in sorted(submissions.glob("*/runs/*.json")):
            entry, _ = read_model(file.parents[1], f"runs/{file.name}", RunEntry)
            for name, content in entry.checkpoints.items() if entry is not None else ():
                if name != BASE:
                    self._rows.setdefault((content, _machine(entry)), {})[file.parents[1].name] = entry.rows.get(name, "")

    def rows(self, content: str, entry: RunEntry) -> Mapping[str, str]:
        """Submission -> digest of the model's row of answers, on the type of machine of a run."""
        return self._rows.get((content, _machine(entry)), {})


def _machine(entry: RunEntry) -> str:
    return canonical(entry.numerics.model_dump())


def check_same_models(submission: Submission, entries: Mapping[RunKey, RunEntry], models: Models, reference: str) -> Iterator[Problem]:
    """A model that another submission has too, scored on the same type of machine, answers there as it does here. A warning, because the
    other submission may be the forged one, unless that is the reference. The base, which everybody scores, is compared by its scores."""
    for key, entry in entries.items():
        for name, content in entry.checkpoints.items():
            found = models.rows(content, entry) if name != BASE else {}
            others = [where for where, row in found.items() if where != submission.name and row != entry.rows[name]]
            if others:
                where = reference if reference in others else others[-1]
                reason = f"the same checkpoint as in {where}, but different answers"
                yield Problem(run_file(*key), f"rows.{name}", reason, warning=where != reference)


def check_likeness(folder: Path, submission: Submission, others: Path) -> Iterator[Problem]:
    """A warning where a method's code is nearly that of a method of the package or of another submission."""
    if submission.method.from_package:
        return
    own = shingles(method_text(folder))
    known = [(path.stem, path.read_text(encoding="utf-8")) for path in sorted(packaged_file("none").parent.glob("*.py"))]
    for place in sorted(others.glob(f"*/{METHOD_FILE}")):
        if place.parent.name != submission.name:
            try:
                known.append((place.parent.name, method_text(place.parent)))
            except RefusedError:
                continue
    for name, text in known:
        share = likeness(own, shingles(text))
        if share >= NEAR_DUPLICATE and name not in submission.declared.earlier_entries:
            reason = f"{100 * share:.0f} % of this code is also in {name}; if it is a variant, add {name} to declared.earlier_entries"
            yield Problem(METHOD_FILE, "", reason, warning=True)
