"""What code asks of a history, read from its text: in a function, and in all of the file and of the package's methods that it leads to."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache

from leaderboard.code.text import packaged_file

REQUESTS = frozenset({"base", "checkpoint", "expert", "fisher", "gradient", "sample", "score", "train"})
"""What `bench.method.History` gives for a price."""
BY_NAME = frozenset({"attrgetter", "getattr", "methodcaller"})
"""Functions that take an attribute by its name."""
Asked = frozenset[str]


class Requests:
    """The requests of one file. A function or class leads to the names in it that the file defines or imports."""

    def __init__(self, tree: ast.Module) -> None:
        self.definitions = dict(_defined(tree))
        self._imported: dict[str, list[tuple[str, str]]] = {}
        for local, origin in _imported(tree):
            self._imported.setdefault(local, []).append(origin)

    def of(self, nodes: Iterable[ast.AST]) -> Asked:
        """What some code asks, and all that it leads to."""
        found: set[str] = set()
        names: set[str] = set()
        for part in self.parts(nodes):
            found.update(self._asked(part))
            if isinstance(part, ast.Name):
                names.add(part.id)
        for name in names - self.definitions.keys():
            found.update(*(of_package(*origin) for origin in self._imported.get(name, self._imported.get("*", []))))
        return frozenset(found)

    def parts(self, nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
        """All parts of some code, and of what the file defines by the names in it."""
        waiting, seen = list(nodes), set()
        while waiting:
            for part in ast.walk(waiting.pop()):
                yield part
                if isinstance(part, ast.Name) and part.id not in seen:
                    seen.add(part.id)
                    waiting += self.definitions.get(part.id, [])

    def _asked(self, part: ast.AST) -> Iterator[str]:
        match part:
            case ast.Attribute(value=ast.Name(id=owner)) if owner == "self" or self._is_foreign(owner):
                return  # a setting, or something of another module
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
        """Whether a name is of another module than the package's methods."""
        return name in self._imported and not any(module for module, _ in self._imported[name])


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


def _imported(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    """Names that are imported anywhere in a file -> module and name of a method of the package, or two empty words."""
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            whole = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            package, _, rest = whole.partition(".")
            module, _, name = rest.partition(".") if package == "baselines" else ("", "", "")
            yield (alias.asname or alias.name).partition(".")[0], (module, "" if name == "*" else name)
