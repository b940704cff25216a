"""How numbers and names are written, the same in every form of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.costs import AccessRecord
from bench.results.estimates import SHARES, Value
from bench.suite import Decoding

TITLES: dict[Decoding, str] = {"greedy": "greedy", "sampled": "temperature 1"}
NO_OTHERS = "undefined: every domain is a target"


def not_comparable(suite: str, quick: bool) -> str:
    """Why results are not comparable: of a smoke test, or of a suite that its file marks so."""
    why = "smoke test (--quick)" if quick else f"suite {suite} is under development"
    return f"{why}; results are not comparable"


def shown(metric: str, value: Value | None) -> str:
    """A metric's value: `0.90 [0.83, 0.98]` for shares, one digit for points, the reason where it is undefined. A set of several pieces is
    written whole, `0.90 (−∞, −2.00] or [0.40, ∞)`. A cap's bias is not part of it (`cap_bias_words`)."""
    if value is None:
        return NO_OTHERS
    digits = 2 if metric in SHARES else 1
    pieces = " or ".join(_piece(low, high, digits) for low, high in value.pieces)
    if value.estimate is None:
        informative = value.pieces and value.pieces != ((float("-inf"), float("inf")),)
        return f"undefined: {value.why}" + (f"; plausible: {pieces}" if informative else "")
    text = rounded(value.estimate, digits)
    if pieces:
        text += f" {pieces}"
    elif value.low is not None and value.high is not None:
        text += f" {_piece(value.low, value.high, digits)}"
    return text


def cap_bias_words(metric: str, value: Value | None) -> str:
    """By how much caps lower a value, `cap bias −0.05`; empty where that is nothing or rounds to nothing."""
    digits = 2 if metric in SHARES else 1
    bias = rounded(value.cap_bias, digits) if value and value.cap_bias else "0"
    return f"cap bias −{bias}" if float(bias) else ""


def _piece(low: float, high: float, digits: int) -> str:
    left = "(−∞" if low == float("-inf") else f"[{rounded(low, digits)}"
    right = "∞)" if high == float("inf") else f"{rounded(high, digits)}]"
    return f"{left}, {right}"


def rounded(value: float, digits: int) -> str:
    """Fixed digits, and no minus before a zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def percent(share: float, digits: int = 0) -> str:
    """A share as percent, kept on one line."""
    return f"{rounded(100 * share, digits)}\N{NO-BREAK SPACE}%"


def p_words(value: float | None) -> str:
    """A p-value with three digits; a dash where there is none."""
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def access_words(access: AccessRecord) -> str:
    """What a method had access to in addition to the checkpoint it was given."""
    parts = []
    if access.checkpoints:
        parts.append(f"checkpoints of {', '.join(access.checkpoints)}")
    if access.experts:
        parts.append(f"experts of {', '.join(access.experts)}")
    if access.prompts:
        parts.append("prompts: " + ", ".join(f"{count} of {domain}" for domain, count in access.prompts.items()))
    return "; ".join(parts) or "last checkpoint only"


def seeds_words(seeds: Iterable[int]) -> str:
    """`seeds 100–104`, `seed 3`, `seeds 0, 2 and 5`."""
    ordered = sorted(set(seeds))
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"seeds {ordered[0]}–{ordered[-1]}"
    return f"seeds {listed([str(seed) for seed in ordered])}"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
