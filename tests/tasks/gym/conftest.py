"""The gym tasks' test and validation sets, drawn once for all tests of a session."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tasks.task import Item, Split, Task

SIZES: dict[Split, int] = {"test": 1024, "validation": 256}


@pytest.fixture(scope="session")
def drawn() -> Callable[[Task, Split], list[Item]]:
    """The first 1,024 test or 256 validation items of a task."""

    @functools.cache
    def of(kind: type[Task], split: Split) -> list[Item]:
        return kind().distinct(split, 0, SIZES[split])

    return lambda task, split: of(type(task), split)
