"""Whether a method can have cost as little as its runs state: the logs of its trainings give a lower bound."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.results.run import Run
from bench.suite import Suite
from leaderboard.files import strict_json, unpacked_lines
from leaderboard.limits import MAX_LOG_LINES
from leaderboard.logs import Log, flops, log_of
from leaderboard.problems import Problem, RefusedError
from leaderboard.runs import run_file
from leaderboard.submission import LOGS, RunEntry, Submission
from leaderboard.verify.board import RunKey


def read_logs(folder: Path) -> dict[str, Log]:
    """sha256 of a log -> its lines. `RefusedError` where the file is damaged, or a log does not match its hash or is no training log."""
    found: dict[str, Log] = {}
    total = 0
    for number, line in enumerate(unpacked_lines(folder, LOGS), start=1):
        where = f"line {number}"
        try:
            pair = strict_json(line, deep=False)
            if not isinstance(pair, list) or [type(part) for part in pair] != [str, str]:
                raise RefusedError(LOGS, where, "must be a list of two texts, a sha256 and a log: pack again")
            digest, text = pair
            total += len(text.splitlines())
            if total > MAX_LOG_LINES:
                raise RefusedError(LOGS, where, f"the logs have more than {MAX_LOG_LINES:,} lines, the limit")
            if hashlib.sha256(text.encode()).hexdigest() != digest:
                raise RefusedError(LOGS, where, "the log does not match its sha256")
            found[digest] = log_of(text)
        except ValueError as error:
            raise RefusedError(LOGS, where, f"no training log: {error}") from error
    return found


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
        path, sequence = run_file(*key), suite.sequence(run.sequence)
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
    """Why a run of a rerun must have cost more than its worker said, or why its logs do not tell; empty where it need not."""
    files = [name for row in run.rows.distinct() if row.part != "baseline" for name in run.training_files(row)]
    try:
        logs = {run.manifest.files[name]: log_of(run.file(name).decode()) for name in files}
    except ValueError as error:
        return f"{run.name}: a file of its training is no log: {error}"
    least = sum(flops(log, suite, parameters(suite)) for log in logs.values()) / suite.sequence_flops(run.sequence)
    cost = run.manifest.cost
    spent = cost.repair + (cost.stages if run.manifest.method.own_stages else 0.0)
    return f"{run.name}: charged {spent:.3g} of the baseline run, but its training logs imply at least {least:.3g}" if spent < least else ""


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
