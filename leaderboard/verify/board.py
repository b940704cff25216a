"""Whether a submission's runs are those of one entry on one board: exactly the declared orders and seeds, each run whole and its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise, product

from bench.costs import PLAIN_TRACKS, TRACK_LIMITS, over_limit
from bench.errors import UserError
from bench.suite import DECODINGS, SCORED_SEEDS, Suite, load_suite, suite_names
from leaderboard.code import Facts
from leaderboard.limits import MAX_TOTAL_COST, SEEDS
from leaderboard.problems import Problem
from leaderboard.runs import rows_in, run_file
from leaderboard.submission import FILE, Machine, RunEntry, Submission

RunKey = tuple[str, int]
"""Sequence and seed."""
BASE = "baseline-0-base"
"""The name of the base's row."""


def check_board(submission: Submission) -> tuple[Suite | None, list[Problem]]:
    """The suite as this version of the package has it, or None where the board cannot be found."""
    board = submission.board
    if board.suite not in suite_names():
        return None, [Problem(FILE, "board.suite", f"this package has no suite {board.suite!r}; it has {', '.join(suite_names())}")]
    suite = load_suite(board.suite)
    if suite.base is None or suite.prompting.chat == "thinking":
        return None, [
            Problem(FILE, "board.suite", f"suite {suite.name} does not ship with a base model that answers at once: no leaderboard")
        ]
    if not suite.comparable:
        return None, [
            Problem(FILE, "board.suite", f"suite {suite.name} is still in the making, and its scores cannot be compared: no leaderboard")
        ]
    problems = []
    if board.fingerprint != suite.fingerprint():
        reason = f"the runs used another version of the suite than this package ({suite.id}): run them again with this version"
        problems.append(Problem(FILE, "board.fingerprint", reason))
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


def check_runs(submission: Submission, suite: Suite, facts: Facts | None, runs: Mapping[RunKey, RunEntry]) -> Iterator[Problem]:
    """What can be seen without the answers."""
    for key, run in runs.items():
        yield from _check_run(submission, suite, key, run)
        if facts is not None and set(run.rows) == set(run.checkpoints):
            yield from _check_logs(submission, facts, key, run)
    yield from _check_access(facts, runs)
    tuned = sorted({*submission.declared.tuning_seeds} & {*SCORED_SEEDS})
    if tuned:
        reason = f"settings were chosen on scored seeds ({', '.join(map(str, tuned))}): only a rerun on fresh seeds can count"
        yield Problem(FILE, "declared.tuning_seeds", reason, warning=True)
    yield from _check_distinct(runs)
    total = [run.cost.total for run in runs.values()]
    track = submission.method.track
    if track in PLAIN_TRACKS and submission.method.own_stages:
        yield Problem(FILE, "method.track", f"methods of track {track} keep the plain stages, and this one trains its own")
    if total and not submission.method.control and over_limit(track, sum(total) / len(total)):
        limit = TRACK_LIMITS[track]
        mean = 100 * sum(total) / len(total)
        yield Problem(
            FILE, "method.track", f"mean total cost is {mean:.1f} % of the baseline run; the limit of track {track} is {100 * limit:.0f} %"
        )


def _check_run(submission: Submission, suite: Suite, key: RunKey, run: RunEntry) -> Iterator[Problem]:
    path, method = run_file(*key), submission.method
    if (run.sequence, run.seed) != key:
        yield Problem(path, "sequence, seed", f"{run.sequence} and {run.seed} do not match the file's name")
        return
    sequence = suite.sequence(run.sequence)
    names = {row.name for row in rows_in(submission, sequence).distinct()}
    scores = {f"scores.{decoding}": run.scores.get(decoding, {}) for decoding in DECODINGS}
    for field, there in {"checkpoints": run.checkpoints, "rows": run.rows, **scores}.items():
        for name in sorted(set(there) ^ names):
            yield Problem(path, f"{field}.{name}", "missing" if name in names else "this run has no such row")
    for decoding, by_row in run.scores.items():
        for name, numbers in by_row.items():
            if len(numbers) != len(sequence):
                yield Problem(path, f"scores.{decoding}.{name}", f"has {len(numbers)} numbers for {len(sequence)} domains")
    for name in sorted(set(run.logs) - names):
        yield Problem(path, f"logs.{name}", "this run has no such row")
    stages = [row.name for row in rows_in(submission, sequence).baseline if row.name in run.checkpoints]
    for before, name in pairwise(stages):
        if run.checkpoints[name] == run.checkpoints[before]:
            yield Problem(path, f"checkpoints.{name}", f"the same as {before}: the stage trained nothing: run this seed again")
    if run.checkpoints.get(BASE) != submission.board.base:
        yield Problem(path, f"checkpoints.{BASE}", "not the base of the suite")
    if run.numerics.engine != "hf":
        yield Problem(path, "numerics.engine", f"is {run.numerics.engine!r}: answers must be generated with --engine hf, as reruns are")
    if run.numerics.device != submission.board.device:
        yield Problem(path, "numerics.device", f"is {run.numerics.device!r}, but the board's device is {submission.board.device!r}")
    yield from _check_cost(path, method.own_stages, run, sequence)


