"""The bounds that docs/statistics.md proves by simulation, on fewer boards; and that the simulation computes what a report does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from bench.costs import AccessRecord
from bench.results.comparisons import compare, equivalences
from bench.results.estimates import measure_all
from bench.results.measured import Measured, Order

SCRIPT = Path(__file__).parents[3] / "scripts" / "simulate_statistics.py"
BOARDS, BOUND = 400, 0.06
SLACK = 3 * (BOUND * (1 - BOUND) / BOARDS) ** 0.5
"""Three binomial standard errors; the printed table has 10,000 boards and none."""


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def measured(lost: np.ndarray, won: np.ndarray, others: list[np.ndarray]) -> Measured:
    """(S, I) points of one method as the score rows that a run would have: own stage `lost` above the end of the baseline run."""
    domains = ("math", *(f"other{n}" for n in range(len(others))))
    rows = len(domains) + 1
    cells = np.zeros((len(domains), *lost.shape, 2 * rows + 1))
    cells[0, ..., 1] = lost / 100
    cells[..., -1] = np.stack([won, *others]) / 100
    return Measured((Order(domains, (0,), tuple(np.moveaxis(cells, -1, 2))),), tuple(range(len(lost))))


def stub(label: str, found: Measured) -> SimpleNamespace:
    """What a comparison asks of an entry."""
    return SimpleNamespace(
        label=label, draw=0, seeds=found.seeds, trainings=len(found.seeds), access=AccessRecord(), measured=lambda decoding: found
    )


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_simulation_computes_what_a_report_does(simulation: ModuleType, seeds: int) -> None:
    regime = next(regime for regime in simulation.REGIMES if "cap" in regime.name and regime.recovery == 1)
    sample = simulation.draw(regime, np.random.default_rng(3), 20, 2, seeds)
    net = simulation.net(sample)
    order = np.arange(2)[None].repeat(20, 0)
    first, second = net.take(order[:, :1]), net.take(order[:, 1:])
    p_pair, p_none = simulation.p_values(first, second, sample.below)[:, 0], simulation.p_values(first, None, sample.below)[:, 0]
    estimate, slack = simulation.difference(first, second, sample.below)
    p_equal = estimate.equivalence_p_value(simulation.MARGIN, slack)[:, 0]
    covered, defined = simulation.covered(sample, regime), simulation.defined(sample.below)[:, 0]
    assert defined.sum() > 10
    assert (net.cap_bias > 0).any(), "no cap in these samples"
    for run in np.flatnonzero(defined):
        methods = [measured(sample.lost[run, 0], sample.won[run, m], [other[run, m] for other in sample.others]) for m in range(2)]
        still = np.zeros_like(sample.lost[run, 0])
        nothing = measured(sample.lost[run, 0], still, [still] * len(sample.others))
        entries = [stub(label, one) for label, one in zip("abn", (*methods, nothing), strict=True)]
        pairs = [compare(entries, "planned", "single", "greedy", [("a", other)])[0] for other in "bn"]
        assert [pair.p for pair in pairs] == pytest.approx([p_pair[run], p_none[run]], rel=1e-3)
        equal = equivalences([(entries[0], entries[1], "single")], simulation.MARGIN, "greedy")[0]
        assert equal.p == pytest.approx(p_equal[run], rel=1e-3)
        value = measure_all(methods[0])["net recovery"]
        assert value.cap_bias == pytest.approx(net.cap_bias[run, 0] / sample.lost[run].mean(), abs=1e-5)
        assert bool(value.low <= regime.net_recovery <= value.high) is bool(covered["net recovery"][run, 0])


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize("index", [1, 2, 5], ids=["skewed", "far from caps", "a seed breaks"])
def test_equal_methods_are_seldom_significantly_different(simulation: ModuleType, index: int, seeds: int) -> None:
    """Family-wise error of every default family: at most 6 %."""
    for family, error in simulation.errors(simulation.REGIMES[index], seeds, BOARDS).items():
        assert error <= BOUND + SLACK, family


def test_a_repair_that_recovers_97_percent_is_significant_at_five_seeds(simulation: ModuleType) -> None:
    assert simulation.power(5, 2000) >= 0.9


def test_methods_at_the_margin_are_seldom_found_equal_and_equal_ones_often_at_ten_seeds(simulation: ModuleType) -> None:
    error, power = (simulation.equivalence(simulation.STEADY, 10, 2000, apart) for apart in (simulation.MARGIN, 0.0))
    assert 0.01 < error <= 0.05 + 3 * (0.05 * 0.95 / 2000) ** 0.5
    assert power > 0.7
    assert simulation.equivalence(simulation.SKEWED, 10, 500, 0.0) < 0.01, "docs say that equality cannot be shown there"


def test_intervals_cover_where_docs_say_so(simulation: ModuleType) -> None:
    skewed = simulation.coverage(simulation.SKEWED, 5, 2000)
    least = 0.95 - 3 * (0.95 * 0.05 / 2000) ** 0.5
    assert skewed["recovery ratio"] >= least
    assert skewed["net recovery"] >= least
    assert 0.90 <= skewed["forgetting"] <= 0.95, "forgetting itself is skewed: docs say 93 %"


def test_the_printed_bias_is_that_of_the_cap(simulation: ModuleType) -> None:
    at_the_cap = next(regime for regime in simulation.REGIMES if "at the cap" in regime.name)
    for seeds in (3, 5):
        found = simulation.coverage(at_the_cap, seeds, 2000)
        assert found["bias"] < -0.08
        assert found["printed"] == pytest.approx(-found["bias"], rel=0.15)
        assert found["rmse corrected"] > found["rmse"], "then it should be removed, not printed"


def test_a_seed_that_breaks_is_not_covered_but_reported(simulation: ModuleType) -> None:
    breaks = simulation.coverage(next(regime for regime in simulation.REGIMES if regime.broken), 5, 2000)
    assert breaks["forgetting without"] < 0.8, "samples without such a seed know nothing of it"
    assert breaks["reported with"] > 0.75
    assert breaks["reported without"] < 0.1
    fails = simulation.coverage(next(regime for regime in simulation.REGIMES if regime.failing), 5, 2000)
    assert fails["reported with"] > 0.65
    assert fails["reported without"] < 0.02
