"""`verify`: all checks of a submission, each as soon as what it needs has been read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bench.errors import UserError
from bench.results.archive import Table
from bench.suite import Suite
from leaderboard import verdicts as judged
from leaderboard.code import Facts, check_code
from leaderboard.files import listing
from leaderboard.problems import Problem
from leaderboard.runs import SubmittedRun, run_file, submitted_run
from leaderboard.submission import FILE, RunEntry, Submission
from leaderboard.verify.answers import count_answers
from leaderboard.verify.board import RunKey, check_board, check_runs, expected_runs
from leaderboard.verify.claims import check_claim, check_scores
from leaderboard.verify.contents import check_files, check_size, expected_files, read_model
from leaderboard.verify.costs import check_costs
from leaderboard.verify.reference import Models, check_against_reference, check_decoding, check_likeness, check_same_models, check_seeds


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


@dataclass(frozen=True)
class Place:
    """Where submissions are compared: the folder of the others, and that of the maintainers' verdicts, which nobody else writes."""

    submissions: Path = Path(__file__).parents[1] / "submissions"
    verdicts: Path = judged.FOLDER

    def names(self) -> list[str]:
        """Names of the submissions."""
        return sorted(file.parent.name for file in self.submissions.glob(f"*/{FILE}"))

    def stored_by(self, name: str) -> Submission:
        """The maintainers' entry of that name. `UserError` where there is none that stores rows of its own."""
        parsed = read_model(self.submissions / name, FILE, Submission)[0] if self.is_ours(name) else None
        if parsed is None or parsed.rows_from:
            raise UserError(f"--rows-from {name}: must be an entry of the maintainers in {self.submissions} that stores its own rows")
        return parsed

    def is_ours(self, name: str) -> bool:
        """Whether a submission is the maintainers' own: only such entries are references, and only their rows may be used by others."""
        verdict = judged.verdict_on(self.submissions / name, self.verdicts) if (self.submissions / name).is_dir() else None
        return verdict is not None and verdict.level == judged.OWN


def verify(folder: Path, place: Place | None = None) -> Verified:
    """Every problem of a submission, as far as it can be read."""
    return next(verify_each([folder], place))


def verify_each(folders: Iterable[Path], place: Place | None = None) -> Iterator[Verified]:
    """`verify` of several folders in turn; the maintainers' entries that they are compared with are verified once."""
    known = _Known(place or Place())
    for folder in folders:
        yield _Verification(Path(folder), known).run()


def verify_all(names: Iterable[str], place: Place | None = None) -> dict[str, Verified]:
    """Several submissions of a place, by name; what several of them use is verified once."""
    known = _Known(place or Place())
    return {name: known.verified(name) for name in names}


class _Known:
    """What several verifications share, each part made once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._verified: dict[str, Verified] = {}

    def verified(self, name: str) -> Verified:
        """A submission of the place. This ends: a maintainers' entry that others need stores its own rows and is compared with nothing."""
        if name not in self._verified:
            self._verified[name] = _Verification(self.place.submissions / name, self).run()
        return self._verified[name]

    @cached_property
    def models(self) -> Models:
        """The models of all its submissions."""
        return Models(self.place.submissions)


