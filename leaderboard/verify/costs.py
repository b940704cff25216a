"""Whether a method can have cost as little as its runs say: the logs of its trainings give a lower bound.

A log has a line a step: the mean number of tokens of the answers, and the share of groups whose answers had different rewards. Both are
fractions whose denominators give away how many answers and prompts a step had. Sampling them takes 2 N FLOPs a token (N parameters), and
each answer of a group with different rewards is trained on, at 6 N for at least its last token.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from bench.suite import Suite
from leaderboard.files import strict_json, unpacked_lines
from leaderboard.problems import Problem, RefusedError
from leaderboard.runs import file_of
from leaderboard.submission import LOGS, RunEntry, Submission
from leaderboard.verify.board import RunKey

_MOST = 1 << 17
"""Answers of a step that a denominator is looked for up to."""


def read_logs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """sha256 of a log -> its lines. `RefusedError` where the file is damaged or a log is not the one of its hash."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not (folder / LOGS).is_file():
        return found
    for number, line in enumerate(unpacked_lines(folder, LOGS), start=1):
        try:
            digest, text = strict_json(line)
            lines = [strict_json(each.encode()) for each in text.splitlines()]
        except (ValueError, TypeError, AttributeError) as error:
            raise RefusedError(LOGS, f"line {number}", f"not a log with its sha256: {error}") from error
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise RefusedError(LOGS, f"line {number}", "not the log of its sha256")
        if not all(isinstance(each, dict) for each in lines):
            raise RefusedError(LOGS, f"line {number}", "not a log: it has a line that is no object")
        found[digest] = lines
    return found


def check_costs(folder: Path, submission: Submission, suite: Suite, runs: Mapping[RunKey, RunEntry]) -> Iterator[Problem]:
    """Costs and access below what the logs show, logs that are missing or that no run names."""
    try:
        logs = read_logs(folder)
    except RefusedError as refused:
        yield refused.problem
        return
    named = {digest for run in runs.values() for digests in run.logs.values() for digest in digests}
    for digest in sorted(set(logs) - named):
        yield Problem(LOGS, digest[:12], "a log that no run names")
    size = parameters(suite)
    for key, run in runs.items():
        path, sequence = file_of(*key), suite.sequence(run.sequence)
        missing = sorted(name for name, digests in run.logs.items() if not set(digests) <= set(logs))
        for name in missing:
            yield Problem(path, f"logs.{name}", f"names a log that is not in {LOGS}")
        if missing:
            continue
        own = {digest for name, digests in run.logs.items() if not name.startswith("baseline-") for digest in digests}
        least = sum(flops(logs[digest], size) for digest in own) / suite.sequence_flops(sequence)
        spent = run.cost.repair + (run.cost.stages if submission.method.own_stages else 0.0)
        if spent < least:
            yield Problem(path, "cost", f"{spent:.4f} of the baseline run, and the method's logs alone show {least:.4f}")
        for domain, count in prompts(logs[digest] for digest in run.logs.get("repaired", ())).items():
            if run.cost.access.prompts.get(domain, 0) < count:
                had = run.cost.access.prompts.get(domain, 0)
                yield Problem(path, f"cost.access.prompts.{domain}", f"{had}, and the repair's logs show at least {count}")


def flops(log: Sequence[Mapping[str, Any]], size: int) -> float:
    """The least FLOPs behind a log. size: parameters of the model."""
    answers = _common([_number(line, name) for line in log for name in ("tokens", "unparsed")])
    total = 0.0
    for line in log:
        tokens, spread = _number(line, "tokens"), _number(line, "groups_with_spread")
        total += 2 * size * answers * max(tokens - 1, 0) + 6 * size * answers * min(max(spread, 0), 1)
    return total


def prompts(logs: Iterator[Sequence[Mapping[str, Any]]] | Sequence[Any]) -> dict[str, int]:
    """Domain -> the least number of its prompts that trainings used: those of one step, where it was on that domain alone."""
    found: dict[str, int] = {}
    for log in logs:
        domains = sorted({domain for line in log for domain in _rewards(line)})
        count = _common([_number(line, "groups_with_spread") for line in log]) if len(domains) == 1 else 1
        for domain in domains:
            found[domain] = max(found.get(domain, 0), count)
    return found


def _rewards(line: Mapping[str, Any]) -> Mapping[str, Any]:
    rewards = line.get("reward")
    return rewards if isinstance(rewards, dict) else {}


def _number(line: Mapping[str, Any], name: str) -> float:
    value = line.get(name, 0)
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else 0.0


def _common(shares: Sequence[float]) -> int:
    """The smallest count of which all are shares."""
    found = 1
    for share in shares:
        found = math.lcm(found, Fraction(share).limit_denominator(_MOST).denominator)
        if found > _MOST:
            return 1  # not shares of one count: nothing can be said
    return found


def parameters(suite: Suite) -> int:
    """Of the suite's base, from the header of its weights; 0 where they do not ship with it."""
    file = suite.base_folder / "model.safetensors"
    if not file.exists():
        return 0
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
