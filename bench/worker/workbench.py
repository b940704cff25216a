"""The computations a run is made of, each remembered by its inputs: train, score, sample, Fisher, gradient.

A workbench belongs to one suite, one device and one cache. What it computes depends on its arguments, the suite and the
numerics, and on nothing else (`bench.worker.keys`). `report` is called with a small dict as work goes on.
"""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from bench.checkpoint import Checkpoint, DamagedError, Tensors
from bench.costs import Meter
from bench.errors import UserError, nearest
from bench.evaluation import lm_eval as general
from bench.evaluation.scoring import mean_score, score_domain
from bench.files import canonical, file_hash
from bench.method import LoRA, Training
from bench.results.answers import written
from bench.spec import ModelRecord
from bench.storage.cache import Cache, Cached, Computed
from bench.storage.hub import context_window, find_model, read_config
from bench.suite import DECODINGS, Suite
from bench.training import derivatives
from bench.training.bases.own import add_adapted, add_own_base, check_takes_adapter
from bench.training.dequantize import dequantized
from bench.training.grpo import Purpose, Trainer
from bench.training.models import add_model_folder, check_context, load_checkpoint
from bench.training.prompting import Dialogue
from bench.training.sampling import Writer
from bench.worker.keys import DERIVATIVES_CODE, SCORING_CODE, TRAINING_CODE, Numerics, declared
from tasks.source import modules_hash
from tasks.task import Split

log = logging.getLogger(__name__)


