"""Hashes of code that ignore comments, docstrings and layout: they cover what decides a result, and nothing else."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

from tasks.own_files import OURS, OwnFiles, SourceError, bytes_hash, parsed, source_text


def _stripped(tree: ast.AST, *, imports: bool = False) -> str:
    """The tree without bare strings (docstrings, and those under constants and fields) and without imports: a file gives the same
    results after it, or its helpers, have moved."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                kept = [
                    line
                    for line in block
                    if (imports or not isinstance(line, ast.Import | ast.ImportFrom))
                    and not (isinstance(line, ast.Expr) and _is_text(line.value))
                ]
                setattr(node, name, kept or ([ast.Pass()] if name == "body" and not isinstance(node, ast.Module) else []))
    return _dumped(tree)


def _dumped(tree: ast.AST) -> str:
    """`ast.dump` as Python 3.11 writes it: later versions leave out empty lists and have a field more, and hashes must agree."""
    whole = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return ast.dump(tree, **whole).replace(", type_params=[]", "")


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def text_hash(source: str, *, imports: bool = False) -> str:
    """sha256 of Python source, the same for any comments, docstrings and layout. An indented class or function is taken as it is.

    imports: import lines count. In a user's file they may choose between two functions of a helper; in the package they do not, so that
    moving a module changes no result."""
    try:
        tree = ast.parse(source)
    except IndentationError:
        tree = ast.Module(ast.parse("if True:\n" + source).body[0].body, [])
    return hashlib.sha256(_stripped(tree, imports=imports).encode()).hexdigest()


@functools.cache
def modules_hash(*modules: str) -> str:
    """sha256 over the source of modules given by dotted name, in any order; neither their names nor their imports count, and they are not
    imported."""
    parts = []
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(module)
        parts.append(text_hash(source_text(Path(spec.origin))))
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def closure(module: str) -> tuple[str, ...]:
    """A module and all modules of its own top-level package that it imports, directly or not, by name in order."""
    return _closure([module], module.partition(".")[0])


def _closure(waiting: list[str], package: str) -> tuple[str, ...]:
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        spec = importlib.util.find_spec(name)
        if name in found or spec is None or spec.origin is None:
            continue
        found.add(name)
        text = source_text(Path(spec.origin))
        waiting += _imports(text, package, name, spec.submodule_search_locations is not None)
    return tuple(sorted(found))


def _imports(text: str, package: str, importer: str, is_package: bool = False) -> list[str]:
    """The modules of a package that source imports, as they are named there."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            named = _absolute(node, importer, is_package)
            if _within(named, package):
                found += [named, *_submodules(named, [alias.name for alias in node.names])]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _within(alias.name, package)]
    return found


def _submodules(package: str, names: list[str]) -> list[str]:
    """Those of the names that are modules of the package; none where it is a plain module. Nothing but packages is imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return []
    return [f"{package}.{name}" for name in names if importlib.util.find_spec(f"{package}.{name}") is not None]


def _within(name: str, package: str) -> bool:
    return name.partition(".")[0] == package


def _absolute(node: ast.ImportFrom, importer: str, is_package: bool) -> str:
    """The module that a `from ... import` names."""
    if not node.level:
        return node.module or ""
    parts = importer.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


@dataclass(frozen=True)
class _Source:
    """A file's code and what lies beside it, as read at one moment. first: hash of the file; parts: of helpers and data, with their names;
    texts: the Python sources."""

    first: str
    parts: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, file: Path, module: str) -> _Source:
        ours = module.partition(".")[0] in OURS
        own = OwnFiles(file.parent, (file,), ()) if ours else OwnFiles.of(file)
        parts = [f"{own.name(helper)} {_file_hash(helper, imports=not ours)}" for helper in sorted(own.modules[1:])]
        parts += [f"{own.name(data)} {bytes_hash(data)}" for data in own.data]
        return cls(
            _file_hash(file, imports=not ours), tuple(parts), tuple(source_text(each) for each in own.modules if parsed(each) is not None)
        )


_noted: dict[str, _Source] = {}
"""Sources of users' modules, by the module's name, as they were when the module was loaded."""


def note_source(module: str, file: Path) -> None:
    """Reads a user's module for `class_hash` right before it is loaded. Without this an edit of the file during a run would store results
    of the loaded code under the hash of the edited code. `SourceError` as in `class_hash`."""
    _noted[module] = _Source.of(file, module)


def class_hash(cls: type, package: str) -> str:
    """sha256 over the source file of a class, and over what it is built on: the modules of a package that it imports, directly or not,
    and for a class in a user's own file the helper modules and data files beside it (`tasks.own_files`).

    `SourceError`, an OSError, where it has no file or its data files are too many.
    """
    try:
        found = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        found = None
    if found is None:
        raise SourceError(f"{cls.__qualname__} has no source file: define it in a .py file")
    return _source_hash(_noted.get(cls.__module__) or _Source.of(Path(found), cls.__module__), package, cls.__module__)


def source_hash(file: Path, package: str, module: str = "a user's own") -> str:
    """The `class_hash` of the classes in a file, which is not imported. module: its dotted name, where it is one of our packages'."""
    return _source_hash(_Source.of(file, module), package, module)


def lone_source_hash(text: str, package: str) -> str:
    """The `class_hash` of the classes in a user's file that needs no other file, from its text: no file of a user's is opened, and nothing
    is imported. Modules that the package does not have are left out; SyntaxError and ValueError for text that is no Python."""
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin if spec is not None and spec.origin else "").parent
    there = {package, *(f"{package}.{file.stem}" for file in folder.glob("*.py"))}
    named = [name for name in _imports_of(ast.parse(text), package) if name in there]
    modules = _closure(named, package)
    parts = [text_hash(text, imports=True), *([modules_hash(*modules)] if modules else [])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if modules else parts[0]


def _imports_of(tree: ast.Module, package: str) -> list[str]:
    """The names below a package that a user's source imports, and those that may be modules there."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module and _within(node.module, package):
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if _within(alias.name, package)]
    return found


def _source_hash(source: _Source, package: str, module: str) -> str:
    modules = _closure([name for text in source.texts for name in _imports(text, package, module)], package)
    parts = [*source.parts, *([modules_hash(*modules)] if modules else [])]
    return hashlib.sha256("\n".join([source.first, *parts]).encode()).hexdigest() if parts else source.first


def _file_hash(file: Path, *, imports: bool) -> str:
    """sha256 of what decides results in a Python file; of its bytes where it cannot be parsed."""
    return bytes_hash(file) if parsed(file) is None else text_hash(source_text(file), imports=imports)
