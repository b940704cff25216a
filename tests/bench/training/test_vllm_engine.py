"""The engine's own code, without vLLM (`fake_vllm` computes with transformers): what it is made with, takes, refuses, costs and frees."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

import fake_vllm
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from bench.costs import Meter
from bench.errors import UserError
from bench.method import Training
from bench.storage.cache import Cache
from bench.suite import FOLDER, load_suite
from bench.training.engines.vllm import VLLM, Memory, WrongWeightsError
from bench.training.prompting import Dialogue
from bench.training.sampling import greedy
from bench.worker import keys
from bench.worker.keys import Numerics
from bench.worker.workbench import Workbench

BASE = FOLDER / "micro"


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> list[fake_vllm.LLM]:
    """The engines that a test makes."""
    monkeypatch.setitem(sys.modules, "vllm", fake_vllm)
    monkeypatch.setattr(fake_vllm.LLM, "made", [])
    monkeypatch.setattr(keys, "packages_distributions", lambda: {"vllm": ["torch"]})
    for name in ("VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_NO_USAGE_STATS"):
        monkeypatch.setenv(name, "2")
    return fake_vllm.LLM.made


@pytest.fixture
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()


def engine_of(folder: Path = BASE, device: str = "cpu", dtype: torch.dtype = torch.float32, context: int = 64) -> VLLM:
    return VLLM(folder, device, dtype, Memory(context=context))


def changed(model: PreTrainedModel, factor: float) -> PreTrainedModel:
    """A copy whose last matrix is multiplied by a factor."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.model.layers[-1].mlp.down_proj.weight.mul_(factor)
    return other


def test_the_environment_changes_neither_the_process_nor_what_is_sent_out() -> None:
    engine_of()
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert os.environ["VLLM_NO_USAGE_STATS"] == "1"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_graphs_are_captured_where_the_engine_runs_on_cuda_whatever_the_machine_has(device: str, made: list[fake_vllm.LLM]) -> None:
    engine_of(device=device)
    assert made[0].enforce_eager is (device == "cpu")


def test_the_check_fits_a_small_context(model: PreTrainedModel) -> None:
    assert engine_of(context=20).check(model) < 1e-5


def test_a_prompt_without_room_for_its_answer_is_refused() -> None:
    engine, asked = engine_of(context=20), {"ends": (0,), "pad": 0}
    assert engine.generate([[5] * 12], greedy(1, 8), **asked).lengths.max() <= 8
    with pytest.raises(UserError, match="a prompt of 13 tokens and an answer of 8 do not fit the engine's context of 20"):
        engine.generate([[5] * 3, [5] * 13], greedy(2, 8), **asked)


def test_taking_weights_costs_a_method_nothing(model: PreTrainedModel) -> None:
    engine, meter = engine_of(), Meter()
    engine.take(meter.watch(model))
    assert meter.flops == 0
    model(input_ids=torch.tensor([[1, 2]]))
    assert meter.flops > 0


def test_weights_are_taken_in_place(model: PreTrainedModel, made: list[fake_vllm.LLM]) -> None:
    engine, new = engine_of(), changed(model, 2.0)
    engine.take(new)
    assert len(made) == 1
    assert engine.check(new) < 1e-5
    with pytest.raises(WrongWeightsError, match="other weights"):
        engine.check(model)


def test_an_engine_that_keeps_its_caches_is_replaced_and_freed(model: PreTrainedModel, made: list[fake_vllm.LLM]) -> None:
    engine, new = engine_of(), changed(model, 2.0)
    made[0].empties = False
    engine.take(new)
    assert engine.afresh
    assert [llm.open for llm in made] == [False, True]
    assert engine.check(new) < 1e-5
    engine.close()
    engine.close()
    assert [llm.open for llm in made] == [False, False]


def test_what_bf16_may_change_is_measured_on_the_model(model: PreTrainedModel, made: list[fake_vllm.LLM], tmp_path: Path) -> None:
    """With logits eight times as large, rounding changes log-probabilities eight times as much, and the engine is as right as before."""
    gaps = []
    for scale in (1.0, 8.0):
        with torch.no_grad():
            model.model.norm.weight.mul_(scale)
        model.save_pretrained(tmp_path / str(scale))
        engine = engine_of(tmp_path / str(scale), dtype=torch.bfloat16)
        gaps.append(engine.check(model))
        made[-1].apply_model = lambda function: [[]]  # as if no weight could be compared
        with pytest.raises(WrongWeightsError, match="log-probabilities differ"):
            engine.check(changed(model, 1.2))
        engine.close()
    assert 0.01 < gaps[0] < 0.03
    assert gaps[1] > 0.1


def test_gpt2s_matrices_are_compared_as_vllm_stores_them(made: list[fake_vllm.LLM], tmp_path: Path) -> None:
    own = GPT2LMHeadModel(GPT2Config(vocab_size=96, n_embd=64, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0)).eval()
    own.save_pretrained(tmp_path)
    engine, stored = engine_of(tmp_path), copy.deepcopy(own)
    for module in stored.modules():
        if isinstance(module, Conv1D):
            module.weight = torch.nn.Parameter(module.weight.T)
    made[0].apply_model = lambda function: [function(stored)]
    assert engine.check(own) < 1e-5
    with torch.no_grad():
        stored.transformer.h[1].mlp.c_fc.weight[0, 0] += 1e-3
    with pytest.raises(WrongWeightsError, match=r"other weights than the model: transformer\.h\.1\.mlp\.c_fc\.weight$"):
        engine.check(own)


@pytest.mark.parametrize("most", [None, 40])
def test_a_training_and_its_score_write_with_the_engine_and_free_it(
    most: int | None, tiny_suite: Path, made: list[fake_vllm.LLM], tmp_path: Path
) -> None:
    suite = load_suite(str(tiny_suite))
    suite = suite.model_copy(update={"prompting": suite.prompting.model_copy(update={"prompt_tokens": most})})
    bench = Workbench(suite, Cache(tmp_path), Numerics(engine="vllm"))
    trained = bench.train(bench.base, Training.on("math", steps=3), seed=100)
    assert trained.flops > 0
    assert 0 <= bench.answers(bench.checkpoint(trained.value["checkpoint"]), "math").value["greedy"] <= 1
    assert [llm.open for llm in made] == [False, False]
    dialogue, limit = Dialogue.of(BASE, suite.prompting), suite.loaded_tasks["math"].answer_tokens
    longest = max(map(len, dialogue.encode([item.prompt for split in ("test", "validation") for item in suite.items("math", split)])))
    assert {llm.context for llm in made} == {(2 * longest if most is None else most) + limit}


def test_the_engine_is_freed_when_a_training_fails(tiny_suite: Path, made: list[fake_vllm.LLM], tmp_path: Path) -> None:
    bench = Workbench(load_suite(str(tiny_suite)), Cache(tmp_path), Numerics(engine="vllm"), report=lambda event: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.train(bench.base, Training.on("math", steps=3), seed=100)
    assert [llm.open for llm in made] == [False]
