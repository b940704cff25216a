"""vLLM as the generation backend, with a check that its weights are the model's.

The engine is created from a checkpoint. During a stage it takes the trainer's weights after each optimizer step through vLLM's
`reload_weights`, and its caches are emptied. After every change two things are compared with transformers: the teacher-forced
log-probabilities of a fixed text, and every weight that vLLM stores in a comparable form (one training step is often too small to show in
log-probabilities). If they differ by more than rounding, the engine is created again from the weights on disk and compared again, and from
then on at every change. If that does not help, `WrongWeightsError` ends the job. (vLLM 0.32 on a CPU needs this: with tied embeddings
`reload_weights` reports success but leaves the output layer unchanged. tests/bench/training/test_vllm.py shows it.)

In fp32, greedy answers equal those of transformers except at ties, and sampled answers have the same distribution but other draws: a row's
uniform numbers seed its generator, so a run is repeatable with the same vLLM and GPU. In bf16 (on CUDA), vLLM rounds its weights and every
layer's output to bf16, while transformers computes in autocast over fp32 weights. So the policy that samples is not quite the one that is
trained, and nothing corrects for it (docs/real-models.md).

A process has one engine at a time. `close` frees its memory.
"""

from __future__ import annotations

import copy
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
from transformers.pytorch_utils import Conv1D

from bench.errors import UserError
from bench.training.sampling import GREEDY, Completions

log = logging.getLogger(__name__)

TOLERANCE = 2e-3
"""Largest mean difference of a token's log-probability between vLLM in fp32 and transformers in fp32."""
BF16_TOLERANCE = 2.0
"""Largest mean difference between vLLM in bf16 and transformers in fp32, as a multiple of the difference that transformers itself has when
it computes in bf16 as vLLM does. That depends on the model (0.020 for micro's base, 0.062 for everyday's), so no constant fits all. vLLM's
own was 1.2 times as large for both on a CPU; on CUDA it rounds in other places."""
TEXT_TOKENS, TEXTS = 48, 4


class WrongWeightsError(RuntimeError):
    """vLLM's weights, or its log-probabilities of a fixed text, are not the model's."""


@dataclass(frozen=True)
class Memory:
    """share: fraction of the GPU memory that the engine may use; context: the most tokens of a prompt and its answer together."""

    share: float = 0.35
    context: int = 2048


