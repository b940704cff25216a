"""How often forgetting of some points would be significant, and how often a bed would be given up: the tables of docs/test-bed-everyday.md.

    python scripts/bed_power.py

The spread over items, and of what is left beside items and seeds, is that of the scores that scripts/test_bed.py stored. The spread
between seeds, which a few seeds hardly show, is assumed. Forgetting is drawn as normal, and 64 items carry the variance of all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate

from bench.errors import UserError
from bench.results.statistics import crossed
from bench.suite import load_suite

DOCS = Path(__file__).parents[1] / "docs"
SEED, RUNS, CARRIERS = 11, 10_000, 64
DESIGNS = ((5, 256, 3), (5, 1024, 3), (3, 256, 1), (3, 512, 1), (5, 512, 1))
"""Seeds, items, and how many intervals have to hold together."""
POINTS = (0.0, 4.0, 5.0)
BED, GIVEN_UP_AFTER, GIVEN_UP_BELOW = (5, 1024, 3), 3, 1.0
"""The bed of everyday, and when it is given up: the seeds, and the points below which every domain's mean then is."""
POINTS_OF_BED = (0.0, 1.0, 2.0, 3.0, 4.0)


def stored(files: Sequence[Path], suite: str, domain: str) -> np.ndarray:
    """(S, I) forgetting of a domain on `paper`, greedy, in points of 100. `UserError` where there are not two seeds."""
    if len(files) < 2:
        raise UserError("two seeds at least are needed: give the folder that scripts/test_bed.py keeps its scores in")
    order = load_suite(suite).sequence("paper")
    own, end = (f"paper//{row}/{domain}/greedy" for row in (order.index(domain) + 1, len(order)))
    tables = [np.load(file) for file in files]
    return 100 * np.stack([table[own][:, 0] - table[end][:, 0] for table in tables])


def parts_of(scores: np.ndarray) -> tuple[float, float]:
    """Of (S, I): the variance between items, and the rest. The two-way analysis of variance; a negative part counts as 0."""
    seeds, items = scores.shape
    by_item = scores.mean(0)
    rest = ((scores - by_item - scores.mean(1, keepdims=True) + scores.mean()) ** 2).sum() / ((seeds - 1) * (items - 1))
    return max(float(by_item.var(ddof=1) - rest / seeds), 0.0), float(rest)


def simulated(parts: tuple[float, float], seeds: int, items: int, points: float, between: float) -> np.ndarray:
    """(RUNS, S, CARRIERS) forgetting in simulated beds. points: what is forgotten; between: standard deviation between seeds."""
    draw = np.random.default_rng(SEED)
    item, rest = (np.sqrt(part * CARRIERS / items) for part in parts)
    noise = item * draw.normal(size=(RUNS, 1, CARRIERS)) + rest * draw.normal(size=(RUNS, seeds, CARRIERS))
    return points + noise + between * draw.normal(size=(RUNS, seeds, 1))


def power(parts: tuple[float, float], seeds: int, items: int, together: int, points: float, between: float) -> float:
    """Percent of simulated beds whose interval of forgetting lies above 0. together: how many intervals hold together (Bonferroni)."""
    found = crossed([simulated(parts, seeds, items, points, between)])
    return float(100 * (found.mean - found.half_width(1 - 0.05 / together) > 0).mean())


def given_up(parts: tuple[float, float], items: int, points: float, between: float) -> float:
    """Percent of simulated beds whose mean after the first seeds is below the limit, in one domain."""
    first = simulated(parts, GIVEN_UP_AFTER, items, points, between)
    return float(100 * (first.mean((1, 2)) < GIVEN_UP_BELOW).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=DOCS / "test-bed-everyday-256", help="where the scores are")
    parser.add_argument("--suite", default="everyday")
    parser.add_argument("--domain", default="code")
    parser.add_argument("--between", type=float, default=1.0, metavar="POINTS", help="standard deviation between seeds")
    options = parser.parse_args()
    parts = parts_of(stored(sorted(options.folder.glob("*.npz")), options.suite, options.domain))
    rows = []
    for seeds, items, together in DESIGNS:
        cells = [f"{power(parts, seeds, items, together, points, options.between):.0f} %" for points in POINTS]
        rows.append([f"{seeds}, {items:,}", f"corrected for {together}" if together > 1 else "95 %", *cells])
    header = ["seeds, items", "interval", *(f"forgets {points:g} points" for points in POINTS)]
    print(tabulate(rows, header, tablefmt="github", disable_numparse=True), end="\n\n")
    seeds, items, together = BED
    rows = [
        [
            f"{points:g}",
            f"{given_up(parts, items, points, options.between):.1f} %",
            f"{power(parts, seeds, items, together, points, options.between):.1f} %",
        ]
        for points in POINTS_OF_BED
    ]
    header = ["forgets (points)", f"below {GIVEN_UP_BELOW:g} after {GIVEN_UP_AFTER} seeds", f"significant after {seeds}"]
    print(tabulate(rows, header, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
