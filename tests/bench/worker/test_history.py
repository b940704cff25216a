"""The price list: what a method is charged for, and what it had access to. The workbench behind it only pretends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.costs import Spent, cost_of
from bench.method import Training
from bench.storage.cache import Cached
from bench.suite import load_suite
from bench.worker.history import RunHistory


@dataclass
class Pretends:
    """A workbench whose every result costs ten FLOPs; checkpoints are their names."""

    folder: Path

    def __post_init__(self) -> None:
        self.suite = load_suite("micro")
        self.cache = SimpleNamespace(checkpoint=lambda content: content, tensors=lambda content: content)

    def _entry(self, *key: Any) -> Cached:
        value = {"checkpoint": key[-1], "tensors": key[-1], "greedy": 0.5}
        return Cached(repr(key), "any", value, 10.0, self.folder, repr(key))

    def train(self, parent: str, training: Training, *, seed: int, purpose: str = "stage", draw: int = 0) -> Cached:
        return self._entry(purpose, draw, seed, training.steps, training.prompts, f"{parent}+{'+'.join(training.mixture)}")

    def answers(self, checkpoint: str, domain: str, split: str) -> Cached:
        return self._entry("answers", domain, split, checkpoint)

    def sample(self, checkpoint: str, domain: str, count: int, *, seed: int) -> Cached:
        (self.folder / "samples.json").write_text(json.dumps([["1+1=", "2", 1.0]] * count))
        return self._entry("sample", domain, count, checkpoint)

    def fisher(self, checkpoint: str, domain: str, count: int, *, seed: int) -> Cached:
        return self._entry("fisher", domain, count, checkpoint)

    def gradient(self, checkpoint: str, domain: str, count: int, *, seed: int, draw: int) -> Cached:
        return self._entry("gradient", domain, count, draw, checkpoint)


@pytest.fixture
def history(tmp_path: Path) -> RunHistory:
    """After stages on math and qa."""
    stages = {"math": "base+math", "qa": "base+math+qa"}
    return RunHistory(Pretends(tmp_path), ("math", "qa", "cw"), 0, "base", stages)  # type: ignore[arg-type]


def test_asking_twice_costs_once(history: RunHistory) -> None:
    for _ in range(2):
        history.train("base", Training.on("math", steps=3))
        history.score("base", "math")
    assert history.spent == 20.0
    assert len(history.charged) == 2
    history.train("base", Training.on("math", steps=4))
    assert history.spent == 30.0


def test_the_first_stages_expert_is_free_and_accounted_for(history: RunHistory) -> None:
    assert history.expert("math") == "base+math"
    assert (history.spent, history.free) == (0.0, 10.0)
    history.expert("qa")
    assert history.spent == 10.0
    assert history.access.experts == {"math", "qa"}


def test_prompts_that_are_drawn_again_count_once(history: RunHistory) -> None:
    """`sample`, `fisher` and the first draw of `gradient` share their prompts; scoring and training have others."""
    history.fisher("base", "math", 8)
    history.fisher("base+math", "math", 32)
    assert len(history.sample("base", "math", 5)) == 5
    history.gradient("base", "math", 40 * history._bench.suite.grpo.group)
    assert history.access.prompts == {"math": 40}
    history.train("base", Training.on("math", steps=1))
    assert history.access.prompts == {"math": 40 + history._bench.suite.grpo.prompts}


def test_gradients_of_other_draws_have_other_prompts_in_groups(history: RunHistory) -> None:
    """A repeated draw adds none; 4 answers make no whole group of 8, but one prompt is asked."""
    group = history._bench.suite.grpo.group
    for checkpoint, count, draw in (("base", 2 * group, 0), ("base+math", 5 * group, 0), ("base", 3 * group, 1), ("base", 4, 7)):
        history.gradient(checkpoint, "math", count, draw=draw)
    assert history.access.prompts == {"math": 5 + 3 + 1}
    assert history.spent == 40.0


def test_a_training_draws_its_share_of_prompts(history: RunHistory) -> None:
    per_step = history._bench.suite.grpo.prompts
    history.train("base", Training({"math": 0.75, "qa": 0.25}, steps=4))
    assert history.access.prompts == {"math": 3 * per_step, "qa": per_step}
    stage = Training({"cw": 0.5, "math": 0.5}, steps=2)
    history.draws("stage", stage, own="cw")
    assert "cw" not in history.access.prompts, "a stage's own prompts are everybody's"
    assert [log.what for log in history.logs] == ["math+qa"]


def test_trainings_of_other_draws_have_other_prompts(history: RunHistory) -> None:
    per_step = history._bench.suite.grpo.prompts
    for steps, draw in ((2, 0), (3, 1), (3, 1), (1, 1)):
        history.train("base", Training.on("math", steps=steps), draw=draw)
    assert history.access.prompts == {"math": 5 * per_step}
    assert history.spent == 30.0


@dataclass
class From:
    """Training prompts from a number on."""

    start: int
    state: dict[str, Any] = field(default_factory=dict)

    def choose(self, domain: str, count: int, step: int) -> range:
        return range(self.start + count * step, self.start + count * (step + 1))

    def feedback(self, *_: object) -> None:
        pass


def test_trainings_that_choose_their_prompts_have_others_each(history: RunHistory) -> None:
    """Those that do not choose have the same; and so has the same training twice."""
    per_step = history._bench.suite.grpo.prompts
    for start in (0, 1_000, 0):
        history.train("base", Training.on("math", steps=2, prompts=From(start)))
    assert history.access.prompts == {"math": 4 * per_step}
    for steps in (1, 3):
        history.train("base", Training.on("math", steps=steps))
    assert history.access.prompts == {"math": 7 * per_step}


def test_a_runs_verbs_add_up_what_they_do_not_share(tmp_path: Path) -> None:
    """Two stages replay the same prompts of math, the repair trains on others and scores; both stages use one Fisher matrix."""
    spent = []
    for steps, repairs in ((4, False), (8, False), (2, True)):
        history = RunHistory(Pretends(tmp_path), ("math", "qa", "cw"), 0, "base", {"math": "m", "qa": "q"})
        if repairs:
            history.train("q", Training.on("math", steps=steps))
            history.score("q", "math")
            _ = history.base
        else:
            history.draws("stage", Training({"qa": 0.5, "math": 0.5}, steps=steps), own="qa")
            history.fisher("q", "math", 64)
        spent.append(Spent(1.0, history.charged, history.access))
    suite = history._bench.suite
    access = cost_of(1.0, spent[:2], spent[2], own_stages=True).access
    assert access.prompts == {"math": 4 * suite.grpo.prompts + 64 + 2 * suite.grpo.prompts + suite.validation_items}
    assert access.checkpoints == ("base",)


def test_checkpoints_that_were_looked_at_are_access(history: RunHistory) -> None:
    assert history.checkpoint("math") == "base+math"
    _ = history.base
    assert history.access.record().checkpoints == ("base", "math")
    with pytest.raises(KeyError, match="the stages so far are math, qa"):
        history.checkpoint("cw")


def test_the_checkpoint_that_a_method_is_given_is_no_access(history: RunHistory, tmp_path: Path) -> None:
    assert history.checkpoint("qa") == "base+math+qa"
    assert not history.access.checkpoints
    history.given = "cw"  # it has been trained meanwhile, and the method gets that
    history.checkpoint("qa")
    assert history.access.checkpoints == {"qa"}
    first = RunHistory(Pretends(tmp_path), ("code", "math"), 0, "base", {})
    assert first.base == "base"
    assert not first.access.checkpoints


def test_scores_are_of_validation_items(history: RunHistory) -> None:
    assert history.score("base", "math") == 0.5
    assert all("'validation'" in key for key in history.charged)
    assert history.access.prompts == {"math": history._bench.suite.validation_items}


def test_the_same_work_costs_once_whoever_made_it(tmp_path: Path) -> None:
    history = RunHistory(Pretends(tmp_path), ("code", "math"), 0, "base", {})
    for owner in ("", "mine"):
        history._charge(Cached(f"key of {owner}", "fisher", {}, 10.0, tmp_path, "the work"))
    assert sum(history.charged.values()) == 10.0
