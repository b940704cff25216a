"""Steps a second of our trainer against TRL's GRPOTrainer on the same work, both really sampling, scoring and training.

The work is a few steps of a plain stage on each of the micro suite's four domains: the suite's base, prompts, reward, numbers of
answers and of tokens. Once with the suite's rewards, and once with random ones, which give every group a spread: our trainer does
not run groups without one, and there nothing is left out. The two take turns within one run, so that both meet the same machine. A
step lasts from the end of the step before; the first of each turn warms up and does not count. On one thread of a CPU its time is
processor time, which other programs on the machine disturb least.

    python -m pytest tests/benchmarks/test_grpo_speed.py --slow -n 0 -s
"""

from __future__ import annotations

import copy
import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, TrainerCallback

from bench.method import Training
from bench.suite import FOLDER, GRPO
from bench.training.grpo import Trainer
from bench.training.prompting import Dialogue
from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import build_tokenizer
from tasks.task import Task

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]  # two to four minutes on an idle machine

ROUNDS = 3
SETTINGS = GRPO(steps=4, prompts=32, group=8, learning_rate=4e-4, warmup=1)
TOKENIZER = build_tokenizer()
SUITE: dict[str, Task] = {task.domain: task for task in (Math(), Code(), QA(), CW())}


def random_rewards(task: Task) -> Task:
    """A task's prompts with rewards that differ within every group."""
    draw = random.Random(0)
    task = copy.copy(task)
    task.score = lambda item, answer: draw.random()
    task.graded = True
    return task


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(FOLDER / "micro", dtype=torch.float32).eval()


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


def ours(model: PreTrainedModel, task: Task) -> tuple[float, float]:
    """Seconds of a step, and the share of the groups with a spread of rewards."""
    training = Training.on(task.domain)
    trainer, clock, spread = Trainer(model, Dialogue(TOKENIZER), {task.domain: task}, training, SETTINGS, seed=0), Clock(model.device), []
    for line in trainer.steps():
        clock.tick()
        assert line["gradient_norm"] > 0
        spread.append(line["groups_with_spread"])
    return clock.median(), statistics.mean(spread)


def trl(model: PreTrainedModel, task: Task, out: Path) -> float:
    """Seconds of a step of TRL's trainer on the same prompts."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    end = TOKENIZER.eos_token_id
    items = [task.item("train", 0, number) for number in range(SETTINGS.steps * SETTINGS.prompts)]

    def reward(completions: list[str], completion_ids: list[list[int]], number: list[int], **columns: Any) -> list[float]:
        rows = zip(completions, completion_ids, number, strict=True)
        return [(task.score(items[n], text) or 0.0) if ids[-1] == end else 0.0 for text, ids, n in rows]

    names = {setting.name for setting in fields(GRPOConfig)}
    checkpointing = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"  # since 5.24
    args = GRPOConfig(
        output_dir=str(out),
        use_cpu=model.device.type == "cpu",
        bf16=False,
        **{checkpointing: False},
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


def compare(benchmark: Any, model: PreTrainedModel, tasks: dict[str, Task], out: Path) -> float:
    """How many times as many steps a second ours makes, over the four domains: the median of the rounds."""
    if benchmark.disabled:
        pytest.skip("pytest-benchmark is off, as it is with several workers: run with -n 0")
    mine: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    spread: dict[str, float] = {}

    def our_turn() -> None:
        mine.append({})
        for name, task in tasks.items():
            mine[-1][name], spread[name] = ours(copy.deepcopy(model), task)

    def their_turn() -> None:
        theirs.append({name: trl(copy.deepcopy(model), task, out) for name, task in tasks.items()})

    # pytest-benchmark times our turns, and calls `setup` before each.
    benchmark.pedantic(our_turn, setup=their_turn, rounds=ROUNDS, iterations=1)
    rounds = list(zip(mine, theirs, strict=True))
    ratios = [sum(slow.values()) / sum(fast.values()) for fast, slow in rounds]
    benchmark.extra_info |= {
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "domains": {name: statistics.median(slow[name] / fast[name] for fast, slow in rounds) for name in tasks},
        "ours, steps a second": len(tasks) / statistics.median(sum(turn.values()) for turn in mine),
        "trl, steps a second": len(tasks) / statistics.median(sum(turn.values()) for turn in theirs),
        "groups with spread": spread,
        "torch": torch.__version__,
        "device": str(model.device),
    }
    print(json.dumps(benchmark.extra_info, indent=1))
    return benchmark.extra_info["ratio"]


def test_steps_per_second_with_the_suites_rewards(benchmark: Any, model: PreTrainedModel, tmp_path: Path, one_thread: None) -> None:
    ratio = compare(benchmark, model, SUITE, tmp_path)
    assert ratio >= 2, f"ours makes {ratio:.2f} times TRL's steps a second, not 2"


def test_steps_per_second_with_nothing_left_out(benchmark: Any, model: PreTrainedModel, tmp_path: Path, one_thread: None) -> None:
    ratio = compare(benchmark, model, {name: random_rewards(task) for name, task in SUITE.items()}, tmp_path)
    assert min(benchmark.extra_info["groups with spread"].values()) > 0.99
    assert ratio >= 2, f"ours makes {ratio:.2f} times TRL's steps a second, not 2"


@pytest.mark.gpu
def test_steps_per_second_on_a_gpu(benchmark: Any, model: PreTrainedModel, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device; torch sees none here")
    ratio = compare(benchmark, copy.deepcopy(model).to("cuda"), SUITE, tmp_path)
    assert ratio >= 1, f"ours makes {ratio:.2f} times TRL's steps a second: fewer"
