"""What a method's code declares, read from its text. A stranger's code is never imported here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import baselines
from leaderboard.limits import MAX_CODE, MAX_LITERAL
from leaderboard.problems import Problem
from leaderboard.submission import METHOD_FILE, MethodEntry
from tasks.source import source_hash

ALLOWED_MODULES = {
    "__future__", "abc", "baselines", "collections", "copy", "dataclasses", "functools", "itertools", "math", "numpy", "operator", "random",
    "statistics", "torch", "typing",
}  # fmt: skip
"""Modules that a method may import, with `bench.method` and `bench.checkpoint`."""
_INTERFACE = ("bench.method", "bench.checkpoint")
_OUTSIDE = {"__import__", "breakpoint", "compile", "eval", "exec", "getattr", "globals", "input", "locals", "open", "setattr", "vars"}
_COMPUTES = {"backward", "from_pretrained", "generate", "step", "zero_grad", "load", "load_state_dict", "save"}
_TEST_ITEMS = {"test", "reserve"}


@dataclass(frozen=True)
class Facts:
    """What a method's class is, as `bench.method.Method` defines it."""

    track: str = "light"
    control: bool = False
    own_stages: bool = False
    repairs: bool = False


def packaged_file(name: str) -> Path:
    """The file of a method of the package."""
    return Path(baselines.__file__).parent / f"{name}.py"


def facts_of(file: Path, name: str = "") -> Facts | None:
    """The facts of a class in a file, of the only method where no name is given; None where it has no such class that is built on `Method`.
    ValueError, which SyntaxError is not, for text that Python cannot read."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if name:
        return _facts(classes[name], classes, tree) if name in classes else None
    found = [facts for facts in (_facts(node, classes, tree) for node in classes.values()) if facts is not None]
    return found[-1] if found else None


def _facts(node: ast.ClassDef, classes: dict[str, ast.ClassDef], tree: ast.Module, depth: int = 0) -> Facts | None:
    """Those of the first base that is a method, and what the class itself changes."""
    known: Facts | None = None
    for base in node.bases:
        word = ast.unparse(base)
        if word.rpartition(".")[2] == "Method":
            known = Facts()
        elif word in classes and classes[word] is not node and depth < 20:
            known = _facts(classes[word], classes, tree, depth + 1)
        elif word.isidentifier():
            file = _imported_from(tree, word)
            known = facts_of(*file) if file else None
        if known is not None:
            break
    if known is None:
        return None
    for line in node.body:
        if isinstance(line, ast.FunctionDef) and line.name in ("stage", "after_stage"):
            known = replace(known, own_stages=True)
        elif isinstance(line, ast.FunctionDef) and line.name == "recover":
            known = replace(known, repairs=True)
        for target, value in _assigned(line):
            if target == "track" and isinstance(value, str):
                known = replace(known, track=value)
            elif target == "controls":
                known = replace(known, control=bool(value))
    return known


def _assigned(line: ast.stmt) -> Iterator[tuple[str, object]]:
    """Names and constants of an assignment in a class's body."""
    targets = line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) else []
    if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(line.value, ast.Constant):
        for target in targets:
            if isinstance(target, ast.Name):
                yield target.id, line.value.value


def _imported_from(tree: ast.Module, name: str) -> tuple[Path, str] | None:
    """The file and the class behind a name that is imported from `baselines`."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("baselines."):
            for alias in node.names:
                file = packaged_file((node.module or "").partition(".")[2])
                if (alias.asname or alias.name) == name and file.is_file():
                    return file, alias.name
    return None


def check_code(folder: Path, method: MethodEntry) -> Iterator[Problem]:
    """Whether the code is what the submission says, and what a maintainer should look at."""
    file = packaged_file(method.reference) if method.from_package else folder / METHOD_FILE
    shown = METHOD_FILE if not method.from_package else "submission.json"
    if method.from_package and not file.is_file():
        yield Problem("submission.json", "method.reference", f"this package has no method {method.reference!r}")
        return
    if not method.from_package:
        if not file.is_file():
            yield Problem(METHOD_FILE, "", "missing: a method that does not come with the package needs it")
            return
        if file.stat().st_size > MAX_CODE:
            yield Problem(METHOD_FILE, "", f"{file.stat().st_size:,} bytes: a method may have {MAX_CODE:,}")
            return
    try:
        facts = facts_of(file, "" if method.from_package else method.name)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        source = source_hash(file, "baselines", f"baselines.{method.reference}" if method.from_package else "a user's own")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield Problem(METHOD_FILE, "", f"not readable as Python: {error}")
        return
    if facts is None:
        yield Problem(METHOD_FILE, "", f"defines no class {method.name} that is built on bench.method.Method")
        return
    for field in ("track", "control", "own_stages", "repairs"):
        said, found = getattr(method, field), getattr(facts, field)
        if said != found:
            yield Problem("submission.json", f"method.{field}", f"{said!r}, and the code of {method.name} makes it {found!r}")
    if not method.from_package and facts.control:
        yield Problem(METHOD_FILE, "controls", "only methods of the package can be controls")
    if source != method.source:
        if method.from_package:
            yield Problem(
                shown, "method.source", f"the runs used another version of {method.reference} than this package has", warning=True
            )
        else:
            yield Problem(METHOD_FILE, "", "not the code that the runs recorded (method.source): submit the file that ran")
    if not method.from_package:
        yield from _lint(tree)


def _lint(tree: ast.Module) -> Iterator[Problem]:
    for node in ast.walk(tree):
        line = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and len(node.value) > MAX_LITERAL:
            yield Problem(METHOD_FILE, line, f"a text of {len(node.value):,} characters: data that was computed before is not allowed")
        elif isinstance(node, ast.List | ast.Tuple | ast.Set) and len(node.elts) > MAX_LITERAL:
            yield Problem(METHOD_FILE, line, f"a list of {len(node.elts):,} values: data that was computed before is not allowed")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for name in names:
                if name.partition(".")[0] not in ALLOWED_MODULES and name not in _INTERFACE:
                    yield Problem(METHOD_FILE, line, f"imports {name or 'a neighbour'}: a maintainer must read what for", warning=True)
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if isinstance(node.func, ast.Name) and name in _OUTSIDE:
                yield Problem(METHOD_FILE, line, f"calls {name}(): a maintainer must read what for", warning=True)
            elif isinstance(node.func, ast.Attribute) and name in _COMPUTES:
                yield Problem(METHOD_FILE, line, f"calls .{name}(): work outside the history is not counted", warning=True)
            if any(isinstance(argument, ast.Constant) and argument.value in _TEST_ITEMS for argument in node.args):
                yield Problem(METHOD_FILE, line, "names the test items: a method must not use them", warning=True)


def shingles(source: str) -> frozenset[tuple[str, ...]]:
    """Runs of eight tokens of code, names of a file's own left as they are; comments and layout do not count."""
    try:
        tokens = re.findall(r"\w+|[^\w\s]", ast.unparse(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    return frozenset(tuple(tokens[place : place + 8]) for place in range(len(tokens) - 7))


def likeness(one: str, other: str) -> float:
    """Share of the shorter code's shingles that the other has too, in [0, 1]."""
    first, second = shingles(one), shingles(other)
    smaller = min(len(first), len(second))
    return len(first & second) / smaller if smaller else 0.0
