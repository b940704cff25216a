"""Scores every answer again, by the suite's own verifiers, a line at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench.suite import Suite, load_suite
from leaderboard.problems import Problem, RefusedError
from leaderboard.rows import Cell, CellDigest, Written, cells_of, file_of, row_digest, unpack_cell
from leaderboard.runs import Table
from leaderboard.submission import FILE, Submission
from tasks.task import Item, ScoreError, Task


def count_answers(folder: Path, submission: Submission, suite: Suite) -> tuple[dict[str, Table], list[Problem]]:
    """Digest -> scores of every row that the submission stores, and what is wrong with the files."""
    columns = submission.rows
    if len(set(columns)) < len(columns):
        return {}, [Problem(FILE, "rows", "names a row twice")]
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
        problems += found
        for column in range(len(columns)):
            tables[column][cell] = values[column]
            digests[column][cell] = cells[column]
    if problems:
        return {}, problems
    for column, digest in enumerate(columns):
        if row_digest(digests[column]) != digest:
            problems.append(Problem(FILE, f"rows.{column}", "not the digest of the answers in this column of the files in answers/"))
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
                try:
                    known[answer] = _scored(task, item, answer)
                except ScoreError as error:
                    raise RefusedError(file_of(cell), f"line {place + 1}", str(error)) from error
                flaw = check_cut(answer, task, length)
                if flaw and len(problems) < 5:
                    problems.append(Problem(file_of(cell), f"line {place + 1}, answer {column + 1}", flaw))
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
    """That an answer cannot have been cut at the token limit, or must have been, in words; empty where it fits.

    An answer that ends has room for its end token; one that was cut fills the limit. Where a text may be made of tokens in several ways,
    the model may have used up to twice as many as the tokenizer would.
    """
    count, unique = length
    if answer.ended and len(answer.text) < task.answer_tokens:
        return ""  # a token is at least one character
    tokens, limit = count(answer.text), task.answer_tokens
    if answer.ended and unique and tokens >= limit:
        return f"ended after {tokens} tokens, and the limit is {limit} with the end token"
    if not answer.ended and tokens < (limit if unique else math.ceil(limit / 2)):
        return f"marked as cut after {tokens} tokens, and the limit is {limit}"
    return ""


def token_counter(suite: Suite) -> TokenCounter:
    """For texts of the suite's base."""
    return _token_counter(suite.base_folder / "tokenizer.json")


@lru_cache
def _token_counter(file: Path) -> TokenCounter:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    unique = type(tokenizer.model).__name__ == "WordLevel"

    @lru_cache(1 << 16)
    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count, unique


def means(table: Table, domains: tuple[str, ...], decoding: str) -> list[float]:
    """The mean score of each domain."""
    return [float(table[domain, decoding][:, 0].mean()) for domain in domains]  # type: ignore[index]
