"""Steps a second of our trainer against TRL's GRPOTrainer on the same work, both really sampling, scoring and training.

The work is a few plain stage steps of each of the micro suite's four domains: the same 1.07 M-parameter model, prompts, reward,
numbers of answers and of tokens, in turns within one run, so that both meet the same machine. The rewards give every group a
spread: our trainer skips groups without one, and nothing is to be skipped here. A step lasts from the end of the step before; the
first step of each turn warms up and does not count. On one thread of a CPU a step's time is its processor time, which other
programs on the machine disturb least.

    python -m pytest tests/benchmarks/test_grpo_speed.py -m slow -s
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
from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import build_tokenizer
from tasks.task import Item, Task

pytestmark = pytest.mark.slow

ROUNDS = 5
SETTINGS = Settings(steps=4, prompts=32, group=8, learning_rate=3e-4, warmup=1)
TOKENIZER = build_tokenizer()


def _share_of_even_characters(self: Task, item: Item, answer: str) -> float:
    return sum(ord(character) % 2 == 0 for character in answer) / max(len(answer), 1)


TASKS: dict[str, Task] = {
    task.domain: type(f"Spread{task.__name__}", (task,), {"graded": True, "score": _share_of_even_characters})()
    for task in (Math, Code, QA, CW)
}
"""The suite's prompts with a reward that nearly always differs within a group."""


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    """The micro base's architecture after some steps on people's answers, so that its answers have the length of answers."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config(Recipe()))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(60):
        for task in TASKS.values():
            ids, labels = batch(task, TOKENIZER, Recipe(), step)
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


class Clock(TrainerCallback):
    """When each step ended, in seconds."""

    def __init__(self, device: torch.device) -> None:
        self.ends: list[float] = []
        self.device = device

    def tick(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.ends.append(time.process_time() if self.device.type == "cpu" else time.perf_counter())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.tick()

    def median(self) -> float:
        assert len(self.ends) == SETTINGS.steps
        return statistics.median(after - before for before, after in zip(self.ends, self.ends[1:], strict=False))


def ours(model: Qwen3ForCausalLM, domain: str) -> float:
    """Seconds of a step."""
    trainer, clock = Trainer(model, TOKENIZER, TASKS, Training.on(domain), SETTINGS, seed=0), Clock(model.device)
    lines = []
    for line in trainer.steps():
        clock.tick()
        lines.append(line)
    assert all(line["groups_with_spread"] > 0.9 and line["gradient_norm"] > 0 for line in lines)
    return clock.median()


def trl(model: Qwen3ForCausalLM, domain: str, out: Path) -> float:
    """Seconds of a step of TRL's trainer on the same prompts."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    task, end = TASKS[domain], TOKENIZER.eos_token_id
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
    clock = Clock(model.device)
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
    return clock.median()


def compare(benchmark: Any, model: Qwen3ForCausalLM, out: Path) -> float:
    """How many times as many steps a second ours makes, over the four domains: the median of the rounds."""
    seconds: dict[str, list[dict[str, float]]] = {"ours": [], "trl": []}

    def our_turn() -> None:
        seconds["ours"].append({domain: ours(copy.deepcopy(model), domain) for domain in TASKS})

    def their_turn() -> None:
        seconds["trl"].append({domain: trl(copy.deepcopy(model), domain, out) for domain in TASKS})

    # pytest-benchmark times our turns, and calls `setup` before each.
    benchmark.pedantic(our_turn, setup=their_turn, rounds=ROUNDS, iterations=1)
    rounds = list(zip(seconds["ours"], seconds["trl"], strict=True))
    ratios = [sum(theirs.values()) / sum(mine.values()) for mine, theirs in rounds]
    found: dict[str, Any] = {"ratio": round(statistics.median(ratios), 2), "rounds": [round(ratio, 2) for ratio in ratios]}
    for name, turns in seconds.items():
        rate = len(TASKS) / statistics.median(sum(turn.values()) for turn in turns)
        found[f"{name} steps/s"] = round(rate, 2)
    for domain in TASKS:
        found[domain] = round(statistics.median(theirs[domain] / mine[domain] for mine, theirs in rounds), 2)
    benchmark.extra_info |= found | {"torch": torch.__version__, "device": str(model.device)}
    print(found)
    return statistics.median(ratios)


def test_steps_per_second_against_trl_on_one_cpu_thread(
    benchmark: Any, model: Qwen3ForCausalLM, tmp_path: Path, one_thread: None
) -> None:
    ratio = compare(benchmark, model, tmp_path)
    assert ratio >= 2, f"ours makes {ratio:.2f} times TRL's steps a second, not 2"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the GPU comparison needs one")
def test_steps_per_second_against_trl_on_a_gpu(benchmark: Any, model: Qwen3ForCausalLM, tmp_path: Path) -> None:
    ratio = compare(benchmark, copy.deepcopy(model).to("cuda"), tmp_path)
    assert ratio >= 1, f"ours makes {ratio:.2f} times TRL's steps a second: fewer"
