"""How often the intervals hold the truth and the tests are wrong, in the regimes that occur: prints docs/statistics.md's tables.

    python scripts/simulate_statistics.py [RUNS]

Every run draws a board: a baseline run on S seeds that forgets about 20 points of one target domain, and 20 methods of equal worth, each
with noise of its own on the target and on three other domains. Deviations are those of the first result (docs/first-result). Answers are
normal rather than 0 or 1, and 8 items carry the item variance of 1,024: between-seed variation decides here. All intervals and tests are
the package's own functions; tests/bench/results/test_simulation.py checks that this script computes what a report does.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass, replace

import numpy as np

from bench.results.comparisons import LEVEL
from bench.results.regimes import breaks, repair_fails
from bench.results.statistics import Estimate, Strata, crossed, quantile, wald_ratio

SEED, RUNS, CHUNK, METHODS, ITEMS = 11, 10_000, 250, 20, 8
MARGIN = 0.05
"""Within which two methods count as equal."""
FORGETTING = 20.0
"""Mean over seeds, points."""
ITEM, REST = 0.5, 0.8
"""Standard deviations, points: of a mean over items by which items were drawn, and of one seed's mean by everything else."""


@dataclass(frozen=True)
class Regime:
    """What a board is drawn from. points, variation: of forgetting between seeds, the mean, and the standard deviation over it. noise:
    points, of what a method recovers, between seeds. others: mean and deviation of what a method does to each other domain, points.
    proportional: whether noise grows with a seed's forgetting. broken: the chance that a seed's baseline run collapses and forgets
    broken_points; failing: that a repair recovers nothing on a seed."""

    name: str
    recovery: float = 0.9
    noise: float = 3.0
    others: tuple[tuple[float, float], ...] = ((5.0, 7.0), (0.1, 0.2), (-0.5, 0.4))
    points: float = FORGETTING
    variation: float = 0.3
    skewed: bool = False
    proportional: bool = False
    broken: float = 0.0
    broken_points: float = 75.0
    failing: float = 0.0

    @property
    def null(self) -> Regime:
        """The same for methods that change nothing on average, with the noise of methods that train anew."""
        return replace(self, recovery=0.0, noise=7.0, others=tuple((0.0, deviation) for _, deviation in self.others), failing=0.0)

    @property
    def forgetting(self) -> float:
        return (1 - self.broken) * self.points + self.broken * self.broken_points

    @property
    def recovery_ratio(self) -> float:
        return self.recovery * (1 - self.failing)

    @property
    def net_recovery(self) -> float:
        return min(self.recovery_ratio, 1.0) + sum(min(mean, 0.0) for mean, _ in self.others) / self.forgetting


SKEWED = Regime("skewed forgetting, CV 0.43", variation=0.43, skewed=True, proportional=True)
REGIMES = (
    Regime("forgetting of CV 0.3"),
    SKEWED,
    replace(SKEWED, name="the same, far from every cap", recovery=0.6, others=((-10.0, 3.0), (8.0, 2.0), (-3.0, 1.0))),
    replace(SKEWED, name="the same, noise on every domain", others=((0.0, 7.0), (0.0, 7.0), (-0.5, 7.0))),
    replace(SKEWED, name="at the cap: recovery 1, others at 0", recovery=1.0, others=((0.0, 7.0), (0.0, 0.2), (0.0, 0.4))),
    replace(SKEWED, name="each seed breaks with a chance of 10 %, to 75 points", broken=0.1),
    replace(SKEWED, name="the same, to 60 points", broken=0.1, broken_points=60.0),
    replace(SKEWED, name="each repair fails on a seed with a chance of 10 %", failing=0.1),
)
REFRESH = replace(SKEWED, name="refresh", recovery=0.97, noise=2.3, others=((9.7, 8.3), (0.0, 0.1), (-0.2, 0.25)))
"""The first result: 0.97 [0.81, 1.09] at five seeds is a deviation of 2.3 points around its share."""

STEADY = Regime(
    "42 points of CV 0.07, methods that vary by 1 point",
    noise=1.0,
    others=((2.0, 0.5), (0.1, 0.2), (-0.5, 0.4)),
    points=42.0,
    variation=0.07,
)
"""Close to math on micro/3's `paper` (docs/test-bed-micro-3.md). Equality can be shown only where methods vary little."""


@dataclass(frozen=True)
class Sample:
    """lost (N, 1, S, I): the target's forgetting by run, seed and item; won (N, M, S, I): what each method recovers of it; others: the
    same for every other domain. broken (N, 1, S), failed (N, M, S): which seeds did."""

    lost: np.ndarray
    won: np.ndarray
    others: tuple[np.ndarray, ...]
    broken: np.ndarray
    failed: np.ndarray

    @property
    def below(self) -> Strata:
        return [self.lost, *(np.zeros_like(self.lost) for _ in self.others)]


