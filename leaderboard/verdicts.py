"""Verdicts on entries, written only by maintainers: `verified/NAME.json`, and `verified/NAME-rerun-N.zip` with the scores of each rerun."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError
from bench.results.archive import read_archive
from bench.results.run import Run
from leaderboard.files import read_json
from leaderboard.flaws import flaws
from leaderboard.plain import NAME
from leaderboard.problems import RefusedError
from leaderboard.submission import FILE

FOLDER = Path(__file__).parent / "verified"
Level = Literal["claimed", "run by the maintainers", "reproduced", "reproduced on fresh seeds and items", "disputed", "withdrawn"]
OWN: Level = "run by the maintainers"
MEANINGS: dict[Level, str] = {
    "claimed": "passes verification; no rerun has reproduced it yet",
    OWN: "the maintainers' own runs of a method that ships with this package",
    "reproduced": "the claim is not significantly above its rerun on the same seeds",
    "reproduced on fresh seeds and items": "the claim is not significantly above its rerun on seeds and items drawn after the submission",
    "disputed": "the claim is significantly above its rerun, and again on five fresh seeds",
    "withdrawn": "withdrawn by its authors",
}
RANKED: tuple[Level, ...] = (OWN, "reproduced", "reproduced on fresh seeds and items")
"""Levels at which an entry is ranked."""


class Rerun(BaseModel):
    """A rerun, with all that it takes to repeat it. seeds: those that were run; items: the draw of its test items from the reserve (0: the
    suite's own); public: the value that fresh seeds and items were drawn with (`leaderboard.rerun.draw`), and where it was published;
    sandbox: where the method ran; numerics, versions: of the machine; excess: by how much the claim is above it, on the board's metric,
    with its interval; p: one-sided, of that; adjusted: by Holm across the entries that were rerun together; same: checkpoints with the
    claim's content, of how many that the method made; unmetered: work that the method was not charged for; error: why there is no result;
    by_method: it was the method that failed; scores: file of the rerun's scores, beside the verdict; spot: only some of the submission's
    seeds were run, which changes no level and ranks nothing (no p)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seeds: tuple[int, ...]
    items: int
    public: str
    sandbox: str
    numerics: dict[str, Any]
    versions: dict[str, str]
    excess: dict[str, Any] | None = None
    p: float | None = None
    adjusted: float | None = None
    same: tuple[int, int] = (0, 0)
    unmetered: tuple[str, ...] = ()
    error: str = ""
    by_method: bool = False
    scores: str = ""
    spot: bool = False

    @property
    def fresh(self) -> bool:
        """Whether seeds and items were drawn after the submission."""
        return self.items != 0


class Verdict(BaseModel):
    """verified/NAME.json. submission: sha256 of the submission.json that it is about; note: one line for readers; date: of the last rerun
    (YYYY-MM-DD); reruns: in the order in which they were made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    submission: str
    level: Level
    date: str
    note: str = ""
    reruns: tuple[Rerun, ...] = ()


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
        raise UserError(str(flaws(str(file), error)[0])) from error
    if found.name != folder.name:
        raise UserError(f"{file}: name: is {found.name!r}, but must be that of the file")
    try:
        return found if found.submission == digest(folder) else None
    except RefusedError:
        return None


def rerun_of(verdict: Verdict, verdicts: Path = FOLDER) -> list[Run]:
    """The runs of an entry's latest rerun on fresh seeds, or else of its latest; none where there was no rerun of all its seeds."""
    scored = [rerun for rerun in verdict.reruns if rerun.scores and not rerun.spot]
    scored.sort(key=lambda rerun: rerun.fresh)
    return read_archive(verdicts / scored[-1].scores) if scored else []
