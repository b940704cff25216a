"""Admits a method's checkpoints and logs from its sandbox: tensors with the model's names and shapes, and files of text.

The folder belongs to the method, which may still be running: any file may be a link, a device or huge, and may change at any time. So
every file is opened without following links anywhere on the way, must be an ordinary one of a bounded size, and is copied before it is
looked at.
"""

from __future__ import annotations

import math
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.worker import outcomes
from bench.worker.jobs import Job, Recover, Stage
from bench.worker.outcomes import Log, Made
from leaderboard.logs import log_of

MAX_LOG = 64_000_000
"""Bytes of the training logs of one job."""
MAX_LOGS = 1_000
MAX_PROMPTS = 10_000_000
MAX_SHARDS = 1_000
_KINDS = ("F32", "I64", "I32", "U8", "BOOL")
"""Of tensors: fp32, as every checkpoint is stored, and counters."""
_HEX = re.compile("[0-9a-f]{64}")
_HEADER = 1_000_000
"""Bytes of a weight file beside its tensors."""


def checked(job: Job, said: Any) -> Made:
    """The outcome that a worker reports for a job. `UserError` where it is none of such a job, or where its numbers are impossible."""
    if not isinstance(job, Stage | Recover):
        raise UserError(f"a {job.kind} job cannot be done in a sandbox")
    try:
        made = outcomes.from_json(said)
    except (ValidationError, RecursionError) as error:
        raise UserError("what its worker answered is not an outcome") from error
    if not isinstance(made, Made) or not _HEX.fullmatch(made.checkpoint):
        raise UserError("what its worker answered does not name a checkpoint")
    suite = job.setup.load_suite()
    costs = [made.flops, made.free, *made.charged.values()]
    impossible = not all(math.isfinite(cost) and cost >= 0 for cost in costs) or not math.isfinite(sum(costs)) or len(made.logs) > MAX_LOGS
    impossible |= isinstance(job, Recover) and made.flops > 0
    # Free is what the baseline run has already: the expert of the first domain.
    impossible |= suite.base is not None and made.free > 2 * suite.stage_flops[job.sequence[0]]
    if impossible:
        raise UserError("what its worker answered has impossible costs")
    access, known = made.access, {"base", *job.sequence}
    named = {*access.checkpoints, *access.experts, *access.prompts}
    counts = [count for by_domain in access.drawn.values() for count in by_domain.values()]
    if not named <= known or not all(0 <= count <= MAX_PROMPTS for count in [*counts, *access.prompts.values()]):
        raise UserError("what its worker answered has impossible access")
    return made


def take_over(content: str, folder: Path, base: Checkpoint, store: Store) -> None:
    """Add a checkpoint, by content hash, from a sandbox's folder to `store`: its tensors, with the config and the tokenizer of `base`.

    `UserError` unless they have the names and shapes of the base's, are finite, and have that hash.
    """
    shapes = base.shapes()
    most = _HEADER + 4 * sum(math.prod(shape) for shape in shapes.values())
    with tempfile.TemporaryDirectory(dir=store.folder, prefix=".taken-") as work:  # which `cache prune` knows
        copies, size = [], 0
        for name in _weight_files(folder, content):
            copies.append(Path(work) / f"{len(copies)}.safetensors")
            size += _copied(folder, ("checkpoints", content, name), copies[-1], most - size)
        where = _places(copies)
        if where.keys() != shapes.keys():
            other = min(where.keys() ^ shapes.keys())
            raise UserError(f"the checkpoint that it made is of another model: {other!r:.80} is in only one of it and the base")
        own = Store(Path(work) / "checkpoints").add_in_fp32(_tensors(where, shapes), base.folder)
        if own.hash != content:
            raise UserError("the checkpoint that it made does not match its content hash")
        if not (store.folder / content).exists():
            own.folder.rename(store.folder / content)


