"""The one-folder rule: a change that submits an entry touches this entry's folder and nothing else; one that evaluates another's entry, one
file."""

from __future__ import annotations

from collections.abc import Iterable

from bench.errors import UserError
from leaderboard.plain import NAME_WORDS
from leaderboard.problems import printable
from leaderboard.submission import is_name

FOLDER = "leaderboard/submissions/"
EVALUATIONS = "leaderboard/evaluations/"


def submitted(paths: Iterable[str]) -> str:
    """The folder of the submission to which all changed paths belong, or the one evaluation that they are. `UserError` where there is none,
    or where a path lies elsewhere."""
    changed = list(paths)
    if len(changed) == 1 and changed[0].startswith(EVALUATIONS):
        name = changed[0].removeprefix(EVALUATIONS).removesuffix(".json")
        if not changed[0].endswith(".json") or not is_name(name):
            raise UserError(f"{printable(changed[0])}: an evaluation is a file NAME.json, with a name of {NAME_WORDS}")
        return changed[0]
    names: set[str] = set()
    for path in changed:
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
    return FOLDER + names.pop()
