"""Whether a submission's runs are those of one entry on one board: exactly the declared orders and seeds, each run whole and its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from bench.costs import over_limit
from bench.errors import UserError
from bench.suite import DECODINGS, Suite, load_suite, suite_names
from leaderboard.limits import SEEDS
from leaderboard.problems import Problem
from leaderboard.runs import file_of, rows_in
from leaderboard.submission import FILE, RunEntry, Submission

RunKey = tuple[str, int]
"""Sequence and seed."""


def check_board(submission: Submission) -> tuple[Suite | None, list[Problem]]:
    """The suite as this version of the package has it, or None where the board cannot be found."""
    board = submission.board
    if board.suite not in suite_names():
        return None, [Problem(FILE, "board.suite", f"this package has no suite {board.suite!r}; it has {', '.join(suite_names())}")]
    suite = load_suite(board.suite)
    if suite.base is None:
        return None, [Problem(FILE, "board.suite", f"suite {suite.name} has no base of its own, so its runs cannot be ranked here")]
    problems = []
    if board.fingerprint != suite.fingerprint():
        problems.append(Problem(FILE, "board.fingerprint", f"not that of {suite.id}, the version of the suite in this package"))
    if board.base != suite.base.content:
        problems.append(Problem(FILE, "board.base", f"not the content hash of the base of {suite.id}"))
    if submission.seeds not in SEEDS:
        allowed = " or ".join(f"{seeds[0]} to {seeds[-1]}" for seeds in SEEDS)
        problems.append(Problem(FILE, "seeds", f"{list(submission.seeds)}: must be exactly {allowed}, in order"))
    try:
        suite.orders(board.sequence)
    except UserError as error:
        return None, [*problems, Problem(FILE, "board.sequence", str(error))]
    return suite, problems


def expected_runs(submission: Submission, suite: Suite) -> list[RunKey]:
    """The runs that a submission must have."""
    return list(product(suite.orders(submission.board.sequence), submission.seeds))


def check_runs(submission: Submission, suite: Suite, runs: Mapping[RunKey, RunEntry], sizes: Mapping[str, int]) -> Iterator[Problem]:
    """What can be seen without the answers."""
    expected = {file_of(*key) for key in expected_runs(submission, suite)}
    for path in sorted(path for path in sizes if path.startswith("runs/") and path not in expected):
        yield Problem(path, "", "a run that is none of this entry's orders and seeds")
    for key, run in runs.items():
        yield from _check_run(submission, suite, key, run)
    yield from _check_distinct(runs)
    total = [run.cost.total for run in runs.values()]
    over = over_limit(submission.method.track, sum(total) / len(total)) if total and not submission.method.control else ""
    if over:
        yield Problem(
            FILE, "method.track", f"{submission.method.track}: the runs cost {100 * sum(total) / len(total):.1f} % in all, {over}"
        )


def _check_run(submission: Submission, suite: Suite, key: RunKey, run: RunEntry) -> Iterator[Problem]:
    path, method = file_of(*key), submission.method
    if (run.sequence, run.seed) != key:
        yield Problem(path, "sequence, seed", f"{run.sequence} and {run.seed}: not those of the file's name")
        return
    sequence = suite.sequence(run.sequence)
    names = {row.name for row in rows_in(submission, sequence).distinct()}
    for field, there in (
        ("checkpoints", run.checkpoints),
        ("rows", run.rows),
        *((f"scores.{d}", run.scores.get(d, {})) for d in DECODINGS),
    ):
        if set(there) != names:
            wrong = sorted(set(there) ^ names)[0]
            yield Problem(path, f"{field}.{wrong}", "missing" if wrong in names else "no row of this run")
    for decoding, by_row in run.scores.items():
        for name, scores in by_row.items():
            if len(scores) != len(sequence):
                yield Problem(path, f"scores.{decoding}.{name}", f"{len(scores)} numbers for {len(sequence)} domains")
    for name in sorted(set(run.logs) - names):
        yield Problem(path, f"logs.{name}", "no row of this run")
    if run.checkpoints.get("baseline-0-base") != submission.board.base:
        yield Problem(path, "checkpoints.baseline-0-base", "not the base of the suite")
    if run.numerics.get("device") != submission.board.device:
        yield Problem(path, "numerics.device", f"{run.numerics.get('device')!r}, and the board's is {submission.board.device!r}")
    if not method.own_stages and run.cost.stages != 1:
        yield Problem(path, "cost.stages", f"{run.cost.stages}: stages that are those of the baseline run cost 1")
    if min(run.cost.stages, run.cost.repair) < 0:
        yield Problem(path, "cost", "below 0")
    others = set(run.cost.access.prompts) | set(run.cost.access.experts) | set(run.cost.access.checkpoints) - {"base"}
    for domain in sorted(others - set(sequence)):
        yield Problem(path, "cost.access", f"{domain!r} is no domain of the sequence")


def _check_distinct(runs: Mapping[RunKey, RunEntry]) -> Iterator[Problem]:
    """Runs of different seeds have different models, and answer differently; runs of one seed are of one machine."""
    seen: dict[tuple[str, str], RunKey] = {}
    machines: dict[int, RunKey] = {}
    for key, run in runs.items():
        path = file_of(*key)
        for field, values in (("checkpoints", run.checkpoints), ("rows", run.rows)):
            for name, value in values.items():
                other = seen.setdefault((field, value), key)
                if name != "baseline-0-base" and other[1] != key[1]:
                    yield Problem(path, f"{field}.{name}", f"the same as in {file_of(*other)}: a run of another seed has other models")
        first = machines.setdefault(run.seed, key)
        if run.numerics != runs[first].numerics:
            yield Problem(path, "numerics", f"not those of {file_of(*first)}: all orders of a seed must run on one type of machine")