class VLLM:
    """An engine for the model in an HF folder. device: "cpu" or "cuda", for which vLLM is installed; dtype: of weights and arithmetic;
    spent: called with the number of tokens processed."""

    def __init__(
        self,
        folder: Path,
        device: str,
        dtype: torch.dtype,
        memory: Memory | None = None,
        spent: Callable[[int], None] = lambda tokens: None,
    ) -> None:
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # in this process, so that weights can be handed over
        os.environ["VLLM_NO_USAGE_STATS"] = "1"
        self.device, self.dtype = device, dtype
        self.afresh = False
        """Whether taking weights needs a new engine."""
        self._memory = memory or Memory()
        self._spent = spent
        self._llm: Any = self._made(folder)

    def generate(self, prompts: Sequence[Sequence[int]], draws: torch.Tensor, *, ends: Sequence[int], pad: int) -> Completions:
        """Samples G answers to each of B prompts, as `bench.training.sampling.generate`, with the same arguments. `UserError` for a prompt
        that leaves no room for its answer: vLLM would cut the answer without a word."""
        from vllm import SamplingParams

        rows, limit = draws.shape
        group, rest = divmod(rows, len(prompts))
        if rest:
            raise ValueError(f"{rows} rows of draws do not divide into {len(prompts)} prompts")
        longest = max(map(len, prompts))
        if longest + limit > self._memory.context:
            raise UserError(
                f"--engine vllm: a prompt of {longest} tokens and an answer of {limit} do not fit the engine's context of "
                f"{self._memory.context} tokens; use --engine hf, or set prompting.prompt_tokens in a suite of your own"
            )
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
        # Each prompt once for its group, and every token of the answers. Transformers also counts padding and rows that ended.
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
            enforce_eager=self.device == "cpu",
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
            try:
                self._reload(model)
                self.check(model)
                return
            except WrongWeightsError as error:
                log.warning("vLLM's reload_weights left wrong weights (%s): a new engine is created at every change from now on", error)
                self.afresh = True
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            self.close()
            self._llm = self._made(Path(folder))
        self.check(model)

    def close(self) -> None:
        """Frees the engine's memory. Nothing can be generated afterwards."""
        if self._llm is None:
            return
        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _reload(self, model: PreTrainedModel) -> None:
        """Hands the model's weights to the engine, and empties its caches."""
        tied = set(getattr(model, "all_tied_weights_keys", {}))
        # Copies: what is handed over must not be what the trainer goes on changing.
        weights = ((name, tensor.detach().to(self.dtype, copy=True)) for name, tensor in model.state_dict().items() if name not in tied)
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights, "is_checkpoint_format": True})
        if not self._llm.reset_prefix_cache():
            raise WrongWeightsError("vLLM kept keys and values that it computed with the old weights")

    def check(self, model: PreTrainedModel) -> float:
        """Mean absolute difference between the engine's and the model's log-probabilities of a fixed text. `WrongWeightsError` above the
        limit (`TOLERANCE`, `BF16_TOLERANCE`), and if a comparable weight differs."""
        stale = self._stale(model)
        if stale:
            raise WrongWeightsError(f"vLLM holds other weights than the model: {', '.join(stale[:3])}{' ...' if len(stale) > 3 else ''}")
        sequences = fixed_text(model.config.vocab_size, min(TEXT_TOKENS, self._memory.context - 1))  # vLLM adds a token
        exact = teacher_forced(model, sequences)
        limit = TOLERANCE
        if self.dtype != torch.float32:
            limit = max(limit, BF16_TOLERANCE * _gap(teacher_forced(_rounded(model, self.dtype), sequences), exact))
        gap = _gap(self.log_probs(sequences), exact)
        if not gap <= limit:
            raise WrongWeightsError(
                f"vLLM's log-probabilities differ from the model's by {gap:.3g} per token on average, more than {limit:.3g}; "
                "use --engine hf, and report it with the versions that `python -m bench doctor` shows"
            )
        return gap

    def _stale(self, model: PreTrainedModel) -> list[str]:
        """Names of the engine's weights that differ from the model's in the engine's type. Weights that vLLM packs (on a CPU all matrices
        inside the blocks, on CUDA none) are covered only by the log-probabilities."""
        own = model.state_dict()
        for name, module in model.named_modules():
            if isinstance(module, Conv1D):  # GPT-2's layers: vLLM stores their matrices as those of linear layers
                own[f"{name}.weight"] = own[f"{name}.weight"].T

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


def fixed_text(vocabulary: int, tokens: int = TEXT_TOKENS) -> list[list[int]]:
    """Random token ids that depend only on the vocabulary's size and the length: two different models do not agree on them by chance."""
    generator = torch.Generator().manual_seed(20_260_602)
    return torch.randint(vocabulary, (TEXTS, tokens), generator=generator).tolist()


def _gap(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> float:
    """Mean absolute difference of two texts' log-probabilities."""
    return (torch.cat(list(one)) - torch.cat(list(other))).abs().mean().item()


@torch.no_grad()
def teacher_forced(model: PreTrainedModel, sequences: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Log-probability of each token except the first by transformers, in the arithmetic of the model's weights. Costs a method nothing,
    even if a meter watches the model."""
    ids = torch.tensor(sequences, device=model.device)
    logits = model.forward(input_ids=ids, use_cache=False).logits.float()  # a meter's hook runs for model(...) only
    chosen = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return list(chosen.cpu())


def _rounded(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """A copy whose weights, and so its layers' outputs, are in another type. Buffers keep theirs, as in a model loaded in that type."""
    weights = {id(p): torch.nn.Parameter(p.detach().to(dtype), requires_grad=False) for p in model.parameters()}
    return copy.deepcopy(model, weights)


def _seed(draws: torch.Tensor) -> int:
    """A generator's seed from a row's uniform numbers."""
    first, second = (int(value * (1 << 24)) for value in (draws[0].item(), draws[-1].item()))
    return first << 24 | second
