"""Tasks whose levels of difficulty a suite chooses, so that one suite fits small and large models."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from tasks.task import Item, Task


class Levelled(Task):
    """A task with levels of difficulty. all_levels: the levels it has, the easiest first; levels: those that are drawn, with equal
    probability (default: all)."""

    all_levels: ClassVar[tuple[int, ...]]

    def __init__(self, levels: Iterable[int] = ()) -> None:
        self.levels = tuple(levels) or self.all_levels
        if not set(self.levels) <= set(self.all_levels):
            raise ValueError(f"levels={list(self.levels)}: this task has levels {', '.join(map(str, self.all_levels))}")

    def draw(self, rng: random.Random) -> Item:
        return self.draw_level(rng.choice(self.levels), rng)

    @abstractmethod
    def draw_level(self, level: int, rng: random.Random) -> Item:
        """One item of a level, whatever its split."""
