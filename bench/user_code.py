"""Loading a user's own Python file as a module, under a name that no other file has. No torch."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType


class LoadingError(Exception):
    """A file that is not there or cannot be loaded; its text is one line."""


def load_file(path: Path) -> ModuleType:
    """The module of a file, run anew. `LoadingError` where there is no such file, or where it raises."""
    if not path.exists():
        raise LoadingError(f"no file {path.resolve()}")
    place = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(f"_own_{path.stem}_{place}", path)
    if spec is None or spec.loader is None:
        raise LoadingError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LoadingError(f"{path} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}") from error
    return module
