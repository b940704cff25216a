"""What a model of real size takes: memory and time of a stage's step, of its rollouts, and of scoring.

A Qwen3 of 0.6 B parameters (Qwen3-0.6B's shape, its 151,936 tokens included) with random weights, made on disk, and suite gym's prompts
through its chat template. A random model never ends an answer, so that every answer is as long as it may be, and advantages are drawn at
random, so that no group is skipped: the most that a step can take. Each kind of work has a process of its own; its memory is the most
that the process (on a CPU) or torch on the card (on CUDA) held. On CUDA the work is the suite's, 32 prompts with eight answers each, of 320
tokens; on a CPU less of it, two prompts with four answers each, of 64 tokens.

A card must hold what the largest work takes (`LARGEST`): four groups in one pass. All 32 would need over 200 GB for their logits alone.

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
import torch

from bench.suite import load_suite

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(find_spec("reasoning_gym") is None, reason='needs reasoning-gym: pip install -e ".[gym]"'),
]

SHAPE = {"vocab_size": 151_936, "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16}
SHAPE |= {"num_key_value_heads": 8, "head_dim": 128}
PARAMETERS = 596e6
LOGIT = 16
"""Bytes of a logit in a training pass in autocast: in bf16 as computed, and as joined with those of the first tokens, both with gradients
(8); in fp32, with its gradient (8)."""
LARGEST = 20 * PARAMETERS + 4 * 8 * 320 * SHAPE["vocab_size"] * LOGIT + 25e9
"""Bytes of a step with four groups at once: weights, gradients, two moments and the optimizer's intermediates; the logits of four groups of
eight answers of 320 tokens; the activations of 32 rows of about 400 tokens in 28 layers, some 70 kB each."""
CACHED = SHAPE["num_hidden_layers"] * 2 * SHAPE["num_key_value_heads"] * SHAPE["head_dim"] * 4
"""Bytes of a token's keys and values, at most: in fp32."""
WORK = {
    "a group at once": {"groups_at_once": 1},
    "four groups at once": {"groups_at_once": 4},
    "four groups, gradient checkpointing": {"groups_at_once": 4, "gradient_checkpointing": True},
    "adapters of rank 16, a group at once": {"groups_at_once": 1, "lora": {"rank": 16, "alpha": 32}},
}
PROGRAM = """
import copy, json, sys, time
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
    if cuda:
        return torch.cuda.max_memory_allocated()
    # Not ru_maxrss: a child begins with the most that its parent held, and that made the model.
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

told = {"parameters": size, "device": torch.cuda.get_device_name() if cuda else "cpu", "loaded": most()}
if kind == "scoring":
    items = [task.item("test", 0, number) for number in range(2 * suite.answers_at_once if cuda else 4)]
    began = clock()
    score_domain(model, dialogue, task, items, batch=suite.answers_at_once // 2,
                 autocast=lambda: torch.autocast("cuda", torch.bfloat16) if cuda else nullcontext())
    prompt = max(map(len, dialogue.encode([item.prompt for item in items])))
    rows = min(2 * len(items), suite.answers_at_once)
    told |= {"scoring": (clock() - began) / len(items), "items": len(items), "cached": rows * (prompt + task.answer_tokens)}
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
    if torch.cuda.is_available() and torch.cuda.get_device_properties(0).total_memory < LARGEST:
        pytest.skip(f"needs a card with {LARGEST / 1e9:.0f} GB, or none (CUDA_VISIBLE_DEVICES=)")
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
    assert found["four groups, gradient checkpointing"]["most"] < found["four groups at once"]["most"]
    assert whole["most"] < found["four groups at once"]["most"]


def test_memory_and_time_of_scoring(model: Path) -> None:
    told = measured(model, "scoring")
    print(f"\nscoring: {told['scoring']:.2f} s an item (two answers each, {told['items']} items), {told['most'] / 1e9:.2f} GB")
    # Weights in fp32, their copies or their file in bf16, and 2 bytes of room; the keys and values of all rows, of one layer twice while a
    # token's are joined to them; 256 rows of logits, 0.16 GB, a few times.
    assert told["most"] < 8 * told["parameters"] + 1.1 * told["cached"] * CACHED + 1e9
