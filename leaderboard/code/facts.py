"""What a method's class is, read from its text. Untrusted code is never imported here."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from leaderboard.code.requests import Asked, Requests
from leaderboard.code.text import packaged_file


@dataclass(frozen=True)
class Facts:
    """What a method's class is, as `bench.method.Method` defines it.

    settings: the names of its settings; asked: what each of its functions asks of a history, such as `train`, whether or not that is ever
    called; leads: the other functions of the class that each of them names; unsure: something that could not be read from the text, in
    words.
    """

    track: str = "light"
    control: bool = False
    own_stages: bool = False
    repairs: bool = False
    settings: frozenset[str] = frozenset()
    asked: Mapping[str, Asked] = field(default_factory=dict)
    leads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unsure: str = ""

    @property
    def uses(self) -> Asked:
        """All that it asks of a history."""
        return frozenset().union(*self.asked.values())

    def asked_by(self, name: str) -> Asked:
        """What one function and all that it leads to ask."""
        waiting, reached = [name], {name}
        while waiting:
            more = self.leads.get(waiting.pop(), frozenset()) - reached
            reached |= more
            waiting += more
        return frozenset().union(*(self.asked.get(each, frozenset()) for each in reached))


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
        self._requests = Requests(tree)
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
        own = _functions(node)
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
        if any(isinstance(part, ast.AnnAssign) for line in node.body if isinstance(line, _BLOCKS) for part in ast.walk(line)):
            unsure = f"{node.name} has settings under a condition"
        return Facts(
            track,
            control,
            own_stages=bool({"stage", "after_stage"} & own.keys()) or any(base.own_stages for base in bases),
            repairs="recover" in own or any(base.repairs for base in bases),
            settings=frozenset(_settings(node)).union(*(base.settings for base in bases)),
            asked=_with_bases({name: self._requests.of([function]) for name, function in own.items()}, own, [b.asked for b in bases]),
            leads=_with_bases({name: self._requests.words([function]) for name, function in own.items()}, own, [b.leads for b in bases]),
            unsure=unsure,
        )

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
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)


def _with_bases(
    found: dict[str, frozenset[str]], own: Mapping[str, ast.AST], bases: Sequence[Mapping[str, frozenset[str]]]
) -> dict[str, frozenset[str]]:
    """What was found in each of a class's own functions, and that of its bases; of what is overridden where `super` is called."""
    for base in bases:
        for name, more in base.items():
            if name not in own or any(isinstance(part, ast.Name) and part.id == "super" for part in ast.walk(own[name])):
                found[name] = found.get(name, frozenset()) | more
    return found


def _functions(node: ast.ClassDef) -> dict[str, ast.AST]:
    """What a class may override: its functions, and whatever else it gives a name to without a type."""
    found: dict[str, ast.AST] = {}
    for line in node.body:
        if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
            found[line.name] = line
        elif isinstance(line, ast.Assign):
            found |= {target.id: line.value for target in line.targets if isinstance(target, ast.Name)}
    return found


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
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            kind = ast.unparse(line.annotation)
            yield from () if any(word in kind for word in ("ClassVar", "InitVar", "KW_ONLY")) else (line.target.id,)
