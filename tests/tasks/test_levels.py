"""Levels of difficulty: a task draws those that were chosen, and refuses those that it does not have."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tasks.everyday.code import Code
from tasks.everyday.math import Math
from tasks.everyday.qa import QA
from tasks.levels import Levelled

every_task = pytest.mark.parametrize("task", [Math, Code, QA], ids=lambda task: task.__name__)


@every_task
def test_all_levels_are_drawn_unless_some_are_chosen(task: type[Levelled]) -> None:
    generator = random.Random(0)
    drawn = Counter(task().draw(generator).level for _ in range(800))
    assert set(drawn) == set(task.all_levels)
    assert min(drawn.values()) > 0.8 * 800 / len(task.all_levels)
    assert {task([2, 3]).draw(generator).level for _ in range(100)} == {2, 3}
    assert {task([1]).item("test", 0, index).level for index in range(50)} == {1}


@every_task
def test_an_item_of_a_level_is_of_that_level(task: type[Levelled]) -> None:
    generator = random.Random(0)
    for level in task.all_levels:
        assert {task().draw_level(level, generator).level for _ in range(50)} == {level}


@every_task
@pytest.mark.parametrize("levels", [(0,), (1, 9)])
def test_a_level_that_it_does_not_have_is_refused(task: type[Levelled], levels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"this task has levels 1, 2, 3, 4"):
        task(levels)
