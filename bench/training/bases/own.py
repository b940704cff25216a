"""A suite's own base, from the folder that ships with the package."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM

from bench.checkpoint import Checkpoint, Store, Tensors
from bench.errors import UserError, one_line
from bench.files import remove
from bench.storage.gguf import pretrained_file
from bench.suite import Suite
from bench.training.bases.adapters import adapted
from bench.training.dequantize import dequantized
from bench.training.models import load_model, load_tokenizer
from bench.weights import WEIGHTS

_ONE_MODEL = "the suite takes models of one architecture and size"
_SAMPLE = 64
"""Tokens that are read to compare two models."""
_TOLERANCE = 1e-3
"""Largest difference between their logits, in standard deviations."""
_SAME_TOKENS = 0.99
"""Least share of tokens with the same number: a file's format may spell some in its own way."""


def add_own_base(store: Store, suite: Suite) -> Checkpoint:
    """The base of a suite that has one, stored: the folder as it is, or the pretrained weights with the folder's adapter.

    `UserError` where a file is missing or another one, and where the result does not have the suite's content hash.
    """
    assert suite.base is not None
    source, pretrained = suite.base_folder, suite.base.pretrained
    needed = suite.adapter or source / WEIGHTS
    if not needed.exists():
        raise UserError(f"the base of suite {suite.name} is missing: no {needed}")
    if pretrained is None:
        base = store.add_folder(source)
    else:
        with tempfile.TemporaryDirectory() as work:
            what = f"the base of suite {suite.name}"
            base = add_adapted(store, Tensors(dequantized(pretrained_file(suite), Path(work), what)), needed, what)
    if base.hash != suite.base.content:
        remove(base.folder)
        what = f"{base.hash[:12]} is not the suite's {suite.base.content[:12]}"
        raise UserError(f"the base of suite {suite.name}, made from {source}: content {what}: other files, or another version of a package")
    return base


def add_adapted(store: Store, weights: Tensors, adapter: Path, what: str) -> Checkpoint:
    """Weights with an adapter added, and the config and the tokenizer that lie beside it, stored. `UserError` where it does not fit them,
    or is damaged; what: names the weights in messages."""
    try:
        with safe_open(adapter, "pt"):
            pass
    except SafetensorError as error:
        raise UserError(f"{what}: {adapter} is damaged ({one_line(error)}); install the package again") from error
    try:
        return store.add_in_fp32(adapted(weights, adapter), adapter.parent)
    except ValueError as error:
        raise UserError(f"{what}: the suite's adapter does not fit it ({one_line(error)}); {_ONE_MODEL}") from error


@torch.no_grad()
def check_takes_adapter(model: Checkpoint, adapter: Path, what: str) -> None:
    """`UserError` where a model computes something else with the config beside an adapter than with its own, or numbers its tokens
    otherwise: it would be replaced by another model without a word. what: names the model in messages."""
    own = load_model(model.folder, what)
    other = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(adapter.parent, local_files_only=True), dtype=torch.float32).eval()
    try:
        other.load_state_dict(own.state_dict())
    except RuntimeError as error:
        raise UserError(f"{what}: the suite's adapter does not fit it ({one_line(error)}); {_ONE_MODEL}") from error
    ids = torch.arange(_SAMPLE)[None] % own.config.get_text_config().vocab_size
    found, wanted = other(input_ids=ids).logits, own(input_ids=ids).logits
    if (found - wanted).abs().max() > _TOLERANCE * wanted.std():
        raise UserError(f"{what}: its config is another one than the suite's adapter was made for; {_ONE_MODEL}")
    ids_of, known = (load_tokenizer(folder).get_vocab() for folder in (model.folder, adapter.parent))
    same = sum(ids_of.get(token) == number for token, number in known.items())
    if same < _SAME_TOKENS * len(known):
        raise UserError(f"{what}: its tokens are others than those that the suite's adapter was made for; {_ONE_MODEL}")
