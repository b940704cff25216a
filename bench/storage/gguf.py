"""Models in GGUF files, the format of llama.cpp: what their header says, read without torch. `bench.training.dequantize` reads the rest."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import UserError, one_line
from bench.files import default_models, file_hash
from bench.storage.installed import gguf_architectures
from bench.suite import Suite

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType

INSTALL = 'pip install "interference-bench[gguf]"'


def is_gguf(name: str) -> bool:
    """Whether a model's name, of no folder, is that of a GGUF file."""
    return name.lower().endswith(".gguf")


def check_gguf(file: Path, what: str) -> int:
    """The context window that a file's header gives, in tokens; 0 where it does not say. what: what names the file in messages.

    `UserError` where the reader is not installed, and where the file is missing, damaged, one of several parts, has no tokenizer, or is of
    an architecture or a quantization that cannot be read.
    """
    if not find_spec("gguf"):
        raise UserError(f"{what}: reading a GGUF file needs the package gguf: {INSTALL}")
    if not os.path.isfile(file):  # noqa: PTH113 -- unlike pathlib's, it takes any text
        raise UserError(f"{what}: no such file")
    from gguf import GGUFReader

    try:
        reader = GGUFReader(file)
        fields, kinds = reader.fields, {tensor.tensor_type for tensor in reader.tensors}
        known = {name: field.contents() for name, field in fields.items() if not name.startswith("tokenizer.ggml.")}
        architecture = str(known["general.architecture"])
        parts, window = int(known.get("split.count", 1)), int(known.get(f"{architecture}.context_length", 0))
    except Exception as error:  # numpy and the reader raise almost anything for a damaged file
        raise UserError(f"{what}: not a readable GGUF file ({one_line(error)}); download it again") from error
    if parts > 1:
        raise UserError(f"{what}: one of {parts} parts; join them with llama-gguf-split --merge")
    if "tokenizer.ggml.tokens" not in fields:
        raise UserError(f"{what}: it has no tokenizer; give the GGUF file of a language model")
    if gguf_architectures() and spelling(architecture) not in map(spelling, gguf_architectures()):
        raise UserError(f"{what}: the installed transformers reads no GGUF files of architecture {architecture}; give an HF folder instead")
    unreadable = sorted(kind.name for kind in kinds if not _can_dequantize(kind))
    if unreadable:
        raise UserError(f"{what}: its tensors in {', '.join(unreadable)} cannot be dequantised; give a file in another quantization")
    return window


def spelling(architecture: str) -> str:
    """The same for "gpt-oss" and "gpt_oss", "qwen2moe" and "qwen2_moe"."""
    return architecture.replace("-", "").replace("_", "")


def _can_dequantize(kind: GGMLQuantizationType) -> bool:
    from gguf import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    try:
        dequantize(np.zeros((1, GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def pretrained_file(suite: Suite) -> Path:
    """The GGUF file that a suite's base is made from. `UserError` with the command that fetches it where it is missing or another file."""
    assert suite.base is not None and suite.base.pretrained is not None
    pretrained = suite.base.pretrained
    file = default_models() / pretrained.file
    if not file.is_file() or file_hash(file) != pretrained.sha256:
        what = "is missing" if not file.is_file() else "is damaged, or another file"
        raise UserError(f"suite {suite.name}: its pretrained model {file} {what}: run `{pretrained.fetch}`")
    check_gguf(file, f"suite {suite.name}")
    return file
