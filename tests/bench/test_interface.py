"""The interface carries methods that it was not designed for: A-GEM, LoRA stages, distillation from experts. Each is written as a user
would write it, in at most 20 lines. They and the baselines run on the ten-step suite; the tests check what they do to the weights, not
how well they recover."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import pytest
import torch

from bench.method import LoRA, Method, Stage, Training
from bench.registry import make_method, method_names
from bench.worker.history import RunHistory
from tasks.source import text_hash

SEQUENCE = ("code", "math", "qa")


@dataclass(frozen=True)
class Project:
    """A-GEM (1812.00420, eq. 11): g - (g.m / m.m) m where g.m < 0, m the mean gradient on earlier domains."""

    current: str

    def __call__(self, gradients):
        own = gradients[self.current]
        old = [gradient for domain, gradient in gradients.items() if domain != self.current]
        memory = {name: sum(gradient[name] for gradient in old) for name in own}
        along = sum((own[name] * memory[name]).sum() for name in own)
        if along >= 0:
            return own
        scale = along / sum((memory[name] ** 2).sum() for name in own)
        return {name: own[name] - scale * memory[name] for name in own}


class AGEM(Method):
    """Averaged gradient episodic memory. share: of a step's prompts, for earlier domains."""

    track = "during"
    share: float = 0.25

    def stage(self, stage, history):
        if not stage.earlier:
            return Training.on(stage.domain)
        mixture = {domain: self.share / len(stage.earlier) for domain in stage.earlier}
        return Training({stage.domain: 1 - self.share} | mixture, gradient=Project(stage.domain))


class LoRAStages(Method):
    """Every stage trains low-rank adapters only."""

    track = "during"
    rank: int = 4

    def stage(self, stage, history):
        return Training.on(stage.domain, trainable=LoRA(rank=self.rank))


@dataclass(frozen=True)
class ReverseKL:
    """On-policy distillation: a token's advantage is log p_teacher - log p_student."""

    def __call__(self, rollout):
        return rollout.reference_log_probs - rollout.log_probs


class Distill(Method):
    """Learn the targets again from single-domain experts."""

    track = "open"
    steps: int = 4

    def recover(self, checkpoint, targets, history):
        experts = {target: history.expert(target) for target in targets}
        return history.train(checkpoint, Training.on(*targets, steps=self.steps, advantages=ReverseKL(), reference=experts))


def run(method, bench, *, targets=("math",)):
    """The method's checkpoints by stage, the repaired one, and the last history."""
    stages, previous = {}, bench.base
    for index, domain in enumerate(SEQUENCE):
        stage = Stage(index, domain, SEQUENCE)
        history = RunHistory(bench, SEQUENCE, 100, bench.base, stages)
        entry = bench.train(previous, method.stage(stage, history), seed=100)
        previous = method.after_stage(stage, bench.cache.checkpoint(entry.value["checkpoint"]), history)
        stages[domain] = previous
    history = RunHistory(bench, SEQUENCE, 100, bench.base, stages)
    return stages, method.recover(previous, targets, history), history


@pytest.fixture(scope="module")
def plain(tiny_bench):
    return run(Method(), tiny_bench)[0]


@pytest.mark.parametrize("method", [AGEM, LoRAStages, Distill])
def test_the_interface_keeps_each_method_short(method):
    source = inspect.getsource(method)
    assert len(source.splitlines()) <= 20
    assert text_hash(source)


def test_agem_leaves_nothing_along_a_conflict():
    own, memory = {"w": torch.tensor([1.0, -2.0])}, {"w": torch.tensor([0.0, 1.0])}
    edited = Project("math")({"math": own, "code": memory})
    assert torch.equal(edited["w"], torch.tensor([1.0, 0.0]))
    assert Project("math")({"math": own, "code": {"w": torch.tensor([1.0, 0.0])}}) is own


def test_agem_trains(tiny_bench, plain):
    stages, _, _ = run(AGEM(), tiny_bench)
    assert stages["code"] == plain["code"]
    assert stages["qa"] != plain["qa"]


def test_a_lora_stage_moves_a_low_rank_of_the_linear_layers_alone(tiny_bench, plain):
    stages, _, _ = run(LoRAStages(), tiny_bench)
    moved = {name: stages["code"].tensor(name) - own for name, own in tiny_bench.base.items()}
    assert moved["model.embed_tokens.weight"].abs().max() == 0
    delta = moved["model.layers.0.mlp.up_proj.weight"]
    assert delta.abs().max() > 0
    assert torch.linalg.matrix_rank(delta.double(), rtol=1e-4) <= 4


def test_distillation_pulls_towards_the_expert(tiny_bench):
    stages, repaired, history = run(Distill(), tiny_bench)
    assert repaired != stages["qa"]
    assert history.access.experts == {"math"}
    expert = history.expert("math")
    assert tiny_bench.train(tiny_bench.base, Training.on("math"), seed=100).value["checkpoint"] == expert.hash


@pytest.mark.parametrize("name", method_names())
def test_every_baseline_runs(name, tiny_bench, plain):
    method = make_method(name, {"prompts": 8} if "prompts" in make_method(name, {}).settings() else {})
    stages, repaired, _ = run(method, tiny_bench)
    assert (stages == plain) == method.plain_stages()
    if not method.controls and method.track != "reference":
        assert stages["code"] == plain["code"], "every proposal shares the first stage"
        assert (repaired != stages["qa"]) == method.repairs()
    assert repaired.names() == tiny_bench.base.names()
    assert all(tensor.isfinite().all() for _, tensor in repaired.items())


def test_what_is_asked_for_is_charged_once(tiny_bench, plain):
    history = RunHistory(tiny_bench, SEQUENCE, 100, tiny_bench.base, plain)
    history.fisher(plain["math"], "math", 8)
    once = history.spent
    assert once > 0
    history.fisher(plain["math"], "math", 8)
    assert history.spent == once
    assert history.access.prompts == {"math": 8}
    assert history.checkpoint("math") == plain["math"]
    with pytest.raises(KeyError, match="cw"):
        history.checkpoint("cw")
