"""Is a suite a valid test bed? What stages gain, what later stages make the model forget, and how much of that null stages take as well.

    python scripts/test_bed.py --out docs/test-bed-micro-3.md

Runs the baseline run in every order of the suite's design, and null stages after each domain of the first order, on development seeds.
No repair is run: settings are chosen by what this prints, never by what a repair does. To compare candidates, score validation items
(`--split validation`); the test items are for the table of the suite that was chosen. Everything trained is cached: rerun to resume.
`--keep FOLDER` stores the scores of each seed, so that more seeds can be run on another day or machine.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
from bed_scores import Key, Table, scores_of
from tabulate import tabulate

from bench.errors import UserError
from bench.files import write_bytes
from bench.results.statistics import Interval, crossed_interval, ratio_set
from bench.suite import DECODINGS, DEVELOPMENT_SEEDS, Decoding, Suite, load_suite
from tasks.task import Split

CEILING = 95.0
"""Highest score after a domain's own stage, greedy."""
NULL_SHARE = 1 / 3
SPREAD = 0.35
FORMAT_SHARE = 0.2
LATENTS = 8_192
"""Most that null stages may take of what real ones do; largest coefficient of variation of forgetting between seeds; largest share of lost
items that only failed to stop or parse; distinct test items, twice."""


ENOUGH = 5
"""Seeds that a verdict takes."""
TOO_FEW = f" **With fewer than {ENOUGH} seeds, nothing is judged.**"


@dataclass(frozen=True)
class Bounds:
    """What a suite's bed must meet, greedily, in points of 100. gain: least of a stage; forgets: least on the first order, by domain, or
    none where it is enough that one domain forgets significantly; somewhere: least that every domain forgets in some order of a design;
    spread: whether the differences between seeds decide too, or are only reported."""

    gain: float
    forgets: Mapping[str, float]
    somewhere: float | None
    spread: bool


BOUNDS = {
    "micro": Bounds(gain=10.0, forgets={"math": 6.0, "code": 6.0}, somewhere=3.0, spread=True),
    "everyday": Bounds(gain=8.0, forgets={}, somewhere=None, spread=False),
}


def bounds_of(name: str) -> Bounds:
    """Of a suite, by its name. `UserError` where none were set."""
    if name not in BOUNDS:
        raise UserError(f"suite {name}: it is not said what its bed must meet; add it to BOUNDS in scripts/test_bed.py")
    return BOUNDS[name]


