"""The files that a user's own file depends on: modules imported from its folder, and data files there that its code names.

A method or task in a file of its own may import helper modules that lie beside it and read data files beside it. Both decide results,
so both belong to the file's hash (`tasks.source.class_hash`) and an edit of either makes results be computed again. What counts:

- modules: every `import` of a module or package in the file's folder, followed through those modules; the standard library wins over
  a module of the same name, as it does when the file is loaded;
- data: every string in their code that is the name of a file, relative to the folder ("words.txt", "data/words.txt") or absolute, and
  every string that is the name of a folder inside it ("data"): all files in there, without hidden ones and bytecode.

A name that the code puts together at run time (f"{language}.txt") is not seen: write the folder's name, or raise the task's `version`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FILES = 1_000
MAX_BYTES = 256 * 1024**2
"""Bounds on the data files of one user's file, all together."""

OURS = ("bench", "tasks", "baselines", "leaderboard")
"""Packages whose modules are no user's."""


class SourceError(OSError):
    """Code that cannot be hashed; its text is one line."""


@dataclass(frozen=True)
class OwnFiles:
    """What a user's file depends on. folder: the file's; modules: the file itself first, then its helpers; data: everything else."""

    folder: Path
    modules: tuple[Path, ...]
    data: tuple[Path, ...]

    @classmethod
    def of(cls, file: Path) -> OwnFiles:
        """The files behind a Python file. `SourceError` where they are too many or too large."""
        file = file.resolve()
        waiting, modules, named = [file], {}, set()
        while waiting:
            module = waiting.pop()
            if module in modules:
                continue
            modules[module] = None
            tree = parsed(module)
            if tree is not None:
                waiting += _imported(tree, module, file.parent)
                named |= set(_named(tree, {file.parent, module.parent}, file.parent))
        data = sorted(named - modules.keys())
        if len(data) > MAX_FILES or sum(path.stat().st_size for path in data) > MAX_BYTES:
            raise SourceError(
                f"{file}: its code names more than {MAX_FILES:,} files or {MAX_BYTES // 1024**2} MB of data beside it ({data[0]}, ...); "
                "results depend on all of them: name fewer, or move other files out of these folders"
            )
        return cls(file.parent, tuple(modules), tuple(data))

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Names, times and sizes of the files: another stamp means that one of them was edited."""
        return tuple((str(f), f.stat().st_mtime_ns, f.stat().st_size) for f in (*self.modules, *self.data))

    def late_imports(self) -> set[str]:
        """Names that the modules import inside functions, so that the import happens after loading."""
        trees = filter(None, map(parsed, self.modules))
        functions = [f for tree in trees for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
        nodes = [node for function in functions for node in ast.walk(function)]
        plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}

    def name(self, path: Path) -> str:
        """A file's name in hashes: relative to the folder where it lies in there."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)


def source_text(file: Path) -> str:
    """Python source as Python reads it: in the encoding that it declares. SyntaxError or UnicodeDecodeError where it cannot be read."""
    return importlib.util.decode_source(file.read_bytes())


def parsed(file: Path) -> ast.Module | None:
    """The tree of a Python file; None where it is none."""
    try:
        return ast.parse(source_text(file))
    except (SyntaxError, ValueError):  # UnicodeDecodeError and null bytes are ValueErrors
        return None


def bytes_hash(file: Path) -> str:
    """sha256 of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _imported(tree: ast.Module, module: Path, folder: Path) -> Iterator[Path]:
    """The files in a user's folder that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files(folder, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = ([module, *module.parents])[min(node.level, len(module.parents))] if node.level else folder
            parts = node.module.split(".") if node.module else []
            yield from _files(start, parts, relative=bool(node.level))
            for alias in node.names:
                yield from _files(start, [*parts, alias.name], relative=bool(node.level))


def _files(folder: Path, parts: list[str], relative: bool = False) -> Iterator[Path]:
    """The files behind a dotted name: its packages' `__init__` and the module itself, as far as they lie in the folder."""
    if parts and not relative and (parts[0] in OURS or parts[0] in sys.stdlib_module_names):
        return
    for count in range(len(parts) + 1):
        place = folder.joinpath(*parts[:count])
        for file in (place.with_name(place.name + ".py") if count else None, place / "__init__.py" if count or relative else None):
            if file is not None and file.is_file():
                yield file.resolve()


def _named(tree: ast.Module, places: set[Path], folder: Path) -> Iterator[Path]:
    """The data files that strings in code name, docstrings apart."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in alone}
    for text in texts:
        if not 0 < len(text) <= 255 or not text.isprintable():
            continue
        for place in places:
            path = (place / text).resolve()
            try:
                if path.is_file():
                    yield path
                elif path.is_dir() and path.is_relative_to(folder) and path != folder:
                    yield from _within(path)
            except OSError:  # no name of a file: too long, or in a folder that may not be read
                continue


def _within(folder: Path) -> Iterator[Path]:
    """The files in a folder and below, without hidden ones and bytecode; links to folders are not followed."""
    count = 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in files:
            count += 1
            if count > MAX_FILES + 1:  # enough to be refused
                return
            if not name.startswith(".") and (Path(place) / name).is_file():
                yield (Path(place) / name).resolve()
