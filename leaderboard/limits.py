"""Every number in the rules. `RULES.md` is written from them."""

from __future__ import annotations

from bench.suite import SCORED_SEEDS

MB = 1_000_000

SEEDS = (tuple(SCORED_SEEDS[:5]), tuple(SCORED_SEEDS))
"""The seeds that an entry may have, all of one of them."""
MAX_FILES = 200
MAX_BYTES = 5 * MB
"""Of a folder with five seeds of one sequence; twice as much for ten seeds."""
MAX_BYTES_DESIGN = 15 * MB
"""Of a folder with a design of several orders."""
MAX_JSON = 1 * MB
MAX_DEPTH = 16
"""Of nested lists and objects in JSON."""
MAX_UNPACKED = 80 * MB
"""Of one compressed file, unpacked."""
MAX_LINE = 1 * MB
MAX_COLUMNS = 400
"""Rows of answers in a submission."""

MAX_CODE = 64_000
"""Bytes of method.py."""
MAX_LITERAL = 2_000
"""Characters of one text or bytes literal in it, and numbers in one list: more than this looks like weights."""

SAME_BASE = 0.95
"""Share of the base's answers that must be those of the reference entry. They differ between types of CPU in a few of thousands."""
DAMAGE_LEVEL = 0.01
"""One-sided level of Welch's t-test that a baseline run forgets more than the reference's."""
REPRODUCED_LEVEL = 0.01
"""One-sided level of the test that a claim is above its re-run."""
NEAR_DUPLICATE = 0.8
"""Share of a method's code that another entry's has too, from which on a maintainer is warned."""