@dataclass(frozen=True)
class Bed:
    """The scores of all runs. tables: run -> that of each row of the baseline; flops: run -> of its stages in order; machines: run ->
    where it was trained."""

    suite: Suite
    orders: tuple[str, ...]
    seeds: tuple[int, ...]
    tables: Mapping[Key, Sequence[Table]]
    flops: Mapping[Key, Sequence[float]]
    machines: Mapping[Key, str]

    @cached_property
    def decodings(self) -> tuple[Decoding, ...]:
        """Validation items are scored greedily only."""
        scored = {decoding for _, decoding in next(iter(self.tables.values()))[0]}
        return tuple(decoding for decoding in DECODINGS if decoding in scored)

    @property
    def first(self) -> str:
        return self.orders[0]

    @property
    def bounds(self) -> Bounds:
        return bounds_of(self.suite.name)

    @property
    def watched(self) -> tuple[str, ...]:
        """The domains whose damage must be more than drift and format."""
        return tuple(self.bounds.forgets) or tuple(domain for domain, found in self.forgotten.items() if found.low > 0)

    @cached_property
    def forgotten(self) -> Mapping[str, Interval]:
        """Forgetting of the earlier domains on the first order, greedy, with intervals that hold together."""
        earlier = self.earlier(self.first)
        return {domain: crossed_interval([self.forgetting(self.first, domain, "greedy")], 1 - 0.05 / len(earlier)) for domain in earlier}

    def place(self, order: str, domain: str) -> int:
        """The row right after the domain's own stage."""
        return self.suite.sequence(order).index(domain) + 1

    def scores(self, order: str, row: int, domain: str, decoding: Decoding, null: str = "", column: int = 0) -> np.ndarray:
        """(S, I), in points of 100. column: 0 the score, 1 whether it was parsed, 2 whether it ended."""
        return 100 * np.stack([self.tables[order, null, seed][row][domain, decoding][:, column] for seed in self.seeds])

    def own(self, order: str, domain: str, decoding: Decoding, null: str = "") -> np.ndarray:
        return self.scores(order, self.place(order, domain), domain, decoding, null)

    def gain(self, order: str, domain: str, decoding: Decoding) -> np.ndarray:
        """What the domain's own stage gains, from the model before it."""
        return self.own(order, domain, decoding) - self.scores(order, self.place(order, domain) - 1, domain, decoding)

    def forgetting(self, order: str, domain: str, decoding: Decoding, null: str = "") -> np.ndarray:
        """From the domain's own stage to the end, in one training: that of the null stages where they are asked for."""
        return self.own(order, domain, decoding, null) - self.scores(order, -1, domain, decoding, null)

    def format_loss(self, order: str, domain: str, decoding: Decoding) -> tuple[np.ndarray, np.ndarray]:
        """(S, I) twice: items that were lost and whose answer did not stop or parse, and items lost."""
        lost = self.forgetting(order, domain, decoding) > 0
        usable = np.minimum(*(self.scores(order, -1, domain, decoding, column=column) for column in (1, 2))) > 0
        return (lost & ~usable).astype(float), lost.astype(float)

    def stage_flops(self, domain: str) -> float:
        """Of the domain's real stages, the mean over orders and seeds."""
        found = [self.flops[order, "", seed][self.place(order, domain) - 1] for order in self.orders for seed in self.seeds]
        return float(np.mean(found))

    @cached_property
    def nulls(self) -> tuple[str, ...]:
        """The domains after which stages were null."""
        return tuple(dict.fromkeys(null for _, null, _ in self.tables if null))

    def trained_twice(self, null: str) -> tuple[int, ...]:
        """The seeds whose null stages are not of the training of the real ones, but of one on another type of machine."""
        return tuple(seed for seed in self.seeds if self.machines[self.first, null, seed] != self.machines[self.first, "", seed])

    def earlier(self, order: str) -> tuple[str, ...]:
        """The domains that later stages can make it forget."""
        return self.suite.sequence(order)[:-1]


def bed_of(suite_name: str, sequence: str, nulls: Sequence[str], seeds: Sequence[int], split: Split, device: str, keep: Path | None) -> Bed:
    """The bed, trained and scored where it was not kept. keep: as for `scores_of`."""
    suite = load_suite(suite_name)
    orders = suite.orders(sequence)
    runs = [(order, "") for order in orders] + [(orders[0], null) for null in nulls]
    scored = {key: run for seed in seeds for key, run in scores_of(suite_name, runs, seed, split, device, keep).items()}
    tables, flops, machines = ({key: getattr(run, name) for key, run in scored.items()} for name in ("tables", "flops", "machine"))
    return Bed(suite, tuple(orders), tuple(seeds), tables, flops, machines)


# --- words for numbers


def interval(points: np.ndarray) -> Interval:
    return crossed_interval([points])


def shown(found: Interval) -> str:
    return f"{found.estimate:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def share(above: np.ndarray, below: np.ndarray) -> str:
    if below.sum() <= 0:
        return "-"
    pieces = " or ".join(f"{100 * low:.0f}, {100 * high:.0f}" for low, high in ratio_set([above], [below]))
    return f"{100 * above.mean() / below.mean():.0f} % [{pieces}]"


def spread(bed: Bed, domain: str) -> float:
    """Coefficient of variation between seeds of a domain's forgetting on the first order, greedy."""
    by_seed = bed.forgetting(bed.first, domain, "greedy").mean(1)
    return float(by_seed.std(ddof=1) / by_seed.mean()) if len(by_seed) > 1 and by_seed.mean() > 0 else float("nan")


# --- the tables


