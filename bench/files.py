"""Files and hashes that need no torch: canonical JSON, atomic writes, folders that can be written, the cache's folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from bench.errors import MachineError, UserError

CACHE_VARIABLE = "BENCH_CACHE"
"""Environment variable that puts the cache elsewhere."""
MODELS_VARIABLE = "BENCH_MODELS"
"""Environment variable that puts pretrained models elsewhere."""
MARKER = "CACHEDIR.TAG"
"""File by which a folder is known to be a cache of ours. Backup programs know the name and skip such folders (bford.info/cachedir)."""
_FULL = (errno.ENOSPC, errno.EDQUOT)
DISK_FAILS = (*_FULL, errno.EROFS)
"""Error numbers of a disk that is full, or turned read-only."""
_MARKER_TEXT = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Cache of interference-bench. Everything here can be computed again; `python -m bench cache prune` empties it.\n"
)


def default_cache() -> Path:
    """$BENCH_CACHE, or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("interference-bench"))


def default_models() -> Path:
    """$BENCH_MODELS, or a folder of the user's data: pretrained models that bases of suites are made from. Emptying the cache leaves it."""
    chosen = os.environ.get(MODELS_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir("interference-bench")) / "models"


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values, equal text. TypeError or ValueError for what is no JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_hash(key: Mapping[str, Any]) -> str:
    """sha256 of a key's canonical JSON."""
    return hashlib.sha256(canonical(key).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """`content` under a temporary name, then renamed. The name is always the same, so what an interruption leaves is written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def remove(path: Path) -> None:
    """Delete a folder, a file or a link (not its target). What cannot be deleted is left."""
    if path.is_symlink() or path.is_file():
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def disk_failure(error: BaseException) -> OSError | None:
    """The failure of a disk (`DISK_FAILS`) that an error is or came from; None where there is none. Libraries hide it: torch raises a
    RuntimeError while one is being handled, and safetensors names only its number."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, OSError) and at.errno in DISK_FAILS:
            return at
        number = re.search(r"\(os error (\d+)\)", str(at))
        if number and int(number[1]) in DISK_FAILS:
            return OSError(int(number[1]), os.strerror(int(number[1])))
        at = at.__cause__ or at.__context__
    return None


def disk_error(what: str, error: OSError) -> MachineError:
    """An error of the disk or of a path as one line. what: the option and the path, such as "--out runs"."""
    full = error.errno in _FULL
    hint = "free some space or choose another folder" if full else "choose another folder"
    return MachineError(f"{what}: cannot be used ({error.strerror or error}); {hint}, then rerun the same command")


def check_folder(path: Path, what: str, *, make: bool = True) -> None:
    """Make a folder if need be, and check that files can be written in it.

    what: the option that names it, such as "--out"; make: leave it there; otherwise only check that it could be made, beside it, and never
    touch what other processes may make there meanwhile. `UserError` where the path or a part of it is a file or a dangling link, where a
    name is too long, and where the folder is read-only or the disk is full.
    """
    try:
        for part in (path, *path.parents):
            if part.is_symlink() and not part.exists():
                raise UserError(f"{what} {path}: {part} is a link to a folder that does not exist; choose another folder")
            if part.exists() and not part.is_dir():
                raise UserError(f"{what} {path}: {part} is a file, not a folder; choose another folder")
        if make or path.is_dir():
            _probe(path)
        else:
            above = next(part for part in path.parents if part.is_dir())
            with tempfile.TemporaryDirectory(prefix=".bench-", dir=above) as beside:
                _probe(Path(beside) / path.relative_to(above))
    except OSError as error:
        raise disk_error(f"{what} {path}", error) from error


def _probe(path: Path) -> None:
    """Make a folder if need be, and write in it."""
    path.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=path) as probe:
        probe.write(bytes(4096))


def check_cache(folder: Path, what: str = "--cache", *, make: bool = True) -> None:
    """Make the cache's folder and its marker if need be. `UserError` where it cannot be written, or where it holds other files and no
    marker: emptying the cache would delete a user's own folders. make: as for `check_folder`."""
    check_folder(folder, what, make=make)
    if is_cache(folder) or not folder.is_dir():
        return
    others = any(not path.name.startswith(f".{MARKER}") for path in folder.iterdir())
    if is_cache(folder):  # another process has marked it since
        return
    if others:
        raise foreign(folder, what)
    if not make:
        return
    handle, unfinished = tempfile.mkstemp(prefix=f".{MARKER}", dir=folder)  # a name of its own: two processes may start at once
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(_MARKER_TEXT)
    os.replace(unfinished, folder / MARKER)


@contextmanager
def cache_in_use(folder: Path) -> Iterator[None]:
    """Hold a lock in a cache, which is not emptied meanwhile (`bench.storage.cache.Cache.prune`)."""
    check_cache(folder)
    file = folder / "locks" / f"command-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    lock = FileLock(file)
    with cache_gate(folder):
        file.parent.mkdir(exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
        remove(file)


def lock_for(file: Path, cache: Path | None = None) -> FileLock:
    """Held while a file is read, changed and written, which several commands may do. It lies in the cache, so that none is left beside."""
    folder = cache or default_cache()
    check_cache(folder)
    (folder / "locks").mkdir(exist_ok=True)
    return FileLock(folder / "locks" / key_hash({"file": str(file.resolve())}))


def cache_gate(folder: Path) -> FileLock:
    """Held while a command begins to use a cache, and while it is emptied, so that neither comes between the steps of the other."""
    return FileLock(folder / f".{MARKER}.lock")


def foreign(folder: Path, what: str) -> UserError:
    """The error for a folder that has files in it and is not a cache of ours."""
    hint = "choose an empty or a new folder (a cache that an earlier version made is of no use any more)"
    return UserError(f"{what} {folder}: not empty, and not a cache of interference-bench (no {MARKER}); {hint}")


def is_cache(folder: Path) -> bool:
    """Whether a folder has our marker."""
    try:
        return "interference-bench" in (folder / MARKER).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def has_checkpoint(content: str, cache: Path | None) -> bool:
    """Whether a checkpoint, by content hash, is in the cache."""
    return ((cache or default_cache()) / "checkpoints" / content).is_dir()


def check_checkpoints(contents: Iterable[str], cache: Path | None, what: str) -> None:
    """`UserError` where a checkpoint, by content hash, is not in the cache. what: what needs it, such as "--from runs/x"."""
    if not all(has_checkpoint(content, cache) for content in contents):
        where = cache or default_cache()
        raise UserError(f"{what}: its checkpoints are not in the cache {where}; pass the --cache that the run was made with")


def write_texts(folder: Path, texts: Mapping[str, str], what: str) -> list[Path]:
    """Files in a folder, each whole or not at all. texts: by name; what: what names the folder, such as "--out". `UserError` where they
    cannot be written."""
    try:
        for name, text in texts.items():
            write_bytes(folder / name, text.encode())
    except OSError as error:
        raise disk_error(f"{what} {folder}", error) from error
    return [folder / name for name in texts]


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON with sorted keys, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
