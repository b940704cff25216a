"""The model that a run names: an HF folder, a GGUF file, or a repository of the Hugging Face Hub at a revision. No torch, no transformers.

The parent process calls `check_model` before work starts; a worker calls `find_model`, which downloads the weights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.errors import UserError, one_line
from bench.storage.gguf import check_gguf, is_gguf
from bench.storage.installed import causal_models

CONFIG = "config.json"
FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""What is downloaded: weights, config, tokenizer, chat template. Nothing in subfolders, which hold other formats."""
_CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len")
"""Names of the context window in the configs of different architectures."""
_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""How the names of classes end that write text. Encoder-decoders among them are refused because AutoModelForCausalLM does not list them."""
_CHOOSE = "choose one (Qwen3, Llama, ...)"


@dataclass(frozen=True)
class Model:
    """folder: where the files are; revision: the Hub's commit, empty for local files; identity: the key of the model in a cache; gguf: the
    name of its GGUF file in the folder, empty for an HF folder."""

    name: str
    folder: Path
    revision: str
    identity: dict[str, object]
    gguf: str = ""


def check_model(name: str, needed_context: int = 0) -> None:
    """Check before work starts that a run can use the model `name`; from the Hub, this downloads its config only.

    needed_context: tokens of the longest prompt and its answer; 0 where it is not known. `UserError` where the model does not exist, is not
    a causal language model that transformers knows, has quantized weights, or has a shorter context window.
    """
    what = f"--model {name}"
    if is_gguf(name) and not _is_folder(name):
        check_window(check_gguf(Path(name).expanduser(), what), what, needed_context)
        return
    folder = find_model(name).folder if _is_folder(name) else _download(name, [CONFIG])
    check_config(read_config(folder, what), what, needed_context)


def find_model(name: str) -> Model:
    """The model of a name: a folder's path, a GGUF file's path, or owner/name or owner/name@revision on the Hub, downloaded if need be.

    `UserError` where there is none, or none that can be trained: not a causal language model, no safetensors, or a folder of quantized
    weights. Those of a GGUF file can be, once they are dequantised.
    """
    from huggingface_hub import constants

    if _is_folder(name):
        folder = Path(name).expanduser().resolve()
        files = {file.name: _stamp(file) for file in sorted(folder.iterdir()) if file.is_file()}
        model = Model(name, folder, "", {"folder": str(folder), "files": files})
    elif is_gguf(name):
        file = Path(name).expanduser().resolve()
        check_gguf(file, f"--model {name}")
        return Model(name, file.parent, "", {"file": str(file), "stamp": _stamp(file), "gguf": version("gguf")}, file.name)
    else:
        folder = _download(name, list(FILES))
        repository = name.partition("@")[0]
        model = Model(repository, folder, folder.name, {"repository": repository, "revision": folder.name})
    what = f"--model {model.name}"
    check_config(read_config(folder, what), what)
    if not any(folder.glob("*.safetensors")):
        hint = "load the model with transformers and save it with save_pretrained"
        if model.revision and constants.HF_HUB_OFFLINE:
            hint = "perhaps they are not downloaded yet: unset HF_HUB_OFFLINE once"
        raise UserError(f"{what}: no .safetensors file in {folder}; {hint}")
    return model


def read_config(folder: Path, what: str) -> dict[str, Any]:
    """config.json of an HF folder. what: what names the folder, for messages. `UserError` where it is missing or not a JSON object."""
    file = folder / CONFIG
    if not file.is_file():
        raise UserError(f"{what}: no {CONFIG} in {folder}; give a folder that save_pretrained wrote")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{what}: {file} cannot be read ({error}); save or download the model again") from error
    if not isinstance(config, dict):
        raise UserError(f"{what}: {file} is not a JSON object; save or download the model again")
    return config


def check_config(config: Mapping[str, Any], what: str, needed_context: int = 0) -> None:
    """`UserError` where the config is not that of a causal language model that can be trained, or its context window is too short."""
    kind, classes = config.get("model_type"), config.get("architectures") or []
    if "quantization_config" in config:
        raise UserError(f"{what}: its weights are quantized; use the bf16 or fp32 model that it was made from")
    if not isinstance(kind, str) or not isinstance(classes, list):
        raise UserError(f"{what}: its {CONFIG} has no valid model_type and architectures; give a folder that save_pretrained wrote")
    known = causal_models()
    named = f"{kind} ({', '.join(map(str, classes))})" if classes else kind
    if known and kind not in known:
        if "auto_map" in config:
            raise UserError(f"{what}: {named} needs Python code from its own folder, which is never run; choose another model")
        raise UserError(f"{what}: {named} is not a causal language model of the installed transformers; {_CHOOSE}")
    if classes and not any(str(name).endswith(_CAUSAL) or name == known.get(kind) for name in classes):
        raise UserError(f"{what}: it was saved as {named}, not as a causal language model; {_CHOOSE}")
    check_window(context_window(config), what, needed_context)


def check_window(window: int, what: str, needed_context: int) -> None:
    """`UserError` where a known context window (not 0) is too short."""
    if window and needed_context > window:
        raise UserError(
            f"{what}: its context window is {window} tokens, and this suite needs {needed_context} for a prompt and its answer; "
            "choose another model, or set a smaller prompt_tokens in a suite of your own"
        )


def context_window(config: Mapping[str, Any]) -> int:
    """Tokens that a model can read and write at most, by its config; 0 where the config does not say."""
    text = config.get("text_config")
    for part in (config, text if isinstance(text, Mapping) else {}):
        for name in _CONTEXT:
            if isinstance(part.get(name), int):
                return part[name]
    return 0


def _stamp(file: Path) -> list[int]:
    """Changes when a file is written."""
    return [file.stat().st_size, file.stat().st_mtime_ns]


def _is_folder(name: str) -> bool:
    return os.path.isdir(os.path.expanduser(name))  # noqa: PTH111, PTH112 -- unlike pathlib's, these take any text


def _download(name: str, files: list[str]) -> Path:
    """Folder of a repository's files at a revision."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    if os.path.isfile(os.path.expanduser(name)):  # noqa: PTH111, PTH113
        raise UserError(f"--model {name}: a file, not a folder; give the folder that save_pretrained wrote, or a .gguf file")
    repository, _, revision = name.partition("@")
    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=files, ignore_patterns=["*/*"]))
    except HFValidationError as error:
        raise UserError(f"--model {name}: no such folder, and not a name on the Hub (owner/name)") from error
    except Exception as error:
        raise UserError(f"--model {name}: no such folder, and it could not be downloaded from the Hub ({one_line(error)})") from error
