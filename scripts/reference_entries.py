"""The leaderboard's reference entries: packs every method's runs of a result, and marks them as run by the maintainers.

    python scripts/reference_entries.py --runs runs/second --date 2026-11-28

--runs is the folder below which `scripts/second_result.py run` kept its run folders. The baseline run of a sequence is packed first; all
other entries on that sequence name its rows of answers instead of storing them again. An entry that has a verdict is left as it is. An
entry that verification refuses gets none, and ends the script.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten

from bench.errors import UserError
from bench.files import write_bytes
from bench.registry import method_class
from bench.results.run import Run, find_runs
from leaderboard.pack import Words, pack
from leaderboard.submission import FILE, Submission
from leaderboard.verdicts import OWN, Verdict, digest, verdict_on
from leaderboard.verify import Place, verify

BOARDS = {"single": "single", "all": "all", "balanced": "balanced"}
"""Folder of runs -> the last part of its entries' names."""
TRIED = {"projection": 140, "rft": 2}
"""Configurations tried beyond those of an entry's record of tuning: `projection` had 148 in all (docs/developing-a-repair.md), `rft` 3 and
5 steps in a first grid, whose best was its last."""
TRIALS = 8
"""In every record of tuning."""


def words(method: str) -> Words:
    """What only we know about an entry."""
    cls = method_class(method)
    title, _, described = (inspect.getdoc(inspect.getmodule(cls)) or "").partition("\n")
    tried = TRIED.get(method, 0) + TRIALS if cls.search else 1
    return Words(
        title=shorten(title.rstrip("."), 120, placeholder=" ..."),
        authors=("the maintainers of interference-bench",),
        code_licence="Apache-2.0",
        data_licence="CC-BY-4.0",
        configurations_tried=tried,
        scored_runs_seen=0,
        external_data="none",
        external_compute="none",
        readme=f"# {method}\n\n{title}\n\n{described.strip()}\n".replace("\n\n\n", "\n\n"),
    )


def entries(runs: Path, suite: str) -> Iterator[tuple[str, list[Run]]]:
    """Names of the entries and their runs, each board's baseline run first. `UserError` where a method lacks runs that others have."""
    for folder, suffix in BOARDS.items():
        found, unreadable = find_runs(runs / folder)
        if unreadable:
            raise UserError(unreadable[0])
        by_method: dict[str, list[Run]] = {}
        for run in found:
            by_method.setdefault(run.manifest.method.name, []).append(run)
        every = {(run.manifest.spec.sequence, run.seed) for run in found}
        for method in sorted(by_method, key=lambda name: (name != "none", name)):
            own = {(run.manifest.spec.sequence, run.seed) for run in by_method[method]}
            for sequence, seed in sorted(every - own):
                raise UserError(f"{runs / folder}: {method} lacks seed {seed} of {sequence}, which others have: finish the runs first")
            yield f"{suite}-{suffix}-{method.replace('_', '-')}", by_method[method]


def add(name: str, runs: list[Run], place: Place, date: str, rows_from: Submission | None) -> None:
    """Pack an entry, and write its verdict. `UserError` where verification refuses it."""
    folder = place.submissions / name
    if verdict_on(folder, place.verdicts) is not None:
        return
    if not folder.exists():
        pack(runs, name, place.submissions, words(runs[0].manifest.method.name), rows_from)
    found = verify(folder, place)
    for problem in found.problems:
        print(f"{folder}/{problem}")
    if found.refusals:
        raise UserError(f"{folder}: refused")
    verdict = Verdict(name=name, submission=digest(folder), level=OWN, date=date)
    write_bytes(place.verdicts / f"{name}.json", (verdict.model_dump_json(indent=1) + "\n").encode())
    print(f"{folder}: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.2f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="folder of the result's run folders")
    parser.add_argument("--date", required=True, help="when they were run, YYYY-MM-DD")
    parser.add_argument("--suite", default="micro", help="first part of the entries' names")
    parser.add_argument("--submissions", type=Path, default=Place().submissions)
    parser.add_argument("--verdicts", type=Path, default=Place().verdicts)
    args = parser.parse_args()
    place, stored = Place(args.submissions, args.verdicts), {}
    try:
        for name, runs in entries(args.runs, args.suite):
            sequences = tuple(sorted({run.manifest.spec.sequence for run in runs}))
            add(name, runs, place, args.date, stored.get(sequences))
            if sequences not in stored:
                stored[sequences] = Submission.model_validate_json((place.submissions / name / FILE).read_bytes())
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
