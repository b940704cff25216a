"""Stronger evaluations: anybody's measurement of somebody's entry on fresh seeds, under another decoding or on harder items. Each is one
file, `evaluations/NAME.json`, that names the entry and is shown beside it. It is a claim like any other, and ranks nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bench.suite import DEVELOPMENT_SEEDS, SCORED_SEEDS, Sha256
from leaderboard.problems import Problem, RefusedError
from leaderboard.submission import Address, Line, Name, Note, Seed, Strict
from leaderboard.verdicts import digest
from leaderboard.verify.contents import read_model

FOLDER = "evaluations"
"""Beside the folder of submissions."""


Number = Annotated[float, Field(ge=-1_000, le=1_000)]


class Evaluation(Strict):
    """evaluations/NAME.json.

    entry, submission: the entry's name and the sha256 of its submission.json, since an entry may change; kind: how the evaluation is
    stronger; method: what was measured, and how it can be repeated; metric, estimate, low, high: the result with its 95 % interval, shares
    as fractions of 1; seeds: those that were run; code, evidence: addresses of the code and of the answers; evidence_sha256: of the latter.
    """

    schema_id: Literal["interference-bench evaluation 1"] = Field(alias="schema")
    name: Name
    entry: Name
    submission: Sha256
    authors: tuple[Line, ...] = Field(min_length=1, max_length=50)
    kind: Literal["fresh seeds", "another decoding", "harder items", "another model"]
    method: Note
    metric: Line
    estimate: Number
    low: Number
    high: Number
    seeds: tuple[Seed, ...] = Field(min_length=1, max_length=1000)
    code: Address
    evidence: Address
    evidence_sha256: Sha256

    @model_validator(mode="after")
    def _in_order(self) -> Evaluation:
        if not self.low <= self.estimate <= self.high:
            raise ValueError("low, estimate and high must be in this order")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: name each once")
        if self.kind == "fresh seeds" and (known := sorted(set(self.seeds) & {*SCORED_SEEDS, *DEVELOPMENT_SEEDS})):
            raise ValueError(f"seeds: {known[0]} is a scored or a development seed, so it is not fresh")
        return self


def read_evaluation(file: Path, submissions: Path) -> tuple[Evaluation | None, list[Problem]]:
    """An evaluation and all that is wrong with it. submissions: folder of the entries."""
    found, problems = read_model(file.parent, file.name, Evaluation)
    if found is None:
        return None, problems
    if f"{found.name}.json" != file.name:
        problems.append(Problem(file.name, "name", f"{found.name!r} must equal the file's name"))
    entry = submissions / found.entry
    if not (entry / "submission.json").is_file():
        problems.append(Problem(file.name, "entry", f"there is no entry {found.entry}"))
    elif _digest(entry) != found.submission:
        problems.append(Problem(file.name, "submission", f"{found.entry} has another submission.json now: evaluate it again"))
    return found, problems


def _digest(entry: Path) -> str:
    try:
        return digest(entry)
    except RefusedError:
        return ""


def evaluations(submissions: Path) -> tuple[Mapping[str, list[Evaluation]], dict[str, str]]:
    """The accepted evaluations beside a folder of submissions, by entry, and the first problem of each other file by its name."""
    accepted: dict[str, list[Evaluation]] = {}
    refused: dict[str, str] = {}
    for file in sorted((submissions.parent / FOLDER).glob("*.json")):
        found, problems = read_evaluation(file, submissions)
        if found is None or problems:
            refused[file.name] = str(problems[0])
        else:
            accepted.setdefault(found.entry, []).append(found)
    return accepted, refused