def with_logs(made: Made, folder: Path, logs: Path) -> Made:
    """The same outcome, its logs copied to the folder `logs`. `UserError` where one is no ordinary file of the sandbox's folder or no
    training log, and where they are too long together."""
    copies, left = [], MAX_LOG
    logs.mkdir(parents=True, exist_ok=True)
    for log in made.logs:
        if not log.file.isprintable():
            raise UserError("a log that it names has a name that cannot be shown")
        try:
            parts = Path(log.file).relative_to(folder).parts
        except ValueError:
            raise UserError("a log that it names lies outside its folder") from None
        copy = logs / f"{len(list(logs.iterdir()))}.jsonl"
        left -= _copied(folder, parts, copy, left)
        try:
            log_of(copy.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{'/'.join(parts)[:120]!r} is no training log: {error}") from error
        copies.append(Log(log.what, str(copy)))
    return replace(made, logs=tuple(copies))


def _places(files: list[Path]) -> dict[str, Path]:
    """Name of each tensor in weight files -> its file."""
    where: dict[str, Path] = {}
    for file in files:
        try:
            with safe_open(file, "pt") as opened:
                names = list(opened.keys())
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError("the checkpoint that it made is not a safetensors file") from error
        if where.keys() & set(names):
            raise UserError("the checkpoint that it made has a tensor twice")
        where |= dict.fromkeys(names, file)
    return where


def _tensors(where: dict[str, Path], shapes: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, torch.Tensor]]:
    for name in sorted(where):
        with safe_open(where[name], "pt") as file:
            found = file.get_slice(name)
            shape, kind = tuple(found.get_shape()), found.get_dtype()
            if shape != shapes[name]:
                raise UserError(f"the checkpoint that it made is of another model: {name} has shape {shape}, not {shapes[name]}")
            if kind not in _KINDS:
                raise UserError(f"the checkpoint that it made has numbers of another kind than a model's, in {name}")
            tensor = file.get_tensor(name)
        if not tensor.isfinite().all():
            raise UserError(f"the checkpoint that it made has numbers that are not finite, in {name}")
        yield name, tensor


def _weight_files(folder: Path, content: str) -> list[str]:
    with _opened(folder, ("checkpoints", content), os.O_DIRECTORY) as place:
        names = [name for name in os.listdir(place) if name.endswith(".safetensors")][: MAX_SHARDS + 1]  # noqa: PTH208 (a descriptor)
    if not 1 <= len(names) <= MAX_SHARDS:
        raise UserError("the checkpoint that it made is missing")
    return sorted(names)


def _copied(folder: Path, parts: tuple[str, ...], copy: Path, most: int) -> int:
    """Copy an ordinary file; its size. `UserError` where it is none, or larger than `most` bytes."""
    size = 0
    with _opened(folder, parts) as place, copy.open("wb") as out:
        while block := os.read(place, 1 << 20):
            size += len(block)
            if size > most:
                raise UserError(f"{'/'.join(parts)} is too large")
            out.write(block)
    return size


@contextmanager
def _opened(folder: Path, parts: tuple[str, ...], flags: int = 0) -> Iterator[int]:
    """A descriptor of a file or folder below `folder`, reached without following a link. `UserError` where it cannot be, or is a device."""
    held = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for part in parts[:-1]:
            if part in ("..", "."):
                raise OSError("not a plain path")
            held.append(os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=held[-1]))
        if parts[-1:] in ((), ("..",), (".",)):
            raise OSError("not a plain path")
        held.append(os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, dir_fd=held[-1]))
        kind = os.fstat(held[-1]).st_mode
        if not (stat.S_ISDIR(kind) if flags & os.O_DIRECTORY else stat.S_ISREG(kind)):
            raise OSError("not an ordinary file")
        yield held[-1]
    except OSError as error:
        raise UserError(f"{'/'.join(parts)[:120]!r} is not an ordinary file of its folder ({error.strerror or error})") from error
    finally:
        for descriptor in held:
            os.close(descriptor)
