"""Reads a stranger's folder: plain files with plain names, strict JSON, compressed lines up to a limit. Nothing in it is trusted."""

from __future__ import annotations

import hashlib
import json
import lzma
import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from leaderboard.limits import MAX_DEPTH, MAX_FILES, MAX_JSON, MAX_LINE, MAX_UNPACKED
from leaderboard.problems import Problem, RefusedError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,99}")
_LFS = b"version https://git-lfs"
_CHUNK = 1 << 16


def listing(folder: Path) -> tuple[dict[str, int], list[Problem]]:
    """The plain files in a folder and the folders in it: path -> bytes. A problem for everything else; links are not followed."""
    found: dict[str, int] = {}
    problems: list[Problem] = []
    waiting = [""]
    while waiting:
        place = waiting.pop()
        for entry in sorted(os.scandir(folder / place), key=lambda entry: entry.name):
            path = f"{place}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            if len(found) + len(problems) > MAX_FILES:
                problems.append(Problem(".", "", f"more than {MAX_FILES} files: the rules allow no more"))
                return found, problems
            if not _NAME.fullmatch(entry.name):
                problems.append(Problem(path, "", "its name has other signs than letters, digits, dots, dashes, underscores, = and +"))
            elif stat.S_ISDIR(status.st_mode) and not place:
                waiting.append(f"{entry.name}/")
            elif not stat.S_ISREG(status.st_mode):
                problems.append(Problem(path, "", "a link, a device, or a folder in a folder: only plain files are allowed"))
            elif status.st_nlink > 1:
                problems.append(Problem(path, "", "another name of a file that lies elsewhere (a hard link): copy the file"))
            else:
                found[path] = status.st_size
    return found, problems


def file_digest(folder: Path, path: str) -> str:
    """sha256 of a file's bytes. `RefusedError` for a pointer of Git LFS."""
    with (folder / path).open("rb") as stream:
        if stream.read(len(_LFS)) == _LFS:
            raise RefusedError(path, "", "a pointer of Git LFS, not the file itself: commit the file without LFS")
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(folder: Path, path: str) -> Any:
    """A JSON file, read strictly. `RefusedError` for one that is too large or too deep, is no UTF-8, repeats a key, or has a number that is
    not finite or is a negative zero."""
    size = (folder / path).stat().st_size
    if size > MAX_JSON:
        raise RefusedError(path, "", f"{size:,} bytes: a JSON file may have {MAX_JSON:,}")
    try:
        return strict_json((folder / path).read_bytes())
    except ValueError as error:
        raise RefusedError(path, "", f"not readable as JSON: {error}") from error


def strict_json(content: bytes) -> Any:
    """The value that JSON text stands for. ValueError in one line as for `read_json`."""
    try:
        text = content.decode("utf-8")
        _check_depth(text)
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
    except RecursionError:
        raise ValueError("nested too deeply") from None


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
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON allows")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or (value == 0 and text.startswith("-")):
        raise ValueError(f"the number {text[:40]} is not finite, or a negative zero")
    return value


def packed(lines: Iterable[bytes]) -> bytes:
    """Lines as a compressed file, the same bytes for the same lines."""
    return lzma.compress(b"".join(line + b"\n" for line in lines), preset=9)


def unpacked_lines(folder: Path, path: str) -> Iterator[bytes]:
    """The lines of a compressed file, a few at a time. `RefusedError` where it is damaged, too large, or has a line that is too long,
    or has something after its end."""
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=1 << 27)
    left, total = b"", 0
    try:
        with (folder / path).open("rb") as stream:
            while not unpacker.eof:
                if unpacker.needs_input:
                    chunk = stream.read(_CHUNK)
                    if not chunk:
                        raise RefusedError(path, "", "ends before its content does")
                else:
                    chunk = b""
                part = unpacker.decompress(chunk, _CHUNK)
                total += len(part)
                if total > MAX_UNPACKED:
                    raise RefusedError(path, "", f"unpacks to more than {MAX_UNPACKED:,} bytes")
                *lines, left = (left + part).split(b"\n")
                if len(left) > MAX_LINE:
                    raise RefusedError(path, "", f"has a line of more than {MAX_LINE:,} bytes")
                yield from lines
            if unpacker.unused_data or stream.read(1):
                raise RefusedError(path, "", "has more bytes after the end of its content")
    except lzma.LZMAError as error:
        raise RefusedError(path, "", f"not readable as xz: {error}") from error
    except OSError as error:
        raise RefusedError(path, "", "missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}") from error
    if left:
        raise RefusedError(path, "", "its last line has no end")
