"""`verify`: all checks of a submission, each as soon as what it needs has been read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.suite import Suite
from leaderboard.code import check_code
from leaderboard.files import listing
from leaderboard.problems import Problem
from leaderboard.runs import SubmittedRun, Table, file_of, submitted_run
from leaderboard.submission import FILE, RunEntry, Submission
from leaderboard.verify.answers import count_answers
from leaderboard.verify.board import RunKey, check_board, check_runs, expected_runs
from leaderboard.verify.claims import check_claim, check_scores
from leaderboard.verify.contents import check_files, check_size, read_model
from leaderboard.verify.costs import check_costs
from leaderboard.verify.reference import check_against_reference, check_likeness, check_same_models

SUBMISSIONS = Path(__file__).parents[1] / "submissions"


@dataclass(frozen=True)
class Verified:
    """What verification found. submission, suite: None where they could not be read; runs: with their scores, and tables: digest of a row
    of answers -> its scores, only as far as nothing refuses the submission."""

    folder: Path
    problems: tuple[Problem, ...]
    submission: Submission | None = None
    suite: Suite | None = None
    runs: tuple[SubmittedRun, ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict, repr=False)

    @property
    def refusals(self) -> tuple[Problem, ...]:
        """The problems that refuse it."""
        return tuple(problem for problem in self.problems if not problem.warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The others, for a maintainer to look at."""
        return tuple(problem for problem in self.problems if problem.warning)


def names_in(folder: Path) -> list[str]:
    """Names of the submissions in a folder."""
    return sorted(file.parent.name for file in folder.glob(f"*/{FILE}"))


def verify(folder: Path, others: Path = SUBMISSIONS) -> Verified:
    """Every problem of a submission. others: the folder of the submissions that it is compared with, and whose rows it may use."""
    return _Verification(Path(folder), Path(others)).run()


def verify_all(folder: Path, names: Iterable[str]) -> dict[str, Verified]:
    """Several submissions in one folder, by name; what several of them use is verified once."""
    known: dict[str, Verified] = {}
    for name in names:
        if name not in known:
            known[name] = _Verification(folder / name, folder, known).run()
    return known


class _Verification:
    """One submission, and the others that were verified on the way, so that each is only once."""

    def __init__(self, folder: Path, others: Path, within: dict[str, Verified] | None = None) -> None:
        self.folder, self.others = folder, others
        self.problems: list[Problem] = []
        self.known: dict[str, Verified] = {} if within is None else within

    @property
    def refused(self) -> bool:
        return any(not problem.warning for problem in self.problems)

    def run(self) -> Verified:
        if self.folder.is_symlink() or not self.folder.is_dir():
            return Verified(self.folder, (Problem(str(self.folder), "", "no folder of a submission is there"),))
        sizes, problems = listing(self.folder)
        self.problems += problems
        if FILE not in sizes:
            return self._ended(Problem(FILE, "", "missing: `python -m leaderboard pack` writes it"))
        submission, problems = read_model(self.folder, FILE, Submission)
        self.problems += problems
        if submission is None:
            return self._ended()
        if submission.name != self.folder.resolve().name:
            self.problems.append(Problem(FILE, "name", f"{submission.name!r}: not the name of its folder"))
        self.problems += check_files(self.folder, submission, sizes)
        self.problems += check_code(self.folder, submission.method)
        suite, problems = check_board(submission)
        self.problems += problems
        if suite is None:
            return self._ended(submission=submission)
        self.problems += check_size(submission, suite, sizes)
        entries = self._entries(submission, suite)
        self.problems += check_runs(submission, suite, entries, sizes)
        if self.refused:
            return self._ended(submission=submission, suite=suite)
        return self._with_answers(submission, suite, entries)

    def _ended(self, *more: Problem, submission: Submission | None = None, suite: Suite | None = None) -> Verified:
        return Verified(self.folder, (*self.problems, *more), submission, suite)

    def _entries(self, submission: Submission, suite: Suite) -> dict[RunKey, RunEntry]:
        found = {}
        for key in expected_runs(submission, suite):
            entry, problems = read_model(self.folder, file_of(*key), RunEntry)
            self.problems += problems
            if entry is not None:
                found[key] = entry
        return found

    def _with_answers(self, submission: Submission, suite: Suite, entries: Mapping[RunKey, RunEntry]) -> Verified:
        tables, problems = count_answers(self.folder, submission, suite)
        self.problems += problems
        own = dict(tables)
        if submission.rows_from:
            tables = {**self._borrowed(submission), **tables}
        for key, entry in entries.items():
            for name, digest in entry.rows.items():
                if digest not in tables and not self.refused:
                    self.problems.append(Problem(file_of(*key), f"rows.{name}", "no row of answers has this digest"))
        unused = set(own) - {digest for entry in entries.values() for digest in entry.rows.values()}
        if unused:
            self.problems.append(Problem(FILE, f"rows.{submission.rows.index(min(unused))}", "a row of answers that no run names"))
        if self.refused:
            return self._ended(submission=submission, suite=suite)
        runs = tuple(submitted_run(self.folder, submission, entry, suite, tables) for entry in entries.values())
        self.problems += check_scores(entries, runs)
        self.problems += check_claim(submission, runs)
        self.problems += check_costs(self.folder, submission, suite, entries)
        reference = self._reference(submission)
        if not (submission.method.reference == "none" and not submission.rows_from):
            self.problems += check_against_reference(submission, runs, reference)
        self.problems += check_same_models(submission, entries, self.others, reference.folder.name if reference is not None else "")
        self.problems += check_likeness(self.folder, submission, self.others)
        return Verified(self.folder, tuple(self.problems), submission, suite, runs, own)

    def _borrowed(self, submission: Submission) -> Mapping[str, Table]:
        """The rows of the submission that this one names."""
        other = self._other(submission.rows_from)
        reason = ""
        if other is None or other.submission is None:
            reason = "there is no such submission"
        elif other.submission.rows_from:
            reason = "uses rows of another submission itself"
        elif other.submission.board.fingerprint != submission.board.fingerprint:
            reason = "is on another suite"
        elif other.refusals:
            reason = f"is refused itself ({other.refusals[0]})"
        if reason:
            self.problems.append(Problem(FILE, "rows_from", f"{submission.rows_from}: {reason}"))
            return {}
        assert other is not None
        return other.tables

    def _reference(self, submission: Submission) -> Verified | None:
        """The entry of the baseline run on the same board."""
        for name in names_in(self.others):
            other, _ = read_model(self.others / name, FILE, Submission)
            same = other is not None and other.method.reference == "none" and not other.rows_from and other.name != submission.name
            if same and other is not None and (other.board.fingerprint, other.board.sequence, other.board.device) == (
                submission.board.fingerprint, submission.board.sequence, submission.board.device,
            ):  # fmt: skip
                found = self._other(name)
                if found is not None and not found.refusals:
                    return found
        return None

    def _other(self, name: str) -> Verified | None:
        if name not in self.known and (self.others / name).is_dir():
            self.known[name] = _Verification(self.others / name, self.others, self.known).run()
        return self.known.get(name)
