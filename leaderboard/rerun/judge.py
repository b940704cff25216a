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


def compared(claim: Sequence[Run], again: Sequence[Run], targets: str, *, public: str, sandbox: str, spot: bool = False) -> Rerun:
    """The record of a rerun, not yet adjusted for others. spot: only some of the claim's seeds were run; it is compared on these."""
    first, seeds = again[0].manifest, {run.seed for run in again}
    if spot:
        claim = [run for run in claim if run.seed in seeds]
    above, p = excess(Entry("claim", tuple(claim)), Entry("rerun", tuple(again)), targets)
    theirs = {(run.manifest.spec.sequence, run.seed): run.manifest.checkpoints for run in claim}
    same: list[bool] = []
    for run in again:
        other = theirs.get((run.manifest.spec.sequence, run.seed), {})
        made = [row.name for row in run.rows.distinct() if row.part != "baseline"]
        same += [run.manifest.checkpoints[row] == other[row] for row in made if row in other]
    return Rerun(
        seeds=tuple(sorted(seeds)),
        items=first.spec.draw,
        public=public,
        sandbox=sandbox,
        numerics=first.numerics,
        versions=first.versions,
        excess=above.to_json(),
        p=None if spot else p,
        same=(sum(same), len(same)),
        unmetered=tuple(sorted({line for run in again for line in run.unmetered})),
        spot=spot,
    )


def adjusted(reruns: Sequence[Rerun]) -> list[Rerun]:
    """The same with p adjusted by Holm across them."""
    values = iter(holm([rerun.p for rerun in reruns if rerun.p is not None]))
    return [rerun if rerun.p is None else rerun.model_copy(update={"adjusted": next(values)}) for rerun in reruns]


def reproduced(rerun: Rerun) -> bool | None:
    """Whether a claim is not significantly above its rerun. A method that fails in its rerun did not reproduce its claim; None where the
    rerun has no result for another reason."""
    if rerun.error:
        return False if rerun.by_method else None
    return None if rerun.adjusted is None else rerun.adjusted >= REPRODUCED_LEVEL


def level_of(before: Level, reruns: Sequence[Rerun]) -> Level:
    """The level of an entry after all its reruns. Fresh seeds and items decide where there are any, since a method that saw the test items
    reproduces its claim on them. A claim is disputed after two failures on different seeds, and only success on fresh ones ends that. What
    maintainers ran themselves keeps its level unless it is disputed; what its authors withdrew stays so. Spot checks decide nothing."""
    found = [(rerun, ok) for rerun in reruns if not rerun.spot and (ok := reproduced(rerun)) is not None]
    if before == "withdrawn" or not found:
        return before
    fresh = [ok for rerun, ok in found if rerun.fresh]
    if fresh and fresh[-1]:
        return OWN if before == OWN else FRESH
    if len({rerun.seeds for rerun, ok in found if not ok}) > 1:
        return "disputed"
    if before == OWN:
        return OWN
    return "reproduced" if not fresh and found[-1][1] else "claimed"


def words(rerun: Rerun) -> str:
    """The result of a rerun in a line."""
    kind = "fresh seeds and items" if rerun.fresh else "some of its seeds" if rerun.spot else "the same seeds"
    seeds = f"{kind} ({' to '.join(dict.fromkeys(map(str, (rerun.seeds[0], rerun.seeds[-1]))))}) "
    bits = f"; {rerun.same[0]} of {rerun.same[1]} checkpoints are bit-exact" if rerun.same[1] else ""
    bits += "; not all of its work was charged" if rerun.unmetered else ""
    if rerun.spot and not rerun.error:
        estimate = (rerun.excess or {}).get("estimate")
        found = "has no defined difference from" if estimate is None else f"differs by {estimate:+.2f} from"
        return f"the claim {found} a spot check on {seeds.strip()}{bits}"
    if rerun.error:
        return f"rerun on {seeds}gave no result: {rerun.error}"
    if rerun.p is None or rerun.excess is None or rerun.adjusted is None:
        return f"rerun on {seeds}gave no result: {(rerun.excess or {}).get('why', '')}"
    verb = "is not significantly above" if rerun.adjusted >= REPRODUCED_LEVEL else "is significantly above"
    return f"the claim {verb} its rerun on {seeds}by {rerun.excess['estimate']:.2f} (p = {rerun.adjusted:.2g}){bits}"
