"""Finding a method by name or by file, and giving it its settings."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

import baselines
from bench.errors import UserError, nearest
from bench.method import Method, Track
from bench.user_code import LoadingError, load_file
from tasks.source import class_hash


def method_names() -> list[str]:
    """Names of the methods that come with the package: the files of baselines/."""
    folder = Path(baselines.__file__).parent
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def method_class(name: str) -> type[Method]:
    """The class behind a name (`refresh`), or behind `path/to/file.py:Class`. `UserError` where there is none."""
    if ".py" in name:
        return _from_file(name)
    if name not in method_names():
        raise nearest("method", name, method_names())
    module = importlib.import_module(f"baselines.{name}")
    return next(cls for cls in _defined_in(module))


def make_method(name: str, settings: Mapping[str, Any]) -> Method:
    """The method with settings; text is converted to each setting's type. `UserError` for an unknown setting or a bad value."""
    cls = method_class(name)
    known = {setting.name for setting in dataclasses.fields(cls)}
    if cls.track not in get_args(Track):
        raise nearest(f"track of method {name}", cls.track, get_args(Track))
    values = {}
    for key, value in settings.items():
        if not known:
            raise UserError(f"method {name} has no settings, so --set {key} has no place to go")
        if key not in known:
            raise nearest(f"setting of {name}", key, known)
        try:
            values[key] = TypeAdapter(_type_of(cls, key)).validate_python(value)
        except ValidationError as error:
            raise UserError(f"--set {key}={value}: {error.errors()[0]['msg']} (method {name})") from error
    try:
        made = cls(**values)
        json.dumps(made.settings())
    except ValueError as error:
        raise UserError(f"--set {error} (method {name})") from error
    except TypeError as error:
        raise UserError(f"method {name}: {error}; every setting needs a default, and plain values alone") from error
    return made


def tuned_file(name: str) -> Path:
    """Where `python -m bench tune` keeps the record of a method's trials: beside the method, tuned/<name>.json."""
    if ".py" in name:
        return Path(name.partition(":")[0]).parent / "tuned" / f"{method_class(name).__name__}.json"
    return Path(baselines.__file__).parent / "tuned" / f"{name}.json"


def tuned_settings(name: str, board: str) -> dict[str, Any]:
    """The settings that tuning chose for a method on a board ("micro/2 paper single"), or for the one that it follows; empty where it was
    not tuned there. `UserError` for a record that cannot be read or names settings that the method does not have."""
    cls = method_class(name)
    if cls.follows:
        known = {setting.name for setting in dataclasses.fields(cls)}
        return {key: value for key, value in tuned_settings(cls.follows, board).items() if key in known}
    file = tuned_file(name)
    if not file.exists():
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8")).get(board)
        chosen = {} if record is None else record["chosen"]
        make_method(name, chosen)
    except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{file}: no record of tuning that fits method {name} ({error}): tune it again or remove the file") from error
    return chosen


def _type_of(cls: type[Method], setting: str) -> Any:
    """A setting's type; Any where its annotation names what is there for type checkers alone."""
    owner = next(base for base in cls.__mro__ if setting in vars(base).get("__annotations__", {}))
    alone = type("_", (), {"__annotations__": {setting: vars(owner)["__annotations__"][setting]}, "__module__": owner.__module__})
    try:
        return get_type_hints(alone)[setting]
    except NameError:
        return Any


def method_identity(name: str, method: Method) -> dict[str, Any]:
    """What names a method in a manifest: its name, its settings, its source's hash."""
    return {
        "name": name if ".py" not in name else type(method).__name__,
        "settings": {key: list(value) if isinstance(value, tuple) else value for key, value in method.settings().items()},
        "source": class_hash(type(method), "baselines"),
        "track": method.track,
        "control": method.controls,
    }


def _from_file(name: str) -> type[Method]:
    path_text, _, wanted = name.partition(":")
    path = Path(path_text)
    try:
        module = load_file(path)
    except LoadingError as error:
        raise UserError(f"--method {name}: {error}") from error
    found = {cls.__name__: cls for cls in _defined_in(module)}
    if not found:
        raise UserError(f"--method {name}: {path} defines no subclass of bench.method.Method")
    if not wanted:
        if len(found) > 1:
            raise UserError(f"--method {name}: say which class, as in {path}:{next(iter(found))}")
        return next(iter(found.values()))
    if wanted not in found:
        raise nearest(f"class in {path}", wanted, found)
    return found[wanted]


def _defined_in(module: Any) -> list[type[Method]]:
    return [
        cls
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Method) and cls is not Method and cls.__module__ == module.__name__
    ]
