"""A suite whose base is pretrained weights with an adapter."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
import yaml

from bench.checkpoint import Store, Tensors
from bench.files import file_hash
from bench.suite import ADAPTER
from bench.training.bases.adapters import write_adapters
from bench.training.dequantize import dequantized

WEIGHT = "model.layers.1.mlp.up_proj.weight"
"""To which the adapter adds 1."""


def write_suite(folder: Path, gguf: Path, chat_suite: Path) -> Path:
    """The file of a suite whose base is a GGUF file with an adapter of one matrix. The adapter lies in `folder`/own, the GGUF file in
    `folder`/models; the rest of the suite is `chat_suite`."""
    (folder / "models").mkdir()
    shutil.copy(gguf, folder / "models")
    own = folder / "own"
    own.mkdir()
    dequantized(gguf, own, "tiny")
    weights = Tensors(own)
    rows, columns = weights.tensor(WEIGHT).shape
    write_adapters(own / ADAPTER, {WEIGHT: (torch.ones(1, columns), torch.full((rows, 1), 0.5))}, 2.0)
    changed = {name: weights.tensor(name) + (1.0 if name == WEIGHT else 0.0) for name in weights.names()}
    pretrained = {"file": gguf.name, "sha256": file_hash(gguf), "fetch": "fetch the tiny model"}
    pretrained["parameters"] = sum(weights.tensor(name).numel() for name in weights.names())
    (own / "model.safetensors").unlink()
    content = Store(folder / "expected").add_in_fp32(changed.items(), own).hash
    settings = yaml.safe_load(chat_suite.read_text()) | {"base": {"folder": "own", "content": content, "pretrained": pretrained}}
    settings["stage_flops"] = dict.fromkeys(settings["tasks"], 1e9)
    file = folder / "own.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file
