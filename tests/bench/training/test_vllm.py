"""vLLM for real, wherever it is installed (scripts/check_vllm.sh makes such a place): the same answers, and no wrong weights unnoticed."""

from __future__ import annotations

import copy
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from bench.evaluation.scoring import mean_score, score_domain
from bench.runs.execute import execute
from bench.spec import RunSpec
from bench.suite import FOLDER, Prompting, load_suite
from bench.training.prompting import Dialogue
from bench.training.sampling import generate, greedy, texts, uniforms

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

BASE = FOLDER / "micro"


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def engine():
    from bench.training.engines.vllm import VLLM, Memory

    return VLLM(BASE, torch.float32, Memory(context=64))


@pytest.fixture(scope="module")
def dialogue() -> Dialogue:
    return Dialogue.of(BASE, Prompting())


def disturbed(model, size: float):
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size * parameter.abs().mean())
    return other


def prompts_of(dialogue: Dialogue, domain: str, count: int) -> list[list[int]]:
    return dialogue.encode([item.prompt for item in load_suite("micro").items(domain, "validation")[:count]])


@pytest.mark.parametrize("domain", ["math", "code", "qa"])
def test_greedy_answers_are_transformers(engine, model, dialogue, domain: str) -> None:
    prompts = prompts_of(dialogue, domain, 32)
    limit = load_suite("micro").loaded_tasks[domain].answer_tokens
    asked = {"ends": dialogue.ends, "pad": dialogue.pad}
    ours, theirs = (writer(prompts, greedy(32, limit), **asked) for writer in (engine.generate, lambda *a, **k: generate(model, *a, **k)))
    same = [a == b for a, b in zip(texts(dialogue.tokenizer, ours), texts(dialogue.tokenizer, theirs), strict=True)]
    assert sum(same) >= 31  # a near-tie may fall the other way
    assert (ours.ended == theirs.ended).float().mean() >= 31 / 32


def test_log_probabilities_agree_and_a_wrong_checkpoint_is_noticed(engine, model) -> None:
    from bench.training.engines.vllm import TOLERANCE, WrongWeightsError

    assert engine.check(model) < TOLERANCE[torch.float32] / 10
    with pytest.raises(WrongWeightsError, match="other weights"):
        engine.check(disturbed(model, 0.05))
    with pytest.raises(WrongWeightsError, match="other weights"):  # far too small for probabilities to show
        engine.check(disturbed(model, 1e-5))
    packed = copy.deepcopy(model)
    with torch.no_grad():
        packed.model.layers[1].mlp.down_proj.weight.mul_(1.5)  # what vLLM packs on a CPU is seen in what it computes
    with pytest.raises(WrongWeightsError, match=r"other (weights|probabilities)"):
        engine.check(packed)


def test_samples_are_repeatable_and_of_the_same_distribution(engine, model, dialogue) -> None:
    suite = load_suite("micro")
    items = suite.items("math", "validation")[:128]
    scores = [
        mean_score(score_domain(model, dialogue, suite.loaded_tasks["math"], items, split="validation", writer=writer), "sampled")
        for writer in (engine, engine, None)
    ]
    assert scores[0] == scores[1]
    assert abs(scores[0] - scores[2]) < 4 * (0.25 / 128 * 2) ** 0.5
    prompts, draws = prompts_of(dialogue, "cw", 4), uniforms(16, 24, "vllm")
    answers = engine.generate(prompts, draws, ends=dialogue.ends, pad=dialogue.pad)
    assert len({tuple(row) for row in answers.tokens.tolist()}) > 8, "the draws of a group are not one draw"


def test_a_run_goes_the_whole_way(tiny_suite: Path, tmp_path: Path) -> None:
    where = {"suite": str(tiny_suite), "sequence": "math-qa", "device": "cpu", "engine": "vllm"}
    (run,) = execute([RunSpec(**where, method="refresh", settings={"steps": 2})], out=tmp_path / "runs", cache=tmp_path / "cache", jobs=1)
    assert run.manifest["numerics"]["engine"].startswith("vllm ")
    assert run.manifest["cost"]["repair"] > 0


def test_throughput(engine, model, dialogue, capsys) -> None:
    """Tokens a second of rollouts and items a second of scoring with each engine, in turns, medians; reported, not judged."""
    prompts, group = prompts_of(dialogue, "cw", 32), 8
    task, items = load_suite("micro").loaded_tasks["cw"], load_suite("micro").items("cw", "validation")[:128]
    engines = {"vllm": engine, "transformers": None}
    rates: dict[tuple[str, str], list[float]] = {}
    for turn in range(3):
        draws = uniforms(32 * group, task.answer_tokens, "throughput", turn)
        for name, writer in engines.items():
            write = partial(generate, model) if writer is None else writer.generate
            began = time.perf_counter()
            done = write(prompts, draws, ends=dialogue.ends, pad=dialogue.pad)
            rates.setdefault(("rollouts, tokens", name), []).append(int(done.lengths.sum()) / (time.perf_counter() - began))
            began = time.perf_counter()
            score_domain(model, dialogue, task, items, split="validation", writer=writer)
            rates.setdefault(("scoring, items", name), []).append(len(items) / (time.perf_counter() - began))
    with capsys.disabled():
        print("\n" + "; ".join(f"{what} a second, {name}: {sorted(found)[1]:.0f}" for (what, name), found in sorted(rates.items())))


# One process has one engine at a time: those that make their own come after those that share one.


def test_new_weights_are_taken_or_the_engine_is_made_afresh(model, dialogue) -> None:
    from bench.training.engines.vllm import VLLM, Memory

    engine = VLLM(BASE, torch.float32, Memory(context=64))
    new = disturbed(model, 0.2)
    prompts = prompts_of(dialogue, "math", 8)
    before = engine.generate(prompts, greedy(8, 12), ends=dialogue.ends, pad=dialogue.pad)
    engine.take(new)
    assert engine.check(new) < 1e-3
    after = engine.generate(prompts, greedy(8, 12), ends=dialogue.ends, pad=dialogue.pad)
    expected = generate(new, prompts, greedy(8, 12), ends=dialogue.ends, pad=dialogue.pad)
    assert not torch.equal(before.tokens, after.tokens)
    assert (after.tokens == expected.tokens).float().mean() > 0.9


def test_a_reload_that_does_nothing_is_noticed(model) -> None:
    from bench.training.engines.vllm import VLLM, Memory

    engine = VLLM(BASE, torch.float32, Memory(context=64))
    engine._llm.collective_rpc = lambda *words, **more: [None]  # says that all is well
    new = disturbed(model, 0.2)
    engine.take(new)
    assert engine.afresh
    assert engine.check(new) < 1e-3
