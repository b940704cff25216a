"""Whether the numbers that a submission states follow from its answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from bench.results.boards import RANKED_BY
from bench.results.estimates import measure
from bench.results.run import Run, means
from bench.suite import DECODINGS
from leaderboard.problems import Problem
from leaderboard.runs import SubmittedRun, run_file
from leaderboard.submission import FILE, Claim, RunEntry, Submission
from leaderboard.verify.board import RunKey

_EXACT = 1e-9
"""Differences that come from adding in another order."""


def claimed(runs: Sequence[Run], targets: str) -> dict[str, dict[str, Claim]]:
    """Decoding -> metric -> value of the metrics that a submission states: the board's, and forgetting."""
    found: dict[str, dict[str, Claim]] = {}
    for decoding in DECODINGS:
        values = measure(runs, decoding)
        for name in (RANKED_BY[targets], "forgetting"):
            value = values[name]
            found.setdefault(decoding, {})[name] = Claim(estimate=value.estimate, low=value.low, high=value.high)
    return found


def check_scores(entries: Mapping[RunKey, RunEntry], runs: Sequence[SubmittedRun]) -> Iterator[Problem]:
    """Each run's matrix of mean scores."""
    for (key, entry), run in zip(entries.items(), runs, strict=True):
        for decoding, by_row in means(run.tables, run.sequence).items():
            for name, counted in by_row.items():
                for domain, stated, score in zip(run.sequence, entry.scores[decoding][name], counted, strict=True):
                    if abs(stated - score) > _EXACT:
                        reason = f"states {_shown(stated)} for {domain}, but its answers score {_shown(score)}"
                        yield Problem(run_file(*key), f"scores.{decoding}.{name}", reason)


def check_claim(submission: Submission, runs: Sequence[SubmittedRun]) -> Iterator[Problem]:
    """The metrics."""
    for decoding, values in claimed(runs, submission.board.targets).items():
        stated = submission.claim.get(decoding, {})  # type: ignore[call-overload]
        for name in sorted(set(values) ^ set(stated)):
            yield Problem(
                FILE, f"claim.{decoding}.{name}", "missing" if name in values else "not a metric of this board's claim: remove it"
            )
        for name in sorted(set(values) & set(stated)):
            for end in ("estimate", "low", "high"):
                one, other = getattr(stated[name], end), getattr(values[name], end)
                if (one is None) != (other is None) or (one is not None and not math.isclose(one, other, rel_tol=_EXACT, abs_tol=_EXACT)):
                    yield Problem(FILE, f"claim.{decoding}.{name}.{end}", f"states {_shown(one)}, but the answers give {_shown(other)}")


def _shown(value: float | None) -> str:
    """With all digits in which two values may differ."""
    return "none" if value is None else f"{value:.10g}"
