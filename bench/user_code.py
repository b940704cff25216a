"""Loads a user's own Python file as a module, under a name that no other file has. No torch.

The file's folder goes to the end of `sys.path`, so that the file can import helper modules that lie beside it; installed packages and
the standard library take precedence over a helper of the same name. Loading runs the file anew, and its helpers too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tasks.own_files import OwnFiles
from tasks.source import note_source

_PREFIX = "_own_"
"""Of the names of loaded files, as modules."""
_late: dict[Path, set[str]] = {}
"""Folders of the files loaded in this process, and the modules that their code imports inside functions."""
_added: list[str] = []
"""Those of them that were put on `sys.path`, the latest first."""


class LoadingError(Exception):
    """A file that is missing or cannot be loaded; its text is one line."""


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Runs a user's code with an empty standard input. Whatever it raises, `SystemExit` included, becomes a `LoadingError` in one line
    that begins with `what`; only KeyboardInterrupt passes. `input()` raises at once, and so does `breakpoint()`."""
    stdin, hook = sys.stdin, sys.breakpointhook
    try:
        with Path(os.devnull).open(encoding="utf-8") as empty:
            sys.stdin, sys.breakpointhook = empty, no_breakpoint
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
    """The module of a file, run anew with its helpers. `LoadingError` if there is no such file, if it raises anything, and if one of its
    helpers could be confused with a module of the same name in another loaded file's folder."""
    path = path.resolve()
    if not path.is_file():
        raise LoadingError(f"no file {path}")
    place = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"{_PREFIX}{path.stem}_{place}", path)
    if spec is None or spec.loader is None:
        raise LoadingError(f"{path} is not a Python file: its name must end in .py")
    with guarded(f"{path} cannot be loaded"):
        _forget_helpers(path)
        note_source(spec.name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with guarded(f"{path} cannot be loaded"):
        spec.loader.exec_module(module)
    return module


def line_of(error: BaseException) -> str:
    """Where an error left a loaded file, as "nudge.py:12 in recover"; "" where it did not pass through one."""
    places = [
        f"{Path(frame.f_code.co_filename).name}:{line} in {frame.f_code.co_name}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).startswith(_PREFIX)
    ]
    return places[-1] if places else ""


def _forget_helpers(path: Path) -> None:
    """Puts a file's folder before those of other files, and drops modules with its helpers' names from `sys.modules`: the file gets the
    helpers beside it, and they are run anew. A name that is imported inside functions must stay with one folder."""
    own = OwnFiles.of(path)
    late = own.late_imports()
    folder = path.parent
    for helper in own.modules[1:]:
        place = helper.relative_to(folder)
        name = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        rivals = {other / place: names for other, names in _late.items() if other != folder and (other / place).is_file()}
        for rival, names in rivals.items():
            if name in late or name in names:
                raise LoadingError(f"{path} imports {place} beside it, which could be confused with {rival}: rename one of the two")
        held = getattr(sys.modules.get(name), "__file__", None)
        if held is not None and Path(held).resolve() in {helper, *rivals}:
            del sys.modules[name]
        note_source(name, helper)
    _late.setdefault(folder, set()).update(late)
    if str(folder) in _added or str(folder) not in sys.path:
        _added[:] = [str(folder), *(other for other in _added if other != str(folder))]
        sys.path[:] = [*(entry for entry in sys.path if entry not in _added), *_added]
    importlib.invalidate_caches()


def no_breakpoint(*args: object, **kwargs: object) -> None:
    """Stands in for `breakpoint()` in a process whose standard input is empty."""
    raise RuntimeError("breakpoint() waits for a debugger that cannot be used here: take it out")
