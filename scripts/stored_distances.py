"""What the distances between checkpoints say about the second result, for docs/second-result.md: estimates made after it was known.

    python scripts/stored_distances.py > docs/second-result-distances.md      # half a minute, from the archives in docs/second-result/

The manifest of every run holds how far its models lie from the end of the baseline run and from the targets' own checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from declared import Result
from result_tables import as_share, github, in_points, minus
from second_result import PARTS

from bench.report.evidence import distance, moved
from bench.report.words import TITLES
from bench.results import metrics
from bench.results.entries import Entry
from bench.results.estimates import NO_FORGETTING, domain_strata, ratio
from bench.results.measured import Measured
from bench.results.run import Run
from bench.suite import DECODINGS

ARCHIVES = Path(__file__).parent.parent / "docs" / "second-result"
TARGET = "math"
INTRODUCTION = """\
# The second result: how far the weights moved

Made after the result was known (`python scripts/stored_distances.py`), from the distances in the manifests of its runs (micro/3, `paper`).
Brackets are 95 % intervals. They are not corrected for the number of comparisons, and nothing here was declared."""
NULL = """\
## If null stages had moved the weights as far as real ones

Null stages move the weights about half as far as real ones. Here the forgetting under null stages is multiplied, seed by seed, by
(‖δ real‖ / ‖δ null‖)^k, where ‖δ‖ is the distance from a domain's own checkpoint to the last one. k = 0 corrects nothing: question 5 again.
k = 1 would be right if drift made a model forget in proportion to the distance, and k = 2 if in proportion to its square, as a
second-order expansion around the domain's own checkpoint has it. k = 2 is an extrapolation, since scores end at 0 and forgetting cannot
go on growing. Nothing was trained or scored at the longer distance."""
BACK = f"""\
## Do repairs bring the weights back?

θ is the repaired model, θ_T the last checkpoint, θ_d the one after {TARGET}, and δ = θ_T − θ_d. A repair that contracts δ brings the
distance ‖θ − θ_d‖ below ‖δ‖. The cosine is that between the repair's move, θ − θ_T, and the way back, −δ. These are distances in the space
of all weights, which could hide a contraction in a subspace of few dimensions; that is what the paper claims."""
POWERS = (0, 1, 2)


def interference(result: Result) -> str:
    """Question 5 again, with forgetting under null stages rescaled by powers of the distance."""
    real, rows = sorted(result.entry("all", "none").runs, key=lambda run: run.seed), []
    for domain in dict.fromkeys(run.manifest.spec.null for run in result.null):
        null = sorted((run for run in result.null if run.manifest.spec.null == domain), key=lambda run: run.seed)
        further = np.array([moved([one], domain) / moved([other], domain) for one, other in zip(real, null, strict=True)])
        for decoding in DECODINGS:
            lost, drift = (domain_strata(Measured.of(runs, decoding), metrics.forgetting, domain) for runs in (real, null))
            for power in POWERS:
                rescaled = [points * further[:, None] ** power for points in drift]
                share = as_share(ratio(minus(lost, rescaled), lost, NO_FORGETTING))
                cells = [in_points(lost), in_points(rescaled), in_points(minus(lost, rescaled)), share]
                rows.append([domain, TITLES[decoding], f"{(1 / further).mean():.2f}", str(power), *cells])
    columns = ("forgetting, real stages", "forgetting, null stages", "interference", "interference / forgetting")
    header = ["domain", "decoding", "δ null / δ real", "k", *columns]
    return github(rows, header)


def way_back(result: Result) -> str:
    """Refresh's curve, then the repairs on board `single` after plain stages that move the weights, by how much of ‖δ‖ is left."""
    curve = [entry for entry in result.boards["curve"].entries if entry.runs[0].manifest.method.name == "refresh"]
    curve = sorted(curve, key=lambda entry: entry.runs[0].manifest.method.settings["steps"])
    others = [entry for entry in result.boards["single"].entries if not entry.runs[0].rows.own_stages]
    paths = {entry.label: path(entry.runs) for entry in (*curve, *others)}
    others = sorted((entry for entry in others if paths[entry.label][1].all()), key=lambda entry: paths[entry.label][0].mean())

    def row(entry: Entry) -> list[str]:
        left, length, cosine = paths[entry.label]
        spread = f"{left.mean():.3f} ({left.min():.3f} to {left.max():.3f})"
        recovered = (as_share(entry.metrics[decoding]["recovery ratio"]) for decoding in DECODINGS)
        return [entry.label, str(len(entry.seeds)), spread, f"{length.mean():.2f}", f"{cosine.mean():.2f}", *recovered]

    header = ["entry", "seeds", "‖θ − θ_d‖ / ‖δ‖", "‖θ − θ_T‖ / ‖δ‖", "cosine", *(f"recovery ratio, {TITLES[d]}" for d in DECODINGS)]
    return github([row(entry) for entry in (*curve, *others)], header)


def path(runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(S,) each, run by run: ‖θ - θ_d‖ and ‖θ - θ_T‖ divided by ‖δ‖, and the cosine of θ - θ_T with -δ (nan without a move)."""
    sides = []
    for run in runs:
        own, end = run.rows.after(run.sequence.index(TARGET)), run.rows.baseline[-1]
        sides.append((distance(run, own, end), distance(run, own, run.rows.final), distance(run, end, run.rows.final)))
    whole, left, length = np.array(sides).T
    with np.errstate(invalid="ignore"):
        cosine = (whole**2 + length**2 - left**2) / (2 * whole * length)  # the law of cosines, in the triangle of θ_d, θ_T and θ
    return left / whole, length / whole, cosine


def page(result: Result) -> str:
    """All tables, as Markdown."""
    return "\n\n".join([INTRODUCTION, NULL, interference(result), BACK, way_back(result)]) + "\n"


if __name__ == "__main__":
    print(page(Result.read(PARTS, ARCHIVES)), end="")
