"""vLLM for real, wherever it is installed (scripts/check_vllm.sh makes such a place): the same answers, and no wrong weights unnoticed.

What of the engine needs no vLLM is in test_vllm_engine.py, a whole run in test_devices.py.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from bench.evaluation.scoring import mean_score, score_domain
from bench.suite import FOLDER, Prompting, load_suite
from bench.training.engines.vllm import TOLERANCE, VLLM, Memory, WrongWeightsError, _gap, fixed_text, teacher_forced
from bench.training.prompting import Dialogue
from bench.training.sampling import generate, greedy, texts, uniforms

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

BASE = FOLDER / "micro"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
USED = torch.bfloat16 if DEVICE == "cuda" else torch.float32
"""The arithmetic of a run here."""


def engine_of(dtype: torch.dtype = USED, folder: Path = BASE) -> VLLM:
    return VLLM(folder, DEVICE, dtype, Memory(context=64))


def autocast(dtype: torch.dtype) -> AbstractContextManager:
    """As a run in this arithmetic."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(DEVICE, dtype)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval().to(DEVICE)


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def engine(request: pytest.FixtureRequest) -> Iterator[VLLM]:
    with closing(engine_of(request.param)) as made:
        yield made


@pytest.fixture(scope="module")
def dialogue() -> Dialogue:
    return Dialogue.of(BASE, Prompting())


def disturbed(model, size: float):
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(DEVICE) * size * parameter.abs().mean())
    return other


def prompts_of(dialogue: Dialogue, domain: str, count: int) -> list[list[int]]:
    return dialogue.encode([item.prompt for item in load_suite("micro").items(domain, "validation")[:count]])


@pytest.mark.parametrize("domain", ["math", "code", "qa"])
def test_greedy_answers_are_transformers(engine, model, dialogue, domain: str) -> None:
    prompts = prompts_of(dialogue, domain, 32)
    limit = load_suite("micro").loaded_tasks[domain].answer_tokens
    asked = {"ends": dialogue.ends, "pad": dialogue.pad}
    ours = engine.generate(prompts, greedy(32, limit), **asked)
    with autocast(engine.dtype):
        theirs = generate(model, prompts, greedy(32, limit), **asked)
    same = [a == b for a, b in zip(texts(dialogue.tokenizer, ours), texts(dialogue.tokenizer, theirs), strict=True)]
    assert sum(same) >= (31 if engine.dtype == torch.float32 else 24)  # near-ties may fall the other way
    assert (ours.ended == theirs.ended.cpu()).float().mean() >= 31 / 32


def test_log_probabilities_agree_and_a_wrong_checkpoint_is_noticed(engine, model) -> None:
    gap, text = engine.check(model), fixed_text(model.config.vocab_size)
    with autocast(engine.dtype):
        trained = _gap(engine.log_probs(text), teacher_forced(model, text))
    print(f"\nmean difference of log-probabilities, vLLM in {engine.dtype}: from fp32 {gap:.2g}, from a training {trained:.2g}")
    if engine.dtype == torch.float32 and DEVICE == "cpu":
        assert gap < TOLERANCE / 10  # on CUDA, attention multiplies in TF32
    with pytest.raises(WrongWeightsError, match="other weights"):
        engine.check(disturbed(model, 0.05))
    with pytest.raises(WrongWeightsError, match="other weights"):  # far too small for probabilities to show
        engine.check(disturbed(model, 1e-5))
    packed = copy.deepcopy(model)
    with torch.no_grad():
        packed.model.layers[1].mlp.down_proj.weight.mul_(1.5)  # what vLLM packs on a CPU is seen in what it computes
    with pytest.raises(WrongWeightsError, match=r"other weights|log-probabilities differ"):
        engine.check(packed)


def test_samples_are_repeatable_and_of_the_same_distribution(engine, model, dialogue) -> None:
    suite = load_suite("micro")
    items = suite.items("math", "validation")[:128]
    scores = [
        mean_score(
            score_domain(
                model,
                dialogue,
                suite.loaded_tasks["math"],
                items,
                split="validation",
                writer=writer,
                autocast=lambda: autocast(engine.dtype),
            ),
            "sampled",
        )
        for writer in (engine, engine, None)
    ]
    assert scores[0] == scores[1]
    assert abs(scores[0] - scores[2]) < 4 * (0.25 / 128 * 2) ** 0.5
    prompts, draws = prompts_of(dialogue, "cw", 4), uniforms(16, 24, "vllm")
    answers = engine.generate(prompts, draws, ends=dialogue.ends, pad=dialogue.pad)
    assert len({tuple(row) for row in answers.tokens.tolist()}) > 8, "the draws of a group are not one draw"


