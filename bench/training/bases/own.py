"""A suite's own base, from the folder that ships with the package."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.checkpoint import Checkpoint, Store, Tensors
from bench.errors import UserError
from bench.files import remove
from bench.storage.gguf import pretrained_file
from bench.suite import Suite
from bench.training.bases.adapters import adapted
from bench.training.dequantize import dequantized
from bench.weights import WEIGHTS


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
    """Weights with an adapter added, and the config and the tokenizer that lie beside it, stored. `UserError` where it does not fit them;
    what: names the weights in messages."""
    try:
        return store.add_in_fp32(adapted(weights, adapter), adapter.parent)
    except ValueError as error:
        raise UserError(
            f"{what}: the suite's adapter does not fit it ({error}); the suite takes models of one architecture and size"
        ) from error
