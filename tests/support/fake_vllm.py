"""What `bench.training.engines.vllm` uses of vLLM, computed by transformers: the engine's own code runs without vLLM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from bench.training.engines.vllm import teacher_forced
from bench.training.sampling import generate, greedy, uniforms


@dataclass
class SamplingParams:
    """vLLM's, with the fields that the engine sets."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    detokenize: bool = True
    prompt_logprobs: int | None = None


class LLM:
    """vLLM's. made: every engine of the process, in order; open: whether it holds its memory; empties: what emptying its caches returns."""

    made: list[LLM] = []

    def __init__(self, *, model: str, dtype: str, max_model_len: int, enforce_eager: bool, **others: Any) -> None:
        assert not any(engine.open for engine in LLM.made), "one process has one engine at a time"
        self.model = AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).eval()
        self.context, self.enforce_eager, self.open, self.empties = max_model_len, enforce_eager, True, True
        self.llm_engine = SimpleNamespace(engine_core=SimpleNamespace(shutdown=self._shutdown))
        LLM.made.append(self)

    def _shutdown(self) -> None:
        self.open = False

    def generate(self, prompts: list[dict[str, list[int]]], params: Any, use_tqdm: bool) -> list[SimpleNamespace]:
        assert self.open
        params = params if isinstance(params, list) else [params] * len(prompts)
        return [self._output(prompt["prompt_token_ids"], asked) for prompt, asked in zip(prompts, params, strict=True)]

    def _output(self, ids: list[int], asked: SamplingParams) -> SimpleNamespace:
        if len(ids) + 1 > self.context:
            raise ValueError(f"a prompt of {len(ids)} tokens is longer than the context of {self.context}")
        if asked.prompt_logprobs is not None:
            values = teacher_forced(self.model, [ids])[0].tolist()
            places = [{token: SimpleNamespace(logprob=value)} for token, value in zip(ids[1:], values, strict=True)]
            return SimpleNamespace(prompt_token_ids=ids, prompt_logprobs=[None, *places])
        limit = min(asked.max_tokens, self.context - len(ids))  # vLLM ends an answer there without a word
        draws = greedy(1, limit) if asked.temperature == 0 else uniforms(1, limit, "fake", asked.seed)
        done = generate(self.model, [ids], draws, ends=asked.stop_token_ids, pad=0)
        answer = done.tokens[0, : int(done.lengths[0])].tolist()
        return SimpleNamespace(outputs=[SimpleNamespace(token_ids=answer)])

    def collective_rpc(self, name: str, kwargs: dict[str, Any]) -> list[None]:
        assert name == "reload_weights"
        self.model.load_state_dict(dict(kwargs["weights_iterator"]), strict=False)
        return [None]

    def reset_prefix_cache(self) -> bool:
        return self.empties

    def apply_model(self, function: Callable[[torch.nn.Module], Any]) -> list[Any]:
        return [function(self.model)]
