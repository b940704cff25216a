"""Hashes of code that ignore comments, docstrings and layout: what decides a result, and nothing else."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import textwrap
from pathlib import Path


def _stripped(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


def text_hash(source: str) -> str:
    """sha256 of Python source, the same for any comments, docstrings and layout."""
    return hashlib.sha256(_stripped(ast.parse(textwrap.dedent(source))).encode()).hexdigest()


@functools.cache
def modules_hash(*modules: str) -> str:
    """sha256 over the source of modules given by dotted name; they are not imported."""
    parts = []
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(module)
        parts.append(f"{module}:{text_hash(Path(spec.origin).read_text(encoding='utf-8'))}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def closure(module: str) -> tuple[str, ...]:
    """A module and all modules of its own top-level package that it imports, directly or not, by name in order."""
    package = module.partition(".")[0]
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = importlib.util.find_spec(name)
        if name in found or spec is None or spec.origin is None:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == package:
                waiting.append(node.module)
            elif isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names if alias.name.partition(".")[0] == package]
    return tuple(sorted(found))


def class_hash(cls: type) -> str:
    """sha256 over the source file of a class: its helpers count too."""
    file = inspect.getsourcefile(cls)
    if file is None:
        raise OSError(f"{cls.__qualname__} has no source file: define it in a .py file")
    return text_hash(Path(file).read_text(encoding="utf-8"))
