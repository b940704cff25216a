"""What maintainers found about an entry, and only they write: `verified/NAME.json`, and `verified/NAME.zip` with the scores of a re-run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError
from bench.results.archive import read_archive
from bench.results.run import Run
from leaderboard.plain import NAME
from leaderboard.submission import FILE

FOLDER = Path(__file__).parent / "verified"
Level = Literal["claimed", "run by the maintainers", "reproduced", "reproduced on fresh seeds and items", "disputed", "withdrawn"]
MEANINGS: dict[Level, str] = {
    "claimed": "verified, and not run by anybody else",
    "run by the maintainers": "the maintainers' own runs of a method that comes with this package",
    "reproduced": "a re-run on the same seeds is not significantly below the claim",
    "reproduced on fresh seeds and items": "the same, on seeds and items drawn after the submission",
    "disputed": "the claim is significantly above its re-run, also on five more seeds",
    "withdrawn": "taken back by its authors",
}
RANKED: tuple[Level, ...] = ("run by the maintainers", "reproduced", "reproduced on fresh seeds and items")
"""Levels at which an entry has a place."""


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
    """sha256 of a submission.json, which names all other files by theirs."""
    return hashlib.sha256((folder / FILE).read_bytes()).hexdigest()


def level_of(folder: Path, verdicts: Path = FOLDER) -> tuple[Level, Verdict | None]:
    """The level of a submission, and the verdict that it comes from: claimed where there is none, or where the submission was changed after
    it. `UserError` for a verdict that cannot be read."""
    file = verdicts / f"{folder.name}.json"
    if not file.exists():
        return "claimed", None
    try:
        found = Verdict.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(f"{file}: {error.errors()[0]['msg']}") from error
    if found.submission != digest(folder):
        return "claimed", None
    return found.level, found


def rerun_of(name: str, verdicts: Path = FOLDER) -> list[Run]:
    """The runs of an entry's re-run; none where there was no re-run."""
    file = verdicts / f"{name}.zip"
    return read_archive(file) if file.exists() else []
