"""What a rerun says about a claim. The test is one-sided, Holm-corrected across the entries that are rerun together; it compares what all
seeds give together, never one run with one other."""

from __future__ import annotations

from collections.abc import Sequence

from bench.results.comparisons import excess
from bench.results.entries import Entry
from bench.results.run import Run
from bench.results.statistics import holm
from leaderboard.limits import REPRODUCED_LEVEL
from leaderboard.verdicts import OWN, Level, Rerun

FRESH: Level = "reproduced on fresh seeds and items"


def compared(claim: Sequence[Run], again: Sequence[Run], targets: str, *, public: str, sandbox: str) -> Rerun:
    """The record of a rerun, not yet adjusted for others."""
    first = again[0].manifest
    above, p = excess(Entry("claim", tuple(claim)), Entry("rerun", tuple(again)), targets)
    theirs = {(run.manifest.spec.sequence, run.seed): run.manifest.checkpoints for run in claim}
    same: list[bool] = []
    for run in again:
        other = theirs.get((run.manifest.spec.sequence, run.seed), {})
        same += [content == other[row] for row, content in run.manifest.checkpoints.items() if row in other]
    return Rerun(
        seeds=tuple(sorted({run.seed for run in again})),
        items=first.spec.draw,
        public=public,
        sandbox=sandbox,
        numerics=first.numerics,
        versions=first.versions,
        excess=above.to_json(),
        p=p,
        same=(sum(same), len(same)),
        unmetered=tuple(sorted({line for run in again for line in run.unmetered})),
    )


def adjusted(reruns: Sequence[Rerun]) -> list[Rerun]:
    """The same with p adjusted by Holm across them."""
    values = iter(holm([rerun.p for rerun in reruns if rerun.p is not None]))
    return [rerun if rerun.p is None else rerun.model_copy(update={"adjusted": next(values)}) for rerun in reruns]


def reproduced(rerun: Rerun) -> bool | None:
    """Whether a claim is not significantly above its rerun; None where the rerun gave no result."""
    return None if rerun.error or rerun.adjusted is None else rerun.adjusted >= REPRODUCED_LEVEL


def level_of(before: Level, reruns: Sequence[Rerun]) -> Level:
    """The level of an entry after all its reruns. A claim is disputed once two reruns in a row, on different seeds, did not reproduce it;
    what maintainers ran themselves stays at its level until then."""
    found = [(rerun, ok) for rerun in reruns if (ok := reproduced(rerun)) is not None]
    if not found:
        return before
    last, ok = found[-1]
    if not ok:
        twice = len(found) > 1 and not found[-2][1] and set(found[-2][0].seeds) != set(last.seeds)
        return "disputed" if twice else ("claimed" if before != OWN else before)
    if before == OWN:
        return before
    return FRESH if any(rerun.fresh and fine for rerun, fine in found) else "reproduced"


def words(rerun: Rerun) -> str:
    """The result of a rerun in a line."""
    seeds = f"{'fresh seeds and items' if rerun.fresh else 'the same seeds'} ({rerun.seeds[0]} to {rerun.seeds[-1]}) "
    if rerun.error:
        return f"rerun on {seeds}gave no result: {rerun.error}"
    if rerun.p is None or rerun.excess is None or rerun.adjusted is None:
        return f"rerun on {seeds}gave no result: {(rerun.excess or {}).get('why', '')}"
    verb = "is not significantly above" if rerun.adjusted >= REPRODUCED_LEVEL else "is significantly above"
    bits = f"; {rerun.same[0]} of {rerun.same[1]} checkpoints are bit-exact" if rerun.same[1] else ""
    return f"the claim {verb} its rerun on {seeds}by {rerun.excess['estimate']:.2f} (p = {rerun.adjusted:.2g}){bits}"
