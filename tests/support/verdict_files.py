"""Writes verdicts, as maintainers do."""

from __future__ import annotations

from leaderboard.verdicts import Verdict, digest
from leaderboard.verify import Place


def judge(place: Place, name: str, level: str, note: str = "") -> None:
    """A verdict on a submission as it is now."""
    place.verdicts.mkdir(exist_ok=True)
    verdict = Verdict(name=name, submission=digest(place.submissions / name), level=level, date="2026-11-28", note=note)
    (place.verdicts / f"{name}.json").write_text(verdict.model_dump_json(), encoding="utf-8")
