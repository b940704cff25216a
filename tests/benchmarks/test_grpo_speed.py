"""Steps a second of our trainer against TRL's GRPOTrainer on the same work, both really sampling, scoring and training.

The same 1.07 M-parameter model, prompts, reward, numbers of answers and of tokens; in turns within one run, so that both meet the
same machine. The rewards give every group a spread: our trainer skips groups without one, and nothing is to be skipped here. A step's
time is that from the end of the step before; each round's first step warms up and does not count.

    python -m pytest tests/benchmarks/test_grpo_speed.py -m slow
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen3ForCausalLM, TrainerCallback

from bench.build_base import Recipe, batch, config
from bench.grpo import Settings, Trainer
from bench.method import Training
from tasks.micro.math import Math
from tasks.micro.vocabulary import build_tokenizer
from tasks.task import Item

pytestmark = pytest.mark.slow

ROUNDS, STEPS = 5, 4
SETTINGS = Settings(steps=STEPS + 1, prompts=32, group=8, learning_rate=3e-4, warmup=1)
TOKENIZER = build_tokenizer()


class Spread(Math):
    """Micro/math prompts with a reward that nearly always differs within a group: the share of even characters."""

    graded = True

    def score(self, item: Item, answer: str) -> float | None:
        return sum(ord(character) % 2 == 0 for character in answer) / len(answer) if answer else 0.0


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    """The micro base's architecture after a minute on people's answers, so that its answers have the length of answers."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config(Recipe()))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(150):
        ids, labels = batch(Math(), TOKENIZER, Recipe(), step)
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def gaps(ends: list[float]) -> list[float]:
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]


def ours(model: Qwen3ForCausalLM) -> list[float]:
    """Seconds of each of STEPS steps."""
    trainer = Trainer(model, TOKENIZER, {"math": Spread()}, Training.on("math"), SETTINGS, seed=0)
    ends, lines = [], []
    for line in trainer.steps():
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        ends.append(time.perf_counter())
        lines.append(line)
    assert all(line["groups_with_spread"] > 0.9 and line["gradient_norm"] > 0 for line in lines)
    return gaps(ends)


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def trl(model: Qwen3ForCausalLM, out: Path) -> list[float]:
    """Seconds of each of STEPS steps of TRL's trainer on the same prompts."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    task, end = Spread(), TOKENIZER.eos_token_id
    items = [task.item("train", 0, number) for number in range(SETTINGS.steps * SETTINGS.prompts)]

    def reward(completions: list[str], completion_ids: list[list[int]], number: list[int], **columns: Any) -> list[float]:
        rows = zip(completions, completion_ids, number, strict=True)
        return [task.score(items[n], text) if ids[-1] == end else 0.0 for text, ids, n in rows]

    args = GRPOConfig(
        output_dir=str(out),
        use_cpu=model.device.type == "cpu",
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        per_device_train_batch_size=SETTINGS.prompts * SETTINGS.group,
        num_generations=SETTINGS.group,
        max_completion_length=task.answer_tokens,
        shuffle_dataset=False,
        temperature=1.0,
        loss_type="dapo",
        scale_rewards="group",
        beta=0.0,
        epsilon=SETTINGS.clip_low,
        epsilon_high=SETTINGS.clip_high,
        max_steps=SETTINGS.steps,
        learning_rate=SETTINGS.learning_rate,
        lr_scheduler_type="constant",
        max_grad_norm=SETTINGS.max_grad_norm,
        adam_beta2=0.99,
        weight_decay=0.0,
    )
    clock = Clock()
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=args,
        train_dataset=Dataset.from_dict({"prompt": [item.prompt for item in items], "number": list(range(len(items)))}),
        processing_class=TOKENIZER,
        callbacks=[clock],
    )
    before = model.model.norm.weight.detach().clone()
    trainer.train()
    assert not torch.equal(before, model.model.norm.weight)
    return gaps(clock.ends)


def compare(benchmark: Any, model: Qwen3ForCausalLM, out: Path) -> float:
    """How many times as many steps a second ours makes: the median of the rounds' ratios."""
    times: dict[str, list[float]] = {"ours": [], "trl": []}

    def theirs() -> None:
        times["trl"].append(statistics.median(trl(copy.deepcopy(model), out)))

    def round_of_ours() -> None:
        times["ours"].append(statistics.median(ours(copy.deepcopy(model))))

    # pytest-benchmark times ours and calls `setup`, which is TRL's turn, before each round.
    benchmark.pedantic(round_of_ours, setup=theirs, rounds=ROUNDS, iterations=1)
    ratios = [slow / fast for slow, fast in zip(times["trl"], times["ours"], strict=True)]
    steps = {f"{name}_steps_per_second": 1 / statistics.median(seconds) for name, seconds in times.items()}
    benchmark.extra_info |= steps | {"ratios": ratios, "torch": torch.__version__, "device": str(model.device)}
    print({name: round(value, 2) for name, value in steps.items()}, "ratios", [round(ratio, 2) for ratio in ratios])
    return statistics.median(ratios)


def test_steps_per_second_against_trl_on_one_cpu_thread(benchmark: Any, model: Qwen3ForCausalLM, tmp_path: Path, one_thread: None) -> None:
    ratio = compare(benchmark, model, tmp_path)
    assert ratio >= 2, f"ours makes {ratio:.2f} times TRL's steps a second, not 2"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the GPU comparison needs one")
def test_steps_per_second_against_trl_on_a_gpu(benchmark: Any, model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    ratio = compare(benchmark, copy.deepcopy(model).to("cuda"), tmp_path)
    assert ratio >= 1, f"ours makes {ratio:.2f} times TRL's steps a second"
