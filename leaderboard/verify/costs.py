"""Whether a method can have cost as little as its runs state: the logs of its trainings give a lower bound.

Every step of a training samples the suite's number of prompts and of answers to each. A log's line gives the mean number of tokens of those
answers and the share of prompts whose answers had different rewards. Sampling takes 2 N FLOPs a token (N parameters). The answers to such
prompts are trained on, which takes 6 N for at least their last token.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results.run import Run
from bench.suite import Suite
from leaderboard.files import strict_json, unpacked_lines
from leaderboard.limits import MAX_LOG_LINES
from leaderboard.problems import Problem, RefusedError
from leaderboard.runs import file_of
from leaderboard.submission import LOGS, RunEntry, Submission
from leaderboard.verify.board import RunKey

Log = Sequence[Mapping[str, Any]]
"""A line for each step."""


def read_logs(folder: Path) -> dict[str, Log]:
    """sha256 of a log -> its lines. `RefusedError` where the file is damaged, or a log does not match its hash or is no training log."""
    found: dict[str, Log] = {}
    total = 0
    for number, line in enumerate(unpacked_lines(folder, LOGS), start=1):
        where = f"line {number}"
        try:
            digest, text = strict_json(line, deep=False)
            lines = text.splitlines()
            total += len(lines)
            if total > MAX_LOG_LINES:
                raise RefusedError(LOGS, where, f"the logs have more than {MAX_LOG_LINES:,} lines, the limit")
            steps = [strict_json(each.encode()) for each in lines]
        except (ValueError, TypeError, AttributeError) as error:
            raise RefusedError(LOGS, where, f"must be a sha256 and a log: {error}") from error
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise RefusedError(LOGS, where, "the log does not match its sha256")
        flaw = _flaw(steps)
        if flaw:
            raise RefusedError(LOGS, where, flaw)
        found[digest] = steps
    return found


def _flaw(steps: Sequence[Any]) -> str:
    """What makes lines no training log, in words; empty where nothing does."""
    for place, line in enumerate(steps, start=1):
        if not isinstance(line, dict) or not isinstance(line.get("reward"), dict) or not line["reward"]:
            return f"step {place}: must be an object with the rewards by domain"
        if line.get("step") != place:
            return f"step {place}: is step {line.get('step')!r} in the log"
        for name, least, most in (("tokens", 0, math.inf), ("groups_with_spread", 0, 1)):
            value = line.get(name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
                return f"step {place}: {name} is {value!r}"
    return "" if steps else "has no steps"


def check_costs(folder: Path, submission: Submission, suite: Suite, runs: Mapping[RunKey, RunEntry]) -> Iterator[Problem]:
    """Costs and access below what the logs show, logs that are missing or that no run uses."""
    try:
        logs = read_logs(folder) if LOGS in submission.files else {}
    except RefusedError as refused:
        yield refused.problem
        return
    named = {digest for run in runs.values() for digests in run.logs.values() for digest in digests}
    for digest in sorted(set(logs) - named):
        yield Problem(LOGS, digest[:12], "no run uses this log: remove it")
    size = parameters(suite)
    for key, run in runs.items():
        path, sequence = file_of(*key), suite.sequence(run.sequence)
        missing = sorted(name for name, digests in run.logs.items() if not set(digests) <= set(logs))
        for name in missing:
            yield Problem(path, f"logs.{name}", f"names a log that is not in {LOGS}")
        if missing:
            continue
        own = {digest for name, digests in run.logs.items() if not name.startswith("baseline-") for digest in digests}
        least = sum(flops(logs[digest], suite, size) for digest in own) / suite.sequence_flops(sequence)
        spent = run.cost.repair + (run.cost.stages if submission.method.own_stages else 0.0)
        if spent < least:
            reason = f"states {spent:.10g} of the baseline run, but the training logs imply at least {least:.10g}"
            yield Problem(path, "cost", reason)
        for domain, count in _prompts(run, logs, suite).items():
            had = run.cost.access.prompts.get(domain, 0)
            if had < count:
                yield Problem(path, f"cost.access.prompts.{domain}", f"states {had}, but the training logs imply at least {count}")


def understated(run: Run, suite: Suite) -> str:
    """Why a run of a rerun must have cost more than its worker said; empty where it need not."""
    logs = [run.logs(row) for row in run.rows.distinct() if row.part != "baseline"]
    least = sum(flops(log, suite, parameters(suite)) for log in logs) / suite.sequence_flops(run.sequence)
    cost = run.manifest.cost
    spent = cost.repair + (cost.stages if run.manifest.method.own_stages else 0.0)
    return f"{run.name}: charged {spent:.3g} of the baseline run, but its training logs imply at least {least:.3g}" if spent < least else ""


def flops(log: Log, suite: Suite, size: int) -> float:
    """The least FLOPs behind a log. size: parameters of the model."""
    answers = suite.grpo.prompts * suite.grpo.group
    return sum(2 * size * answers * max(line["tokens"] - 1, 0) + 6 * size * answers * line["groups_with_spread"] for line in log)


def _prompts(run: RunEntry, logs: Mapping[str, Log], suite: Suite) -> dict[str, int]:
    """Domain -> the least number of its prompts that the method's trainings used, a stage's own domain apart."""
    found: dict[str, int] = {}
    for name, digests in run.logs.items():
        stage = name.rpartition("-")[2] if name.startswith("method-") else ""
        for digest in digests:
            domains = {domain for line in logs[digest] for domain in line["reward"]}
            count = suite.grpo.prompts * len(logs[digest]) if len(domains) == 1 else 1
            for domain in domains - {stage}:
                found[domain] = max(found.get(domain, 0), count)
    return found


def parameters(suite: Suite) -> int:
    """Of the suite's base: what the suite states if it begins with pretrained weights, or else from the header of the weights that ship
    with it; 0 where none do."""
    if suite.base is not None and suite.base.pretrained is not None:
        return suite.base.pretrained.parameters
    file = suite.base_folder / "model.safetensors"
    if not file.exists():
        return 0
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
