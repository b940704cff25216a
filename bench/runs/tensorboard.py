"""Training curves for a viewer, written while jobs run: `--log-to tensorboard`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, nearest

if TYPE_CHECKING:
    from bench.runs.plan import Plan

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
            for part in planned.rows.values():
                for name, job in part:
                    self._folders.setdefault(job, set()).add(out / planned.spec.folder_name() / "tensorboard" / name)
        self._writers: dict[Path, Any] = {}
        self._heard: dict[str, set[tuple[str, int]]] = {}
        self._last: dict[tuple[str, str], tuple[int, int]] = {}

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event of the pool."""
        job = event.get("job") or ""
        if event["event"] == "step":
            self._write(job, self._name(job, event["what"], event["step"]), event)
        elif event["event"] == "done":
            counts: Counter[str] = Counter()
            for what, log in event["result"].get("logs", ()):
                counts[what] += 1
                for line in Path(log).read_text(encoding="utf-8").splitlines():
                    self._write(job, _numbered(what, counts[what]), json.loads(line))
            for folder in self._folders.get(job, ()):
                if folder in self._writers:
                    self._writers.pop(folder).close()

    def _name(self, job: str, what: str, step: int) -> str:
        """A job may train on the same domains several times: its steps then begin anew."""
        number, last = self._last.get((job, what), (1, 0))
        number += step <= last
        self._last[job, what] = number, step
        return _numbered(what, number)

    def _write(self, job: str, what: str, line: dict[str, Any]) -> None:
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

        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder, ignore_errors=True)  # of an earlier start: two files would draw every curve twice
        self._writers[folder] = SummaryWriter(folder)
        return self._writers[folder]

    def __exit__(self, *exc: object) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def _numbered(what: str, number: int) -> str:
    return what if number == 1 else f"{what}-{number}"
