"""Hashes of code that ignore comments, docstrings and layout: what decides a result, and nothing else."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path


def _stripped(tree: ast.AST) -> str:
    """The tree without strings that stand alone (docstrings, and those under constants and fields) and without imports: a file that moves,
    or whose helpers move, decides the same results."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                kept = [
                    line
                    for line in block
                    if not (isinstance(line, ast.Import | ast.ImportFrom) or (isinstance(line, ast.Expr) and _is_text(line.value)))
                ]
                setattr(node, name, kept or ([ast.Pass()] if name == "body" and not isinstance(node, ast.Module) else []))
    return _dumped(tree)


def _dumped(tree: ast.AST) -> str:
    """`ast.dump` as Python 3.11 writes it: later versions leave out empty lists and have a field more, and hashes must agree."""
    whole = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    return ast.dump(tree, **whole).replace(", type_params=[]", "")


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def text_hash(source: str) -> str:
    """sha256 of Python source, the same for any comments, docstrings and layout. An indented class or function is taken as it is."""
    try:
        tree = ast.parse(source)
    except IndentationError:
        tree = ast.Module(ast.parse("if True:\n" + source).body[0].body, [])
    return hashlib.sha256(_stripped(tree).encode()).hexdigest()


@functools.cache
def modules_hash(*modules: str) -> str:
    """sha256 over the source of modules given by dotted name, in any order; neither their names nor their imports count, and they are not
    imported."""
    parts = []
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(module)
        parts.append(text_hash(Path(spec.origin).read_text(encoding="utf-8")))
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
        text = Path(spec.origin).read_text(encoding="utf-8")
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


def class_hash(cls: type, package: str) -> str:
    """sha256 over the source file of a class, and over the modules of a package that it imports, directly or not: its helpers and what it
    is built on count too. OSError where it has no file."""
    try:
        file = inspect.getsourcefile(cls)
    except (OSError, TypeError):
        file = None
    if file is None:
        raise OSError(f"{cls.__qualname__} has no source file: define it in a .py file")
    text = Path(file).read_text(encoding="utf-8")
    modules = _closure(_imports(text, package, cls.__module__), package)
    return hashlib.sha256(f"{text_hash(text)}\n{modules_hash(*modules)}".encode()).hexdigest() if modules else text_hash(text)
