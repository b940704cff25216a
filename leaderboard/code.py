"""What a method's code declares, read from its text. Untrusted code is never imported here."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import baselines
from leaderboard.files import read_bytes
from leaderboard.limits import MAX_CODE, MAX_LITERAL
from leaderboard.problems import Problem, RefusedError
from leaderboard.submission import FILE, METHOD_FILE, MethodEntry
from tasks.source import lone_source_hash, source_hash

ALLOWED_MODULES = {
    "__future__", "abc", "baselines", "collections", "copy", "dataclasses", "functools", "itertools", "math", "numpy", "operator", "random",
    "statistics", "torch", "typing",
}  # fmt: skip
"""Modules that a method may import, with `bench.method` and `bench.checkpoint`."""
_INTERFACE = ("bench.method", "bench.checkpoint")
REQUESTS = {"base", "checkpoint", "expert", "fisher", "gradient", "sample", "score", "train"}
"""What `bench.method.History` gives for a price."""
_OUTSIDE = {"__import__", "breakpoint", "compile", "eval", "exec", "getattr", "globals", "input", "locals", "open", "setattr", "vars"}
_OWN_NAMES = {"__class__", "__init__", "__name__", "__post_init__"}
"""Attributes with underscores that a plain class has a use for."""
_COMPUTES = {"backward", "from_pretrained", "generate", "step", "zero_grad", "load", "load_state_dict", "save"}
_TEST_ITEMS = {"test", "reserve"}
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises for text that is no program, or for one that is too deep."""
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


@dataclass(frozen=True)
class Facts:
    """What a method's class is, as `bench.method.Method` defines it.

    settings: the names of its settings; asked: what each of its functions asks of a history, such as `train`, whether or not that is ever
    called; under "" what the rest of its file asks, and what it imports; unsure: something that could not be read from the text, in words.
    """

    track: str = "light"
    control: bool = False
    own_stages: bool = False
    repairs: bool = False
    settings: frozenset[str] = frozenset()
    asked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unsure: str = ""

    @property
    def uses(self) -> frozenset[str]:
        """All that it asks of a history."""
        return frozenset().union(*self.asked.values())


def packaged_file(name: str) -> Path:
    """The file of a method of the package."""
    return Path(baselines.__file__).parent / f"{name}.py"


def method_text(folder: Path) -> str:
    """The text of a submission's method.py. `RefusedError` where it is missing, too long, not plain UTF-8, or has invisible characters."""
    content = read_bytes(folder, METHOD_FILE, MAX_CODE, "a method")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(METHOD_FILE, "", "not readable as Python: must be UTF-8") from error
    hidden = next((c for c in text if unicodedata.category(c) == "Cf"), "")
    if hidden:
        raise RefusedError(
            METHOD_FILE, "", f"has the invisible character U+{ord(hidden):04X}, which can make code read as what it is not: remove it"
        )
    for line in text.splitlines()[:2]:
        cookie = _COOKIE.match(line)
        if cookie and cookie[1].lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise RefusedError(METHOD_FILE, "", f"declares the encoding {cookie[1]}: must be UTF-8")
    return text


def facts_of(text: str, name: str = "") -> Facts | None:
    """The facts of a class in Python source, without a name of the last method in it; None where there is no such method. Raises one of
    SyntaxError, ValueError, RecursionError and MemoryError where the text cannot be read."""
    reader = _Reader(ast.parse(text))
    names = [name] if name else [*reader.classes][::-1]
    return next((facts for facts in map(reader.facts, names) if facts is not None), None)


@lru_cache
def _packaged_facts(file: Path, name: str) -> Facts | None:
    return facts_of(file.read_text(encoding="utf-8"), name)