def _check_cost(path: str, own_stages: bool, run: RunEntry, sequence: tuple[str, ...]) -> Iterator[Problem]:
    cost, access = run.cost, run.cost.access
    if not own_stages and cost.stages != 1:
        yield Problem(path, "cost.stages", f"is {cost.stages}, but must be 1: the method does not change the stages")
    if cost.total > MAX_TOTAL_COST:
        yield Problem(path, "cost", f"{cost.total:.4g} times the baseline run: the limit is {MAX_TOTAL_COST:.0f}")
    for domain in sorted({*access.prompts, *access.experts, *access.checkpoints} - {*sequence, "base"}):
        yield Problem(path, "cost.access", f"{domain!r} is not a domain of the sequence")
    for domain, count in access.prompts.items():
        if not 0 <= count <= 10_000_000:
            yield Problem(path, f"cost.access.prompts.{domain}", f"{count}: must be from 0 to 10,000,000")


def _check_logs(submission: Submission, facts: Facts, key: RunKey, run: RunEntry) -> Iterator[Problem]:
    """Every row that a method trained has a log: it bounds the cost from below."""
    own = [name for name in run.rows if name.startswith("method-") and submission.method.own_stages and name != BASE]
    if facts.repairs and "train" in facts.asked_by("recover"):
        own.append("repaired")
    for name in own:
        if name in run.rows and not run.logs.get(name):
            yield Problem(run_file(*key), f"logs.{name}", "missing: what a method trains needs its training logs: pack the runs with them")


def _check_access(facts: Facts | None, runs: Mapping[RunKey, RunEntry]) -> Iterator[Problem]:
    """A warning where the code asks for what no run states."""
    stated = [run.cost.access for run in runs.values()]
    for field, requests in _ACCESS.items():
        asked = sorted(requests & facts.uses) if facts is not None else []
        if asked and stated and not any(getattr(access, field) for access in stated):
            words = " and ".join(f".{name}" for name in asked)
            reason = f"no run states any, but the code has {words}: a maintainer should check whether it reads more than what it is given"
            yield Problem(FILE, f"cost.access.{field}", reason, warning=True)


_ACCESS = {"checkpoints": {"base", "checkpoint"}, "experts": {"expert"}, "prompts": {"fisher", "gradient", "sample", "score", "train"}}
"""Field of a run's access -> the requests that fill it."""


def _check_distinct(runs: Mapping[RunKey, RunEntry]) -> Iterator[Problem]:
    """Runs of different seeds have different models, logs and answers; one model has one row; runs of one seed are of one machine."""
    seen: dict[tuple[str, object], RunKey] = {}
    machines: dict[int, RunKey] = {}
    answers: dict[tuple[str, Machine], str] = {}
    for key, run in runs.items():
        path, base = run_file(*key), run.checkpoints.get(BASE)
        trained = {name: content for name, content in run.checkpoints.items() if content != base}
        rows = {name: run.rows[name] for name in trained if name in run.rows}
        for field, values in (("checkpoints", trained), ("rows", rows), ("logs", {name: logs for name, logs in run.logs.items() if logs})):
            for name, value in values.items():
                other = seen.setdefault((field, value), key)
                if other[1] != key[1]:
                    reason = f"identical to {run_file(*other)}, which has another seed: different seeds give different models"
                    yield Problem(path, f"{field}.{name}", reason)
        for name, content in run.checkpoints.items():
            if name in run.rows and answers.setdefault((content, run.numerics), run.rows[name]) != run.rows[name]:
                yield Problem(path, f"rows.{name}", "the same checkpoint has other answers in this submission")
        first = machines.setdefault(run.seed, key)
        if run.numerics != runs[first].numerics:
            yield Problem(path, "numerics", f"differs from {run_file(*first)}: all orders of a seed must run on one type of machine")
