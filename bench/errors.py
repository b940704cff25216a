"""The errors that a user can put right. No torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something a user can put right; its text is one line: what, where, what to do."""


class MachineError(UserError):
    """A failure of the machine, such as a full disk: no fault of a method or its settings, and a rerun resumes once it is mended."""


def nearest(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for an unknown name, with the nearest known ones."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(known)}"
    return UserError(f"unknown {kind} {name!r}: {hint}")


def one_line(error: BaseException) -> str:
    """Type and first sentence of another library's error, at most 200 characters: some of transformers' messages have 140 lines."""
    text = " ".join(str(error).split()).partition(". ")[0][:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
