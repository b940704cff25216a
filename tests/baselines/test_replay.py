"""replay, and CPR, which chooses what is replayed."""

from __future__ import annotations

import io

import pytest
import torch

from baselines.cpr import CPR, NearHalf
from baselines.replay import Replay
from bench.method import Training


def test_replay_shares_out_among_the_earlier_domains(house) -> None:
    assert house.history().trainings(Replay(share=0.375)) == [
        Training({"code": 1.0}),
        Training({"math": 0.625, "code": 0.375}),
        Training({"qa": 0.625, "code": 0.1875, "math": 0.1875}),
        Training({"cw": 0.625, "code": 0.125, "math": 0.125, "qa": 0.125}),
    ]


def test_cpr_shares_out_as_replay_does(house) -> None:
    history = house.history()
    mixtures = [training.mixture for training in history.trainings(CPR(share=0.375))]
    assert mixtures == [training.mixture for training in history.trainings(Replay(share=0.375))]
    assert mixtures[2] == {"qa": 0.625, "code": 0.1875, "math": 0.1875}


def near_half(house, **settings: object) -> NearHalf:
    history = house.history()
    return CPR(**settings).stage(history.stage(1), history).prompts


def test_cpr_replays_what_is_passed_half_the_time(house) -> None:
    choice = near_half(house, pool=8)
    rates = [0.0, 0.625, 0.5, 0.25, 0.75, 1.0, 0.375, 0.125]
    for expected in ([0, 1, 2], [3, 4, 5], [6, 7, 2]):  # each once, then by pass rate
        assert choice.choose("code", 3, 0) == expected
        choice.feedback("code", expected, [rates[index] for index in expected])
    # In the band by distance 0, 1/8, 1/8, 1/4, then outside by distance 1/4, 3/8, 1/2, 1/2.
    assert choice.choose("code", 8, 3) == [2, 1, 6, 3, 4, 7, 0, 5]
    choice.feedback("code", [2, 5], [1.0, 0.5])  # one is learned, one forgotten
    assert choice.choose("code", 2, 4) == [5, 1]


def test_cpr_keeps_to_its_band(house) -> None:
    choice = near_half(house, pool=3, low=0.5, high=0.9)
    choice.feedback("code", choice.choose("code", 3, 0), [0.4375, 0.875, 1.0])
    assert choice.choose("code", 3, 1) == [1, 0, 2], "0 is nearer to one half, but outside"


def test_cpr_takes_fresh_prompts_of_the_current_domain(house) -> None:
    choice = near_half(house)
    assert choice.choose("math", 3, 0) == [0, 1, 2]
    choice.feedback("math", [0, 1, 2], [0.5, 0.5, 0.5])
    assert choice.choose("math", 2, 1) == [3, 4]


def test_cpr_goes_on_after_a_resume(house) -> None:
    whole = near_half(house, pool=4)
    whole.choose("math", 5, 0)
    whole.feedback("code", whole.choose("code", 4, 0), [0.0, 0.625, 1.0, 0.5])
    file = io.BytesIO()
    torch.save(whole.state, file)
    file.seek(0)
    resumed = near_half(house, pool=4)
    resumed.state = torch.load(file, weights_only=True)
    for choice in (whole, resumed):
        assert choice.choose("code", 2, 1) == [3, 1]
        assert choice.choose("math", 2, 1) == [5, 6]


def test_cpr_names_a_pool_that_is_too_small(house) -> None:
    with pytest.raises(ValueError, match="pool=4: a step replays 5 prompts of code"):
        near_half(house, pool=4).choose("code", 5, 0)
