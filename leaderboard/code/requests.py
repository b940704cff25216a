"""What code asks of a history, read from its text: in a function, and in all of the file and of the package's methods that it leads to."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from leaderboard.code.text import packaged_file

REQUESTS = frozenset({"base", "checkpoint", "expert", "fisher", "gradient", "sample", "score", "train"})
"""What `bench.method.History` gives for a price."""
BY_NAME = frozenset({"attrgetter", "getattr", "methodcaller"})
"""Functions that take an attribute by its name."""
Asked = frozenset[str]


@dataclass(frozen=True)
class _Part:
    """Some code as it stands. asked: its requests; names: those it uses; words: the attributes it names, and all texts that could name
    one."""

    asked: Asked
    names: frozenset[str]
    words: frozenset[str]


class Requests:
    """The requests of one file. A function or class leads to the names in it that the file defines or imports."""

    def __init__(self, tree: ast.Module) -> None:
        self.definitions = dict(_defined(tree))
        self._imported: dict[str, list[tuple[str, str]]] = {}
        for local, origin in _imported(tree):
            self._imported.setdefault(local, []).append(origin)
        self._bound, self._members = frozenset(_bound(tree)), frozenset(_members(tree))
        self._read: dict[ast.AST, _Part] = {}

    def of(self, nodes: Iterable[ast.AST]) -> Asked:
        """What some code asks, and all that it leads to."""
        parts = self._parts(nodes)
        found = set().union(*(part.asked for part in parts))
        for name in set().union(*(part.names for part in parts)) - self.definitions.keys():
            found.update(*(of_package(*origin) for origin in self._imported.get(name, self._imported.get("*", []))))
        return frozenset(found)

    def words(self, nodes: Iterable[ast.AST]) -> frozenset[str]:
        """The attributes that some code and all that it leads to name, and all texts that could name one."""
        return frozenset().union(*(part.words for part in self._parts(nodes)))

    def _parts(self, nodes: Iterable[ast.AST]) -> list[_Part]:
        """Some code, and what the file defines by the names in it."""
        found, waiting, seen = [], list(nodes), set()
        while waiting:
            part = self._part(waiting.pop())
            found.append(part)
            for name in part.names - seen:
                waiting += self.definitions.get(name, [])
            seen |= part.names
        return found

    def _part(self, node: ast.AST) -> _Part:
        if node not in self._read:
            inside = [*ast.walk(node)]
            texts = {part.value for part in inside if isinstance(part, ast.Constant) and isinstance(part.value, str)}
            self._read[node] = _Part(
                asked=frozenset(asked for part in inside for asked in self._asked(part)),
                names=frozenset(part.id for part in inside if isinstance(part, ast.Name)),
                words=frozenset(texts | {part.attr for part in inside if isinstance(part, ast.Attribute)}),
            )
        return self._read[node]

    def _asked(self, part: ast.AST) -> Iterator[str]:
        match part:
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in self._members:
                return  # a setting or a function of a class in the file; a history may be called self as well
            case ast.Attribute(value=ast.Name(id=owner)) if self._is_foreign(owner):
                return  # something of another module
            case ast.Attribute(attr=name):
                names = [name]
            case ast.MatchClass(kwd_attrs=names):
                pass
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in BY_NAME:
                texts = [word.value for word in part.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
                names = [name for text in texts for name in text.split(".")]
            case _:
                return
        yield from REQUESTS.intersection(names)

    def _is_foreign(self, name: str) -> bool:
        """Whether a name can only be of another module than the package's methods."""
        return name in self._imported and name not in self._bound and not any(module for module, _ in self._imported[name])


@lru_cache
def of_package(module: str, name: str) -> Asked:
    """What a class or function of a method's module in the package asks; without a name all of the module, without a module nothing."""
    file = packaged_file(module)
    if not module or not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    requests = Requests(tree)
    return requests.of(requests.definitions.get(name, []) if name else tree.body)


def _defined(tree: ast.Module) -> Iterator[tuple[str, list[ast.AST]]]:
    """What names at the top of a file stand for."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, [node]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    yield target.id, [node.value]


def _bound(tree: ast.Module) -> Iterator[str]:
    """Names that anything in a file gives a value to, other than by an import."""
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.MatchAs(name=str() as name) | ast.MatchStar(name=str() as name) | ast.ExceptHandler(name=str() as name):
                yield name


def _members(tree: ast.Module) -> Iterator[str]:
    """What the classes of a file define: settings and functions."""
    for node in ast.walk(tree):
        for line in node.body if isinstance(node, ast.ClassDef) else ():
            match line:
                case ast.FunctionDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                    yield name
                case ast.Assign(targets=targets):
                    yield from (target.id for target in targets if isinstance(target, ast.Name))


def _imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Names that are imported anywhere in a file -> module and name of a method of the package, or two empty words."""
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            package, _, rest = whole.partition(".")
            module, _, name = rest.partition(".") if package == "baselines" else ("", "", "")
            yield (alias.asname or alias.name).partition(".")[0], (module, "" if name == "*" else name)
