"""The weights of a GGUF file as an HF folder that can be trained."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from bench.errors import UserError, one_line
from bench.training.models import check_complete, quiet
from bench.weights import write_weights

if TYPE_CHECKING:
    from gguf import GGUFReader


def dequantized(file: Path, folder: Path, what: str) -> Path:
    """`folder`, with the model of a GGUF file in fp32 as an HF folder: weights, config, tokenizer, chat template.

    what: what names the file in messages. `UserError` where transformers cannot read it, where tensors are missing or unknown, and where it
    scales positions in a way that transformers does not take over.
    """
    from gguf import GGUFReader

    with tempfile.TemporaryDirectory() as alone:  # transformers would prefer a config or a tokenizer that lies beside the file
        link = Path(alone).resolve() / file.name  # as a whole path: a name alone may be that of a file in the current folder
        link.symlink_to(file.resolve())
        try:
            with quiet(), redirect_stderr(io.StringIO()):  # its progress bar knows no switch
                tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=str(link), local_files_only=True)
                model, info = AutoModelForCausalLM.from_pretrained(
                    alone, gguf_file=str(link), dtype=torch.float32, local_files_only=True, output_loading_info=True
                )
        except Exception as error:
            raise UserError(f"{what}: transformers cannot read it ({one_line(error)})") from error
    reader = GGUFReader(file)
    tied = set(getattr(model, "all_tied_weights_keys", None) or {})
    own = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    check_complete(model, info | {"unexpected_keys": _unknown(model, own, reader)}, file.parent, what)
    if (scaling := _scaling(reader)) and not _scales_positions(model.config.get_text_config()):
        raise UserError(f"{what}: its {scaling} would not be used by transformers; give an HF folder instead")
    del model.config.quantization_config
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_weights(folder, sorted((name, tensor.contiguous()) for name, tensor in own.items()))
    return folder


def _unknown(model: PreTrainedModel, own: Mapping[str, torch.Tensor], reader: GGUFReader) -> list[str]:
    """The tensors of a file that a model, which was loaded from it, did not take: transformers passes over those whose names it does not
    know. Found by the number of values: loading may join tensors or split them. own: the model's tensors, tied ones once."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    tied = len(own) < len(model.state_dict())
    held = {tensor.name: int(tensor.n_elements) for tensor in reader.tensors if not (tied and tensor.name == "output.weight")}
    if sum(held.values()) == sum(tensor.numel() for tensor in own.values()):
        return []
    architecture = next((kind for kind, name in MODEL_ARCH_NAMES.items() if name == _field(reader, "general.architecture")), None)
    names = None if architecture is None else get_tensor_name_map(architecture, model.config.get_text_config().num_hidden_layers)
    known = {names.get_name(name, try_suffixes=(".weight", ".bias")) for name in own} if names else set()
    return sorted(set(held) - known)


def _scaling(reader: GGUFReader) -> str:
    """How a file scales positions, as its field and value; empty where it does not."""
    prefix = f"{_field(reader, 'general.architecture')}.rope.scal"
    for name in reader.fields:
        value = _field(reader, name) if name.startswith(prefix) and name.endswith((".type", ".factor", "_linear")) else "none"
        if value not in ("none", 1.0):
            return f"{name} = {value}"
    return ""


def _scales_positions(config: PreTrainedConfig) -> bool:
    """Whether a config scales positions, in all layers or in some."""
    rope = getattr(config, "rope_parameters", None) or {}
    return any(part.get("rope_type", "default") != "default" for part in (rope, *rope.values()) if isinstance(part, Mapping))


def _field(reader: GGUFReader, name: str) -> Any:
    return reader.fields[name].contents()
