"""Finds methods: by name among the package's, or by path in a user's file. Gives them their settings, and describes them. No torch.

A user's file is never imported in this process: another process reads it and describes what it defines (`describe`). Only the worker that
runs the method, and nothing else, calls `make_method`.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

import baselines
from bench.costs import PLAIN_TRACKS
from bench.errors import UserError, nearest
from bench.files import canonical
from bench.method import Method, Track
from bench.spec import MethodRecord
from bench.user_code import LoadingError, load_file
from tasks.own_files import OwnFiles, SourceError
from tasks.source import class_hash

IMPORT_SECONDS = 120
"""The longest that a user's method file may take to import."""


class Description(BaseModel):
    """A method with one choice of settings. given: those that were chosen, converted to their types; search: what tuning tries;
    follows: the method whose tuned settings it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    record: MethodRecord
    given: dict[str, Any]
    search: dict[str, tuple[Any, ...]]
    follows: str


def method_names() -> list[str]:
    """Names of the methods that come with the package: the files of baselines/."""
    folder = Path(baselines.__file__).parent
    return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")


def describe(reference: str, settings: Mapping[str, Any] | None = None) -> Description:
    """What a method with these settings is. `UserError` where there is none, for an unknown setting or a bad value."""
    return describe_all(reference, [settings or {}])[0]


def describe_all(reference: str, choices: Sequence[Mapping[str, Any]]) -> list[Description]:
    """`describe` of several choices of settings; a user's file is read once."""
    if ".py" not in reference:
        return [described(reference, settings) for settings in choices]
    file = Path(reference.partition(":")[0])
    try:
        stamp = OwnFiles.of(file).stamp() if file.is_file() else ()
    except SourceError as error:
        raise UserError(f"--method {reference}: {error}") from error

    def key(settings: Mapping[str, Any]) -> tuple[str, tuple[object, ...], str]:
        return reference, stamp, json.dumps(dict(settings), sort_keys=True)

    missing = [settings for settings in choices if key(settings) not in _known]
    for settings, found in zip(missing, _described_apart(reference, missing) if missing else (), strict=True):
        _known[key(settings)] = found
        _known.setdefault(key(found.given), found)
        default = _known.get(key({}))
        if default is not None:
            plain = {name: value for name, value in found.given.items() if value != default.record.settings[name]}
            _known.setdefault(key(plain), found.model_copy(update={"given": plain}))
    return [_known[key(settings)] for settings in choices]


_known: dict[tuple[str, tuple[object, ...], str], Description] = {}
"""Descriptions of users' methods, by reference, stamp of the file and what it uses (an edited one is read again), and settings as JSON."""


def _described_apart(reference: str, choices: Sequence[Mapping[str, Any]]) -> list[Description]:
    """The descriptions, from a separate process with an empty standard input."""
    command = [sys.executable, "-P", "-m", "bench", "describe", reference, json.dumps([dict(settings) for settings in choices])]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise UserError(
            f"--method {reference}: importing the file took more than {IMPORT_SECONDS} s; move the work into the method"
        ) from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"--method {reference}: reading the file ended its process with code {done.returncode} ({last[:200]})") from error
    if "error" in answer:
        raise UserError(answer["error"])
    return [Description.model_validate(each) for each in answer["methods"]]


def described(reference: str, settings: Mapping[str, Any]) -> Description:
    """`describe` in this process, which imports the method's file."""
    method = make_method(reference, settings)
    cls = type(method)
    everything = {key: _listed(value) for key, value in method.settings().items()}
    record = MethodRecord(
        reference=reference,
        name=cls.__name__ if ".py" in reference else reference,
        settings=everything,
        source=class_hash(cls, "baselines"),
        track=cls.track,
        control=cls.controls,
        own_stages=not cls.plain_stages(),
        repairs=cls.repairs(),
    )
    search = {key: tuple(_listed(value) for value in values) for key, values in cls.search.items()}
    return Description(record=record, given={key: everything[key] for key in settings}, search=search, follows=cls.follows)


def method_class(reference: str) -> type[Method]:
    """The class behind a name (`refresh`), or behind `path/to/file.py:Class`. `UserError` where there is none."""
    if ".py" in reference:
        return _from_file(reference)
    if reference not in method_names():
        raise nearest("method", reference, method_names())
    module = importlib.import_module(f"baselines.{reference}")
    return next(cls for cls in _defined_in(module))


