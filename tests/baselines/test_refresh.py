"""refresh, and the controls that take its steps: relearn and longer."""

from __future__ import annotations

import pytest

from baselines.longer import Longer
from baselines.refresh import Refresh
from baselines.relearn import Relearn
from bench.method import Training


def test_refresh_trains_the_last_checkpoint_on_the_targets(house) -> None:
    history, last = house.history(), house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    repaired = Refresh(steps=7).recover(last, ("math", "code"), history)
    assert history.asked == [("train", last, Training({"math": 0.5, "code": 0.5}, steps=7))]
    assert house.row(repaired) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_relearn_trains_the_base_on_the_targets(house) -> None:
    """The same training as in `refresh`, from 8 7 ... 1 instead of from 1 2 ... 8."""
    base, last = house.checkpoint(8, 7, 6, 5, 4, 3, 2, 1), house.checkpoint(1, 2, 3, 4, 5, 6, 7, 8)
    history = house.history(base=base)
    repaired = Relearn(steps=7).recover(last, ("math", "code"), history)
    assert history.asked == [("train", base, Training({"math": 0.5, "code": 0.5}, steps=7))]
    assert house.row(repaired) == [9, 8, 7, 6, 5, 4, 3, 2]


@pytest.mark.parametrize("control", [Longer, Relearn])
def test_controls_spend_what_refresh_would(control: type) -> None:
    assert control.controls
    assert control.follows == "refresh"
    assert control().settings() == Refresh().settings()


@pytest.mark.parametrize(
    ("steps", "extra"),
    [
        (15, [4, 4, 3, 4]),  # 3.75, 7.5, 11.25, 15, rounded: 4, 8, 11, 15
        (2, [0, 1, 1, 0]),  # 0.5, 1, 1.5, 2, rounded to even: 0, 1, 2, 2
        (8, [2, 2, 2, 2]),
        (0, [0, 0, 0, 0]),
    ],
)
def test_longer_spends_the_repairs_steps_on_the_stages(house, steps: int, extra: list[int]) -> None:
    history = house.history()
    trainings = history.trainings(Longer(steps=steps))
    assert trainings == [Training({domain: 1.0}, steps=100 + more) for domain, more in zip(history.sequence, extra, strict=True)]
    assert sum(training.steps for training in trainings) == 400 + steps