@pytest.mark.parametrize("engine", [USED], indirect=True)
def test_throughput(engine, model, dialogue, capsys) -> None:
    """Tokens a second of rollouts and items a second of scoring with each engine, in turns, medians; reported, not judged."""
    prompts, group = prompts_of(dialogue, "cw", 32), 8
    task, items = load_suite("micro").loaded_tasks["cw"], load_suite("micro").items("cw", "validation")[:128]
    engines = {"vllm": engine, "transformers": None}

    def write(writer: VLLM | None, draws: torch.Tensor) -> int:
        asked = {"ends": dialogue.ends, "pad": dialogue.pad}
        with autocast(engine.dtype):
            return int((partial(generate, model) if writer is None else writer.generate)(prompts, draws, **asked).lengths.sum())

    rates: dict[tuple[str, str], list[float]] = {}
    for turn in range(3):
        draws = uniforms(32 * group, task.answer_tokens, "throughput", turn)
        for name, writer in engines.items():
            began = time.perf_counter()
            rates.setdefault(("rollouts, tokens", name), []).append(write(writer, draws) / (time.perf_counter() - began))
            began = time.perf_counter()
            score_domain(model, dialogue, task, items, split="validation", writer=writer, autocast=lambda: autocast(engine.dtype))
            rates.setdefault(("scoring, items", name), []).append(len(items) / (time.perf_counter() - began))
    with capsys.disabled():
        print("\n" + "; ".join(f"{what} a second, {name}: {sorted(found)[1]:.0f}" for (what, name), found in sorted(rates.items())))


# A process has one engine at a time: those that make their own come after those that share one.


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_new_weights_are_taken_or_the_engine_is_made_afresh(dtype, model, dialogue) -> None:
    new = disturbed(model, 0.2)
    prompts = prompts_of(dialogue, "math", 8)
    with closing(engine_of(dtype)) as engine:
        before = engine.generate(prompts, greedy(8, 12), ends=dialogue.ends, pad=dialogue.pad)
        engine.take(new)
        after = engine.generate(prompts, greedy(8, 12), ends=dialogue.ends, pad=dialogue.pad)
    with autocast(dtype):
        expected = generate(new, prompts, greedy(8, 12), ends=dialogue.ends, pad=dialogue.pad)
    assert not torch.equal(before.tokens, after.tokens)
    assert (after.tokens == expected.tokens.cpu()).float().mean() > (0.9 if dtype == torch.float32 else 0.5)


def test_a_reload_that_does_nothing_is_noticed(model) -> None:
    new = disturbed(model, 0.2)
    with closing(engine_of()) as engine:
        engine._llm.collective_rpc = lambda *words, **more: [None]  # says that all is well
        engine.take(new)
        assert engine.afresh
        engine.check(new)


def test_closed_engines_leave_no_memory_behind(model) -> None:
    """An engine that is not closed holds 1.1 GB on a CPU, most of it for keys and values (VLLM_CPU_KVCACHE_SPACE=1)."""
    held = []
    for _ in range(4):
        engine = engine_of()
        engine.close()
        held.append(in_use())
    assert held[-1] - held[0] < 5e8


def in_use() -> int:
    """Bytes that this process holds: on the card, or in memory."""
    return torch.cuda.memory_allocated() if DEVICE == "cuda" else psutil.Process().memory_info().rss


def test_gpt2s_transposed_matrices_are_its_own(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=96, n_embd=64, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0)
    torch.manual_seed(0)
    own = GPT2LMHeadModel(config).eval().to(DEVICE)
    own.save_pretrained(tmp_path)
    with closing(engine_of(folder=tmp_path)) as engine:
        engine.check(own)
        new = disturbed(own, 0.2)
        engine.take(new)
        engine.check(new)
        with pytest.raises(WrongWeightsError):
            engine.check(own)
