"""Values and what makes them: their JSON form, caps and their bias, interference, format loss; by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from manifests import manifest_of

from bench.errors import UserError
from bench.results.estimates import SHARES, DomainOutcome, Value, by_domain, interference, measure, measure_all
from bench.results.measured import Measured, Order
from bench.results.metrics import MEANING
from bench.results.run import Run


def of_rows(math: list[list[float]], cw: list[list[float]], seeds: list[int] | None = None) -> Measured:
    """Two seeds or more of a sequence math, cw with target math. Rows of a seed: base, after math, after cw, final; two items, 0.01
    apart."""

    def cell(rows: list[list[float]]) -> np.ndarray:
        full = np.array([[*row[:3], *row[:3], row[3]] for row in rows])
        return full[:, :, None] + np.array([-0.005, 0.005])

    return Measured((Order(("math", "cw"), (0,), (cell(math), cell(cw))),), tuple(seeds or range(len(math))))


# --- the value


@pytest.mark.parametrize(
    "value",
    [
        Value(0.5, 0.25, 0.75, 5),
        Value(None, None, None, 3, why="forgetting is not significant"),
        Value(0.5, -1.0, 3.0, 2, pieces=((-1.0, 0.6), (2.0, 3.0))),
        Value(None, None, None, 2, why="w", pieces=((-np.inf, -3.5), (0.5, np.inf))),
        Value(0.97, 0.9, 1.0, 5, cap_bias=0.0),
    ],
)
def test_a_value_survives_json(value: Value) -> None:
    assert Value.from_json(json.loads(json.dumps(value.to_json(), allow_nan=False))) == value


def test_json_of_a_plain_value_is_short() -> None:
    assert Value(0.5, 0.25, 0.75, 5).to_json() == {"estimate": 0.5, "low": 0.25, "high": 0.75, "seeds": 5}


# --- every metric


def test_every_metric_has_a_meaning_and_a_unit() -> None:
    values = measure_all(of_rows([[0.2, 0.9, 0.7, 0.8], [0.2, 0.92, 0.71, 0.83]], [[0.1, 0.1, 0.6, 0.6]] * 2))
    assert set(values) <= set(MEANING)
    assert set(MEANING) - set(values) == {"interference", "format loss", "intransigence"}, "those that need more than one order's scores"
    assert set(SHARES) <= set(MEANING)
    assert [name for name in MEANING if name in values] == list(values), "printed in this order"


def test_normalized_forgetting_before_and_after_the_repair() -> None:
    """math gains .70 and .72, loses .20 and .22, and still lacks .10 and .12 after the repair: .42 / 1.42 and .22 / 1.42."""
    values = measure_all(of_rows([[0.2, 0.9, 0.7, 0.8], [0.2, 0.92, 0.7, 0.8]], [[0.1, 0.1, 0.6, 0.6]] * 2))
    assert values["normalized forgetting"].estimate == pytest.approx(0.42 / 1.42)
    assert values["normalized forgetting, repaired"].estimate == pytest.approx(0.22 / 1.42)


def test_an_undefined_ratio_gives_its_reason_and_the_whole_set() -> None:
    """Forgetting of 30 and 10 points: a t interval with one degree of freedom includes 0, so any ratio far out is plausible."""
    value = measure_all(of_rows([[0.2, 0.9, 0.6, 0.8], [0.2, 0.9, 0.8, 0.9]], [[0.1, 0.1, 0.6, 0.6]] * 2))["recovery ratio"]
    assert (value.estimate, value.low, value.high, value.why) == (None, None, None, "forgetting is not significant")
    assert np.isinf([value.pieces[0][0], value.pieces[-1][1]]).all()


def test_what_happened_to_a_domain() -> None:
    found = by_domain(of_rows([[0.2, 0.9, 0.7, 0.8], [0.2, 0.92, 0.72, 0.82]], [[0.1, 0.1, 0.6, 0.5]] * 2))
    assert isinstance(found["math"], DomainOutcome)
    points = {name: getattr(found["math"], name).estimate for name in ("base", "own", "baseline", "final", "forgetting", "recovered")}
    assert points == pytest.approx({"base": 20, "own": 91, "baseline": 71, "final": 81, "forgetting": 20, "recovered": 10})
    assert found["cw"].recovered.estimate == pytest.approx(-10)
    assert (found["math"].target, found["cw"].target) == (True, False)


# --- caps


def test_the_bias_of_a_cap_by_hand() -> None:
    """cw moves by +4 and by -2 points: +1 on average, so nothing is lost. Judged by the other seed, seed 0 counts (seed 1 lost): +4, and
    seed 1 does not: (4 + 0) / 2 = 2 points too few, of 20 forgotten."""
    found = of_rows([[0.2, 0.9, 0.7, 0.8]] * 2, [[0.1, 0.1, 0.6, 0.64], [0.1, 0.1, 0.6, 0.58]])
    assert found.net.mean == pytest.approx(0.10)
    assert found.net.cap_bias == pytest.approx(0.02)
    value = measure_all(found)["net recovery"]
    assert (value.estimate, value.cap_bias) == (pytest.approx(0.5), pytest.approx(0.1))
    assert value.high >= 0.5 + 0.1 - 1e-9


def test_far_from_a_cap_there_is_no_bias() -> None:
    found = of_rows([[0.2, 0.9, 0.7, 0.8], [0.2, 0.91, 0.7, 0.8]], [[0.1, 0.1, 0.6, 0.5], [0.1, 0.1, 0.6, 0.51]])
    assert found.net.cap_bias == pytest.approx(0, abs=1e-12)
    assert found.retention.cap_bias == pytest.approx(0, abs=1e-12)


def test_one_seed_has_the_bias_of_item_sampling() -> None:
    """Items of cw move by +10 -6 +10 -6 (every second one alike): +2 on average. Each half judged by the other: +10 counts, -6 does not."""
    math = np.array([[0.2, 0.9, 0.7, 0.2, 0.9, 0.7, 0.8]])[:, :, None] + np.zeros(4)
    cw = np.array([[0.1, 0.1, 0.6, 0.1, 0.1, 0.6, 0.6]])[:, :, None] + np.zeros(4)
    cw[0, 6] += [0.10, -0.06, 0.10, -0.06]
    found = Measured((Order(("math", "cw"), (0,), (math, cw)),), (0,))
    assert found.net.cap_bias == pytest.approx((0.10 + 0) / 2)


def test_a_capped_share_has_no_plausible_values_above_1() -> None:
    """math ends 5 points above its own stage on every seed: 1 exactly, and the interval has the width of the uncapped quantity."""
    rows = [[0.2, 0.9, 0.7, 0.95], [0.2, 0.9, 0.72, 0.94], [0.2, 0.9, 0.71, 0.99]]
    values = measure_all(of_rows(rows, [[0.1, 0.1, 0.6, 0.6]] * 3))
    assert values["recovery ratio"].estimate > 1
    assert values["net recovery"].estimate == pytest.approx(1)
    assert values["net recovery"].high == 1
    assert values["net recovery"].low < 0.9


# --- interference


def test_interference_is_real_less_null_forgetting_on_shared_seeds() -> None:
    """math loses 20, 24, 22 points under real stages, 5, 7 under null ones (seeds 1 and 2): 24 - 5 and 22 - 7."""
    cw = [[0.1, 0.1, 0.6, 0.6]] * 3
    real = of_rows([[0.2, 0.9, 0.7, 0.7], [0.2, 0.9, 0.66, 0.66], [0.2, 0.9, 0.68, 0.68]], cw, seeds=[0, 1, 2])
    null = of_rows([[0.2, 0.9, 0.85, 0.85], [0.2, 0.9, 0.83, 0.83]], cw[:2], seeds=[1, 2])
    value = interference(real, null, "math")
    assert (value.estimate, value.seeds) == (pytest.approx(17), 2)
    assert value.high - value.estimate == pytest.approx(12.7062 * 2, rel=1e-4)  # t with 1 df; 19 and 15: their mean's deviation is 2
    with pytest.raises(UserError, match="share no seed"):
        interference(real.only([0]), null, "math")


# --- format loss


def run_with_tables(own: list[float], last: list[tuple[float, float, float]], seed: int) -> Run:
    """Sequence math, cw with target math. own: math's scores by item after its stage; last: score, parsed, ended by item at the end."""
    found = Run(Path(f"run-{seed}"), manifest_of(seed=seed, method={"repairs": False}))
    fine = np.ones((len(own), 3))
    math = (fine * [0, 1, 1], np.column_stack([own, fine[:, 1:]]), np.array(last, float))
    tables = {
        row: {("math", "greedy"): table, ("cw", "greedy"): fine * [0, 1, 1]} for row, table in zip(found.rows.baseline, math, strict=True)
    }
    found.__dict__["tables"] = tables  # what the cached property would read from files
    return found


def test_format_loss_by_hand() -> None:
    """Items after the stage 1 1 1 1 0, at the end 0 (did not parse), 0 (did not stop), 0 (wrong), 1, 0 (did not parse, but never was
    right). Three are lost, two of them by format. Seed 1 loses the first two alone, one by format: 3 of 5 together."""
    one = run_with_tables([1, 1, 1, 1, 0], [(0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 1, 1), (0, 0, 0)], 0)
    two = run_with_tables([1, 1, 1, 1, 0], [(0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 1, 1), (0, 1, 1)], 1)
    above, below = Measured.of([one, two], "greedy").format_lost
    assert sum(a.sum() for a in above) == 3
    assert sum(b.sum() for b in below) == 5
    many = [run_with_tables([1] * 40, [(0, n % 4 > 0, 1) for n in range(20)] + [(1, 1, 1)] * 20, seed) for seed in range(3)]
    assert measure(many, "greedy")["format loss"].estimate == pytest.approx(0.25)


def test_without_lost_items_format_loss_is_undefined() -> None:
    whole = [run_with_tables([1] * 10, [(1, 1, 1)] * 10, seed) for seed in range(3)]
    assert measure(whole, "greedy")["format loss"].why == "no significant number of items was lost"
