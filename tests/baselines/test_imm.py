"""mean-IMM and mode-IMM: weighted means of the stages' checkpoints."""

from __future__ import annotations

import pytest

from baselines.mean_imm import MeanIMM
from baselines.mode_imm import ModeIMM

MEAN = [3, 2, 8, 3, 0, -1, 0, 4]
"""Of the fixture `four_stages`."""


def test_mean_imm_is_the_mean_of_all_stages(house, four_stages) -> None:
    assert house.row(MeanIMM().recover(four_stages.stages["cw"], ("math",), four_stages)) == MEAN
    assert four_stages.asked == [("checkpoint", domain) for domain in four_stages.sequence]


def test_mean_imm_mixes_by_growing_shares(house, four_stages) -> None:
    four_stages.sequence = ("code", "math")
    repaired = MeanIMM(growth=3.0).recover(four_stages.stages["math"], ("code",), four_stages)
    assert house.row(repaired) == [1, 0, 8, 1.75, 0, 0, 0, 3]  # code / 4 + math 3 / 4


def test_mode_imm_with_equal_fishers_is_mean_imm(house, four_stages) -> None:
    four_stages.statistics = {("fisher", domain): house.tensors(1, 2, 4, 0.5, 0, 8, 1, 16) for domain in four_stages.sequence}
    assert house.row(ModeIMM(prompts=8).recover(four_stages.stages["cw"], ("math",), four_stages)) == MEAN
    fishers = [call for call in four_stages.asked if call[0] == "fisher"]
    assert fishers == [("fisher", four_stages.stages[domain], domain, 8) for domain in four_stages.sequence]


@pytest.mark.parametrize(
    ("growth", "expected"),
    [
        (1.0, [4, 3, 3, 0.5, 0, 0, 4, 0]),  # the weighted own values in the fixture; no Fisher at 6: the mean
        (3.0, [4, 2, 3.5, 1, 0, -0.5, 4, 0]),  # math counts three times: at 1 (3 x 4 + 3 x 0) / 6, at 3 (9 x 0 + 9 x 2) / 18
    ],
)
def test_mode_imm_by_hand(house, two_targets, growth: float, expected: list[float]) -> None:
    two_targets.sequence = ("code", "math")
    assert house.row(ModeIMM(growth=growth).recover(house.checkpoint(*[1.0] * 8), ("code",), two_targets)) == expected
