"""What is wrong with a submission: one line each, that names the file, the field and the reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """file: relative to the submission's folder; field: a place in it, may be empty; reason: a clause. warning: a maintainer should look
    at it, and it does not refuse the submission."""

    file: str
    field: str
    reason: str
    warning: bool = False

    def __str__(self) -> str:
        where = f"{self.file}: {self.field}" if self.field else self.file
        return f"{printable(where)}: {'warning: ' if self.warning else ''}{printable(self.reason)}"


def printable(text: str) -> str:
    """One line of untrusted text, at most 300 characters, with invisible characters written out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))[:300]


class RefusedError(Exception):
    """Stops reading a file because of a problem."""

    def __init__(self, file: str, field: str, reason: str) -> None:
        self.problem = Problem(file, field, reason)
        super().__init__(str(self.problem))
