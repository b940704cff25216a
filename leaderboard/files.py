"""Reads an untrusted folder: plain files with plain names, strict JSON, compressed lines up to a limit. Links are never followed."""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from leaderboard.limits import MAX_DEPTH, MAX_FILES, MAX_JSON, MAX_LINE, MAX_UNPACKED
from leaderboard.problems import Problem, RefusedError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,99}")
_LFS = b"version https://git-lfs"
_CHUNK = 1 << 16
_MOST_DIGITS = 30
"""Of a whole number: more than any field holds, and few enough for any float."""
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def listing(folder: Path) -> tuple[dict[str, int], list[Problem]]:
    """The plain files in a folder and the folders in it: path -> bytes. A problem for everything else."""
    found: dict[str, int] = {}
    problems: list[Problem] = []
    waiting = [""]
    while waiting:
        place = waiting.pop()
        try:
            entries = sorted(os.scandir(folder / place), key=lambda entry: entry.name)
        except OSError as error:
            problems.append(Problem(place or ".", "", f"cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            path = f"{place}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            if len(found) + len(problems) >= MAX_FILES:
                problems.append(Problem(".", "", f"has more than {MAX_FILES} files, the limit"))
                return found, problems
            if not _NAME.fullmatch(entry.name):
                allowed = "letters, digits, dots, dashes, underscores, = and +, and begin with a letter, a digit or an underscore"
                problems.append(Problem(path, "", f"its name may only have {allowed}: rename or remove it"))
            elif stat.S_ISDIR(status.st_mode) and not place:
                waiting.append(f"{entry.name}/")
            elif not stat.S_ISREG(status.st_mode):
                problems.append(Problem(path, "", "is a link, a device, or a folder in a folder: only plain files are allowed"))
            elif status.st_nlink > 1:
                problems.append(Problem(path, "", "is a hard link: replace it with a copy"))
            else:
                found[path] = status.st_size
    return found, problems


def opened(folder: Path, path: str) -> BinaryIO:
    """A plain file at a path of at most two parts, no part of which is a link. `RefusedError` where there is none."""
    handles: list[int] = []
    try:
        *parents, name = path.split("/")
        handles.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        for parent in parents:
            handles.append(os.open(parent, os.O_DIRECTORY | _FLAGS, dir_fd=handles[-1]))
        handle = os.open(name, _FLAGS, dir_fd=handles[-1])
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise RefusedError(path, "", "is not a plain file")
        return os.fdopen(handle, "rb")
    except OSError as error:
        raise RefusedError(path, "", "missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}") from error
    finally:
        for handle in handles:
            with suppress(OSError):
                os.close(handle)


def read_bytes(folder: Path, path: str, most: int, what: str) -> bytes:
    """A file's bytes. `RefusedError` for more than `most`; what: what the limit is for."""
    with opened(folder, path) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise RefusedError(path, "", f"has more than {most:,} bytes, the limit for {what}")
    return content


def file_digest(folder: Path, path: str) -> str:
    """sha256 of a file's bytes. `RefusedError` for a pointer of Git LFS."""
    with opened(folder, path) as stream:
        if stream.read(len(_LFS)) == _LFS:
            raise RefusedError(path, "", "is a Git LFS pointer, not the file itself: commit the file without LFS")
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(folder: Path, path: str) -> bytes:
    """The bytes of a JSON file that `strict_json` accepts. `RefusedError` for another one."""
    content = read_bytes(folder, path, MAX_JSON, "a JSON file")
    try:
        strict_json(content)
    except ValueError as error:
        raise RefusedError(path, "", f"not readable as JSON: {error}") from error
    return content


def strict_json(content: bytes, *, deep: bool = True) -> Any:
    """The value that JSON text stands for.

    ValueError in one line for text that is too deep or no UTF-8, repeats a key, or has a number that is not finite or is a negative zero.
    deep: whether to look for the limit of nesting before anything is built.
    """
    try:
        text = content.decode("utf-8")
        if deep:
            _check_depth(text)
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON at line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None


def _check_depth(text: str) -> None:
    depth, quoted, escaped = 0, False, False
    for sign in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = sign == "\\", sign != '"'
        elif sign == '"':
            quoted = True
        elif sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} deep")
        elif sign in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key {key!r:.60}")
        found[key] = value
    return found


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


def _int(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"the number {text[:20]}... has more than {_MOST_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is not finite")
    if value == 0 and text.startswith("-"):
        raise ValueError(f"{text[:40]} is a negative zero: write 0")
    return value


def packed(lines: Iterable[bytes]) -> bytes:
    """Lines as a compressed file, the same bytes for the same lines."""
    return lzma.compress(b"".join(line + b"\n" for line in lines), preset=9)


def unpacked_lines(folder: Path, path: str) -> Iterator[bytes]:
    """The lines of a compressed file, a few at a time.

    `RefusedError` where it is damaged, unpacks to too much, has a line that is too long, or has something after its end.
    """
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=1 << 27)
    left, total = b"", 0
    try:
        with opened(folder, path) as stream:
            while not unpacker.eof:
                chunk = stream.read(_CHUNK) if unpacker.needs_input else b""
                if unpacker.needs_input and not chunk:
                    raise RefusedError(path, "", "is an incomplete xz file")
                part = unpacker.decompress(chunk, _CHUNK)
                total += len(part)
                if total > MAX_UNPACKED:
                    raise RefusedError(path, "", f"unpacks to more than {MAX_UNPACKED:,} bytes")
                *lines, left = (left + part).split(b"\n")
                if len(left) > MAX_LINE:
                    raise RefusedError(path, "", f"has a line of more than {MAX_LINE:,} bytes")
                yield from lines
            if unpacker.unused_data or stream.read(1):
                raise RefusedError(path, "", "has extra data after the xz stream")
    except (lzma.LZMAError, OSError) as error:
        raise RefusedError(path, "", f"not readable as xz: {error}") from error
    if left:
        raise RefusedError(path, "", "its last line does not end with a newline")
