"""Checkpoints as methods see them: immutable named tensors on disk, identified by their content, read one at a time, in fp32.

`Tensors` is any set of named tensors (a Fisher diagonal, a mask). `Checkpoint` holds a model: an ordinary HF folder that `from_pretrained`
loads, in one file or in shards, in its original dtype. Arithmetic goes through `map`; the result is new tensors or a new checkpoint, in
fp32, because a stage of RL changes most weights by less than bf16 can represent. Both live in a `Store`: a folder of folders named by
content hash, so equal results share one folder, and damage shows because the content no longer matches the name.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from safetensors import SafetensorError

from bench.errors import UserError
from bench.files import remove
from bench.weights import Digest, WeightFiles, write_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_BESIDE = (".json", ".jinja", ".model", ".txt")
"""Suffixes of the files that make a folder of weights a model: config, tokenizer, chat template."""
_DAMAGE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, KeyError, ValueError, SafetensorError)
"""What reading a damaged folder raises: missing files, or files of the wrong kind or shape. Other errors (too many open files) can pass."""


class DamagedError(RuntimeError):
    """The content on disk does not match its name."""


def content_hash(tensors: Iterable[tuple[str, torch.Tensor]], files: Mapping[str, bytes] | None = None) -> str:
    """sha256 of names, shapes, types and bytes of tensors, and of the files beside them, each in order of the names."""
    digest = Digest()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.add(name, tensor.detach().cpu().contiguous())
    return digest.finish(files or {})


class Tensors:
    """Named tensors in `folder`. `hash` is the hash of their content and the folder's name."""

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

    @cached_property
    def _files(self) -> WeightFiles:
        return WeightFiles(self.folder)

    def require(self) -> Self:
        """This object. `UserError` where its folder does not exist: the run's checkpoints are in another cache, or were pruned."""
        if not self.folder.is_dir():
            raise UserError(
                f"checkpoint {self.hash[:12]} is not in the cache {self.folder.parent.parent}; "
                "pass the --cache that it was made with, or rerun the command that made it"
            )
        return self

    def names(self) -> list[str]:
        """Names of the tensors, sorted."""
        return self._files.names()

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, by name. Reads headers only."""
        return {name: self._files.shape(name) for name in self.names()}

    def tensor(self, name: str, rows: slice | None = None) -> torch.Tensor:
        """One tensor, or some of its rows, on the CPU. KeyError for an unknown name."""
        return self._files.tensor(name, rows)

    def items(self) -> Iterator[tuple[str, torch.Tensor]]:
        """(name, tensor) in order of the names, one in memory at a time."""
        for name in self.names():
            yield name, self.tensor(name)

    def pieces(self, *others: Tensors) -> Iterator[tuple[str, torch.Tensor, *tuple[torch.Tensor, ...]]]:
        """(name, own, *theirs): the same coordinates of each, a few rows of a tensor at a time, so that memory stays small.

        ValueError where `others` lack a tensor or have it in another shape (they belong to another model).
        """
        for name in self.names():
            for rows in self._matching(name, others, self._files.pieces(name)):
                yield name, self.tensor(name, rows), *(other.tensor(name, rows) for other in others)

    def map(self, change: Callable[..., torch.Tensor], *others: Tensors, elementwise: bool = False) -> Tensors:
        """Apply change(name, own, *theirs) to every tensor, all of one shape; returns new tensors in the same store.

        elementwise: each coordinate's result depends on that coordinate, or on its row (along the last dimension), only; so matrices of
        more than 16.8 M coordinates are passed in pieces of whole rows. micro has none: there a wrong `elementwise` does not show.
        ValueError where `change` returns another shape, and where `others` lack a tensor or have it in another shape (they belong to
        another model).
        """
        return Store(self.folder.parent).add_tensors(self._changed(partial(_applied, change), others, elementwise))

    def _changed(
        self, change: Callable[..., torch.Tensor], others: Iterable[Tensors], elementwise: bool
    ) -> Iterator[tuple[str, torch.Tensor]]:
        for name in self.names():
            places = self._matching(name, others, self._files.pieces(name) if elementwise else [None])
            parts = (change(name, self.tensor(name, rows), *(other.tensor(name, rows) for other in others)) for rows in places)
            yield name, _filled(parts, self._files.shape(name)) if len(places) > 1 else next(parts)

    def _matching(self, name: str, others: Iterable[Tensors], places: list[slice | None]) -> list[slice | None]:
        """`places`, after checking that the others have this tensor in the same shape."""
        shape = self._files.shape(name)
        for other in others:
            try:
                found = other._files.shape(name)
            except KeyError:
                found = None
            if found != shape:
                raise ValueError(f"{other.folder} has no tensor {name!r} of shape {shape}: it belongs to another model")
        return places

    def content(self) -> str:
        """Hash of the content that is on disk now."""
        return self._digest({})

    def _digest(self, files: Mapping[str, bytes]) -> str:
        digest, stored = Digest(), WeightFiles(self.folder)
        for name in stored.names():
            digest.add(name, stored.tensor(name))
        return digest.finish(files)

    def verify(self) -> None:
        """Raise `DamagedError` unless the content's hash equals the folder's name."""
        try:
            found = self.content()
        except _DAMAGE as error:
            raise DamagedError(f"{self.folder}: {error}") from error
        if found != self.hash:
            raise DamagedError(f"{self.folder}: its content is {found[:12]}")


class Checkpoint(Tensors):
    """A model: its tensors, config and tokenizer. Immutable: every change makes a new checkpoint.

    Tensors are read in fp32 whatever their dtype on disk, and results of `map` are stored in fp32.
    """

    def content(self) -> str:
        return self._digest(_files_beside(self.folder))

    def tensor(self, name: str, rows: slice | None = None) -> torch.Tensor:
        found = super().tensor(name, rows)
        return found.float() if found.is_floating_point() else found

    def map(self, change: Callable[..., torch.Tensor], *others: Tensors, elementwise: bool = False) -> Checkpoint:
        """As `Tensors.map`; the result is a checkpoint in fp32 with the same config and tokenizer. Integer tensors (counters) stay as they
        are."""

        def stored(name: str, own: torch.Tensor, *theirs: torch.Tensor) -> torch.Tensor:
            return _applied(change, name, own, *theirs).float() if own.is_floating_point() else own

        return Store(self.folder.parent).add_in_fp32(self._changed(stored, others, elementwise), self.folder)


def _applied(change: Callable[..., torch.Tensor], name: str, own: torch.Tensor, *theirs: torch.Tensor) -> torch.Tensor:
    """change(name, own, *theirs). ValueError where that is no tensor of the shape of `own`."""
    found = change(name, own, *theirs)
    if not isinstance(found, torch.Tensor) or found.shape != own.shape:
        what = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else f"a {type(found).__name__}"
        raise ValueError(f"map: the change of {name} returned {what}; return a tensor of shape {tuple(own.shape)}")
    return found


def _filled(parts: Iterator[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    """The tensor that consists of these rows, without holding all parts twice."""
    whole, at = None, 0
    for part in parts:
        whole = torch.empty(shape, dtype=part.dtype) if whole is None else whole
        whole[at : at + len(part)] = part
        at += len(part)
    assert whole is not None
    return whole


def _files_beside(folder: Path) -> dict[str, bytes]:
    """Content of the config, tokenizer and template files in a model's folder, by name."""
    files = [f for f in folder.iterdir() if f.is_file() and f.suffix in _BESIDE and ".safetensors" not in f.name and f.name[0] != "."]
    return {file.name: file.read_bytes() for file in files}


