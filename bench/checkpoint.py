"""Checkpoints as methods see them: immutable named fp32 tensors on disk, known by their content, read one at a time.

`Tensors` is any set of named tensors (a Fisher diagonal, a mask); `Checkpoint` is a model's: an ordinary HF folder that
`from_pretrained` loads. Arithmetic goes through `map`, tensor by tensor, and its result is new tensors or a new checkpoint. Both live
in a `Store`: a folder of folders named by content, so equal results are one folder and a damaged one is noticed by its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WEIGHTS = "model.safetensors"


class DamagedError(RuntimeError):
    """What lies on disk is not what its name says."""


def content_hash(tensors: Iterable[tuple[str, torch.Tensor]], files: Mapping[str, bytes] | None = None) -> str:
    """sha256 of names, shapes, types and bytes of tensors, and of the files beside them, each in order of the names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        if tensor.numel():
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    for name, content in sorted((files or {}).items()):
        digest.update(f"{name}|{len(content)}|".encode() + content)
    return digest.hexdigest()


class Tensors:
    """Named tensors in `folder`/model.safetensors. `hash` is their content's and the folder's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    @property
    def hash(self) -> str:
        return self.folder.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hash[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensors) and self.hash == other.hash

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    def names(self) -> list[str]:
        """Names of the tensors, sorted."""
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            return sorted(file.keys())

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor, on the CPU; KeyError where there is none of that name."""
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            if name not in file.keys():  # noqa: SIM118 (no mapping)
                raise KeyError(f"{self.folder / WEIGHTS} has no tensor {name!r}")
            return file.get_tensor(name)

    def items(self) -> Iterator[tuple[str, torch.Tensor]]:
        """(name, tensor), one in memory at a time, in order of the names."""
        for name in self.names():
            yield name, self.tensor(name)

    def map(self, change: Callable[..., torch.Tensor], *others: Tensors) -> Tensors:
        """change(name, own, *theirs) of every tensor, all of one shape, as new tensors in the same store.

        ValueError where `others` lack a tensor or have it in another shape: tensors of another model.
        """
        return Store(self.folder.parent).add_tensors(self._changed(change, others))

    def _changed(self, change: Callable[..., torch.Tensor], others: Iterable[Tensors]) -> Iterator[tuple[str, torch.Tensor]]:
        for name, own in self.items():
            yield name, change(name, own, *(_matching(other, name, own) for other in others))

    def content(self) -> str:
        """The content's hash as it is on disk now."""
        return content_hash(self.items())

    def verify(self) -> None:
        """Raise `DamagedError` unless the content is what the folder's name says."""
        try:
            found = self.content()
        except Exception as error:
            raise DamagedError(f"{self.folder}: {error}") from error
        if found != self.hash:
            raise DamagedError(f"{self.folder}: its content is {found[:12]}")


class Checkpoint(Tensors):
    """A model: the tensors, and config and tokenizer beside them. Immutable: every change is a new checkpoint."""

    def content(self) -> str:
        return content_hash(self.items(), _files_beside(self.folder))

    def map(self, change: Callable[..., torch.Tensor], *others: Tensors) -> Checkpoint:
        """As `Tensors.map`; the result is a checkpoint, in fp32, with the same config and tokenizer beside it."""
        return Store(self.folder.parent).add_checkpoint(self._changed(change, others), self.folder)


def _files_beside(folder: Path) -> dict[str, bytes]:
    """What a model's folder holds beside its weights."""
    files = [file for file in folder.iterdir() if file.is_file() and ".safetensors" not in file.name and not file.name.startswith(".")]
    return {file.name: file.read_bytes() for file in files}


def _matching(other: Tensors, name: str, own: torch.Tensor) -> torch.Tensor:
    try:
        tensor = other.tensor(name)
    except KeyError:
        tensor = None
    if tensor is None or tensor.shape != own.shape:
        raise ValueError(f"{other.folder} has no tensor {name!r} of shape {tuple(own.shape)}: it is another model's")
    return tensor


class Store:
    """A folder of tensors and checkpoints, each in a folder named by its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def add_tensors(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> Tensors:
        """Named tensors as `Tensors`, in the types they have."""
        return Tensors(self._add({name: tensor.detach().cpu() for name, tensor in tensors}, {}, Tensors))

    def add_checkpoint(self, tensors: Iterable[tuple[str, torch.Tensor]], like: Path) -> Checkpoint:
        """Named tensors as a checkpoint in fp32, with everything but the weights of the HF folder `like` beside them."""
        weights = {name: tensor.detach().float().cpu() for name, tensor in tensors}
        return Checkpoint(self._add(weights, _files_beside(Path(like)), Checkpoint))

    def add_model(self, model: PreTrainedModel, like: Path) -> Checkpoint:
        """The model's weights as they are now; tied weights are stored once."""
        tied = set(getattr(model, "all_tied_weights_keys", {}))
        return self.add_checkpoint(((n, t) for n, t in model.state_dict().items() if n not in tied), like)

    def add_folder(self, folder: Path) -> Checkpoint:
        """Somebody's HF folder as a checkpoint of this store."""
        return self.add_checkpoint(Tensors(folder).items(), folder)

    def _add(self, tensors: dict[str, torch.Tensor], files: Mapping[str, bytes], kind: type[Tensors]) -> Path:
        final = self.folder / content_hash(tensors.items(), files)
        if final.exists():
            try:
                kind(final).verify()
                return final
            except DamagedError:
                shutil.rmtree(final, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        try:
            for name, content in files.items():
                (unfinished / name).write_bytes(content)
            # Cloned: safetensors refuses tensors that share memory.
            save_file({name: tensors[name].clone() for name in sorted(tensors)}, unfinished / WEIGHTS, metadata={"format": "pt"})
            os.replace(unfinished, final)
        except OSError:
            if not final.exists():  # somebody else was first with the same content: theirs is ours
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return final


def threshold_of_share(scores: Callable[[], Iterable[torch.Tensor]], share: float) -> float:
    """The smallest score among the `share` (in (0, 1]) of all coordinates with the largest scores; exact, in constant memory.

    scores: called twice, each time giving all tensors of scores (>= 0) one after another. A float32 that is no less than 0 orders
    like its bits, so one pass counts the upper 16 bits and a second one the lower 16 bits of the bucket that matters.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: must lie in (0, 1]")

    def bits(scored: torch.Tensor) -> torch.Tensor:
        return (scored.float().flatten() + 0.0).view(torch.int32)  # + 0.0 makes -0.0 a 0.0

    upper, total = torch.zeros(1 << 16, dtype=torch.int64), 0
    for scored in scores():
        upper += torch.bincount(bits(scored) >> 16, minlength=1 << 16)
        total += scored.numel()
    if not total:
        raise ValueError("no scores to rank")
    wanted = max(1, round(share * total))
    above = upper.flip(0).cumsum(0).flip(0)
    bucket = int((above >= wanted).nonzero().max())
    wanted -= int(above[bucket + 1]) if bucket + 1 < len(above) else 0
    lower = torch.zeros(1 << 16, dtype=torch.int64)
    for scored in scores():
        own = bits(scored)
        lower += torch.bincount(own[own >> 16 == bucket] & 0xFFFF, minlength=1 << 16)
    place = int((lower.flip(0).cumsum(0).flip(0) >= wanted).nonzero().max())
    return torch.tensor([(bucket << 16) | place], dtype=torch.int32).view(torch.float32).item()
