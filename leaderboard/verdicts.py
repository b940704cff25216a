"""Verdicts on entries, written only by maintainers: `verified/NAME.json`, and `verified/NAME.zip` with the scores of a re-run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError
from bench.results.archive import read_archive
from bench.results.run import Run
from leaderboard.files import read_json
from leaderboard.plain import NAME
from leaderboard.problems import RefusedError
from leaderboard.submission import FILE

FOLDER = Path(__file__).parent / "verified"
Level = Literal["claimed", "run by the maintainers", "reproduced", "reproduced on fresh seeds and items", "disputed", "withdrawn"]
OWN: Level = "run by the maintainers"
MEANINGS: dict[Level, str] = {
    "claimed": "passes verification; not rerun by anyone else yet",
    OWN: "the maintainers' own runs of a method that ships with this package",
    "reproduced": "a re-run on the same seeds is not significantly below the claim",
    "reproduced on fresh seeds and items": "a re-run on seeds and items drawn after the submission is not significantly below the claim",
    "disputed": "the claim is significantly above its re-run, and again on five more seeds",
    "withdrawn": "withdrawn by its authors",
}
RANKED: tuple[Level, ...] = (OWN, "reproduced", "reproduced on fresh seeds and items")
"""Levels at which an entry is ranked."""


class Verdict(BaseModel):
    """verified/NAME.json. submission: sha256 of the submission.json that it is about; note: one line for readers; date: of the re-run
    (YYYY-MM-DD)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    submission: str
    level: Level
    date: str
    note: str = ""


def digest(folder: Path) -> str:
    """sha256 of a submission.json, which names the data files by theirs."""
    return hashlib.sha256(read_json(folder, FILE)).hexdigest()


def verdict_on(folder: Path, verdicts: Path = FOLDER) -> Verdict | None:
    """The verdict on a submission; None where there is none, or where the submission was changed after it. `UserError` for a verdict that
    cannot be read or is on another name."""
    file = verdicts / f"{folder.name}.json"
    if not file.exists():
        return None
    try:
        found = Verdict.model_validate_json(file.read_bytes())
    except ValidationError as error:
        flaw = error.errors()[0]
        raise UserError(f"{file}: {'.'.join(map(str, flaw['loc']))}: {flaw['msg']}") from error
    if found.name != folder.name:
        raise UserError(f"{file}: name: is {found.name!r}, but must be that of the file")
    try:
        return found if found.submission == digest(folder) else None
    except RefusedError:
        return None


def rerun_of(name: str, verdicts: Path = FOLDER) -> list[Run]:
    """The runs of an entry's re-run; none where there was no re-run."""
    file = verdicts / f"{name}.zip"
    return read_archive(file) if file.exists() else []
