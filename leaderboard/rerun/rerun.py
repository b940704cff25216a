"""`rerun`: entries are run again, their claims judged, and the verdicts written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bench.errors import UserError
from bench.files import lock_for, write_bytes
from bench.results.archive import write_archive
from bench.results.run import Run
from bench.runs.execute import FailedRun, FailedRunsError
from bench.worker.keys import Numerics
from leaderboard.rerun import judge
from leaderboard.rerun.draw import Draw, fresh
from leaderboard.rerun.execute import Bench, run_again
from leaderboard.verdicts import Rerun, Verdict, digest, verdict_on
from leaderboard.verify import Place, Verified, verify_all
from leaderboard.verify.costs import understated

Seeds = Literal["same", "fresh"]


def rerun(names: Sequence[str], seeds: Seeds, public: str, place: Place, bench: Bench, first: int | None = None) -> list[Verdict]:
    """Run entries again, and write their verdicts and the scores of their reruns.

    public: for fresh seeds, a random value that was published after the entries were submitted. Where a claim is not reproduced, five more
    seeds are run at once if there is such a value. first: only so many of the same seeds, as a
    spot check. `UserError` for an entry that verification refuses, before anything runs.
    """
    if seeds == "fresh" and not public.strip():
        raise UserError("--seeds fresh: add --public, a random value published after the submission, such as 'drand 4512345 8f3a...'")
    if first is not None and seeds == "fresh":
        raise UserError("--first is for a spot check on the same seeds: leave it out, or take --seeds same")
    found = verify_all(dict.fromkeys(names), place)
    for name, each in found.items():
        if each.submission is None or each.refusals:
            raise UserError(f"{place.submissions / name}: {each.refusals[0]}; a submission must be accepted before it is rerun")
        if each.submission.board.device == "cuda":
            sandbox = bench.sandbox_for(each.submission)
            if sandbox is not None and not sandbox.reaches_cards:
                raise UserError(f"--sandbox {bench.kind}: its containers have no GPU, and {name} needs one; use --sandbox bubblewrap")
            Numerics.choose("cuda")
    results = {name: _once(each, seeds, public, 0, bench, first) for name, each in found.items()}
    records = dict(zip(results, judge.adjusted([record for record, _ in results.values()]), strict=True))
    verdicts = []
    for name, each in found.items():
        record, again = records[name], results[name][1]
        verdict = _written(each, record, again, place, bench.cache)
        if not record.spot and judge.reproduced(record) is False and public.strip():
            more, again = _once(each, "fresh", public, 1, bench)
            verdict = _written(each, judge.adjusted([more])[0], again, place, bench.cache)
        verdicts.append(verdict)
    return verdicts


def _once(each: Verified, seeds: Seeds, public: str, number: int, bench: Bench, first: int | None = None) -> tuple[Rerun, list[Run]]:
    """One rerun of an entry and its record. number: of the draw of fresh seeds; first: how many of the same seeds, all by default."""
    submission, suite = each.submission, each.suite
    assert submission is not None
    assert suite is not None
    drawn = fresh(digest(each.folder), public, number) if seeds == "fresh" else None
    own = submission.seeds[:first] if drawn is None else drawn.seeds
    spot = drawn is None and len(own) < len(submission.seeds)
    kind = "none: a method of this package" if submission.method.from_package else bench.kind
    try:
        again = run_again(each.folder, submission, suite, own, drawn.items if drawn else 0, bench)
    except FailedRunsError as error:
        failed = next((failed for failed in error.failed if failed.by_method), error.failed[0])
        return _failed(own, drawn, public, kind, failed, spot), []
    record = judge.compared(each.runs, again, submission.board.targets, public=public if drawn else "", sandbox=kind, spot=spot)
    lines = filter(None, (understated(run, suite) for run in again))
    return record.model_copy(update={"unmetered": (*record.unmetered, *lines)}), again


def _failed(seeds: Sequence[int], drawn: Draw | None, public: str, sandbox: str, failed: FailedRun, spot: bool) -> Rerun:
    """The record of a rerun without a result. It repeats no word of the method's: those are in the logs."""
    return Rerun(
        seeds=tuple(seeds),
        items=drawn.items if drawn else 0,
        public=public if drawn else "",
        sandbox=sandbox,
        numerics={},
        versions={},
        error=failed.plain or "the harness failed",
        by_method=failed.by_method,
        spot=spot,
    )


def _written(each: Verified, record: Rerun, again: Sequence[Run], place: Place, cache: Path) -> Verdict:
    """The verdict with one more rerun, and its scores, written to the folder of verdicts. What another command adds meanwhile stays."""
    name = each.folder.name
    file = place.verdicts / f"{name}.json"
    with lock_for(file, cache):
        before = verdict_on(each.folder, place.verdicts)
        earlier = before.reruns if before else ()
        scores = f"{name}-rerun-{len(earlier) + 1}.zip" if again else ""
        reruns = (*earlier, record.model_copy(update={"scores": scores}))
        made = Verdict(
            name=name,
            submission=digest(each.folder),
            level=judge.level_of(before.level if before else "claimed", reruns),
            date=datetime.now(UTC).date().isoformat(),
            note=judge.words(record),
            reruns=reruns,
        )
        if again:
            write_archive(place.verdicts / scores, again)
        write_bytes(file, (made.model_dump_json(indent=1) + "\n").encode())
    return made