class _Reader:
    """Reads the classes of one file; each once, however often others are built on it."""

    def __init__(self, tree: ast.Module) -> None:
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self._tree = tree
        self._known: dict[str, Facts | None] = {}

    def facts(self, name: str) -> Facts | None:
        if name not in self.classes:
            return None
        if name not in self._known:
            self._known[name] = None  # a class that is built on itself is no method
            self._known[name] = self._read(self.classes[name])
        return self._known[name]

    def _read(self, node: ast.ClassDef) -> Facts | None:
        bases = [facts for facts in map(self._of_base, node.bases) if facts is not None]
        if not bases:
            return None
        own = {line.name for line in node.body if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef)}
        assigned = [found for line in node.body for found in _assigned(line)]
        first = bases[0]
        track, control, unsure = first.track, first.control, next((base.unsure for base in bases if base.unsure), "")
        if len(node.bases) > 1:
            unsure = f"{node.name} has several bases"
        for target, value in assigned:
            if target in ("track", "controls") and value is _UNKNOWN:
                unsure = f"{target} of {node.name} is not written as a constant"
            elif target == "track":
                track = str(value)
            elif target == "controls":
                control = bool(value)
        return Facts(
            track,
            control,
            own_stages=bool(own & {"stage", "after_stage"}) or any(base.own_stages for base in bases),
            repairs="recover" in own or any(base.repairs for base in bases),
            settings=frozenset(_settings(node)).union(*(base.settings for base in bases)),
            asked=self._asked(node, bases),
            unsure=unsure,
        )

    def _asked(self, node: ast.ClassDef, bases: Sequence[Facts]) -> dict[str, frozenset[str]]:
        """By function of a class. A function that is overridden counts if the new one calls `super`. The rest of the file counts too, and
        what it imports from methods of the package, but for the classes that this one is built on."""
        own = {line.name: line for line in node.body if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef)}
        built_on = {ast.unparse(base) for base in node.bases}
        rest = [part for part in self._tree.body if part is not node and getattr(part, "name", "") not in built_on]
        rest += [part for part in node.body if part not in own.values()]
        imported = (
            used_by(packaged_file(part.module.removeprefix("baselines.")), alias.name)
            for part in ast.walk(self._tree)
            if isinstance(part, ast.ImportFrom) and part.module and part.module.startswith("baselines.")
            for alias in part.names
            if alias.name not in built_on
        )
        found = {name: _requests(function) for name, function in own.items()}
        found[""] = frozenset().union(*map(_requests, rest), *imported)
        for base in bases:
            for name, asked in base.asked.items():
                if name not in own or any(isinstance(part, ast.Name) and part.id == "super" for part in ast.walk(own[name])):
                    found[name] = found.get(name, frozenset()) | asked
        return found

    def _of_base(self, base: ast.expr) -> Facts | None:
        word = ast.unparse(base)
        if word in self.classes:
            return self.facts(word)
        origin = self._origin(word)
        if origin == "bench.method.Method":
            return Facts()
        module, _, name = origin.rpartition(".")
        file = packaged_file(module.removeprefix("baselines."))
        if module.startswith("baselines.") and "." not in module.removeprefix("baselines.") and file.is_file():
            return _packaged_facts(file, name)
        return None

    def _origin(self, word: str) -> str:
        """The dotted name behind a name or an attribute, by the imports of the file."""
        first, _, rest = word.partition(".")
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom | ast.Import):
                for alias in node.names:
                    if (alias.asname or alias.name) == first:
                        whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
                        return f"{whole}.{rest}" if rest else whole
                    if isinstance(node, ast.Import) and not alias.asname and word.startswith(f"{alias.name}."):
                        return word
        return word


_UNKNOWN = object()


def _assigned(line: ast.stmt) -> Iterator[tuple[str, object]]:
    """Names that a line of a class's body assigns, with their constants."""
    targets = line.targets if isinstance(line, ast.Assign) else [line.target] if isinstance(line, ast.AnnAssign) and line.value else []
    for target in targets:
        if isinstance(target, ast.Name):
            value = line.value  # type: ignore[attr-defined]
            yield target.id, value.value if isinstance(value, ast.Constant) else _UNKNOWN


def _settings(node: ast.ClassDef) -> Iterator[str]:
    """The names of the fields that a class adds as a dataclass."""
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and "ClassVar" not in ast.unparse(line.annotation):
            yield line.target.id


def _requests(node: ast.AST) -> frozenset[str]:
    return frozenset(inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute) and inner.attr in REQUESTS)


@lru_cache
def used_by(file: Path, name: str) -> frozenset[str]:
    """What a class or function at the top of a file of the package asks of a history."""
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
    return frozenset().union(*(_requests(node) for node in tree.body if getattr(node, "name", "") == name))


