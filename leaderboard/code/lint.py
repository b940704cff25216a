"""What is not allowed in a submitted method, and what a maintainer should look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from leaderboard.code.requests import BY_NAME
from leaderboard.limits import MAX_LITERAL
from leaderboard.problems import Problem
from leaderboard.submission import METHOD_FILE

ALLOWED_MODULES = {
    "__future__", "abc", "baselines", "collections", "copy", "dataclasses", "functools", "itertools", "math", "numpy", "operator", "random",
    "statistics", "torch", "typing",
}  # fmt: skip
"""Modules that a method may import, with `bench.method` and `bench.checkpoint`."""
_INTERFACE = ("bench.method", "bench.checkpoint")
_OUTSIDE = BY_NAME | {
    "__import__", "breakpoint", "compile", "eval", "exec", "globals", "input", "locals", "open", "setattr", "vars",
}  # fmt: skip
_OWN_NAMES = {"__class__", "__init__", "__name__", "__post_init__"}
"""Attributes with underscores that a plain class has a use for."""
_MODULES = {"builtins", "ctypes", "importlib", "inspect", "io", "os", "subprocess", "sys"}
"""Modules that others hold."""
_COMPUTES = {"backward", "from_pretrained", "generate", "step", "zero_grad", "load", "load_state_dict", "save"}
_READS = {"DataSource", "from_file", "fromfile", "genfromtxt", "loadtxt", "memmap", "open_memmap"}
"""Functions of numpy and torch that read files."""
_TEST_ITEMS = {"test", "reserve"}


def lint(tree: ast.Module) -> Iterator[Problem]:
    """Refusals and warnings, each once."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    letters = sum(len(value) for value in values if isinstance(value, str | bytes))
    numbers = sum(map(_numbers_in, values))
    for count, what in ((letters, "characters in strings"), (numbers, "numbers")):
        if count > MAX_LITERAL:
            yield Problem(METHOD_FILE, "", f"has {count:,} {what} (limit {MAX_LITERAL:,}): precomputed data is not allowed")
    seen: set[str] = set()
    ours = {(alias.asname or alias.name).partition(".")[0] for node in ast.walk(tree) for alias in _imports_of_package(node)}
    for node in ast.walk(tree):
        for flaw in (*_suspect(node), *_lookalike(node), *_built_on(node, ours)):
            if flaw not in seen:
                seen.add(flaw)
                yield Problem(METHOD_FILE, f"line {getattr(node, 'lineno', 0)}", f"{flaw}: a maintainer should check why", warning=True)


def _numbers_in(value: object) -> int:
    """For how many numbers a constant counts: a whole number of more than 64 bits for several."""
    if isinstance(value, int) and not isinstance(value, bool):
        return max(1, -(-value.bit_length() // 64))
    return int(isinstance(value, float | complex))


def _suspect(node: ast.AST) -> Iterator[str]:
    """What a maintainer should look at in one part of the code, in words."""
    match node:
        case ast.Import(names=aliases):
            yield from (f"imports {alias.name}" for alias in aliases if not _is_allowed(alias.name))
        case ast.ImportFrom(module=module, names=aliases):
            if not _is_allowed(module or ""):
                yield f"imports {module or 'a relative module'}"
            yield from (f"imports {alias.name} from {module}" for alias in aliases if alias.name in _MODULES | _OUTSIDE | _READS)
        case ast.Name(id=name) if name in _OUTSIDE or _is_hidden(name):
            yield f"uses {name}"
        case ast.Attribute(attr=name) if name in _MODULES | BY_NAME | _READS or _is_hidden(name):
            yield f"uses .{name}"
        case ast.Call(func=ast.Attribute(attr=name)) if name in _COMPUTES:
            yield f"calls .{name}(), and compute outside `history` is not metered"
        case ast.Constant(value=str() as word) if word in _TEST_ITEMS:
            yield f"names {word!r}, and a method must not use test items"
        case ast.Constant(value=str() as word) if ".__" in word:
            yield "has a text with .__ in it"


def _imports_of_package(node: ast.AST) -> Iterator[ast.alias]:
    """What a part of the code imports of the package's methods."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "baselines":
        yield from node.names
    elif isinstance(node, ast.Import):
        yield from (alias for alias in node.names if alias.name.partition(".")[0] == "baselines")


def _built_on(node: ast.AST, ours: set[str]) -> Iterator[str]:
    """Classes whose code is mostly that of a method of the package, which no comparison of the texts shows."""
    for base in node.bases if isinstance(node, ast.ClassDef) else ():
        word = ast.unparse(base)
        if word.partition(".")[0] in ours:
            yield f"{node.name} is built on {word} of the package"


def _lookalike(node: ast.AST) -> Iterator[str]:
    """Names with letters that could be taken for others."""
    for field in ("id", "attr", "name", "arg", "asname"):
        name = getattr(node, field, None)
        if isinstance(name, str) and not name.isascii():
            yield f"has the name {name}, whose letters may look like others"


def _is_hidden(name: str) -> bool:
    """Whether a name gives access to what a plain class has no use for, such as its file or its docstring."""
    return name.startswith("__") and name not in _OWN_NAMES


def _is_allowed(module: str) -> bool:
    return module.partition(".")[0] in ALLOWED_MODULES or module in _INTERFACE
