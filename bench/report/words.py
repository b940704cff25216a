"""How numbers and names are said, the same in every form of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.results.estimates import SHARES

TITLES = {"greedy": "greedy", "sampled": "at temperature 1"}


def shown(name: str, value: Mapping[str, Any] | None) -> str:
    """A metric's value: `0.90 [0.83, 0.98]` for shares, one digit for points, the reason where it is undefined."""
    if value is None:
        return "undefined: every domain is a target"
    if value["estimate"] is None:
        return f"undefined: {value['why']}"
    digits = 2 if name in SHARES else 1
    text = rounded(value["estimate"], digits)
    if value.get("low") is not None:
        text += f" [{rounded(value['low'], digits)}, {rounded(value['high'], digits)}]"
    return text


def rounded(value: float, digits: int) -> str:
    """Fixed digits, and no minus before a zero."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def access_words(access: Mapping[str, Any]) -> str:
    """What a method looked at beside the last checkpoint."""
    looked = []
    if access["checkpoints"]:
        looked.append(f"checkpoints of {', '.join(access['checkpoints'])}")
    if access["experts"]:
        looked.append(f"experts of {', '.join(access['experts'])}")
    if access["prompts"]:
        looked.append("prompts: " + ", ".join(f"{count} of {domain}" for domain, count in access["prompts"].items()))
    return "; ".join(looked) or "nothing beside the last checkpoint"


def row_title(name: str) -> str:
    """A matrix row in words: `baseline-2-math` is `after math`."""
    part, _, rest = name.partition("-")
    if part == "repaired":
        return "repaired"
    place, _, domain = rest.partition("-")
    if place == "0":
        return "base"
    return f"after {domain}" if part == "baseline" else f"after {domain} (method)"


def seeds_words(seeds: Sequence[int]) -> str:
    """`seeds 100-104`, `seed 3`, `seeds 0, 2, 5`."""
    ordered = sorted(set(seeds))
    if len(ordered) == 1:
        return f"seed {ordered[0]}"
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"seeds {ordered[0]}–{ordered[-1]}"
    return f"seeds {listed(map(str, ordered))}"


def listed(names: Any) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