def order_table(bed: Bed, order: str, decoding: Decoding) -> str:
    rows = []
    for domain in bed.suite.sequence(order):
        own = bed.own(order, domain, decoding)
        is_last = domain not in bed.earlier(order)
        only_format = "" if is_last else share(*bed.format_loss(order, domain, decoding))
        lost = "" if is_last else shown(interval(bed.forgetting(order, domain, decoding)))
        base = bed.scores(order, 0, domain, decoding).mean()
        rows.append([domain, f"{base:.1f}", shown(interval(bed.gain(order, domain, decoding))), f"{own.mean():.1f}", lost, only_format])
    header = ["domain", "base", "gain of its stage", "after its stage", "forgetting", "of the items lost, only format"]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def null_table(bed: Bed, decoding: Decoding) -> str:
    rows = []
    for domain in bed.nulls:
        real, null = (bed.forgetting(bed.first, domain, decoding, which) for which in ("", domain))
        rows.append([domain, *(shown(interval(points)) for points in (real, null, real - null)), share(null, real)])
    header = ["domain", "forgetting, real stages", "forgetting, null stages", "interference (real - null)", "null / real"]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


class Met(StrEnum):
    """As the report prints it."""

    YES = "yes"
    NO = "**no**"
    UNMEASURED = "not measured"
    UNJUDGED = "–"
    """What is only reported, and everything while there are too few seeds."""

    @classmethod
    def where(cls, met: bool) -> Met:
        return cls.YES if met else cls.NO


@dataclass(frozen=True)
class Criterion:
    words: str
    met: Met
    measured: str


def criteria(bed: Bed) -> Iterable[Criterion]:
    """Whether the bed is valid, by greedy scores."""
    bounds = bed.bounds
    for domain in bed.suite.domains if bounds.somewhere is not None else ():
        lost = {order: interval(bed.forgetting(order, domain, "greedy")) for order in bed.orders if domain in bed.earlier(order)}
        if lost:
            enough = [order for order, found in lost.items() if found.estimate >= bounds.somewhere and found.low > 0]
            most = max(enough or lost, key=lambda order: lost[order].estimate)
            words = f"{domain} forgets at least {bounds.somewhere:g} points in some order"
            yield Criterion(words, Met.where(bool(enough)), f"{most}: {shown(lost[most])}")
    if not bounds.forgets:
        measured = ", ".join(f"{domain} {shown(found)}" for domain, found in bed.forgotten.items())
        words = f"some domain forgets on `{bed.first}` (intervals that hold together)"
        yield Criterion(words, Met.where(bool(bed.watched)), measured)
    for domain, least in bounds.forgets.items():
        found = interval(bed.forgetting(bed.first, domain, "greedy"))
        met = found.estimate >= least and found.low > 0
        yield Criterion(f"{domain} forgets at least {least:g} points on `{bed.first}`", Met.where(met), shown(found))
    yield from _null_criteria(bed)
    for domain in bed.suite.domains:
        words = f"{domain} is at most {CEILING:g} after its own stage, in every order at every seed's mean"
        highest, order = max((bed.own(order, domain, "greedy").mean(1).max(), order) for order in bed.orders)
        yield Criterion(words, Met.where(highest <= CEILING), f"{order}: {highest:.1f}")
    for domain in bed.suite.domains:
        lowest, order = min((bed.gain(order, domain, "greedy").mean(), order) for order in bed.orders)
        words = f"{domain} gains at least {bounds.gain:g} points in its stage, in every order"
        yield Criterion(words, Met.where(lowest >= bounds.gain), f"{order}: {lowest:.1f}")
    for domain in ("math",) if bounds.forgets else bed.watched:
        varies, words = spread(bed, domain), f"coefficient of variation of {domain}'s forgetting between seeds"
        if bounds.spread:
            yield Criterion(f"{words} below {SPREAD}", Met.where(varies < SPREAD), f"{varies:.2f}")
        else:
            yield Criterion(words, Met.UNJUDGED, f"{varies:.2f}")
    for domain in bed.watched:
        only, lost = bed.format_loss(bed.first, domain, "greedy")
        met = bool(lost.any()) and only.sum() / lost.sum() < FORMAT_SHARE
        yield Criterion(f"{domain}: below {FORMAT_SHARE:.0%} of the items lost are only format", Met.where(met), share(only, lost))


def _null_criteria(bed: Bed) -> Iterable[Criterion]:
    for domain in bed.watched:
        if domain not in bed.nulls:
            yield Criterion(f"{domain}: null stages take less than real ones on `{bed.first}`", Met.UNMEASURED, f"by --null {domain}")
            continue
        real, null = (bed.forgetting(bed.first, domain, "greedy", which) for which in ("", domain))
        found = interval(real - null)
        yield Criterion(f"{domain}: interference is significant on `{bed.first}`", Met.where(found.low > 0), shown(found))
        part = float(null.mean() / real.mean()) if real.mean() > 0 else float("nan")  # which meets no bound
        yield Criterion(f"{domain}: null stages take less than a third of what real ones take", Met.where(part < NULL_SHARE), f"{part:.2f}")


