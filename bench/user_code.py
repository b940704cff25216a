"""Loads a user's own Python file as a module, under a name that no other file has. No torch.

The file's folder goes to the end of `sys.path`, so the file can import helper modules that lie beside it; installed packages and the
standard library win over a helper of the same name. Loading runs the file anew, and its helpers too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tasks.own_files import OwnFiles

_folders: set[Path] = set()
"""Folders of the files that were loaded in this process."""


class LoadingError(Exception):
    """A file that is missing or cannot be loaded; its text is one line."""


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Runs a user's code with an empty standard input. Whatever it raises, `SystemExit` included, becomes a `LoadingError` in one line
    that begins with `what`; only KeyboardInterrupt passes. `input()` raises at once, and so does `breakpoint()`."""
    stdin, hook = sys.stdin, sys.breakpointhook
    try:
        with Path(os.devnull).open(encoding="utf-8") as empty:
            sys.stdin, sys.breakpointhook = empty, _no_breakpoint
            yield
    except (KeyboardInterrupt, LoadingError):
        raise
    except BaseException as error:
        text = " ".join(str(error).split())
        hint = "; it ends the program: move that call into a function" if isinstance(error, SystemExit) else ""
        hint = "; nobody can answer here: take the call out" if isinstance(error, EOFError) else hint
        raise LoadingError(f"{what}: {type(error).__name__}: {text[:300]}{hint}") from error
    finally:
        sys.stdin, sys.breakpointhook = stdin, hook


def load_file(path: Path) -> ModuleType:
    """The module of a file, run anew with its helpers. `LoadingError` if there is no such file or it raises anything, and if it imports
    a helper whose name another user's folder has taken in this process."""
    path = path.resolve()
    if not path.is_file():
        raise LoadingError(f"no file {path}")
    place = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}_{place}", path)
    if spec is None or spec.loader is None:
        raise LoadingError(f"{path} is not a Python file: its name must end in .py")
    _forget_helpers(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with guarded(f"{path} cannot be loaded"):
        spec.loader.exec_module(module)
    return module


def _forget_helpers(path: Path) -> None:
    """Puts a file's folder on the path and drops its helpers from `sys.modules`, so that they are run anew."""
    with guarded(f"{path} cannot be loaded"):
        helpers = OwnFiles.of(path).modules[1:]
    _folders.add(path.parent)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    for helper in helpers:
        name = ".".join(helper.relative_to(path.parent).with_suffix("").parts).removesuffix(".__init__")
        held = getattr(sys.modules.get(name), "__file__", None)
        if held is None:
            continue
        if Path(held).resolve() == helper:
            del sys.modules[name]
        elif any(Path(held).is_relative_to(folder) for folder in _folders - {path.parent}):
            raise LoadingError(f"{path} imports {helper.name} beside it, but {held} has taken that module's name: rename one of the two")
    importlib.invalidate_caches()


def _no_breakpoint(*args: object, **kwargs: object) -> None:
    raise RuntimeError("breakpoint() waits for a debugger that cannot be used here: take it out")
