"""What a model of real size takes: memory and time of a stage's step, of its rollouts, and of scoring.

A Qwen3 of 0.6 B parameters (Qwen3-0.6B's shape, its 151,936 tokens included) with random weights, made on disk, and suite gym's prompts
through its chat template. A random model never ends an answer, so that every answer is as long as it may be, and advantages are drawn at
random, so that no group is skipped: the most that a step can take. Each kind of work has a process of its own; its memory is the most
that the process (on a CPU) or torch on the card (on CUDA) held. On CUDA the work is the suite's, on a CPU less of it: two prompts with
four answers each, of 64 tokens.

    pytest tests/benchmarks/test_real_size.py --slow -n 0 -s
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.suite import load_suite

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find_spec("reasoning_gym") is None, reason='needs reasoning-gym: pip install -e ".[gym]"'),
]

SHAPE = {"vocab_size": 151_936, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16}
SHAPE |= {"num_key_value_heads": 8, "head_dim": 128}
WORK = {
    "a group at once": {"groups_at_once": 1},
    "all groups at once": {},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "adapters of rank 16, a group at once": {"groups_at_once": 1, "lora": {"rank": 16, "alpha": 32}},
}
PROGRAM = """
import copy, json, resource, sys, time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM
from bench.training.prompting import Dialogue
from bench.training.grpo import Trainer
from bench.training.loss import group_advantages
from bench.method import Training
from bench.evaluation.scoring import score_domain
from bench.suite import load_suite

folder, kind, changes, cuda = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), torch.cuda.is_available()
device = "cuda" if cuda else "cpu"
suite = load_suite("gym")
task = copy.copy(suite.loaded_tasks["math"])
settings = replace(suite.grpo, groups_at_once=None, **({} if cuda else {"prompts": 2, "group": 4}))
if not cuda:
    task.answer_tokens = 64
settings = replace(settings, **changes, steps=2)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().to(device)
size = sum(parameter.numel() for parameter in model.parameters())
dialogue = Dialogue.of(folder, suite.prompting)

def clock():
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter()

def most():
    return torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

told = {"parameters": size, "device": torch.cuda.get_device_name() if cuda else "cpu", "loaded": most()}
if kind == "scoring":
    items = [task.item("test", 0, number) for number in range(2 * suite.answers_at_once if cuda else 4)]
    began = clock()
    score_domain(model, dialogue, task, items, batch=suite.answers_at_once // 2,
                 autocast=lambda: torch.autocast("cuda", torch.bfloat16) if cuda else nullcontext())
    told |= {"scoring": (clock() - began) / len(items), "items": len(items)}
else:
    trainer = Trainer(model, dialogue, {"math": task}, Training.on("math"), settings, seed=0, bf16=cuda,
                      answers_at_once=suite.answers_at_once)
    for step in range(2):  # the first warms up
        began = clock()
        batch = trainer.rollout()
        wrote = clock()
        rewards = torch.rand(batch.rewards.shape, generator=torch.Generator().manual_seed(step))
        batch.advantages = group_advantages(rewards).reshape(-1, 1).to(device)
        told["after rollouts"] = told.get("after rollouts", most())
        line = trainer.update(batch)
        ended = clock()
        trainer.step += 1
    assert line["gradient_norm"] > 0
    prompt = sum(map(len, batch.prompts)) / len(batch.prompts)
    told |= {"rollouts": wrote - began, "update": ended - wrote, "prompt": prompt}
    told |= {"answers": len(batch.tokens), "tokens": int(batch.mask.sum())}
print(json.dumps(told | {"most": most()}))
"""


@pytest.fixture(scope="module")
def model(write_chat_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder: 1.2 GB in bf16, three shards, a tokenizer of 4,096 tokens trained on gym's prompts."""
    texts = [task.item("train", 0, number).prompt for task in load_suite("gym").loaded_tasks.values() for number in range(200)]
    return write_chat_model(tmp_path_factory.mktemp("models") / "Random-0.6B", texts, tokens=4096, shard="500MB", **SHAPE)


def measured(model: Path, kind: str) -> dict[str, float]:
    """What a process says that does one kind of work."""
    words = [sys.executable, "-c", PROGRAM, str(model), kind, json.dumps(WORK.get(kind, {}))]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"})
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_memory_and_time_of_a_step(model: Path) -> None:
    found = {kind: measured(model, kind) for kind in WORK}
    first = next(iter(found.values()))
    size, length = f"{first['parameters'] / 1e6:.0f} M parameters", first["tokens"] // first["answers"]
    print(f"\n{size}, {first['device']}, {first['answers']} answers of {length} tokens, prompts of {first['prompt']:.0f}")
    print(f"loaded {first['loaded'] / 1e9:.2f} GB, after rollouts {first['after rollouts'] / 1e9:.2f} GB")
    print("| training | most memory, GB | rollouts, tokens/s | update, answer tokens/s |")
    for kind, told in found.items():
        speeds = f"{told['tokens'] / told['rollouts']:,.0f} | {told['tokens'] / told['update']:,.0f}"
        print(f"| {kind} | {told['most'] / 1e9:.2f} | {speeds} |")
    whole, adapters = found["a group at once"], found["adapters of rank 16, a group at once"]
    assert whole["most"] > 16 * whole["parameters"]  # weights, gradients, two moments
    assert adapters["most"] < whole["most"] - 10 * whole["parameters"]  # no gradients and moments but the adapters'
    assert found["gradient checkpointing"]["most"] < found["all groups at once"]["most"]
    assert whole["most"] < found["all groups at once"]["most"]


def test_memory_and_time_of_scoring(model: Path) -> None:
    told = measured(model, "scoring")
    print(f"\nscoring: {told['scoring']:.2f} s an item (two answers each, {told['items']} items), {told['most'] / 1e9:.2f} GB")
    assert told["most"] < 16 * told["parameters"]