def populations(suite: Suite) -> Iterable[Criterion]:
    """Whether every task has two disjoint test sets of `LATENTS` items."""
    for domain, task in suite.loaded_tasks.items():
        counts = []
        for split in ("test", "reserve"):
            try:
                counts.append(len(task.distinct(split, 0, LATENTS)))
            except RuntimeError:
                counts.append(0)
        words = f"{domain}: {LATENTS:,} distinct test items, and as many in the reserve"
        yield Criterion(words, Met.where(min(counts) == LATENTS), ", ".join(f"{count:,}" for count in counts))


def report(bed: Bed, command: str, split: Split, found: Sequence[Criterion]) -> str:
    items = bed.suite.test_items if split == "test" else bed.suite.validation_items
    judged = len(bed.seeds) >= ENOUGH
    rows = [[criterion.words, criterion.met if judged else Met.UNJUDGED, criterion.measured] for criterion in found]
    over = "seeds and items" if len(bed.seeds) > 1 else "items"
    parts = [
        f"Suite {bed.suite.id}, development seeds {bed.seeds[0]} to {bed.seeds[-1]}, {items:,} {split} items a domain. Points of 100, with "
        f"95 % intervals over {over}. No repair was run." + ("" if judged else TOO_FEW),
        "## Criteria (greedy)",
        tabulate(rows, ["criterion", "met", "measured"], tablefmt="github", disable_numparse=True),
    ]
    for decoding in bed.decodings:
        title = "greedy" if decoding == "greedy" else "at temperature 1"
        if bed.nulls:
            parts += [f"## Real and null stages on `{bed.first}`, {title}", null_table(bed, decoding)]
        for order in bed.orders:
            sequence = " → ".join(bed.suite.sequence(order))
            parts += [f"## `{order}`, {title}: {sequence}", order_table(bed, order, decoding)]
    by_seed = {domain: bed.forgetting(bed.first, domain, "greedy").mean(1) for domain in bed.earlier(bed.first)}
    lost = "; ".join(f"{domain} {', '.join(f'{value:.1f}' for value in values)}" for domain, values in by_seed.items())
    flops = ", ".join(f"{domain} {bed.stage_flops(domain):.3g}" for domain in bed.suite.domains)
    parts.append(f"FLOPs of a stage, mean over orders and seeds: {flops}.")
    parts += [f"Forgetting on `{bed.first}` by seed, greedy: {lost}.", *_trained_twice(bed)]
    machines = "; and on ".join(dict.fromkeys(bed.machines.values()))
    return "\n\n".join([*parts, f"Made by `{command}` on {date.today()}; trained on {machines}."]) + "\n"


def _trained_twice(bed: Bed) -> Iterable[str]:
    for null in bed.nulls:
        if twice := bed.trained_twice(null):
            which = f"Null stages after {null}, {'seeds' if len(twice) > 1 else 'seed'} {', '.join(map(str, twice))}"
            yield f"{which}: on another type of machine, with the stages before them trained there as well. They are measured from there."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="micro")
    parser.add_argument("--sequence", default="balanced", help="sequence or design")
    parser.add_argument("--null", default="math,code", help="domains after which stages are also null, on the first order")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where to store the scores of each seed, and to find them again")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    suite = load_suite(options.suite)
    nulls = [domain for domain in options.null.split(",") if domain]
    seeds = DEVELOPMENT_SEEDS[: options.seeds]
    try:
        bounds_of(suite.name)
        bed = bed_of(options.suite, options.sequence, nulls, seeds, options.split, options.device, options.keep)
    except UserError as error:
        sys.exit(str(error))
    found = [*criteria(bed), *populations(suite)]
    command = shlex.join(["python", "scripts/test_bed.py", *sys.argv[1:]])
    text = report(bed, command, options.split, found)
    print(text)
    if options.out:
        write_bytes(options.out, f"# Is {suite.id} a valid test bed?\n\n{text}".encode())


if __name__ == "__main__":
    main()
