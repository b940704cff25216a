"""A supervised warm-up: a pretrained chat model learns the form of answers from demonstrations of the tasks, as low-rank adapters.

A model of 135 M parameters answers hardly any of the prompts in the form that the verifiers ask for, so reinforcement learning would find
no reward to begin with. As in practice, it starts from a model that has seen some answers. The warm-up trains low-rank adapters on all
linear layers, with the loss on the answers. Most demonstrations are right and some are not, so that there is something left to learn.
Prompts come from the training split only.

Data and order are pure functions of (seed, step). An interrupted warm-up resumes with the same result.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedModel

from bench.checkpoint import Checkpoint, Store
from bench.files import canonical
from bench.method import LoRA
from bench.suite import ADAPTER, Suite
from bench.training.bases.adapters import write_adapters
from bench.training.bases.supervised import Progress, Unfinished, answered
from bench.training.dequantize import dequantized
from bench.training.grpo import with_adapters
from bench.training.models import load_checkpoint, load_tokenizer
from bench.training.prompting import Dialogue
from tasks.task import Task, rng

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""SmolLM2's chat template without its default system message, which adds 23 tokens to every prompt."""


@dataclass(frozen=True)
class Recipe:
    """Every number that decides the base. seed: none of those that are scored or developed on, whose stages draw other items; rows:
    demonstrations of a domain in a step, `other_rows` for domains that it does not name; high_quality, `other_high_quality`: as
    `Task.demonstrate` takes it; rate: learning rate, which falls linearly to 0 and is multiplied by a ramp over the first `warmup`
    steps."""

    seed: int = 1000
    steps: int = 300
    rows: Mapping[str, int] = field(default_factory=lambda: {"code": 12})
    other_rows: int = 6
    high_quality: Mapping[str, float] = field(default_factory=lambda: {"math": 0.5, "cw": 0.5})
    other_high_quality: float = 0.8
    rate: float = 1e-3
    warmup: int = 20
    rank: int = 8
    alpha: float = 16.0


def batch(task: Task, dialogue: Dialogue, recipe: Recipe, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (rows, L) and labels (rows, L), -100 on prompts and padding."""
    rows = recipe.rows.get(task.domain, recipe.other_rows)
    items = [task.item("train", recipe.seed, step * rows + row) for row in range(rows)]
    style = rng("warm-up", task.domain, recipe.seed, step)
    quality = recipe.high_quality.get(task.domain, recipe.other_high_quality)
    answers = [task.demonstrate(item, style, quality) for item in items]
    prompts = dialogue.encode([item.prompt for item in items])
    written = dialogue.tokenizer(answers, add_special_tokens=False)["input_ids"]
    return answered(prompts, written, end=dialogue.ends[0], pad=dialogue.pad)


def rate_at(recipe: Recipe, step: int) -> float:
    """The learning rate of a step, from 0."""
    return recipe.rate * min((step + 1) / recipe.warmup, 1.0) * (recipe.steps - step) / recipe.steps


def prepared(file: Path, store: Store, what: str) -> Checkpoint:
    """The model of a GGUF file, stored, with the chat template that the base has. what: what names the file in messages."""
    with tempfile.TemporaryDirectory() as work:
        plain = dequantized(file, Path(work), what)
        tokenizer = load_tokenizer(plain)
        tokenizer.chat_template = TEMPLATE
        tokenizer.save_pretrained(plain)
        return store.add_folder(plain)


def build(pretrained: Checkpoint, suite: Suite, out: Path, recipe: Recipe, progress: Progress, save_every: int = 20) -> None:
    """Train the adapters, and write their file to `out` with the config and the tokenizer of the pretrained model.

    Resumes from what an interrupted build left in `out`, where it leaves its last step too, so that whoever scores the result can be
    interrupted; `UserError` if another recipe, model or suite wrote it.
    """
    dialogue = Dialogue.of(pretrained.folder, suite.prompting)
    model = with_adapters(load_checkpoint(pretrained), LoRA(recipe.rank, recipe.alpha), recipe.seed)
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.AdamW(parameters.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0)
    tasks = {domain: suite.task_hash(domain) for domain in suite.tasks} | {"prompting": suite.prompting.model_dump()}
    unfinished = Unfinished(out, canonical({"recipe": asdict(recipe), "model": pretrained.hash, "tasks": tasks}))
    saved = unfinished.load()
    if saved:
        for name, parameter in parameters.items():
            parameter.data.copy_(saved["parameters"][name])
        optimizer.load_state_dict(saved["optimizer"])
    for step in range(saved["step"] if saved else 0, recipe.steps):
        optimizer.param_groups[0]["lr"] = rate_at(recipe, step)
        losses = {}
        for domain, task in suite.loaded_tasks.items():
            ids, labels = batch(task, dialogue, recipe, step)
            loss = model(input_ids=ids, labels=labels, use_cache=False).loss
            (loss / len(suite.tasks)).backward()
            losses[domain] = loss.item()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        progress(step + 1, losses)
        if (step + 1) % save_every == 0 or step + 1 == recipe.steps:
            own = {name: parameter.detach() for name, parameter in parameters.items()}
            unfinished.save(step + 1, optimizer=optimizer.state_dict(), parameters=own)
    out.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    dialogue.tokenizer.save_pretrained(out)
    write_adapters(out / ADAPTER, pairs_of(model), recipe.alpha / recipe.rank)


def pairs_of(model: PreTrainedModel) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The adapters (A, B) of a model that peft wraps, by the name of their weight in the plain model."""
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            module, _, part = name.removeprefix("base_model.model.").partition(".lora_")
            found.setdefault(f"{module}.weight", {})[part[0]] = parameter.detach()
    return {name: (pair["A"], pair["B"]) for name, pair in found.items()}
