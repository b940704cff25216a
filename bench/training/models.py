"""Loading models and tokenizers so that nothing is guessed: no random weights, no code from the model's folder, one line per error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError, one_line
from bench.storage.hub import check_config, context_window, read_config
from bench.training.sampling import NotFiniteError, generate, greedy

if TYPE_CHECKING:
    from bench.suite import Suite
    from bench.training.prompting import Dialogue

_JSON_FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "special_tokens_map.json")
_TOLERANCE = 1e-3
"""Largest difference between logits that should be equal, in standard deviations of a position's logits."""


def load_model(folder: Path, what: str = "") -> PreTrainedModel:
    """The causal language model in an HF folder, in fp32 on the CPU, in evaluation mode.

    what: what names the folder in messages, such as "--model x" (default: the folder). `UserError` where the folder does not hold exactly
    the model's tensors (some missing, of another name or shape), is not a causal language model, or needs Python code of its own.
    """
    what = what or str(folder)
    check_config(read_config(folder, what), what)
    try:
        with quiet():
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are refused below, by name
                output_loading_info=True,
            )
    except Exception as error:
        raise UserError(f"{what}: transformers cannot load the model in {folder} ({one_line(error)})") from error
    check_complete(model, info, folder, what)
    return model.eval()


def check_complete(model: PreTrainedModel, info: Mapping[str, Any], folder: Path, what: str) -> None:
    """`UserError` unless the files held exactly the model's tensors. info: transformers' report on loading them."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    # Tied weights that share a tensor which was loaded are not missing, whatever a version of transformers reports.
    missing = {name for name in info["missing_keys"] if name not in tied or tied[name] in info["missing_keys"]}
    shapes = [f"{name} (file {_size(own)}, model {_size(wanted)})" for name, own, wanted in info["mismatched_keys"]]
    for problem, names in (("lacks", missing), ("has tensors it does not know:", info["unexpected_keys"]), ("has other shapes:", shapes)):
        if names:
            hint = "which would start with random weights" if problem == "lacks" else "which would not be used"
            if problem == "lacks" and "lm_head.weight" in names:
                hint += "; if the output layer shares the embeddings, set tie_word_embeddings to true in its config.json"
            raise UserError(f"{what}: its weights do not fit {type(model).__name__}: {folder} {problem} {_some(names)}, {hint}")


def load_checkpoint(checkpoint: Checkpoint) -> PreTrainedModel:
    """The model of a checkpoint, as `load_model`. `UserError` where the checkpoint is not in the cache."""
    return load_model(checkpoint.require().folder)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer in an HF folder. `UserError` where it, or a config beside it, cannot be read."""
    for name in _JSON_FILES:
        _read_json(folder / name)
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(f"{folder}: its tokenizer cannot be loaded ({one_line(error)}); save or download it again") from error


def add_model_folder(store: Store, folder: Path, what: str) -> Checkpoint:
    """Store a user's HF folder as a checkpoint, after checking that it loads completely and that answers can be sampled from it.

    Its tensors are stored unchanged where they have the names and shapes of the loaded model. Otherwise (an old file without a prefix in
    its names, experts in separate tensors) the loaded model is stored in fp32, so that checkpoints of later stages have the same tensors.
    """
    load_tokenizer(folder)
    model = load_model(folder, what)
    check_sampling(model, what)
    try:
        stored = store.add_folder(folder)
    except (ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{what}: the weights in {folder} cannot be read ({one_line(error)})") from error
    tied = set(getattr(model, "all_tied_weights_keys", None) or {})
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name not in tied}
    return stored if stored.shapes() == own else store.add_model(model, folder)


@torch.no_grad()
def check_sampling(model: PreTrainedModel, what: str) -> None:
    """`UserError` where our sampling (a cache of keys and values, prompts padded on the left, groups) gives another model than `model`:
    one whose tokens see later ones (BERT), or whose cache is of another kind (Mamba, RWKV)."""
    kind = f"{what}: {type(model).__name__} cannot be sampled here"
    vocabulary = min(model.config.get_text_config().vocab_size, 1000)
    prompts = [[(7 * place + 3) % vocabulary for place in range(length)] for length in (3, 8)]
    try:
        answers = generate(model, prompts, greedy(4, 6), ends=(), pad=0).tokens.tolist()
        gaps = []
        for row, answer in enumerate(answers):
            prompt = prompts[row // 2]
            whole = model(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0]
            alone = model(input_ids=torch.tensor([prompt]), use_cache=False).logits[0]
            written = whole[len(prompt) - 1 : -1]
            chosen = written.gather(1, torch.tensor(answer)[:, None])[:, 0]
            gaps.append((written.max(1).values - chosen) / written.std(1).clamp(min=1e-6))
            gaps.append((whole[: len(prompt)] - alone).abs().max(1).values / alone.std(1).clamp(min=1e-6))
    except NotFiniteError as error:
        raise UserError(f"{what}: {error}; its weights are damaged: save or download it again") from error
    except Exception as error:
        why = "it keeps a state, not a cache of keys and values" if getattr(model, "_is_stateful", False) else one_line(error)
        raise UserError(f"{kind} ({why}); choose a transformer with an ordinary key-value cache (Qwen3, Llama, ...)") from error
    if not torch.cat(gaps).max() <= _TOLERANCE:
        raise UserError(f"{kind}: its logits depend on later tokens, on padding or on the cache; choose a causal model (Qwen3, Llama, ...)")


def check_context(dialogue: Dialogue, suite: Suite, folder: Path, what: str) -> None:
    """`UserError` where a prompt of the suite with its answer is longer than the context window of the model in `folder`.

    dialogue: one made for this check, because encoding counts the prompts that are cut.
    """
    window = context_window(read_config(folder, what))
    if not window:
        return
    for domain, task in suite.loaded_tasks.items():
        limit = dialogue.limit(task)
        most = suite.prompting.prompt_tokens
        if most is None or most + limit > window:
            prompts = dialogue.encode([item.prompt for split in ("test", "validation") for item in suite.items(domain, split)])
            most = max(map(len, prompts))
        if most + limit > window:
            raise UserError(
                f"{what}: its context window is {window} tokens; {domain} needs {most} for a prompt and {limit} for its answer; "
                "choose another model, or set a smaller prompt_tokens in a suite of your own"
            )


def _read_json(file: Path) -> Any:
    if not file.exists():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file} is not valid JSON ({one_line(error)}); save or download the model again") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} is not a JSON object; save or download the model again")
    return found


def _some(names: Sequence[str] | set[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:3]) + (f" and {len(ordered) - 3} more" if len(ordered) > 3 else "")


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' report tables and progress bars: what matters of them is raised."""
    level, bars = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(level)
        if bars:
            transformers.logging.enable_progress_bar()
