"""The cache: results are found again by the hash of their inputs, and every process reads the same bytes.

An entry is a folder named by the sha256 of the canonical JSON of its kind and key. It appears by one rename, after the checkpoints that it
names. There is one lock per key; the first rename wins, and a process that finishes later uses the winner's entry. An entry holds the
hashes of its files, its own key and a seal over both, so that damage, edits and entries copied over others are noticed on reading; the
entry is then made again. It also holds its cost: the cost of a cached result equals that of a fresh one.

    <cache>/CACHEDIR.TAG             marks the folder as a cache of ours; without it, nothing is written or deleted
    <cache>/checkpoints/<content>/   tensors and models, named by content hash
    <cache>/entries/<key>/           entry.json and its files
    <cache>/work/<key>/              snapshots of an unfinished computation
    <cache>/locks/<key>              held while an entry is made
    <cache>/locks/command-*          held while a command runs
    <cache>/jobs.jsonl               how long jobs took (bench.runs.forecast)
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.checkpoint import Checkpoint, DamagedError, Store, Tensors
from bench.errors import UserError
from bench.files import (
    DISK_FAILS,
    cache_gate,
    check_cache,
    default_cache,
    disk_error,
    disk_failure,
    file_hash,
    foreign,
    is_cache,
    key_hash,
    remove,
    write_json,
)

log = logging.getLogger(__name__)

_UNREADABLE = (DamagedError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a damaged entry.json raises: missing, cut, not JSON, JSON of another shape, nested too deeply."""


@dataclass(frozen=True)
class Cached:
    """One cached result. value: small JSON; flops: what it cost when made; folder: its files; work: the key without its owner, the same for
    whoever made it."""

    key: str
    kind: str
    value: dict[str, Any]
    flops: float
    folder: Path
    work: str


@dataclass
class Computed:
    """What a maker returns: `value`, whose "checkpoint" and "tensors" (if present) name folders of the store, and its cost in FLOPs."""

    value: dict[str, Any]
    flops: float = 0.0


