"""Training curves for a viewer, written while jobs run: `--log-to tensorboard`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from bench.errors import UserError, nearest
from bench.runs.plan import Plan
from bench.runs.pool import Event
from bench.worker.outcomes import Made

KINDS = ("tensorboard",)


def curves(kind: str, plans: Sequence[Plan], out: Path) -> TensorBoard:
    """The writer of a kind; `UserError` for an unknown kind or a package that is not installed."""
    if kind not in KINDS:
        raise nearest("kind of log", kind, KINDS)
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError("--log-to tensorboard: the package is not installed; pip install tensorboard") from error
    return TensorBoard(plans, out)


class TensorBoard(AbstractContextManager):
    """Hears the pool's events and writes <run>/tensorboard/<row>, for every run that a training belongs to.

    A training that comes whole or in part from the cache is written from its log once it is done.
    """

    def __init__(self, plans: Sequence[Plan], out: Path) -> None:
        self._folders: dict[str, set[Path]] = {}
        for planned in plans:
            for row, job in planned.maker_of.items():
                self._folders.setdefault(job.key, set()).add(out / planned.spec.folder_name() / "tensorboard" / row.name)
        self._writers: dict[Path, Any] = {}
        self._heard: dict[str, set[tuple[str, int]]] = {}
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def hear(self, event: Event) -> None:
        """Take in one event of the pool."""
        if event.name == "step":
            self._write(event.job, self._name(event.job, event.detail["what"], event.detail["step"]), event.detail)
        elif event.name == "done" and isinstance(event.detail["result"], Made):
            counts: Counter[str] = Counter()
            for log in event.detail["result"].logs:
                counts[log.what] += 1
                for line in Path(log.file).read_text(encoding="utf-8").splitlines():
                    self._write(event.job, _numbered(log.what, counts[log.what]), json.loads(line))
            for folder in self._folders.get(event.job, ()):
                if folder in self._writers:
                    self._writers.pop(folder).close()

    def _name(self, job: str, what: str, step: int) -> str:
        """A job may train on the same domains several times: its steps then begin anew."""
        number, last = self._last.get((job, what), (1, 0))
        number += step <= last
        self._last[job, what] = number, step
        return _numbered(what, number)

    def _write(self, job: str, what: str, line: Mapping[str, Any]) -> None:
        step = line["step"]
        if (what, step) in self._heard.setdefault(job, set()):
            return
        self._heard[job].add((what, step))
        for folder in self._folders.get(job, ()):
            writer = self._writers.get(folder) or self._open(folder)
            for name, value in line.items():
                for tag, number in value.items() if isinstance(value, dict) else [("", value)]:
                    if isinstance(number, int | float) and not isinstance(number, bool) and name not in ("step", "of"):
                        writer.add_scalar("/".join(filter(None, (what, name, tag))), number, step)

    def _open(self, folder: Path) -> Any:
        import shutil

        from tensorboard.summary import Writer

        shutil.rmtree(folder, ignore_errors=True)  # of an earlier start: two files would draw every curve twice
        self._writers[folder] = Writer(str(folder))
        return self._writers[folder]

    def __exit__(self, *exc: object) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _numbered(what: str, number: int) -> str:
    return what if number == 1 else f"{what}-{number}"
