"""Named tensors in a folder, as HF writes them: model.safetensors, or shards and an index. Read in pieces, written as a stream.

At most one shard is in memory at a time, so a small machine can read, change and write a model of any size.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 1 << 30
"""Largest size of a file, and so the memory that writing needs (a larger tensor has its own file)."""
PIECE = 1 << 24
"""Number of coordinates read at a time by `pieces`."""


class WeightFiles:
    """The tensors in a folder. OSError or safetensors' error where files are missing or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @cached_property
    def _file_of(self) -> dict[str, Path]:
        single, index = self.folder / WEIGHTS, self.folder / INDEX
        if single.exists() or not index.exists():
            with _opened(single) as file:
                return dict.fromkeys(file.keys(), single)
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            return {name: self.folder / file for name, file in named.items()}
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{index} is not an index of shards ({type(error).__name__}: {error})") from error

    def names(self) -> list[str]:
        """Names of the tensors, sorted."""
        return sorted(self._file_of)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, from the file's header."""
        with self._open(name) as file:
            return tuple(file.get_slice(name).get_shape())

    def dtype(self, name: str) -> torch.dtype:
        """A tensor's dtype on disk."""
        with self._open(name) as file:
            return file.get_slice(name)[:0].dtype if file.get_slice(name).get_shape() else file.get_tensor(name).dtype

    def tensor(self, name: str, rows: slice | None = None) -> torch.Tensor:
        """One tensor, or some of its rows, on the CPU. KeyError for an unknown name."""
        with self._open(name) as file:
            return file.get_tensor(name) if rows is None else file.get_slice(name)[rows]

    def pieces(self, name: str) -> list[slice | None]:
        """Slices of rows that cover a tensor, at most `PIECE` coordinates each but at least one row; None: all at once."""
        shape = self.shape(name)
        size = torch.Size(shape).numel()
        if not shape or size <= PIECE:
            return [None]
        step = max(1, PIECE * shape[0] // size)
        return [slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step)]

    def _open(self, name: str) -> Any:
        if name not in self._file_of:
            raise KeyError(f"{self.folder} has no tensor {name!r}")
        return _opened(self._file_of[name])  # for each read: closing a file frees its memory map


def _opened(file: Path) -> Any:
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder")  # safetensors reports it as a missing device
    return safe_open(file, "pt")


class Digest:
    """sha256 of names, shapes, types and bytes of tensors, added in order of their names, and of files beside them."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """The next tensor, on the CPU and contiguous."""
        self._sha.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        if tensor.numel():
            self._sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)

    def finish(self, files: Mapping[str, bytes]) -> str:
        """The hash in hex, with files (name -> bytes) after the tensors."""
        for name, content in sorted(files.items()):
            self._sha.update(f"{name}|{len(content)}|".encode() + content)
        return self._sha.hexdigest()


def write_weights(folder: Path, tensors: Iterable[tuple[str, torch.Tensor]], *, shard_bytes: int = SHARD_BYTES) -> None:
    """Write tensors (on the CPU, contiguous) to a folder, one shard in memory at a time: model.safetensors, or shards with an index.

    OSError where the disk is full or read-only.
    """
    parts: list[list[str]] = []
    held: dict[str, torch.Tensor] = {}
    total = size = 0

    def flush() -> None:
        file = folder / f"part-{len(parts)}.safetensors"
        try:
            save_file(_apart(held), file, metadata={"format": "pt"})
        except SafetensorError as error:  # it hides the system's error in its text: a full disk must not look like a bug
            if number := re.search(r"os error (\d+)", str(error)):
                raise OSError(int(number[1]), os.strerror(int(number[1])), str(file)) from error
            raise
        parts.append(list(held))
        held.clear()

    for name, tensor in tensors:
        if held and size + tensor.nbytes > shard_bytes:
            flush()
            size = 0
        held[name] = tensor
        size += tensor.nbytes
        total += tensor.nbytes
    if held or not parts:
        flush()
    if len(parts) == 1:
        (folder / "part-0.safetensors").rename(folder / WEIGHTS)
        return
    shards = [f"model-{number:05d}-of-{len(parts):05d}.safetensors" for number in range(1, len(parts) + 1)]
    for number, shard in enumerate(shards):
        (folder / f"part-{number}.safetensors").rename(folder / shard)
    where = {name: shard for shard, names in zip(shards, parts, strict=True) for name in names}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": where}, indent=2) + "\n", encoding="utf-8")


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors, none sharing memory with another or being a view of a larger one: safetensors refuses those."""
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage()
        alone = storage.nbytes() == tensor.nbytes and storage.data_ptr() not in seen
        seen.add(storage.data_ptr())
        found[name] = tensor if alone else tensor.clone()
    return found
