"""vLLM as the generation backend, with a check that its weights are the model's.

The engine is created from a checkpoint. During a stage it takes the trainer's weights after each optimizer step through vLLM's
`reload_weights`, and its caches are emptied. After every change two things are compared with transformers: the teacher-forced
log-probabilities of a fixed text, and every weight that vLLM stores in a comparable form (one training step is often too small to show in
log-probabilities). If they differ by more than rounding, the engine is created again from the weights on disk and compared again, and from
then on at every change. If that does not help, `WrongWeightsError` ends the job. (vLLM 0.32 on a CPU needs this: with tied embeddings
`reload_weights` reports success but leaves the output layer unchanged. tests/bench/training/test_vllm.py shows it.)

Greedy answers equal those of transformers except at ties. Sampled answers have the same distribution but other draws: a row's uniform
numbers seed its generator, so a run is repeatable with the same vLLM and GPU, and agrees with transformers within intervals.

An engine runs in a process that ends with its job, which frees the GPU memory. A process has one engine at a time.
"""

from __future__ import annotations

import gc
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from bench.training.sampling import GREEDY, Completions

log = logging.getLogger(__name__)

TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Largest mean difference of a token's log-probability between vLLM and transformers, by the arithmetic that both use."""
TEXT_TOKENS, TEXTS = 48, 4


class WrongWeightsError(RuntimeError):
    """vLLM's weights, or its log-probabilities of a fixed text, are not the model's."""


@dataclass(frozen=True)
class Memory:
    """share: fraction of the GPU memory that the engine may use; context: the most tokens of a prompt and its answer together."""

    share: float = 0.35
    context: int = 2048


