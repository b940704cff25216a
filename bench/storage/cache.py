"""The cache: what was computed once is found again by its inputs, whoever asks, and is the same bytes for all.

An entry is a folder named by the sha256 of the canonical JSON of its key; it appears whole, by one rename, and only after the
checkpoints it names. One lock a key; the first rename wins and a later maker adopts the winner's. Content hashes stand in the entry,
so damage is noticed on reading, and the entry is made again. Its cost stands there too: a cached cost is a fresh cost.

    <cache>/checkpoints/<content>/   tensors and models, named by content
    <cache>/entries/<key>/           entry.json and its files
    <cache>/work/<key>/              what an unfinished maker wants to find again
    <cache>/jobs.jsonl               how long jobs took (bench.runs.forecast)
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.checkpoint import Checkpoint, DamagedError, Store, Tensors
from bench.errors import UserError
from bench.files import default_cache, file_hash, key_hash, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One remembered result. value: small JSON; flops: what it cost when made; folder: its files."""

    key: str
    kind: str
    value: dict[str, Any]
    flops: float
    folder: Path


@dataclass
class Made:
    """What a maker returns: `value`, whose "checkpoint" and "tensors" (where there) name folders of the store, and its cost."""

    value: dict[str, Any]
    flops: float = 0.0


class Cache:
    """A cache in a folder, made on first use. `made` counts the entries that this object had to make."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_cache()
        self.store = Store(self.folder / "checkpoints")
        self._verified: set[str] = set()
        self.made = 0

    def checkpoint(self, content: str) -> Checkpoint:
        """The checkpoint of a content hash."""
        return Checkpoint(self.store.folder / content)

    def tensors(self, content: str) -> Tensors:
        """The tensors of a content hash."""
        return Tensors(self.store.folder / content)

    def find(self, kind: str, key: Mapping[str, Any]) -> Entry | None:
        """The entry of a key where it is there and sound; a damaged one is named in the log and left to `remember`."""
        name = key_hash({"kind": kind, **key})
        folder = self.folder / "entries" / name
        if not folder.exists():
            return None
        try:
            return self._read(name, folder)
        except (DamagedError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("cache entry %s (%s) is damaged and will be made again: %s", name[:12], kind, error)
            return None

    def remember(self, kind: str, key: Mapping[str, Any], make: Callable[[Path, Path], Made]) -> Entry:
        """The entry of a key, made if need be by make(files, work).

        files: an empty folder that becomes the entry's; work: a folder that outlives an interruption, for `make` to go on from.
        """
        found = self.find(kind, key)
        if found is not None:
            return found
        name = key_hash({"kind": kind, **key})
        locks = self.folder / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / name):
            found = self.find(kind, key)
            if found is not None:
                return found
            shutil.rmtree(self.folder / "entries" / name, ignore_errors=True)
            work = self.folder / "work" / name
            entries = self.folder / "entries"
            work.mkdir(parents=True, exist_ok=True)
            entries.mkdir(parents=True, exist_ok=True)
            unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=entries))
            try:
                made = make(unfinished, work)
                files = {file.name: file_hash(file) for file in sorted(unfinished.iterdir())}
                entry = {"kind": kind, "key": dict(key), "value": made.value, "flops": made.flops, "files": files}
                write_json(unfinished / "entry.json", entry | {"seal": key_hash(entry)})
                os.replace(unfinished, entries / name)
            except OSError:
                if not (entries / name).exists():  # another was first, where locks do not reach: its bytes are ours
                    raise
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
            self.made += 1
            return self._read(name, entries / name)

    def _read(self, name: str, folder: Path) -> Entry:
        entry = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        if name not in self._verified:
            sealed = entry.pop("seal")
            if key_hash(entry) != sealed:
                raise DamagedError("entry.json was changed")
            for file, expected in entry["files"].items():
                if file_hash(folder / file) != expected:
                    raise DamagedError(f"{file} was changed")
            if "checkpoint" in entry["value"]:
                self._verify(self.checkpoint(entry["value"]["checkpoint"]))
            if "tensors" in entry["value"]:
                self._verify(self.tensors(entry["value"]["tensors"]))
            self._verified.add(name)
        return Entry(name, entry["kind"], entry["value"], entry["flops"], folder)

    @staticmethod
    def _verify(stored: Tensors) -> None:
        try:
            stored.verify()
        except DamagedError:
            shutil.rmtree(stored.folder, ignore_errors=True)
            raise

    def size(self) -> dict[str, tuple[int, int]]:
        """Number and bytes of entries by kind, and of checkpoints."""
        sizes: dict[str, tuple[int, int]] = {}
        for folder in sorted((self.folder / "entries").glob("[!.]*")):
            try:
                kind = json.loads((folder / "entry.json").read_text(encoding="utf-8"))["kind"]
            except (OSError, ValueError, KeyError, TypeError):
                kind = "damaged"
            count, total = sizes.get(kind, (0, 0))
            sizes[kind] = (count + 1, total + _folder_bytes(folder))
        stored = list((self.folder / "checkpoints").glob("[!.]*"))
        sizes["checkpoints"] = (len(stored), sum(map(_folder_bytes, stored)))
        return sizes

    def prune(self) -> int:
        """Remove everything; returns the bytes freed. `UserError` while a process computes an entry."""
        with ExitStack() as held:
            for lock in sorted((self.folder / "locks").glob("*")):
                try:
                    held.enter_context(FileLock(lock, timeout=0))
                except Timeout as error:
                    raise UserError(f"cache {self.folder} is in use by a running command: wait for it to end") from error
            freed = 0
            (self.folder / "jobs.jsonl").unlink(missing_ok=True)
            for part in ("entries", "checkpoints", "work", "logs", "locks"):
                freed += _folder_bytes(self.folder / part)
                shutil.rmtree(self.folder / part, ignore_errors=True)
        return freed


def _folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