def _tied(folder: Path) -> dict[str, str]:
    """Tied weights: name -> the tensor whose values it shares. Empty where transformers cannot build a model from the folder's config."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):
            return dict(AutoModelForCausalLM.from_config(config, trust_remote_code=False).all_tied_weights_keys)
    except Exception:  # a broken config raises almost anything; `bench.training.models` reports it when the model is loaded
        return {}


def _in_fp32(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files of a model whose weights are fp32 now; with another dtype in its config, transformers would round them on loading."""
    config = json.loads(files["config.json"]) if "config.json" in files else {}
    said = {key: "float32" for key in ("dtype", "torch_dtype") if config.get(key) not in (None, "float32")}
    return files | {"config.json": (json.dumps(config | said, indent=2) + "\n").encode()} if said else files


class Store:
    """A folder of tensors and checkpoints, each in a folder named by its content hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def add_tensors(self, tensors: Iterable[tuple[str, torch.Tensor]]) -> Tensors:
        """Store named tensors as `Tensors`, in the dtypes they have. An iterator must yield them in order of their names (ValueError
        otherwise), so that one at a time is in memory."""
        return Tensors(self._add(tensors, {}, Tensors))

    def add_checkpoint(self, tensors: Iterable[tuple[str, torch.Tensor]], like: Path) -> Checkpoint:
        """Store named tensors as a checkpoint, in the dtypes they have, with config and tokenizer of the HF folder `like`."""
        return Checkpoint(self._add(tensors, _files_beside(Path(like)), Checkpoint))

    def add_model(self, model: PreTrainedModel, like: Path) -> Checkpoint:
        """Store a model's current weights in fp32; tied weights are stored once."""
        tied = set(getattr(model, "all_tied_weights_keys", {}))
        state = [(name, tensor.detach()) for name, tensor in model.state_dict().items() if name not in tied]
        tensors = ((name, t.float() if t.is_floating_point() else t) for name, t in sorted(state, key=lambda pair: pair[0]))
        return self.add_in_fp32(tensors, like)

    def add_in_fp32(self, tensors: Iterable[tuple[str, torch.Tensor]], like: Path) -> Checkpoint:
        """Store named tensors that are fp32 now as a checkpoint, and set the dtype in its config."""
        return Checkpoint(self._add(tensors, _in_fp32(_files_beside(Path(like))), Checkpoint))

    def add_folder(self, folder: Path) -> Checkpoint:
        """Store an HF folder as a checkpoint, its tensors unchanged; tied weights that are in the files twice are stored once."""
        found = Tensors(folder)
        pairs = [pair for pair in _tied(folder).items() if set(pair) <= set(found.names())]
        twice = {name for name, source in pairs if torch.equal(found.tensor(name), found.tensor(source))}
        return self.add_checkpoint((pair for pair in found.items() if pair[0] not in twice), folder)

    def _add(self, tensors: Iterable[tuple[str, torch.Tensor]], files: Mapping[str, bytes], kind: type[Tensors]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=self.folder))
        digest = Digest()

        def passing() -> Iterator[tuple[str, torch.Tensor]]:
            last = ""
            for name, tensor in tensors if isinstance(tensors, Iterator) else sorted(tensors, key=lambda pair: pair[0]):
                if name < last:
                    raise ValueError(f"tensor {name!r} comes after {last!r}: give an iterator's tensors in order of their names")
                last = name
                whole = tensor.detach().cpu().contiguous()
                digest.add(name, whole)
                yield name, whole

        try:
            for name, content in files.items():
                (unfinished / name).write_bytes(content)
            write_weights(unfinished, passing())
            final = self.folder / digest.finish(files)
            if os.path.lexists(final):
                try:
                    kind(final).verify()
                    return final
                except DamagedError:
                    remove(final)
            try:
                os.replace(unfinished, final)
            except OSError:
                if not final.exists():  # another process stored the same content first
                    raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return final


def threshold_of_share(scores: Callable[[], Iterable[torch.Tensor]], share: float) -> float:
    """The smallest score among the `share` (in (0, 1]) of all coordinates with the largest scores; exact, in constant memory.

    scores: called twice, each time yielding all tensors of scores (>= 0). A non-negative float32 sorts like its bits, so one pass counts
    the upper 16 bits and a second pass counts the lower 16 bits of the bucket that contains the threshold.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share}: must lie in (0, 1]")

    def bits(scored: torch.Tensor) -> torch.Tensor:
        return (scored.float().flatten() + 0.0).cpu().view(torch.int32)  # + 0.0 makes -0.0 a 0.0

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