class VLLM:
    """An engine for the model in an HF folder. dtype: of weights and arithmetic; spent: called with the number of tokens processed."""

    def __init__(
        self, folder: Path, dtype: torch.dtype, memory: Memory | None = None, spent: Callable[[int], None] = lambda tokens: None
    ) -> None:
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # in this process, so that weights can be handed over
        self.dtype = dtype
        self.afresh = False
        """Whether taking weights needs a new engine."""
        self._memory = memory or Memory()
        self._spent = spent
        self._llm: Any = self._made(folder)

    def generate(self, prompts: Sequence[Sequence[int]], draws: torch.Tensor, *, ends: Sequence[int], pad: int) -> Completions:
        """Samples G answers to each of B prompts, as `bench.training.sampling.generate`, with the same arguments."""
        from vllm import SamplingParams

        rows, limit = draws.shape
        group, rest = divmod(rows, len(prompts))
        if rest:
            raise ValueError(f"{rows} rows of draws do not divide into {len(prompts)} prompts")
        common: dict[str, Any] = {"max_tokens": limit, "stop_token_ids": list(ends), "ignore_eos": True, "detokenize": False}
        asked = [
            SamplingParams(temperature=0.0, **common)
            if row[0] == GREEDY
            else SamplingParams(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, seed=_seed(row), **common)
            for row in draws.cpu()
        ]
        given = [{"prompt_token_ids": list(prompts[row // group])} for row in range(rows)]
        outputs = self._llm.generate(given, asked, use_tqdm=False)
        tokens = torch.full((rows, limit), pad, dtype=torch.int64)
        lengths, ended = torch.zeros(rows, dtype=torch.int64), torch.zeros(rows, dtype=torch.bool)
        for row, output in enumerate(outputs):
            answer = output.outputs[0]
            ids = list(answer.token_ids)
            ended[row] = bool(ids) and ids[-1] in ends
            tokens[row, : len(ids)] = torch.tensor(ids)
            lengths[row] = len(ids)
        # As many as transformers processes: each prompt once for its group, and every token of the answers.
        self._spent(sum(map(len, prompts)) + int(lengths.sum()))
        return Completions(tokens, lengths, ended)

    def _made(self, folder: Path) -> Any:
        from vllm import LLM

        return LLM(
            model=str(folder),
            skip_tokenizer_init=True,  # tokens go in, tokens come out
            dtype=str(self.dtype).removeprefix("torch."),
            max_model_len=self._memory.context,
            gpu_memory_utilization=self._memory.share,
            enforce_eager=not torch.cuda.is_available(),
            disable_log_stats=True,
            seed=0,
        )

    def log_probs(self, sequences: Iterable[Sequence[int]]) -> list[torch.Tensor]:
        """Teacher-forced log-probability of each token except the first, for each sequence."""
        from vllm import SamplingParams

        asked = SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False)
        given = [{"prompt_token_ids": list(sequence)} for sequence in sequences]
        found = []
        for output in self._llm.generate(given, asked, use_tqdm=False):
            places = zip(output.prompt_token_ids[1:], output.prompt_logprobs[1:], strict=True)
            found.append(torch.tensor([place[token].logprob for token, place in places]))
        return found

    def take(self, model: PreTrainedModel) -> None:
        """Takes over a model's current weights. `WrongWeightsError` if that fails."""
        if not self.afresh:
            tied = set(getattr(model, "all_tied_weights_keys", {}))
            # Copies: what is handed over must not be what the trainer goes on changing.
            weights = ((name, tensor.detach().to(self.dtype, copy=True)) for name, tensor in model.state_dict().items() if name not in tied)
            self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights, "is_checkpoint_format": True})
            self._llm.reset_prefix_cache()
            try:
                self.check(model)
                return
            except WrongWeightsError as error:
                log.warning("vLLM's reload_weights left wrong weights (%s): a new engine is created at every change from now on", error)
                self.afresh = True
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            del self._llm
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._llm = self._made(Path(folder))
        self.check(model)

    def check(self, model: PreTrainedModel) -> float:
        """Mean absolute difference between the engine's and the model's log-probabilities of a fixed text. `WrongWeightsError` above
        `TOLERANCE`, and if a comparable weight differs."""
        stale = self._stale(model)
        if stale:
            raise WrongWeightsError(f"vLLM holds other weights than the model: {', '.join(stale[:3])}{' ...' if len(stale) > 3 else ''}")
        sequences = fixed_text(model.config.vocab_size)
        theirs = self.log_probs(sequences)
        gap = torch.cat([(a - b).abs() for a, b in zip(theirs, teacher_forced(model, sequences, self.dtype), strict=True)]).mean().item()
        if not gap <= TOLERANCE[self.dtype]:
            raise WrongWeightsError(
                f"vLLM's log-probabilities differ from the model's by {gap:.3g} per token on average, more than {TOLERANCE[self.dtype]:g}; "
                "use --engine hf, and report it with the versions that `python -m bench doctor` shows"
            )
        return gap

    def _stale(self, model: PreTrainedModel) -> list[str]:
        """Names of the engine's weights that differ from the model's in the engine's type. Weights that vLLM packs (on a CPU all matrices
        inside the blocks, on CUDA none) are covered only by the log-probabilities."""
        own = model.state_dict()

        def compared(engine: torch.nn.Module) -> list[str]:
            wrong = []
            for name, theirs in engine.named_parameters():
                parts = [own[part] for part in _parts(name) if part in own]
                shape = (sum(len(part) for part in parts), *(parts[0].shape[1:] if parts else ()))
                # The vocabulary may be padded with rows that belong to no token.
                if parts and shape[1:] == theirs.shape[1:] and shape[0] <= len(theirs):
                    expected = torch.cat(parts).to(theirs.device, theirs.dtype)
                    if not torch.equal(theirs[: len(expected)], expected):
                        wrong.append(name)
            return wrong

        return self._llm.apply_model(compared)[0]


def _parts(name: str) -> list[str]:
    """The model's weights that vLLM stacks into one: q, k and v; gate and up."""
    for whole, parts in (("qkv_proj", ("q_proj", "k_proj", "v_proj")), ("gate_up_proj", ("gate_proj", "up_proj"))):
        if f".{whole}." in name:
            return [name.replace(whole, part) for part in parts]
    return [name]


def fixed_text(vocabulary: int) -> list[list[int]]:
    """Random token ids that depend only on the size of the vocabulary: two different models do not agree on them by chance."""
    generator = torch.Generator().manual_seed(20_260_602)
    return torch.randint(vocabulary, (TEXTS, TEXT_TOKENS), generator=generator).tolist()


@torch.no_grad()
def teacher_forced(model: PreTrainedModel, sequences: Sequence[Sequence[int]], dtype: torch.dtype) -> list[torch.Tensor]:
    """Log-probability of each token except the first by transformers, in the same arithmetic."""
    ids = torch.tensor(sequences, device=model.device)
    device = model.device.type
    with torch.autocast(device, dtype, enabled=dtype != torch.float32):
        logits = model(input_ids=ids, use_cache=False).logits.float()
    chosen = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return list(chosen.cpu())


def _seed(draws: torch.Tensor) -> int:
    """A generator's seed from a row's uniform numbers."""
    first, second = (int(value * (1 << 24)) for value in (draws[0].item(), draws[-1].item()))
    return first << 24 | second