def make_method(reference: str, settings: Mapping[str, Any]) -> Method:
    """The method with settings; text is converted to each setting's type. `UserError` for an unknown setting or a bad value."""
    cls = method_class(reference)
    known = {setting.name for setting in dataclasses.fields(cls)}
    if cls.track not in get_args(Track):
        raise nearest(f"track of method {reference}", str(cls.track), get_args(Track))
    if cls.track in PLAIN_TRACKS and not cls.plain_stages():
        raise UserError(
            f"method {reference}: a method of track {cls.track} keeps the plain stages, and this one overrides stage or after_stage: "
            'set track = "during" or "open"'
        )
    if ".py" in reference and cls.plain_stages() and not cls.repairs():
        raise UserError(f"method {reference}: overrides none of stage, after_stage and recover, so it would be the baseline run")
    values = {}
    for key, value in settings.items():
        if ".py" in reference and key not in known and hasattr(cls, key) and not hasattr(Method, key):
            raise UserError(f"method {reference}: {key} is no setting: a setting has an annotation, as in `{key}: float = ...`")
        if not known:
            raise UserError(f"method {reference} takes no settings; remove --set {key}")
        if key not in known:
            raise nearest(f"setting of {reference}", key, known)
        try:
            values[key] = TypeAdapter(_type_of(cls, key)).validate_python(value)
        except ValidationError as error:
            raise UserError(f"--set {key}={value}: {error.errors()[0]['msg']} (method {reference})") from error
    try:
        made = cls(**values)
    except (Exception, SystemExit) as error:
        if isinstance(error, TypeError) and "required positional" in str(error):
            raise UserError(f"method {reference}: every setting needs a default ({error})") from error
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"method {reference}: {said}" if isinstance(error, ValueError) else f"method {reference}: {type(error).__name__}: {said}"
        ) from error
    for key, value in made.settings().items():
        try:
            canonical(value)
        except (TypeError, ValueError) as error:
            raise UserError(f"method {reference}: setting {key}={value!r} must be a finite number, text, or a list of them") from error
    return made


def tuned_file(record: MethodRecord) -> Path:
    """Where `python -m bench tune` keeps the record of a method's trials: beside the method, tuned/<name>.json, for a user's file
    tuned/<file>-<class>.json."""
    folder = Path(baselines.__file__).parent if record.from_package else Path(record.reference.partition(":")[0]).parent
    file = record.reference.partition(":")[0]
    name = record.name if record.from_package else f"{Path(file).stem}-{record.name}"
    return folder / "tuned" / f"{name}.json"


def tuned_settings(reference: str, board: str) -> dict[str, Any]:
    """The settings that tuning chose for a method on a board ("micro/2 paper single"), or for the one that it follows; empty where it was
    not tuned there. `UserError` for a record that cannot be read or names settings that the method does not have."""
    own = describe(reference)
    if own.follows:
        return {key: value for key, value in tuned_settings(own.follows, board).items() if key in own.record.settings}
    file = tuned_file(own.record)
    if not file.exists():
        return {}
    try:
        record = json.loads(file.read_text(encoding="utf-8")).get(board)
        chosen = {} if record is None else record["chosen"]
        describe(reference, chosen)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{file}: its record of tuning does not fit method {reference} ({error}): tune it again or remove the file"
        ) from error
    return chosen


def _listed(value: Any) -> Any:
    """As JSON gives it back: tuples are lists."""
    return list(value) if isinstance(value, tuple) else value


def _type_of(cls: type[Method], setting: str) -> Any:
    """A setting's type; Any where its annotation names what is there for type checkers only."""
    owner = next(base for base in cls.__mro__ if setting in vars(base).get("__annotations__", {}))
    alone = type("_", (), {"__annotations__": {setting: vars(owner)["__annotations__"][setting]}, "__module__": owner.__module__})
    try:
        return get_type_hints(alone)[setting]
    except NameError:
        return Any


def _from_file(reference: str) -> type[Method]:
    path_text, _, wanted = reference.partition(":")
    path = Path(path_text)
    try:
        module = load_file(path)
    except LoadingError as error:
        raise UserError(f"--method {reference}: {error}") from error
    found = {cls.__name__: cls for cls in _defined_in(module)}
    if not found:
        raise UserError(f"--method {reference}: {path} defines no subclass of bench.method.Method")
    if not wanted:
        if len(found) > 1:
            raise UserError(f"--method {reference}: name the class, as in {path}:{next(iter(found))}")
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