class _Verification:
    """One submission. known: shared with others."""

    def __init__(self, folder: Path, known: _Known) -> None:
        self.folder, self.place, self.known = folder, known.place, known
        self.problems: list[Problem] = []

    @property
    def refused(self) -> bool:
        return any(not problem.warning for problem in self.problems)

    def run(self) -> Verified:
        if self.folder.is_symlink() or not self.folder.is_dir():
            return Verified(self.folder, (Problem(".", "", "no such folder"),))
        sizes, problems = listing(self.folder)
        self.problems += problems
        if FILE not in sizes:
            return self._ended(Problem(FILE, "", "missing: `python -m leaderboard pack` writes it"))
        submission, problems = read_model(self.folder, FILE, Submission)
        self.problems += problems
        if submission is None:
            return self._ended()
        if submission.name != self.folder.resolve().name:
            self.problems.append(Problem(FILE, "name", f"{submission.name!r} must equal the folder's name"))
        suite, problems = check_board(submission)
        self.problems += problems
        if suite is None:
            return self._ended(submission=submission)
        self.problems += check_size(submission, suite, sizes)
        if self.refused:
            return self._ended(submission=submission, suite=suite)
        return self._with_files(submission, suite, sizes)

    def _ended(self, *more: Problem, submission: Submission | None = None, suite: Suite | None = None) -> Verified:
        return Verified(self.folder, (*self.problems, *more), submission, suite)

    def _with_files(self, submission: Submission, suite: Suite, sizes: Mapping[str, int]) -> Verified:
        keys = expected_runs(submission, suite)
        domains = suite.sequence(keys[0][0])
        self.problems += check_files(self.folder, submission, sizes, expected_files(submission, keys, domains))
        facts: Facts | None = None
        if submission.method.from_package or "method.py" in sizes:
            facts, problems = check_code(self.folder, submission.method)
            self.problems += problems
        entries: dict[RunKey, RunEntry] = {}
        for key in keys:
            entry, problems = read_model(self.folder, run_file(*key), RunEntry) if run_file(*key) in sizes else (None, [])
            self.problems += problems
            if entry is not None:
                entries[key] = entry
        self.problems += check_runs(submission, suite, facts, entries)
        if self.refused:
            return self._ended(submission=submission, suite=suite)
        return self._with_answers(submission, suite, entries)

    def _with_answers(self, submission: Submission, suite: Suite, entries: Mapping[RunKey, RunEntry]) -> Verified:
        own, problems = count_answers(self.folder, submission, suite)
        self.problems += problems
        borrowed = self._borrowed(submission) if submission.rows_from else {}
        tables = {**borrowed, **own}
        named = {digest for entry in entries.values() for digest in entry.rows.values()}
        if not self.refused:
            for key, entry in entries.items():
                for name, digest in entry.rows.items():
                    if digest not in tables:
                        self.problems.append(Problem(run_file(*key), f"rows.{name}", "no stored answers have this digest"))
            for digest in sorted(set(own) - named):
                self.problems.append(Problem(FILE, f"rows.{submission.rows.index(digest)}", "no run uses this row of answers: remove it"))
        if self.refused:
            return self._ended(submission=submission, suite=suite)
        runs = tuple(submitted_run(self.folder, submission, entry, suite, tables) for entry in entries.values())
        self.problems += check_scores(entries, runs)
        self.problems += check_claim(submission, runs)
        self.problems += check_costs(self.folder, submission, suite, entries)
        self.problems += check_seeds(runs)
        self.problems += check_decoding(runs)
        self._compare(submission, entries, runs)
        return Verified(self.folder, tuple(self.problems), submission, suite, runs, own)

    def _compare(self, submission: Submission, entries: Mapping[RunKey, RunEntry], runs: tuple[SubmittedRun, ...]) -> None:
        """With the reference, unless it is one itself, and with all others."""
        if self._is_reference(submission):
            return
        reference = self._reference(submission)
        if reference is None:
            reason = "this board has no reference entry yet, so base and baseline run were not compared; you need not do anything"
            if not self.place.submissions.is_dir():
                reason = f"{self.place.submissions}: no such folder, so nothing was compared with other entries: verify in a clone of ours"
            self.problems.append(Problem(FILE, "board", reason, warning=True))
        else:
            self.problems += check_against_reference(runs, reference.runs)
        name = reference.folder.name if reference is not None else ""
        self.problems += check_same_models(submission, entries, self.known.models, name)
        self.problems += check_likeness(self.folder, submission, self.place.submissions)

    def _borrowed(self, submission: Submission) -> Mapping[str, Table]:
        """The rows of the maintainers' entry that this submission names."""
        name, reason = submission.rows_from, ""
        if name == submission.name or not self.place.is_ours(name):
            reason = "not an entry that the maintainers ran: store the rows yourself"
        else:
            parsed, _ = read_model(self.place.submissions / name, FILE, Submission)
            if parsed is None or parsed.rows_from:
                reason = "takes rows from another entry itself: name one that stores its own"
            elif parsed.board.fingerprint != submission.board.fingerprint:
                reason = "uses another suite or another version of it"
            elif self.known.verified(name).refusals:
                reason = f"is refused itself ({self.known.verified(name).refusals[0]})"
        if reason:
            self.problems.append(Problem(FILE, "rows_from", f"{name}: {reason}"))
            return {}
        return self.known.verified(name).tables

    def _is_reference(self, submission: Submission) -> bool:
        """Whether this is the maintainers' baseline run, with rows of its own."""
        ours = submission.method.reference == "none" and not submission.rows_from
        here = self.folder.resolve().parent == self.place.submissions.resolve()
        return ours and here and self.place.is_ours(submission.name)

    def _reference(self, submission: Submission) -> Verified | None:
        """The maintainers' baseline run on the same sequence, suite and device; its targets do not matter."""
        board = submission.board
        for name in self.place.names():
            other, _ = read_model(self.place.submissions / name, FILE, Submission)
            if other is None or other.method.reference != "none" or other.rows_from or other.name == submission.name:
                continue
            same = (other.board.fingerprint, other.board.sequence, other.board.device) == (board.fingerprint, board.sequence, board.device)
            if same and self.place.is_ours(name) and not self.known.verified(name).refusals:
                return self.known.verified(name)
        return None
