"""Training logs as evidence of cost. Whoever runs a method can write any log, so every line is checked before its numbers are used.

Every step of a training samples the suite's number of prompts and of answers to each. A log's line gives the mean number of tokens of those
answers and the share of prompts whose answers had different rewards. Sampling takes 2 N FLOPs a token (N parameters). The answers to such
prompts are trained on, which takes 6 N for at least their last token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.suite import Suite
from leaderboard.files import strict_json
from leaderboard.limits import MAX_LOG_LINES

Log = Sequence[Mapping[str, Any]]
"""A line for each step."""
MAX_STEP = 10_000
"""Characters of one line."""
MAX_TOKENS = 1_000_000
"""Of an answer, far above what any suite allows."""


def log_of(text: str) -> Log:
    """The lines of a training log. ValueError in one line where it is none."""
    lines = text.splitlines()
    if not lines:
        raise ValueError("has no steps")
    if len(lines) > MAX_LOG_LINES:
        raise ValueError(f"has {len(lines):,} steps, more than {MAX_LOG_LINES:,}, the limit")
    steps = [_step_of(place, line) for place, line in enumerate(lines, start=1)]
    for place, line in enumerate(steps, start=1):
        if not isinstance(line, dict) or not isinstance(line.get("reward"), dict) or not line["reward"]:
            raise ValueError(f"step {place}: must be an object with the rewards by domain")
        if line.get("step") != place:
            raise ValueError(f"step {place}: is step {line.get('step')!s:.40} in the log")
        for name, most in (("tokens", MAX_TOKENS), ("groups_with_spread", 1)):
            value = line.get(name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
                raise ValueError(f"step {place}: {name} is {value!s:.40}: must be a number from 0 to {most:,}")
    return steps


def _step_of(place: int, line: str) -> Any:
    if len(line) > MAX_STEP:
        raise ValueError(f"step {place}: has {len(line):,} characters, more than {MAX_STEP:,}, the limit")
    try:
        return strict_json(line.encode())
    except ValueError as error:
        raise ValueError(f"step {place}: {error}") from None


def flops(log: Log, suite: Suite, size: int) -> float:
    """The least FLOPs behind a log. size: parameters of the model."""
    answers = suite.grpo.prompts * suite.grpo.group
    return sum(2 * size * answers * max(line["tokens"] - 1, 0) + 6 * size * answers * line["groups_with_spread"] for line in log)
