"""The recipe of the micro suite's base: a small Qwen3 trained from nothing on people's answers, good and hurried.

It imitates text, as a pretrained model does: for every prompt some authors take pains (they write the working, mind every
constraint) and most are in a hurry (`CAREFUL` below gives the shares). The base so knows more than it shows, which is what
reinforcement learning on one domain then draws out. Prompts come from the training split alone.

    python -m bench build-base micro --out DIR

Data and order are pure functions of (seed, step); weights and optimizer are saved every few steps, so the command goes on where
it was stopped. What is left out of a usual pretraining script: no epochs (items are drawn afresh), no loss on prompts (their
text is noise), no packing (each domain is its own micro-batch of near-equal lengths).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import TOKENS, build_tokenizer
from tasks.task import Task, rng

CAREFUL = {"math": 0.25, "code": 0.5, "qa": 0.2, "cw": 0.2}
"""Share of careful authors in each domain's everyday text."""
CARELESS = {"math": 0.0, "code": 0.0, "qa": 0.6, "cw": 0.6}
"""Share of careless ones among its hurried authors."""
ROWS = {"math": 56, "code": 48, "qa": 16, "cw": 8, "recital": 16}
"""Sequences a step: more where more is to be learned."""
RECITAL = 16
"""Length of the random texts that are recited twice in a row early on: telling a text again teaches to look things up."""
SCHOOLBOOKS = 0.95
"""Share of careful authors in the text of the first part of training, which teaches most of what the base knows."""


@dataclass(frozen=True)
class Recipe:
    """Every number that decides the base. Peak learning rates (AdamW's, Muon's) are warmed up over `warmup` steps and fall linearly to 0
    from step `decay_from` to the end; recitals stand beside the domains until `recite_until`, schoolbooks until `school_until`."""

    seed: int = 0
    steps: int = 6400
    recite_until: int = 600
    school_until: int = 5800
    decay_from: int = 3400
    rate: float = 3e-3
    matrix_rate: float = 2e-2
    warmup: int = 100
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    intermediate: int = 512


def config(recipe: Recipe) -> Qwen3Config:
    """Architecture: 1.07 M parameters, tied embeddings, heads of 32."""
    return Qwen3Config(
        vocab_size=len(TOKENS),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        head_dim=recipe.hidden // recipe.heads,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=TOKENS.index("<end>"),
        pad_token_id=TOKENS.index("<pad>"),
    )


def batch(task: Task, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (rows, L) and labels (rows, L), -100 on prompts and padding."""
    rows = ROWS[task.domain]
    school = step < recipe.school_until
    items = [task.item("train", recipe.seed, step * rows + row, exercise=school) for row in range(rows)]
    style = rng("base", task.domain, recipe.seed, step)
    careful = SCHOOLBOOKS if school else CAREFUL[task.domain]
    careless = 0.0 if school else CARELESS[task.domain]
    answers = [task.demonstrate(item, style, careful, careless) for item in items]
    prompts = tokenizer([item.prompt for item in items])["input_ids"]
    texts = [prompt + answer + [tokenizer.eos_token_id] for prompt, answer in zip(prompts, tokenizer(answers)["input_ids"], strict=True)]
    width = max(map(len, texts))
    ids = torch.tensor([text + [tokenizer.pad_token_id] * (width - len(text)) for text in texts])
    labels = torch.tensor(
        [[-100] * len(prompt) + text[len(prompt) :] + [-100] * (width - len(text)) for prompt, text in zip(prompts, texts, strict=True)]
    )
    return ids, labels


def recital(recipe: Recipe, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random texts told twice, (rows, 2 * RECITAL); labels on the second telling."""
    draw = rng("recital", recipe.seed, step)
    told = torch.tensor([[draw.randrange(2, len(TOKENS)) for _ in range(RECITAL)] for _ in range(ROWS["recital"])])
    return told.repeat(1, 2), torch.cat([torch.full_like(told, -100), told], 1)


def _optimizers(model: Qwen3ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=0.1, momentum=0.95),
        torch.optim.AdamW(others, lr=recipe.rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def accumulate(model: Qwen3ForCausalLM, texts: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Add the gradient of every text's mean loss to the parameters; the losses by name."""
    losses = {}
    for name, (ids, labels) in texts.items():
        loss = model(input_ids=ids, labels=labels).loss
        (loss / len(CAREFUL)).backward()
        losses[name] = loss.item()
    return losses


def _rate(recipe: Recipe, step: int) -> float:
    """Share of the peak learning rate at a step."""
    return min((step + 1) / recipe.warmup, 1.0, (recipe.steps - step) / (recipe.steps - recipe.decay_from))


def build(out: Path, recipe: Recipe, progress: Callable[[int, dict[str, float]], None], save_every: int = 200) -> Qwen3ForCausalLM:
    """Train the base and write it to `out` as an ordinary HF folder; `progress(step, losses)` is called after each step.

    Goes on from `out`/unfinished.pt where that exists and belongs to the same recipe; raises ValueError where it does not.
    """
    tasks: list[Task] = [Math(), Code(), QA(), CW()]
    tokenizer = build_tokenizer()
    torch.manual_seed(recipe.seed)
    model = Qwen3ForCausalLM(config(recipe))
    optimizers = _optimizers(model, recipe)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    unfinished = out / "unfinished.pt"
    settings = json.dumps({"recipe": asdict(recipe), "careful": CAREFUL, "careless": CARELESS, "rows": ROWS}, sort_keys=True)
    first = 0
    if unfinished.exists():
        saved = torch.load(unfinished, weights_only=True)
        if saved["settings"] != settings:
            raise ValueError(f"{unfinished} was begun with another recipe: remove it or choose another --out")
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        first = saved["step"]

    out.mkdir(parents=True, exist_ok=True)
    model.train()
    for step in range(first, recipe.steps):
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * _rate(recipe, step)
            optimizer.zero_grad(set_to_none=True)
        texts = {task.domain: batch(task, tokenizer, recipe, step) for task in tasks}
        if step < recipe.recite_until:
            texts["recital"] = recital(recipe, step)
        losses = accumulate(model, texts)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        progress(step + 1, losses)
        if (step + 1) % save_every == 0 and step + 1 < recipe.steps:
            state = {
                "settings": settings,
                "step": step + 1,
                "model": model.state_dict(),
                "optimizers": [o.state_dict() for o in optimizers],
            }
            torch.save(state, unfinished.with_suffix(".tmp"))
            os.replace(unfinished.with_suffix(".tmp"), unfinished)
    model.eval()
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    unfinished.unlink(missing_ok=True)
    return model


def command(out: Path) -> None:
    """What `python -m bench build-base micro` does: build with a progress bar, then print the content hash for the suite's file."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bench.checkpoint import Checkpoint

    recipe = Recipe()
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("building the base", total=recipe.steps)

        def progress(step: int, losses: dict[str, float]) -> None:
            bar.update(task, completed=step, description=" ".join(f"{name} {loss:.2f}" for name, loss in losses.items()))

        build(out, recipe, progress)
    print(f"{out}: content {Checkpoint(out).content()}")
