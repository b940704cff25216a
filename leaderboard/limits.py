"""Every number in the rules. `RULES.md` is written from them."""

from __future__ import annotations

from dataclasses import dataclass

from bench.suite import SCORED_SEEDS

MB = 1_000_000

SEEDS = (tuple(SCORED_SEEDS[:5]), tuple(SCORED_SEEDS))
"""The allowed sets of seeds; an entry has exactly one of them."""
MAX_FILES = 200
MAX_BYTES = 5 * MB
"""Of a folder with five seeds of one sequence; twice as much for ten seeds."""
MAX_BYTES_DESIGN = 15 * MB
"""Of a folder with a design of several orders."""
MAX_JSON = 1 * MB
MAX_README = 1 * MB
MAX_DEPTH = 16
"""Of nested lists and objects in JSON."""
MAX_UNPACKED = 80 * MB
"""Of one compressed file, unpacked."""
MAX_LINE = 1 * MB
MAX_ROWS = 400
"""Rows of answers in a submission."""
MAX_LOG_LINES = 200_000
"""In all logs of a submission."""
MAX_TOTAL_COST = 20.0
"""Of a run, as a multiple of the baseline run's: more is a typing error."""

MAX_CODE = 64_000
"""Bytes of method.py."""
MAX_LITERAL = 2_000
"""Characters of one string in it (docstrings apart), and values in one list: more than this looks like weights."""

SAME_BASE = 0.95
"""Least share of test items on which the base must score as the reference entry's base does. Scores differ between types of CPU on a few
items in a thousand."""
SAME_SEEDS = 0.99
"""Share of items at temperature 1 from which on two seeds are too much alike."""
SAME_DECODING = 0.97
"""Share of items with the same score under both decodings, for a warning. The highest of the reference entries is 0.93, of a sharpened
model."""
REFUSED_LEVEL = 0.001
"""One-sided level of Welch's t-test at which a baseline run that forgets more, or gains less, than the reference entry's is refused."""
WARNING_LEVEL = 0.01
"""The same, for a warning."""
REPRODUCED_LEVEL = 0.01
"""One-sided level of the test that a claim is above its rerun."""
NEAR_DUPLICATE = 0.8
"""Least share of a method's code that also appears in another method's, for a warning."""


@dataclass(frozen=True)
class Limits:
    """What a method may take in a sandbox. memory: GB of all its processes together; disk: GB in its folder; files: in its folder; seconds:
    of a job, a stage or a repair; processes: and threads, at any time; log: bytes of its standard error; free: GB of memory and of disk
    that must stay free on the machine, the last guard for what a method hides from whoever watches it."""

    memory: float = 8.0
    disk: float = 4.0
    files: int = 20_000
    seconds: float = 4 * 3600.0
    processes: int = 64
    log: int = 16_000_000
    free: float = 1.0