def check_code(folder: Path, method: MethodEntry) -> tuple[Facts | None, list[Problem]]:
    """What the code declares, and whether it is what the submission says; warnings are what a maintainer should look at."""
    try:
        text = _packaged_text(method.reference) if method.from_package else method_text(folder)
        facts = facts_of(text, "" if method.from_package else method.name)
        problems = [] if method.from_package else list(_lint(ast.parse(text)))
        source = _source(method, text)
    except RefusedError as refused:
        return None, [refused.problem]
    except _UNREADABLE as error:
        place = f"line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        return None, [Problem(METHOD_FILE, place, f"not readable as Python: {said}")]
    if facts is None:
        return None, [*problems, Problem(METHOD_FILE, "", f"defines no class {method.name} that subclasses bench.method.Method")]
    for name in ("track", "control", "own_stages", "repairs"):
        said, found = getattr(method, name), getattr(facts, name)
        if said != found:
            reason = f"is {said!r}, but the code of {method.name} implies {found!r}"
            unsure = f" ({facts.unsure}: a maintainer must read the code)" if facts.unsure else ": pack again"
            problems.append(Problem(FILE, f"method.{name}", reason + unsure, warning=bool(facts.unsure)))
    for setting in sorted(facts.settings ^ set(method.settings)):
        reason = "missing" if setting in facts.settings else f"{method.name} has no such setting"
        problems.append(Problem(FILE, f"method.settings.{setting}", reason + ": pack again", warning=bool(facts.unsure)))
    if not method.from_package and facts.control:
        problems.append(Problem(METHOD_FILE, "controls", "only methods of the package can be controls"))
    if source != method.source:
        reason = f"the runs used another version of {method.reference} than this package has"
        if not method.from_package:
            reason = "not the code that the runs used (method.source): submit the file that ran"
        problems.append(Problem(FILE if method.from_package else METHOD_FILE, "", reason, warning=method.from_package))
    return facts, problems


def _packaged_text(name: str) -> str:
    file = packaged_file(name)
    if not file.is_file():
        raise RefusedError(FILE, "method.reference", f"this package has no method {name!r}")
    return file.read_text(encoding="utf-8")


def _source(method: MethodEntry, text: str) -> str:
    if method.from_package:
        return source_hash(packaged_file(method.reference), "baselines", f"baselines.{method.reference}")
    return lone_source_hash(text, "baselines")


def _lint(tree: ast.Module) -> Iterator[Problem]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    values = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings]
    letters = sum(len(node.value) for node in values if isinstance(node.value, str | bytes))
    numbers = sum(isinstance(node.value, int | float | complex) for node in values)
    for count, what in ((letters, "characters in strings"), (numbers, "numbers")):
        if count > MAX_LITERAL:
            yield Problem(METHOD_FILE, "", f"has {count:,} {what} (limit {MAX_LITERAL:,}): precomputed data is not allowed")
    for node in ast.walk(tree):
        line = f"line {getattr(node, 'lineno', 0)}"
        for flaw in _suspect(node):
            yield Problem(METHOD_FILE, line, flaw, warning=True)


def _suspect(node: ast.AST) -> Iterator[str]:
    """What a maintainer should look at in one part of the code, in words."""
    check = "a maintainer should check why"
    match node:
        case ast.Import() | ast.ImportFrom():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "a relative module"]
            for name in names:
                if name.partition(".")[0] not in ALLOWED_MODULES and name not in _INTERFACE:
                    yield f"imports {name}: {check}"
        case ast.Name(id=name) if name in _OUTSIDE:
            yield f"uses {name}: {check}"
        case ast.Name(id=name) if not name.isascii():
            yield f"has the name {name}, whose letters may look like others: {check}"
        case ast.Attribute(attr=name) if name in ("os", "sys") or (name.startswith("__") and name not in _OWN_NAMES):
            yield f"uses .{name}: {check}"
        case ast.Call(func=ast.Attribute(attr=name)) if name in _COMPUTES:
            yield f"calls .{name}(): compute outside `history` is not metered"
        case ast.Constant(value=str() as word) if word in _TEST_ITEMS:
            yield f"names {word!r}: a method must not use test items"


def shingles(source: str) -> frozenset[tuple[str, ...]]:
    """Runs of eight tokens of code; comments and layout do not count. Empty for text that is no Python."""
    try:
        tokens = re.findall(r"\w+|[^\w\s]", ast.unparse(ast.parse(source)))
    except _UNREADABLE:
        return frozenset()
    return frozenset(tuple(tokens[place : place + 8]) for place in range(len(tokens) - 7))


def likeness(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of the smaller set of shingles that the other has too, in [0, 1]."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0
