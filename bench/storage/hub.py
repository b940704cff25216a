"""Finding the model that a run names: an HF folder, or a repository of the Hugging Face hub at a revision. No torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bench.errors import UserError

FILES = ("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt")
"""What is downloaded: weights, config, tokenizer, chat template; nothing in folders, where other formats lie."""


@dataclass(frozen=True)
class Model:
    """folder: where its files lie; revision: the hub's commit, empty for a folder of one's own; identity: what a cache may know it by."""

    name: str
    folder: Path
    revision: str
    identity: dict[str, object]


def find_model(name: str) -> Model:
    """The model of a name: a folder's path, or owner/name or owner/name@revision on the hub, downloaded if need be.

    `UserError` where there is none, or none that can be trained: no safetensors, or quantized weights.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        files = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in sorted(path.iterdir()) if file.is_file()}
        return _checked(Model(name, path.resolve(), "", {"folder": str(path.resolve()), "files": files}))
    repository, _, revision = name.partition("@")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(FILES), ignore_patterns=["*/*"]))
    except HFValidationError as error:
        raise UserError(f"--model {name}: no folder of that name here, and no name that the hub could have (owner/name)") from error
    except Exception as error:
        why = " ".join(str(error).split()).partition(". ")[0]
        raise UserError(f"--model {name}: no folder of that name here, and not to be had from the hub ({why})") from error
    return _checked(Model(repository, folder, folder.name, {"repository": repository, "revision": folder.name}))


def _checked(model: Model) -> Model:
    where = model.folder
    if not (where / "config.json").exists():
        raise UserError(f"--model {model.name}: no config.json in {where}; give a folder that save_pretrained wrote")
    if not any(where.glob("*.safetensors")):
        raise UserError(f"--model {model.name}: no .safetensors file in {where}; load it and save_pretrained it again")
    try:
        config = json.loads((where / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"--model {model.name}: {where / 'config.json'} cannot be read ({error})") from error
    if "quantization_config" in config:
        raise UserError(f"--model {model.name}: its weights are quantized; take the bf16 or fp32 ones that it was made from")
    return model
