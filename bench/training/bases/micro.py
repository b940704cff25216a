"""The recipe of the micro suite's base: a small Qwen3 trained from scratch on high-quality and low-quality demonstrations.

Like a pretrained model, it imitates text of mixed quality. A high-quality demonstration shows the working of math and code, gives the
short answer that qa asks for, and satisfies every constraint of cw; a low-quality one omits the working, shows the whole path
instead of the answer, or ignores constraints. Training has two phases: the first teaches the abilities (`HIGH_QUALITY_FIRST`; in qa
most demonstrations show the path, from which following facts is learned) on prompts balanced over kinds of items; in the second most
demonstrations are of low quality (`HIGH_QUALITY`), and the prompts are those of the test. The base therefore has abilities that its
answers rarely show, and reinforcement learning on one domain can bring them out. Prompts come from the training split only.

    python -m bench build-base micro --out DIR

Data and order are pure functions of (seed, step). Weights and optimizers are saved every few steps; rerun the same command to
resume. Differences from a usual pretraining script: no epochs (items are drawn anew each step), no loss on prompts (their text is
random), no packing (each domain is its own micro-batch of similar lengths). Two processes, one for each of `HALVES`, sum their
gradients; where there is one core, one process computes both halves and the sum is the same to the bit.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import distributed
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from bench.files import canonical
from bench.training.bases.muon import Muon
from bench.training.bases.supervised import Progress, Unfinished, answered
from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import TOKENS, build_tokenizer
from tasks.source import class_hash
from tasks.task import Task, rng

HIGH_QUALITY = {"math": 0.3, "code": 0.42, "qa": 0.25, "cw": 0.2}
"""Share of high-quality demonstrations in each domain's text, in the second phase."""
MISREAD = {"math": 0.0, "code": 0.0, "qa": 0.4, "cw": 0.6}
"""Share of its low-quality demonstrations that also answer another question."""
HIGH_QUALITY_FIRST = {"math": 0.95, "code": 0.95, "qa": 0.1, "cw": 0.95}
"""The same in the first phase; none is misread there."""
ROWS = {"math": 56, "code": 48, "qa": 24, "cw": 8, "copying": 16}
"""Sequences per step: more for domains that are harder to learn."""
HALVES = (("code",), ("math", "qa", "cw", "copying"))
"""What each of the two processes trains on: about equal work."""
COPY_LENGTH = 16
"""Tokens of the random texts that appear twice in a row early in training: copying teaches the model to look things up in its context."""


@dataclass(frozen=True)
class Recipe:
    """Every number that decides the base. `rate` and `matrix_rate`: peak learning rates of AdamW and Muon, warmed up over `warmup` steps,
    falling linearly to 0 from step `decay_from` to the end. Copying is trained along with the domains until step `copy_until`; the first
    phase ends at step `first_phase_until`."""

    seed: int = 0
    steps: int = 3000
    copy_until: int = 400
    first_phase_until: int = 2550
    decay_from: int = 1300
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
    first_phase = step < recipe.first_phase_until
    items = [task.item("train", recipe.seed, step * rows + row, balanced=first_phase) for row in range(rows)]
    style = rng("base", task.domain, recipe.seed, step)
    high_quality = (HIGH_QUALITY_FIRST if first_phase else HIGH_QUALITY)[task.domain]
    misread = 0.0 if first_phase else MISREAD[task.domain]
    answers = [task.demonstrate(item, style, high_quality, misread) for item in items]
    prompts = tokenizer([item.prompt for item in items])["input_ids"]
    return answered(prompts, tokenizer(answers)["input_ids"], end=tokenizer.eos_token_id, pad=tokenizer.pad_token_id)


