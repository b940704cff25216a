"""Scores every answer again, by the suite's own verifiers, a line at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench.results.archive import Table
from bench.suite import Suite, load_suite
from leaderboard.problems import Problem, RefusedError
from leaderboard.rows import Cell, CellDigest, Written, cell_file, cells_of, row_digest, unpack_cell
from leaderboard.submission import FILE, Submission
from tasks.task import Item, ScoreError, Task

_SHOWN = 5
"""Flaws of one file that are listed before it is given up."""
_LONGEST_TOKEN = 64
"""Characters."""


def count_answers(folder: Path, submission: Submission, suite: Suite) -> tuple[dict[str, Table], list[Problem]]:
    """Digest -> scores of every row that the submission stores, and what is wrong with the files."""
    columns = submission.rows
    if len(set(columns)) < len(columns):
        return {}, [Problem(FILE, "rows", "lists the same digest twice")]
    if not columns:
        return {}, []
    domains = suite.sequence(suite.orders(submission.board.sequence)[0])
    tables: list[dict[Cell, np.ndarray]] = [{} for _ in columns]
    digests: list[dict[Cell, str]] = [{} for _ in columns]
    problems: list[Problem] = []
    for cell in cells_of(domains):
        try:
            values, cells, found = _count_cell(folder, cell, len(columns), suite)
        except RefusedError as refused:
            problems.append(refused.problem)
            continue
        if found:
            problems += found
            continue
        for column in range(len(columns)):
            tables[column][cell] = values[column]
            digests[column][cell] = cells[column]
    if problems:
        return {}, problems
    for column, digest in enumerate(columns):
        if row_digest(digests[column]) != digest:
            problems.append(Problem(FILE, f"rows.{column}", f"does not match the answers in column {column + 1} of answers/: pack again"))
    return dict(zip(columns, tables, strict=True)), problems


def _count_cell(folder: Path, cell: Cell, columns: int, suite: Suite) -> tuple[np.ndarray, list[str], list[Problem]]:
    """(columns, I, 3): score, parsed, ended; the digests of the columns; problems."""
    domain, _ = cell
    items, task = _test_items(suite.name, domain), suite.loaded_tasks[domain]
    length = token_counter(suite)
    values = np.zeros((columns, len(items), 3))
    digests = [CellDigest() for _ in range(columns)]
    problems: list[Problem] = []
    for place, (item, answers) in enumerate(zip(items, unpack_cell(folder, cell, columns, len(items)), strict=True)):
        known: dict[Written, tuple[float, bool, bool]] = {}
        for column, answer in enumerate(answers):
            if answer not in known:
                flaw = check_cut(answer, task, length)
                if flaw:
                    problems.append(Problem(cell_file(cell), f"line {place + 1}, answer {column + 1}", flaw))
                    if len(problems) >= _SHOWN:
                        return values, [], problems
                try:
                    known[answer] = _scored(task, item, answer)
                except ScoreError as error:
                    raise RefusedError(cell_file(cell), f"line {place + 1}", str(error)) from error
            values[column, place] = known[answer]
            digests[column].add(answer)
    return values, [digest.hexdigest() for digest in digests], problems


@lru_cache
def _test_items(suite: str, domain: str) -> list[Item]:
    """Of a suite of this package. Drawing them takes longer than scoring the answers."""
    return load_suite(suite).items(domain, "test")


def _scored(task: Task, item: Item, answer: Written) -> tuple[float, bool, bool]:
    score = task.checked_score(item, answer.text) if answer.ended else None
    return (0.0 if score is None else score, score is not None, answer.ended)


TokenCounter = tuple[Callable[[str], int], bool]
"""Counts a text's tokens, and whether a text has only one tokenization."""


def check_cut(answer: Written, task: Task, length: TokenCounter) -> str:
    """Why an answer cannot be complete, or cannot have been cut at the token limit, as it is marked; empty where it fits.

    A complete answer leaves room for its end token; a cut one fills the limit. Where a text may be made of tokens in several ways, the
    model may have used up to twice as many as the tokenizer would.
    """
    count, unique = length
    limit = task.answer_tokens
    if len(answer.text) > _LONGEST_TOKEN * limit:
        return f"has {len(answer.text):,} characters: more than {limit} tokens can have"
    if answer.ended and len(answer.text) < limit:
        return ""  # a token is at least one character
    tokens = count(answer.text)
    if answer.ended and unique and tokens >= limit:
        return f"is marked as complete, but its {tokens} tokens leave no room for the end token (limit {limit})"
    if not answer.ended and tokens < (limit if unique else math.ceil(limit / 2)):
        return f"is marked as cut, but has only {tokens} tokens (limit {limit})"
    return ""


def token_counter(suite: Suite) -> TokenCounter:
    """For texts of the suite's base."""
    return _token_counter(suite.base_folder / "tokenizer.json")


@lru_cache
def _token_counter(file: Path) -> TokenCounter:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    unique = type(tokenizer.model).__name__ == "WordLevel"

    @lru_cache(1 << 14)
    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count, unique
