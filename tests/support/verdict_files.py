"""Writes verdicts, as maintainers do."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.archive import write_archive
from bench.results.run import Run
from leaderboard.verdicts import Rerun, Verdict, digest
from leaderboard.verify import Place


def judge(place: Place, name: str, level: str, note: str = "", again: Sequence[Run] = (), items: int = 0) -> None:
    """A verdict on a submission as it is now. again: the runs of its rerun; items: their draw."""
    place.verdicts.mkdir(exist_ok=True)
    reruns = []
    if again:
        write_archive(place.verdicts / f"{name}-rerun-1.zip", again)
        seeds = tuple(run.seed for run in again)
        given = {"public": "", "sandbox": "bubblewrap", "numerics": {}, "versions": {}, "scores": f"{name}-rerun-1.zip"}
        reruns = [Rerun(seeds=seeds, items=items, **given)]
    given = {"date": "2026-11-28", "note": note, "reruns": tuple(reruns)}
    verdict = Verdict(name=name, submission=digest(place.submissions / name), level=level, **given)
    (place.verdicts / f"{name}.json").write_text(verdict.model_dump_json(), encoding="utf-8")
