"""Fresh seeds and items: numbers that nobody knew when a submission was made, and that anybody can compute afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SEEDS = 5
"""Of one draw."""


@dataclass(frozen=True)
class Draw:
    """first_seed: of `SEEDS` seeds in a row, none of them a scored seed or a development seed; items: which test items come from the
    reserve (`RunSpec.draw`)."""

    first_seed: int
    items: int

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.first_seed, self.first_seed + SEEDS))


def fresh(digest: str, public: str, number: int = 0) -> Draw:
    """The draw for a submission. digest: sha256 of its submission.json; public: a random value that was published after it was submitted,
    such as a round of drand; number: 0, or 1 for the second draw."""
    content = hashlib.sha256(f"{digest} {public.strip()} {number}".encode()).digest()
    return Draw(1_000 + int.from_bytes(content[:4], "big") % 1_000_000_000, 1 + int.from_bytes(content[4:8], "big") % 1_000_000_000)