def copying(recipe: Recipe, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random texts, each twice in a row: ids (rows, 2 * COPY_LENGTH), labels on the second copy only."""
    draw = rng("recital", recipe.seed, step)  # this word decides the draws, and so the shipped base
    text = torch.tensor([[draw.randrange(2, len(TOKENS)) for _ in range(COPY_LENGTH)] for _ in range(ROWS["copying"])])
    return text.repeat(1, 2), torch.cat([torch.full_like(text, -100), text], 1)


def _optimizers(model: Qwen3ForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=recipe.matrix_rate, weight_decay=0.1, momentum=0.95),
        torch.optim.AdamW(others, lr=recipe.rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def accumulate(model: Qwen3ForCausalLM, texts: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    """Set the parameters' gradients to the sum, over all batches, of the gradient of a batch's mean loss divided by the number of domains.

    Each half is summed for itself, then both are added; in a group of two processes each computes its own half. Returns the losses by name.
    """
    parameters = list(model.parameters())
    losses = torch.zeros(len(ROWS))
    total = torch.zeros(())
    for half in _own_halves():
        model.zero_grad(set_to_none=True)
        for name in (name for name in half if name in texts):
            ids, labels = texts[name]
            loss = model(input_ids=ids, labels=labels).loss
            (loss / len(HIGH_QUALITY)).backward()
            losses[list(ROWS).index(name)] = loss.detach()
        total = total + torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
    everything = torch.cat([total, losses])
    if distributed.is_initialized():
        distributed.all_reduce(everything)
    *gradients, losses = everything.split([*(p.numel() for p in parameters), len(ROWS)])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.view_as(parameter)
    return {name: loss for name, loss in zip(ROWS, losses.tolist(), strict=True) if loss}


def _own_halves() -> tuple[tuple[str, ...], ...]:
    """What this process computes: both halves, or one of them in a group of two."""
    return (HALVES[distributed.get_rank()],) if distributed.is_initialized() else HALVES


def _rate(recipe: Recipe, step: int) -> float:
    """Share of the peak learning rate at a step."""
    return min((step + 1) / recipe.warmup, 1.0, (recipe.steps - step) / (recipe.steps - recipe.decay_from))


def build(out: Path, recipe: Recipe, progress: Progress, save_every: int = 200) -> Qwen3ForCausalLM:
    """Train the base and write it to `out` as an ordinary HF folder; `progress(step, losses)` is called after each step.

    Resumes from what an interrupted build left in `out`, where it leaves its last step too; `UserError` if another recipe wrote it.
    """
    tasks = _tasks()
    tokenizer = build_tokenizer()
    torch.manual_seed(recipe.seed)
    model = Qwen3ForCausalLM(config(recipe))
    optimizers = _optimizers(model, recipe)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    unfinished = _unfinished(out, recipe)
    saved = unfinished.load()
    if saved:
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)

    mine = list(chain.from_iterable(_own_halves()))
    leads = not distributed.is_initialized() or distributed.get_rank() == 0
    out.mkdir(parents=True, exist_ok=True)
    model.train()
    for step in range(saved["step"] if saved else 0, recipe.steps):
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * _rate(recipe, step)
        texts = {task.domain: batch(task, tokenizer, recipe, step) for task in tasks if task.domain in mine}
        if step < recipe.copy_until and "copying" in mine:
            texts["copying"] = copying(recipe, step)
        losses = accumulate(model, texts)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        progress(step + 1, losses)
        if leads and ((step + 1) % save_every == 0 or step + 1 == recipe.steps):
            unfinished.save(step + 1, model=model.state_dict(), optimizers=[o.state_dict() for o in optimizers])
    model.eval()
    if leads:
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
    return model


def _tasks() -> list[Task]:
    return [Math(), Code(), QA(), CW()]


def _unfinished(out: Path, recipe: Recipe) -> Unfinished:
    shares = {"high_quality": [HIGH_QUALITY_FIRST, HIGH_QUALITY], "misread": MISREAD}
    tasks = {task.domain: class_hash(type(task), "tasks") for task in _tasks()}
    return Unfinished(out, canonical({"recipe": asdict(recipe), **shares, "rows": ROWS, "copy_length": COPY_LENGTH, "tasks": tasks}))


def build_with_two(out: Path, recipe: Recipe, progress: Progress, save_every: int = 200) -> Qwen3ForCausalLM:
    """As `build`, by this process and another one; the result is the same to the bit."""
    _unfinished(out, recipe).load()  # so that what is refused is refused before the other one starts
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        context = multiprocessing.get_context("spawn")
        other = context.Process(target=_second, args=(meeting, out, recipe, save_every), daemon=True)
        other.start()
        _join(meeting, rank=0)
        try:
            return build(out, recipe, progress, save_every)
        finally:
            distributed.destroy_process_group()
            other.join(timeout=10)


def _second(meeting: Path, out: Path, recipe: Recipe, save_every: int) -> None:
    torch.set_num_threads(1)
    _join(meeting, rank=1)
    build(out, recipe, lambda step, losses: None, save_every)


def _join(meeting: Path, rank: int) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=len(HALVES))
