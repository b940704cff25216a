"""The one-folder rule: a change that submits an entry touches this entry's folder and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UserError
from leaderboard.plain import NAME_WORDS
from leaderboard.problems import printable
from leaderboard.submission import is_name

FOLDER = "leaderboard/submissions/"


def submission_of(paths: Iterable[str]) -> str:
    """The name of the submission to which all changed paths belong. `UserError` where there is none, or where a path lies elsewhere."""
    names: set[str] = set()
    for path in paths:
        name, slash, _ = path.removeprefix(FOLDER).partition("/")
        if not path.startswith(FOLDER) or not slash:
            raise UserError(f"{printable(path)}: a submission changes only its own folder below {FOLDER}; send other changes apart")
        if not is_name(name):
            raise UserError(f"{FOLDER}{printable(name)}: a submission's name must be {NAME_WORDS}")
        names.add(name)
    if not names:
        raise UserError(f"nothing below {FOLDER} was changed")
    if len(names) > 1:
        raise UserError(f"the change touches several submissions ({', '.join(sorted(names))}); send one at a time")
    return names.pop()