@dataclass
class Workbench:
    """See the module's docstring. model: the name of the base, the suite's own where it is empty."""

    suite: Suite
    cache: Cache
    numerics: Numerics = field(default_factory=Numerics)
    report: Callable[[dict[str, Any]], None] = lambda event: None
    model: str = ""

    @cached_property
    def base(self) -> Checkpoint:
        """The model before the first stage, in the cache's store."""
        return self._own_base() if not self.model else self.checkpoint(self.named_model.content)

    @cached_property
    def named_model(self) -> ModelRecord:
        """The base; the suite's own has no name."""
        if not self.model:
            return ModelRecord(name="", revision="", content=self.base.hash)
        found = find_model(self.model)

        adapter = self.suite.adapter

        def make(files: Path, work: Path) -> Computed:
            what = f"--model {found.name}"
            folder = dequantized(found.folder / found.gguf, work, what) if found.gguf else found.folder
            model = add_model_folder(self.cache.store, folder, what)
            if adapter:
                check_takes_adapter(model, adapter, what)
                model = add_adapted(self.cache.store, model, adapter, what)
            return Computed({"checkpoint": model.hash})

        code = modules_hash("bench.training.models", *(("bench.training.dequantize",) if found.gguf else ()))
        key = found.identity | {"transformers": transformers.__version__, "code": code}
        key |= {"adapter": file_hash(adapter), "taken": modules_hash("bench.training.bases.own")} if adapter else {}
        entry = self.cache.remember("model", key, make)
        return ModelRecord(name=found.name, revision=found.revision, content=entry.value["checkpoint"])

    def check_context(self) -> None:
        """`UserError` where the base's tokenizer cannot be used, or the suite's prompts and answers do not fit its context window."""
        check_context(self.dialogue(self.base), self.suite, self.base.folder, f"--model {self.model}")

    def checkpoint(self, content: str) -> Checkpoint:
        """The checkpoint of a content hash, found to be what its name says."""
        return self.cache.verified(content)

    def _own_base(self) -> Checkpoint:
        """The suite's base, its content checked against the suite's sha256."""
        if self.suite.base is None:
            raise UserError(f"suite {self.suite.name} has no model of its own: add --model")
        with suppress(DamagedError, UserError):  # not there yet, or no longer what it was
            return self.cache.verified(self.suite.base.content)
        return add_own_base(self.cache.store, self.suite)

    def load(self, checkpoint: Checkpoint, meter: Meter | None = None) -> PreTrainedModel:
        """A checkpoint's model on the device, in fp32 and evaluation mode. meter: counts what it computes."""
        model = load_checkpoint(checkpoint).to(self.numerics.device)
        return meter.watch(model) if meter is not None else model

    def dialogue(self, checkpoint: Checkpoint) -> Dialogue:
        """The checkpoint's tokenizer with the suite's prompting."""
        return Dialogue.of(checkpoint.folder, self.suite.prompting)

    @contextmanager
    def _writer(self, checkpoint: Checkpoint, model: PreTrainedModel, meter: Meter, domains: Iterable[str]) -> Iterator[Writer | None]:
        """vLLM on a checkpoint, found to be the model that was loaded from it; None where transformers writes. domains: those of the
        prompts. Its memory is freed at the end."""
        if self.numerics.engine == "hf":
            yield None
            return
        from bench.training.engines.vllm import VLLM, Memory

        size = sum(parameter.numel() for parameter in model.parameters())
        dtype = torch.bfloat16 if self.numerics.bf16 else torch.float32
        memory = Memory(context=self._context(checkpoint, domains))
        writer = VLLM(checkpoint.folder, self.numerics.device, dtype, memory, lambda tokens: meter.spend(tokens, size))
        with closing(writer):
            writer.check(model)
            yield writer

    def _context(self, checkpoint: Checkpoint, domains: Iterable[str]) -> int:
        """Tokens that an engine's prompts and answers may have together, at most the model's context window."""
        dialogue, most = self.dialogue(checkpoint), self.suite.prompting.prompt_tokens
        needed = 0
        for domain in domains:
            longest = most
            if longest is None:
                texts = [item.prompt for split in ("test", "validation") for item in self.suite.items(domain, split)]
                longest = 2 * max(map(len, dialogue.encode(texts)))  # a training's prompts may be longer than these
            needed = max(needed, longest + dialogue.limit(self.suite.loaded_tasks[domain]))
        window = context_window(read_config(checkpoint.folder, str(checkpoint.folder)))
        return min(needed, window or needed)

    def _autocast(self) -> AbstractContextManager:
        return torch.autocast(self.numerics.device, torch.bfloat16) if self.numerics.bf16 else nullcontext()

    def key(self, checkpoint: Checkpoint, code: tuple[str, ...], domains: list[str]) -> dict[str, Any]:
        """What every result from a checkpoint depends on: the tasks of these domains, the numerics, and the code of these modules."""
        for domain in domains:
            if domain not in self.suite.tasks:
                raise nearest("domain", domain, self.suite.domains)
        return {
            "checkpoint": checkpoint.hash,
            "tasks": {domain: self.suite.task_hash(domain) for domain in sorted(domains)},
            "numerics": self.numerics.described(),
            "prompting": self.suite.prompting.model_dump(),
            "at_once": self.suite.answers_at_once,
            "code": modules_hash(*code, *(("bench.training.engines.vllm",) if self.numerics.engine == "vllm" else ())),
        }

    # --- training ---
    def train(
        self, parent: Checkpoint, training: Training, *, seed: int, purpose: Purpose = "stage", draw: int = 0, null: bool = False
    ) -> Cached:
        """`parent` trained as declared; the entry's value names the checkpoint, its files hold log.jsonl.

        purpose, draw: what the randomness depends on beside seed, domain and step; null: rewards permuted in groups. ValueError for a draw
        below 0, `UserError` for a reference that nothing uses.
        """
        if draw < 0:
            raise ValueError(f"draw={draw}: must be at least 0")
        settings = self.suite.grpo
        training = training.but(
            steps=settings.steps if training.steps is None else training.steps,
            learning_rate=settings.learning_rate if training.learning_rate is None else training.learning_rate,
            kl=settings.kl if training.kl is None else training.kl,
        )
        if training.kl and training.reference is None:
            training = training.but(reference=parent)
        if training.reference is not None and not training.kl and training.advantages is None:
            why = "nothing uses its reference (kl 0, no advantages hook): set kl, or leave the reference out"
            raise UserError(f"training on {training.label}: {why}")
        own = {f.name: declared(getattr(training, f.name)) for f in fields(training)}
        key = self.key(parent, TRAINING_CODE, list(training.mixture)) | {
            "training": {name: value for name, value in own.items() if value is not None},
            "settings": asdict(settings),
            "seed": seed,
            "purpose": purpose,
            "null": null,
        }
        key |= {"draw": draw} if draw else {}

        def make(files: Path, work: Path) -> Computed:
            return self._train(parent, training, seed, purpose, draw, null, files, work)

        return self.cache.remember("training", key, make)

    def _train(
        self, parent: Checkpoint, training: Training, seed: int, purpose: Purpose, draw: int, null: bool, files: Path, work: Path
    ) -> Computed:
        meter, dialogue = Meter(), self.dialogue(parent)
        device = self.numerics.device

        def loaded(tensors: Tensors) -> dict[str, torch.Tensor]:
            return {name: tensor.to(device) for name, tensor in tensors.items()}

        frozen: dict[str, PreTrainedModel] = {}

        def models(checkpoints: Checkpoint | Mapping[str, Checkpoint] | None) -> dict[str, PreTrainedModel]:
            """By domain or "*"; each checkpoint is loaded once."""
            by_domain = {"*": checkpoints} if isinstance(checkpoints, Checkpoint) else checkpoints or {}
            for checkpoint in by_domain.values():
                if checkpoint.hash not in frozen:
                    frozen[checkpoint.hash] = self.load(checkpoint, meter)
            return {name: frozen[checkpoint.hash] for name, checkpoint in by_domain.items()}

        training = copy.deepcopy(training)  # hooks keep state
        penalty = training.penalty
        held = {f.name: getattr(penalty, f.name) for f in fields(penalty)} if is_dataclass(penalty) else {}
        adapters = self.suite.grpo.lora or isinstance(training.trainable, LoRA)
        if adapters and self.numerics.engine != "hf":
            raise UserError("--engine vllm does not take adapters' weights yet: use --engine hf")
        if adapters and any(isinstance(value, Tensors) for value in [training.trainable, *held.values()]):
            raise UserError("this method holds or masks a model's own weights, and adapters train others: take lora out of the suite's rl")
        model = self.load(parent, meter)
        lines: list[dict[str, Any]] = []
        # An engine follows the model that is trained; what another model writes comes from transformers.
        engine = self._writer(parent, model, meter, training.mixture) if training.sampler is None else nullcontext()
        with engine as writer:
            trainer = Trainer(
                model=model,
                writer=writer,
                dialogue=dialogue,
                tasks=self.suite.loaded_tasks,
                training=training,
                settings=self.suite.grpo,
                seed=seed,
                purpose=purpose,
                draw=draw,
                reference=models(training.reference),
                samplers=models(training.sampler),
                loaded={name: loaded(value) for name, value in held.items() if isinstance(value, Tensors)},
                mask=loaded(training.trainable) if isinstance(training.trainable, Tensors) else None,
                bf16=self.numerics.bf16,
                answers_at_once=self.suite.answers_at_once,
                permute_rewards=null,
            )
            snapshot = work / "snapshot.pt"
            saved = _loaded_snapshot(snapshot)
            if saved is not None:
                trainer.restore(saved["trainer"])
                lines, meter.flops = saved["lines"], saved["flops"]
                del saved
            for line in trainer.steps():
                lines.append(line)
                self.report({"event": "step", "what": training.label, "of": trainer.total, **line})
                if trainer.step % self.suite.snapshot_every == 0 and trainer.step < trainer.total:
                    state = {"trainer": trainer.state(), "lines": lines, "flops": meter.flops}
                    _save_snapshot(state, snapshot)
        if not meter.flops:
            raise UserError(
                "the training metered no FLOPs, so it is not stored: something calls the model past its hooks, as peft below 0.21 does"
            )
        (files / "log.jsonl").write_text("".join(canonical(line) + "\n" for line in lines), encoding="utf-8")
        trained = self.cache.store.add_model(trainer.finished(), parent.folder)
        return Computed({"checkpoint": trained.hash, "steps": trainer.total}, meter.flops)

    def stage_flops(self, checkpoint: Checkpoint, domain: str, *, seed: int, base: str) -> float:
        """FLOPs of a stage that was trained elsewhere from `base` (a content hash): the suite's constant for its own base, and else the
        suite's steps times what one step takes at the stage's end, sampled here (2 N a token to sample, 6 N to train)."""
        if self.suite.is_own_base(base) and domain in self.suite.stage_flops:
            return self.suite.stage_flops[domain]
        settings = self.suite.grpo
        key = self.key(checkpoint, DERIVATIVES_CODE, [domain]) | {"prompts": settings.prompts, "group": settings.group, "seed": seed}

        def make(files: Path, work: Path) -> Computed:
            meter = Meter()
            derivatives.own_answers(
                self.load(checkpoint, meter),
                self.dialogue(checkpoint),
                self.suite.loaded_tasks[domain],
                prompts=settings.prompts,
                group=settings.group,
                seed=seed,
                purpose="cost of a stage",
                at_once=self.suite.answers_at_once,
            )
            return Computed({"step": 4 * meter.flops}, meter.flops)

        return settings.steps * self.cache.remember("stage flops", key, make).value["step"]

    def distance(self, one: Checkpoint, other: Checkpoint) -> float:
        """Norm of the difference of two checkpoints' weights."""
        first, second = sorted([one, other], key=lambda checkpoint: checkpoint.hash)
        if first == second:
            return 0.0

        def make(files: Path, work: Path) -> Computed:
            squares = ((a - b).double().square().sum().item() for _, a, b in first.pieces(second))
            return Computed({"norm": sum(squares) ** 0.5})

        return self.cache.remember("distance", {"one": first.hash, "other": second.hash}, make).value["norm"]

    # --- scoring ---
    def answers(self, checkpoint: Checkpoint, domain: str, split: Split = "test", draw: int = 0) -> Cached:
        """Every answer of a checkpoint on a split of a domain: value {decoding: mean score}, file answers.jsonl.gz.

        Validation items are decoded greedily, all others at temperature 1 as well. draw: as in `Suite.items`.
        """
        items = self.suite.items(domain, split, draw)
        decodings = DECODINGS[:1] if split == "validation" else DECODINGS
        key = self.key(checkpoint, SCORING_CODE, [domain]) | {"split": split, "items": len(items), "decodings": decodings}
        key |= {"draw": draw} if draw else {}

        def make(files: Path, work: Path) -> Computed:
            meter, dialogue = Meter(), self.dialogue(checkpoint)
            model = self.load(checkpoint, meter)
            with self._writer(checkpoint, model, meter, [domain]) as writer:
                answers = score_domain(
                    model,
                    dialogue,
                    self.suite.loaded_tasks[domain],
                    items,
                    decodings=decodings,
                    split=split,
                    batch=self.suite.answers_at_once // len(DECODINGS),
                    writer=writer,
                    autocast=self._autocast,
                )
            (files / "answers.jsonl.gz").write_bytes(written(answers))
            return Computed({decoding: mean_score(answers, decoding) for decoding in decodings} | {"cut": dialogue.cut}, meter.flops)

        self.report({"event": "scoring", "what": domain})
        return self.cache.remember("scoring", key, make)

    def lm_eval(self, checkpoint: Checkpoint, names: tuple[str, ...], limit: int | None) -> dict[str, dict[str, list[float]]]:
        """What tasks of lm-eval give a checkpoint (`bench.evaluation.lm_eval.evaluate`)."""
        key = {
            "checkpoint": checkpoint.hash,
            "tasks": general.identity(names),
            "limit": limit,
            "numerics": self.numerics.described(),
            "prompting": self.suite.prompting.model_dump(),
            "code": modules_hash("bench.evaluation.lm_eval"),
        }

        def make(files: Path, work: Path) -> Computed:
            tokenizer = self.dialogue(checkpoint).tokenizer
            chat = self.suite.prompting.chat != "none"
            return Computed(general.evaluate(self.load(checkpoint), tokenizer, names, limit=limit, chat=chat, bf16=self.numerics.bf16))

        self.report({"event": "scoring", "what": ", ".join(names)})
        return self.cache.remember("lm-eval", key, make).value

    # --- what repairs look at ---
    def sample(self, checkpoint: Checkpoint, domain: str, count: int, *, seed: int) -> Cached:
        """`count` answers at temperature 1, one a training prompt: file samples.json, a list of [prompt, answer, reward]."""
        key = self.key(checkpoint, DERIVATIVES_CODE, [domain]) | {"count": count, "seed": seed}

        def make(files: Path, work: Path) -> Computed:
            meter = Meter()
            batch, prompts, texts = derivatives.own_answers(
                self.load(checkpoint, meter),
                self.dialogue(checkpoint),
                self.suite.loaded_tasks[domain],
                prompts=count,
                group=1,
                seed=seed,
                purpose="sample",
                at_once=self.suite.answers_at_once,
            )
            rows = list(zip(prompts, texts, batch.rewards.flatten().tolist(), strict=True))
            (files / "samples.json").write_text(json.dumps(rows), encoding="utf-8")
            return Computed({}, meter.flops)

        return self.cache.remember("sample", key, make)

    def fisher(self, checkpoint: Checkpoint, domain: str, count: int, *, seed: int) -> Cached:
        """The Fisher diagonal (`bench.training.derivatives.fisher_diagonal`); the value names its tensors."""
        return self._statistic("fisher", checkpoint, domain, count, seed)

    def gradient(self, checkpoint: Checkpoint, domain: str, count: int, *, seed: int, draw: int = 0) -> Cached:
        """The policy gradient (`bench.training.derivatives.policy_gradient`); the value names its tensors. ValueError for a draw below 0,
        whose prompts are those of trainings."""
        if draw < 0:
            raise ValueError(f"draw={draw}: must be at least 0")
        return self._statistic("gradient", checkpoint, domain, count, seed, draw)

    def _statistic(self, kind: str, checkpoint: Checkpoint, domain: str, count: int, seed: int, draw: int = 0) -> Cached:
        key = self.key(checkpoint, DERIVATIVES_CODE, [domain]) | {"count": count, "seed": seed}
        key |= {"settings": asdict(self.suite.grpo), "draw": draw} if kind == "gradient" else {}

        def make(files: Path, work: Path) -> Computed:
            meter = Meter()
            model, dialogue = self.load(checkpoint, meter), self.dialogue(checkpoint)
            task, asked = self.suite.loaded_tasks[domain], {"count": count, "seed": seed, "at_once": self.suite.answers_at_once}
            if kind == "fisher":
                found = derivatives.fisher_diagonal(model, dialogue, task, **asked)
            else:
                found = derivatives.policy_gradient(model, dialogue, task, self.suite.grpo, draw=draw, **asked)
            return Computed({"tensors": self.cache.store.add_tensors(found.items()).hash}, meter.flops)

        self.report({"event": "statistic", "what": f"{kind} of {domain}"})
        return self.cache.remember(kind, key, make)


def _save_snapshot(state: dict[str, Any], snapshot: Path) -> None:
    """Whole or not at all. `UserError` where a hook keeps in its `state` what could not be read back."""
    unfinished = snapshot.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    try:
        torch.load(unfinished, weights_only=True, map_location="cpu", mmap=True)  # what a weight holds is not read
    except Exception as error:
        unfinished.unlink()
        raise UserError("a hook's `state` must hold plain values and tensors only, so that training can resume from it") from error
    unfinished.replace(snapshot)


def _loaded_snapshot(snapshot: Path) -> dict[str, Any] | None:
    """What was saved; None where nothing was, or where it cannot be read and training starts again."""
    if not snapshot.exists():
        return None
    try:
        return torch.load(snapshot, weights_only=True)  # to the device that each tensor was on: a hook keeps some on the GPU
    except Exception as error:
        log.warning("snapshot %s cannot be read, so this training starts again: %s", snapshot, error)
        snapshot.unlink()
        return None
