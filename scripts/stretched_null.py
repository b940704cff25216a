"""Real and null stages over the same distance: what each takes, for docs/second-result.md. An exploration on development seeds.

    python scripts/stretched_null.py > docs/second-result-stretched-null.md      # about an hour of one core; cached: rerun to resume

Null stages move the weights about half as far as real ones. Here both are compared at one length: the real update, shortened to the null
one's length, and the null update, stretched to the real one's. Nothing is trained besides the stages themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from result_tables import github, in_points

from bench.checkpoint import Checkpoint
from bench.files import default_cache
from bench.method import Training
from bench.report.words import TITLES
from bench.results.answers import table_of
from bench.storage.cache import Cache
from bench.suite import DECODINGS, DEVELOPMENT_SEEDS, Decoding, load_suite
from bench.worker.keys import Numerics
from bench.worker.workbench import Workbench

SEEDS = DEVELOPMENT_SEEDS[:5]
ENDS = ("own", "real", "real, shortened", "null", "null, stretched")
"""The domain's own checkpoint, and where later stages lead from there: real and null ones, each at both lengths."""
Scores = Mapping[str, Mapping[Decoding, np.ndarray]]


def ends(bench: Workbench, order: tuple[str, ...], domain: str, seed: int) -> tuple[dict[str, Checkpoint], float]:
    """The checkpoints of `ENDS`, and the length of the null update divided by that of the real one."""

    def trained(start: Checkpoint, domains: tuple[str, ...], *, null: bool) -> Checkpoint:
        for each in domains:
            start = bench.checkpoint(bench.train(start, Training.on(each), seed=seed, null=null).value["checkpoint"])
        return start

    place = order.index(domain) + 1
    own = trained(bench.base, order[:place], null=False)
    real, null = (trained(own, order[place:], null=null) for null in (False, True))
    ratio = bench.distance(own, null) / bench.distance(own, real)

    def at(end: Checkpoint, length: float) -> Checkpoint:
        return own.map(lambda name, start, stop: start + length * (stop - start), end, elementwise=True)

    return dict(zip(ENDS, (own, real, at(real, ratio), null, at(null, 1 / ratio)), strict=True)), ratio


def scores(bench: Workbench, domain: str, found: Mapping[str, Checkpoint]) -> Scores:
    """(I,) scores on the test items of the domain, by end and decoding."""
    tables = {end: bench.answers(checkpoint, domain).folder / "answers.jsonl.gz" for end, checkpoint in found.items()}
    read = {end: table_of(file.read_bytes(), str(file)) for end, file in tables.items()}
    return {end: {decoding: table[domain, decoding][:, 0] for decoding in DECODINGS} for end, table in read.items()}


def rows(bench: Workbench, order: tuple[str, ...], domain: str) -> list[list[str]]:
    """A line of the table for each decoding, over all seeds."""
    by_seed = [ends(bench, order, domain, seed) for seed in SEEDS]
    ratio = np.mean([own for _, own in by_seed])
    scored = [scores(bench, domain, found) for found, _ in by_seed]
    lines = []
    for decoding in DECODINGS:
        at = {end: np.stack([one[end][decoding] for one in scored]) for end in ENDS}
        lost = {end: at["own"] - at[end] for end in ENDS[1:]}
        cells = [domain, TITLES[decoding], f"{ratio:.2f}"]
        for real, null in (("real, shortened", "null"), ("real", "null, stretched")):
            cells += [in_points([points]) for points in (lost[real], lost[null], lost[real] - lost[null])]
        lines.append(cells)
    return lines


def page(bench: Workbench) -> str:
    """The page, as Markdown."""
    order = bench.suite.sequence("paper")
    table = [line for domain in order[:-1] for line in rows(bench, order, domain)]
    header = ["domain", "decoding", "δ null / δ real"]
    header += [f"{what}, {where}" for where in ("short", "long") for what in ("real", "null", "difference")]
    return f"""\
# Real and null stages over the same distance

Made by `python scripts/stretched_null.py`, after the second result was known, on development seeds {SEEDS[0]} to {SEEDS[-1]} of
{bench.suite.id}, order `paper`, {bench.suite.test_items:,} test items a domain. Nothing was chosen by it. Forgetting since a domain's own
stage, in points, with uncorrected 95 % intervals over seeds and items. *Short*: at the distance that null stages move the weights; the
real update is shortened to it, on a straight line. *Long*: at the distance that real stages move them; the null update is stretched to it.

{github(table, header)}
"""


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(page(Workbench(load_suite("micro"), Cache(default_cache()), Numerics.choose("cpu", "hf"))), end="")