class Cache:
    """A cache in a folder that is made on first use.

    owner: a namespace for results that a user's own code could have influenced. Such a cache reads the common entries (of owner "") and its
    own, and writes only its own. made, made_flops: number and cost of the entries that this object made.
    """

    def __init__(self, folder: Path | None = None, owner: str = "") -> None:
        self.folder = Path(folder) if folder is not None else default_cache()
        self.owner = owner
        self.made = 0
        self.made_flops = 0.0
        self._verified: set[str] = set()
        self._states: dict[str, tuple] = {}

    def prepare(self) -> None:
        """Make the folder and its marker. `UserError` where it cannot be written, or holds other files and no marker."""
        check_cache(self.folder)

    @cached_property
    def store(self) -> Store:
        """The checkpoints; the cache's folder is made if need be."""
        self.prepare()
        return Store(self.folder / "checkpoints")

    def checkpoint(self, content: str) -> Checkpoint:
        """The checkpoint of a content hash. Nothing is read; see `verified` and `Checkpoint.require`."""
        return Checkpoint(self.folder / "checkpoints" / content)

    def tensors(self, content: str) -> Tensors:
        """The tensors of a content hash. Nothing is read."""
        return Tensors(self.folder / "checkpoints" / content)

    def verified(self, content: str) -> Checkpoint:
        """The checkpoint of a content hash, its content read and hashed; again only when its files have changed since this object did so.

        `UserError` where it is not in this cache; `DamagedError` where its content is another (it is then deleted, to be made again).
        """
        checkpoint = self.checkpoint(content).require()
        self._verify(checkpoint)
        return checkpoint

    def find(self, kind: str, key: Mapping[str, Any]) -> Cached | None:
        """The entry of a key if it exists and is sound, the common one before the owner's; damage is logged and left to `remember`."""
        for name in dict.fromkeys([key_hash({"kind": kind, **key}), self._name(kind, key)]):
            folder = self.folder / "entries" / name
            if os.path.lexists(folder):
                try:
                    return self._read(name, folder)
                except _UNREADABLE as error:
                    log.warning("cache entry %s (%s) is damaged and will be made again: %s", name[:12], kind, error)
        return None

    def remember(self, kind: str, key: Mapping[str, Any], make: Callable[[Path, Path], Computed]) -> Cached:
        """The entry of a key, made if need be by make(files, work).

        files: an empty folder that becomes the entry's; work: a folder that survives an interruption, for `make` to resume from.
        `UserError` where the cache's folder cannot be written, or where a disk is full and `make` names no file elsewhere.
        """
        found = self.find(kind, key)
        if found is not None:
            return found
        self.prepare()
        name = self._name(kind, key)
        try:
            for part in ("locks", "work", "entries"):
                (self.folder / part).mkdir(exist_ok=True)
            with FileLock(self.folder / "locks" / name):
                return self.find(kind, key) or self._make(kind, key, make)
        except UserError:
            raise
        except Exception as error:
            failed = error if isinstance(error, OSError) else disk_failure(error)
            if failed is not None and str(failed.filename).startswith(str(self.folder)):
                raise disk_error(f"cache {self.folder}", failed) from error
            if failed is not None and failed.filename is None and failed.errno in DISK_FAILS:
                raise disk_error(f"cache {self.folder}, or the temporary files in {tempfile.gettempdir()}", failed) from error
            raise

    def _name(self, kind: str, key: Mapping[str, Any]) -> str:
        return key_hash({"kind": kind, **self._own(key)})

    def _own(self, key: Mapping[str, Any]) -> dict[str, Any]:
        return {**key, "owner": self.owner} if self.owner else dict(key)

    def _make(self, kind: str, key: Mapping[str, Any], make: Callable[[Path, Path], Computed]) -> Cached:
        name = self._name(kind, key)
        final, work = self.folder / "entries" / name, self.folder / "work" / name
        remove(final)
        if not work.is_dir():
            remove(work)
            work.mkdir()
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=final.parent))
        try:
            made = make(unfinished, work)
            files = {file.name: file_hash(file) for file in sorted(unfinished.iterdir())}
            entry = {"kind": kind, "key": self._own(key), "value": made.value, "flops": made.flops, "files": files}
            write_json(unfinished / "entry.json", entry | {"seal": key_hash(entry)})
            os.replace(unfinished, final)
        except OSError:
            if not final.exists():  # where locks do not work, another process may have made it first: use its bytes
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
        read = self._read(name, final)
        self.made += 1
        self.made_flops += read.flops
        return read

    def _read(self, name: str, folder: Path) -> Cached:
        entry = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        if name not in self._verified:
            sealed = entry.pop("seal")
            if key_hash(entry) != sealed:
                raise DamagedError("entry.json was changed")
            if key_hash({"kind": entry["kind"], **entry["key"]}) != name:
                raise DamagedError(f"it is the entry of another key ({entry['kind']})")
            for file, expected in entry["files"].items():
                if file_hash(folder / file) != expected:
                    raise DamagedError(f"{file} was changed")
            if "checkpoint" in entry["value"]:
                self._verify(self.checkpoint(entry["value"]["checkpoint"]))
            if "tensors" in entry["value"]:
                self._verify(self.tensors(entry["value"]["tensors"]))
            self._verified.add(name)
        own = {name: value for name, value in entry["key"].items() if name != "owner"}
        work = key_hash({"kind": entry["kind"], **own})
        return Cached(name, entry["kind"], entry["value"], entry["flops"], folder, work)

    def _verify(self, stored: Tensors) -> None:
        if not re.fullmatch("[0-9a-f]{64}", stored.hash) or stored.folder.parent != self.folder / "checkpoints":
            raise DamagedError(f"{stored.folder} is not a folder of the store")  # and must not be deleted below
        try:
            state = _state(stored.folder)
            if self._states.get(stored.hash) != state:
                stored.verify()
                self._states[stored.hash] = state
        except (DamagedError, FileNotFoundError, NotADirectoryError) as error:
            remove(stored.folder)
            raise DamagedError(str(error)) from error

    def size(self) -> dict[str, tuple[int, int]]:
        """Number and bytes of entries by kind, of checkpoints, and of what is unfinished where something is: snapshots of running work and
        what interruptions left. `UserError` where the folder is a file."""
        self._exists()
        sizes: dict[str, tuple[int, int]] = {}
        for folder in sorted((self.folder / "entries").glob("[!.]*")):
            try:
                kind = str(json.loads((folder / "entry.json").read_text(encoding="utf-8"))["kind"])
            except _UNREADABLE:
                kind = "damaged"
            count, total = sizes.get(kind, (0, 0))
            sizes[kind] = (count + 1, total + _bytes(folder))
        stored = list((self.folder / "checkpoints").glob("[!.]*"))
        sizes["checkpoints"] = (len(stored), sum(map(_bytes, stored)))
        unfinished = [path for pattern in ("work/*", "entries/.*", "checkpoints/.*") for path in self.folder.glob(pattern)]
        return sizes | ({"unfinished": (len(unfinished), sum(map(_bytes, unfinished)))} if unfinished else {})

    def prune(self) -> int:
        """Delete everything but the marker; returns the bytes freed.

        `UserError` where the folder is not a cache of ours, while a command uses it, and where something could not be deleted.
        """
        if not self._exists() or not any(self.folder.iterdir()):
            return 0
        if not is_cache(self.folder):
            raise foreign(self.folder, "--cache")
        parts = [self.folder / name for name in ("jobs.jsonl", "entries", "checkpoints", "work", "logs", "locks")]
        before = sum(map(_bytes, parts))
        with cache_gate(self.folder):
            self._check_unused()
            for part in parts:
                if not part.is_symlink():  # somebody put it on another disk: what lies there is not below our marker
                    remove(part)
        left = [part for part in parts if os.path.lexists(part)]
        freed = before - sum(map(_bytes, left))
        if left:
            names = ", ".join(part.name for part in left)
            raise UserError(f"cache {self.folder}: freed {freed / 1e6:.1f} MB, but {names} could not be deleted; delete it yourself")
        return freed

    def _check_unused(self) -> None:
        """`UserError` while a command holds one of the locks."""
        for lock in sorted((self.folder / "locks").glob("*")):  # in turn: a process may not hold as many files open as there are entries
            try:
                with FileLock(lock, timeout=0):
                    pass
            except Timeout as error:
                raise UserError(f"cache {self.folder} is in use by a running command: wait for it to end") from error

    def _exists(self) -> bool:
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise UserError(f"--cache {self.folder}: a file, not a folder; choose another folder")
            return self.folder.exists()
        except OSError as error:
            raise disk_error(f"--cache {self.folder}", error) from error


def _bytes(path: Path) -> int:
    """Bytes of a file, or of the files in a folder; links count as themselves."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size if os.path.lexists(path) else 0
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_symlink() or file.is_file())


def _state(folder: Path) -> tuple:
    """Changes whenever a file in a folder does; no program can set the time of a change (ctime) back."""
    with os.scandir(folder) as files:
        stats = sorted((file.name, file.stat()) for file in files)
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for name, stat in stats)