def draw(regime: Regime, generator: np.random.Generator, runs: int, methods: int, seeds: int) -> Sample:
    """Points, drawn for `runs` boards."""

    def by_item(mean: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """(N, M, S, I) from (N, M, S)."""
        shape = (*mean.shape[:2], 1, ITEMS)
        item = scale * ITEM * ITEMS**0.5 * generator.standard_normal(shape, dtype=np.float32)
        return mean[..., None] + item + scale * REST * ITEMS**0.5 * generator.standard_normal((*mean.shape, ITEMS), dtype=np.float32)

    def noise(deviation: float) -> np.ndarray:
        return deviation * generator.standard_normal((runs, methods, seeds), dtype=np.float32)

    shape, squared = (runs, 1, seeds), regime.variation**2
    if regime.skewed:
        seed_means = generator.gamma(1 / squared, squared * regime.points, shape)
    else:
        seed_means = regime.points * (1 + regime.variation * generator.standard_normal(shape))
    broken = generator.random(shape) < regime.broken
    seed_means = np.where(broken, regime.broken_points, seed_means).astype(np.float32)
    grows = seed_means / regime.points if regime.proportional else np.float32(1)
    failed = generator.random((runs, methods, seeds)) < regime.failing
    lost = by_item(seed_means)
    kept = np.where(failed, 0, regime.recovery).astype(np.float32)[..., None]
    won = kept * lost + by_item(grows * noise(regime.noise), 0.5)
    others = tuple(by_item(mean + grows * noise(deviation), 0.2) for mean, deviation in regime.others)
    return Sample(lost, won, others, broken, failed)


@dataclass(frozen=True)
class Net:
    """Net recovery before it is divided, as `bench.results.measured.Capped`, of (N, M) methods at once."""

    points: Strata
    free: Strata
    cap_bias: np.ndarray

    def take(self, order: np.ndarray) -> Net:
        """The methods in another order, (N, M') places."""
        index = order[..., None, None]
        tables = ([np.take_along_axis(table, index, 1) for table in strata] for strata in (self.points, self.free))
        return Net(*tables, np.take_along_axis(self.cap_bias, order, 1))


def net(sample: Sample) -> Net:
    """Sides at the means; the bias by cross-fitting, each seed with the sides of the others."""

    def mean(table: np.ndarray) -> np.ndarray:
        return table.mean((-2, -1), keepdims=True)

    def other_seeds(table: np.ndarray) -> np.ndarray:
        by_seed = table.mean(-1, keepdims=True)
        return (by_seed.sum(-2, keepdims=True) - by_seed) / (table.shape[-2] - 1)

    def points(side: object) -> list[np.ndarray]:
        target = np.where(side(sample.won - sample.lost) > 0, sample.lost, sample.won)
        return [target, *(np.where(side(other) < 0, other, 0) for other in sample.others)]

    plain, fitted = points(mean), points(other_seeds)
    bias = sum(b.mean((-2, -1)) for b in fitted) - sum(a.mean((-2, -1)) for a in plain)
    return Net(plain, [sample.won, *plain[1:]], np.maximum(bias, 0))


def difference(one: Net, other: Net | None, below: Strata) -> tuple[Estimate, tuple[np.ndarray, np.ndarray]]:
    """(N, M) differences of methods and what caps may hide, as `bench.results.comparisons` makes them; other: None for `none`, which is 0
    everywhere."""
    scale = sum(table.mean((-2, -1)) for table in below)
    if other is None:
        points, free, slack = one.points, one.free, (np.zeros_like(scale), one.cap_bias / scale)
    else:
        points, free = ([a - b for a, b in zip(x, y, strict=True)] for x, y in ((one.points, other.points), (one.free, other.free)))
        slack = (other.cap_bias / scale, one.cap_bias / scale)
    return wald_ratio(points, below, also=[free]), slack


def p_values(one: Net, other: Net | None, below: Strata) -> np.ndarray:
    """(N, M) of the comparisons of methods."""
    estimate, slack = difference(one, other, below)
    return estimate.p_value(slack)


def defined(below: Strata) -> np.ndarray:
    """(N, 1) whether forgetting is significant, so that there is a ratio at all."""
    found = crossed(below)
    return found.mean > found.half_width()


def family_errors(regime: Regime, generator: np.random.Generator, runs: int, seeds: int) -> dict[str, np.ndarray]:
    """Family -> (N,) whether any comparison of equals comes out significant. With all hypotheses true, Holm rejects one where the
    smallest p is at most LEVEL over their number."""
    sample, null = (draw(r, generator, runs, METHODS, seeds) for r in (regime, regime.null))
    methods, nothing = net(sample), net(null)
    order = np.argsort(-sum(table.mean((-2, -1)) for table in methods.points), 1)
    first = np.zeros((runs, METHODS - 1), int)
    rest = np.broadcast_to(np.arange(1, METHODS), (runs, METHODS - 1))
    tests = {
        "none": (p_values(nothing.take(rest), None, null.below), null),
        "shrink": (p_values(methods.take(rest), methods.take(first), sample.below), sample),
        "next": (p_values(methods.take(order[:, :-1]), methods.take(order[:, 1:]), sample.below), sample),
    }
    return {name: ((p <= LEVEL / p.shape[1]) & defined(drawn.below)).any(1) for name, (p, drawn) in tests.items()}


def covered(sample: Sample, regime: Regime) -> dict[str, np.ndarray]:
    """Quantity -> (N, M) whether its interval holds the truth; nan where it is undefined."""
    total = crossed(sample.below)
    ratio_exists = defined(sample.below)
    quantities = net(sample)
    scale = total.mean
    found = {"forgetting": np.where(np.abs(total.mean - regime.forgetting) <= total.half_width(), 1.0, 0.0)}
    zeros = [np.zeros_like(sample.won) for _ in sample.others]
    found["recovery ratio"] = _in_fieller([[sample.won, *zeros]], sample.below, np.asarray(regime.recovery_ratio))
    estimate = sum(table.mean((-2, -1)) for table in quantities.points) / scale
    # The upper end is longer by the bias of the cap: the truth is inside where the truth less the bias, but no less than the estimate, is.
    truth = regime.net_recovery
    nearest = np.where(truth > estimate, np.maximum(truth - quantities.cap_bias / scale, estimate), truth)
    found["net recovery"] = _in_fieller([quantities.points, quantities.free], sample.below, nearest)
    return {name: value if name == "forgetting" else np.where(ratio_exists, value, np.nan) for name, value in found.items()}


def _in_fieller(versions: list[Strata], below: Strata, ratio: np.ndarray) -> np.ndarray:
    """(N, M) whether a ratio is in Fieller's set: the condition that `ratio_set` solves."""
    at = ratio[..., None, None]
    estimates: list[Estimate] = [crossed([x - at * y for x, y in zip(version, below, strict=True)]) for version in versions]
    widest = np.max([e.variance for e in estimates], 0)
    return (np.abs(estimates[0].mean) <= quantile(estimates[0].freedom) * widest**0.5).astype(float)


def chunks(runs: int) -> list[int]:
    return [min(CHUNK, runs - start) for start in range(0, runs, CHUNK)]


def errors(regime: Regime, seeds: int, runs: int) -> dict[str, float]:
    """Family -> share of boards with a false positive."""
    generator = np.random.default_rng([SEED, seeds])
    parts = [family_errors(regime, generator, count, seeds) for count in chunks(runs)]
    return {name: float(np.concatenate([part[name] for part in parts]).mean()) for name in parts[0]}


def coverage(regime: Regime, seeds: int, runs: int) -> dict[str, float]:
    """Quantity -> share of intervals that hold the truth, and the bias of net recovery: as it is, as it is printed, and of the cross-fitted
    estimate with both root mean square errors; whether a far seed is reported in samples with and without one."""
    generator = np.random.default_rng([SEED, 1, seeds])
    columns: dict[str, list[np.ndarray]] = {}
    for count in chunks(runs):
        sample = draw(regime, generator, count, 2, seeds)
        quantities, scale = net(sample), sample.lost.mean((-2, -1))
        ok = defined(sample.below)
        estimate = sum(table.mean((-2, -1)) for table in quantities.points) / scale
        lost, won = sample.lost.mean(-1), sample.won.mean(-1)
        odd, far = (sample.broken, breaks(lost)) if regime.broken else (sample.failed, repair_fails(won, lost))
        values = covered(sample, regime) | {
            "undefined": ~ok,
            "error": np.where(ok, estimate - regime.net_recovery, np.nan),
            "printed": np.where(ok, quantities.cap_bias / scale, np.nan),
            "odd": odd.any(-1),
            "reported": far.any(-1),
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(np.broadcast_to(value.astype(float), (count, 2)))
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    found = {name: float(np.nanmean(table[name])) for name in ("forgetting", "recovery ratio", "net recovery", "undefined", "odd")}
    corrected = table["error"] + table["printed"]
    found |= {"bias": float(np.nanmean(table["error"])), "printed": float(np.nanmean(table["printed"]))}
    found |= {name: float(np.nanmean(x**2) ** 0.5) for name, x in (("rmse", table["error"]), ("rmse corrected", corrected))}
    for part, where in (("with", table["odd"] == 1), ("without", table["odd"] == 0)):
        for name in ("forgetting", "recovery ratio", "net recovery", "reported"):
            found[f"{name} {part}"] = float(np.nanmean(table[name][where])) if where.any() else float("nan")
    return found


def power(seeds: int, runs: int, others: int = METHODS - 1) -> float:
    """The chance that refresh is significantly better than `none` in a family of `others` comparisons, all of whose others are null."""
    generator = np.random.default_rng([SEED, 2, seeds])
    hits = []
    for count in chunks(runs):
        sample = draw(REFRESH, generator, count, 1, seeds)
        hits.append((p_values(net(sample), None, sample.below) <= LEVEL / others) & defined(sample.below))
    return float(np.concatenate(hits).mean())


def equivalence(regime: Regime, seeds: int, runs: int, apart: float) -> float:
    """The chance that two methods whose net recovery differs by `apart` are found equal within `MARGIN`: an error where that is `MARGIN`,
    power where it is 0."""
    generator = np.random.default_rng([SEED, 3, seeds])
    hits = []
    for count in chunks(runs):
        sample = draw(regime, generator, count, 2, seeds)
        sample.won[:, 1] -= np.float32(apart) * sample.lost[:, 0]
        methods, order = net(sample), np.arange(2)[None].repeat(count, 0)
        estimate, slack = difference(methods.take(order[:, :1]), methods.take(order[:, 1:]), sample.below)
        hits.append((estimate.equivalence_p_value(MARGIN, slack) <= LEVEL) & defined(sample.below))
    return float(np.concatenate(hits).mean())


def percent(value: float) -> str:
    return "–" if np.isnan(value) else f"{100 * value:.1f}"


def main(runs: int) -> None:
    print(
        f"{runs:,} boards a row, generator seed {SEED}; {platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}.\n"
    )
    print("Family-wise error, %, of 20 equal methods (bound: 6):\n")
    print("| regime | seeds | against `none` | against `shrink` | against the next |\n|---|---|---|---|---|")
    for regime in REGIMES:
        for seeds in (5, 10):
            found = errors(regime, seeds, runs)
            print(
                f"| {regime.name} | {seeds} | " + " | ".join(percent(found[name]) for name in ("none", "shrink", "next")) + " |", flush=True
            )
    print("\nThe chance that refresh (recovers 97 %) is significant against `none` among 19 comparisons, % (bound at five seeds: 90):\n")
    print("| seeds | % |\n|---|---|")
    for seeds in (5, 10):
        print(f"| {seeds} | {percent(power(seeds, runs))} |")
    print(f"\nThe chance that two methods are found equal within {MARGIN:g}, %, by how far apart they are (bound at {MARGIN:g}: 5):\n")
    print(f"| regime | seeds | {MARGIN:g} apart | equal |\n|---|---|---|---|")
    for regime in (SKEWED, STEADY):
        for seeds in (5, 10):
            found = (percent(equivalence(regime, seeds, runs, apart)) for apart in (MARGIN, 0.0))
            print(f"| {regime.name} | {seeds} | " + " | ".join(found) + " |", flush=True)
    print("\nCoverage of 95 % intervals, %, and the cap's bias in net recovery (shares):\n")
    head = (
        "regime",
        "seeds",
        "forgetting",
        "recovery ratio",
        "net recovery",
        "undefined",
        "bias",
        "printed bias",
        "RMSE",
        "RMSE if corrected",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    rare = []
    for regime in REGIMES:
        for seeds in (3, 5, 10):
            found = coverage(regime, seeds, runs)
            shares = " | ".join(percent(found[name]) for name in ("forgetting", "recovery ratio", "net recovery", "undefined"))
            numbers = " | ".join(f"{found[name]:.3f}" for name in ("bias", "printed", "rmse", "rmse corrected"))
            print(f"| {regime.name} | {seeds} | {shares} | {numbers} |", flush=True)
            if regime.broken or regime.failing:
                rare.append((regime, seeds, found))
    print("\nSamples with and without a seed that breaks, or on which the repair fails: coverage, and how often the warning appears, %:\n")
    head = (
        "regime",
        "seeds",
        "samples with such a seed",
        "forgetting, with / without",
        "net recovery, with / without",
        "warning, with / without",
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for regime, seeds, found in rare:
        pairs = (f"{percent(found[f'{n} with'])} / {percent(found[f'{n} without'])}" for n in ("forgetting", "net recovery", "reported"))
        print(f"| {regime.name} | {seeds} | {percent(found['odd'])} | " + " | ".join(pairs) + " |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
