"""Every metric against one 4-domain example worked by hand, and the identity that ties transfer to the final average."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.results import metrics
from bench.results.metrics import Outcome

# Four domains; row 0 is the base, row s comes after the stage of domain s - 1.
BASELINE = np.array(
    [
        [0.20, 0.35, 0.45, 0.10],
        [0.60, 0.32, 0.38, 0.12],
        [0.66, 0.70, 0.36, 0.14],  # domain 0 is above its own-stage score here: no peak may be taken
        [0.50, 0.62, 0.80, 0.16],
        [0.44, 0.56, 0.74, 0.50],
    ]
)
# A = own-stage scores = .60 .70 .80 .50;  forgetting = A - last row = .16 .14 .06 .00;  gains A - base = .40 .35 .35 .40
METHOD = np.array(
    [
        [0.20, 0.35, 0.45, 0.10],
        [0.58, 0.34, 0.40, 0.10],
        [0.56, 0.66, 0.42, 0.16],
        [0.52, 0.64, 0.78, 0.18],
        [0.50, 0.60, 0.76, 0.46],
    ]
)
FINAL = np.array([0.54, 0.72, 0.70, 0.41])
# recovered = final - last baseline row = .10 .16 -.04 -.09

SINGLE = Outcome(BASELINE, METHOD, FINAL, targets=(1,))
ALL = replace(SINGLE, targets=(0, 1, 2))


def test_forgetting_is_own_stage_minus_end_of_the_baseline_run() -> None:
    np.testing.assert_allclose(metrics.forgetting(SINGLE), [0.16, 0.14, 0.06, 0.00], atol=1e-12)


def test_forgetting_is_signed() -> None:
    better = BASELINE.copy()
    better[4, 0] = 0.75  # later stages helped: .60 - .75
    np.testing.assert_allclose(metrics.forgetting(replace(SINGLE, baseline=better))[0], -0.15)


def test_forgetting_and_retention_ignore_the_methods_own_peak() -> None:
    # A method that learns nothing must not look as if it forgot nothing.
    idle = np.tile(BASELINE[0], (5, 1))
    lazy = replace(ALL, method=idle, final=BASELINE[0])
    np.testing.assert_allclose(metrics.forgetting(lazy), metrics.forgetting(ALL))
    assert metrics.retention(lazy) == 0.0


def test_recovered() -> None:
    np.testing.assert_allclose(metrics.recovered(SINGLE), [0.10, 0.16, -0.04, -0.09], atol=1e-12)


def test_recovery_ratio() -> None:
    assert metrics.recovery_ratio(SINGLE) == pytest.approx(0.16 / 0.14)
    # sums over targets, then one division: (.10 + .16 - .04) / (.16 + .14 + .06) = .22 / .36
    assert metrics.recovery_ratio(ALL) == pytest.approx(0.22 / 0.36)


def test_recovery_ratio_of_the_trivial_repairs() -> None:
    assert metrics.recovery_ratio(replace(ALL, final=BASELINE[4])) == 0.0
    own = np.append(np.diagonal(BASELINE[1:])[:3], 0.0)
    assert metrics.recovery_ratio(replace(ALL, final=own)) == pytest.approx(1.0)


def test_net_recovery_subtracts_what_others_lost() -> None:
    # Target 1 recovers .16, of which .14 up to its own stage; others .10 (no credit), -.04, -.09: (.14 - .04 - .09) / .14
    np.testing.assert_array_equal(metrics.harmed(SINGLE), [False, False, True, True])
    assert metrics.net_recovery(SINGLE) == pytest.approx(0.01 / 0.14)
    # Targets 0, 1, 2 recover .10 + .14 - .04 (a target's own loss counts already), the last loses .09: .11 / .36
    np.testing.assert_array_equal(metrics.harmed(ALL), [False, False, False, True])
    assert metrics.net_recovery(ALL) == pytest.approx(0.11 / 0.36)


def test_net_recovery_is_not_bought_by_training_a_target_beyond_its_stage() -> None:
    up = replace(SINGLE, final=np.array([0.44, 0.99, 0.74, 0.30]))  # domain 1 far above its .70, domain 3 down by .20
    assert metrics.recovery_ratio(up) > 3
    assert metrics.net_recovery(up) == pytest.approx((0.14 - 0.20) / 0.14)


def test_net_recovery_is_the_recovery_ratio_where_no_domain_is_harmed() -> None:
    kind = replace(SINGLE, final=np.array([0.54, 0.68, 0.74, 0.60]))
    assert metrics.net_recovery(kind) == pytest.approx(0.12 / 0.14)
    assert metrics.net_recovery(kind) == pytest.approx(metrics.recovery_ratio(kind))


def test_going_back_has_no_net_recovery() -> None:
    # Back to the checkpoint after domain 1: .70 - .56 = .14 won on it; .66 - .44 won on domain 0; .74 - .36 and .50 - .14 lost.
    back = replace(SINGLE, final=BASELINE[2])
    assert metrics.recovery_ratio(back) == pytest.approx(1.0)
    assert metrics.net_recovery(back) == pytest.approx((0.14 - 0.38 - 0.36) / 0.14)


def test_collateral_damage() -> None:
    # Others are 0, 2, 3 with losses -.10, .04, .09: mean .03 / 3 = .01, the worst .09
    assert metrics.collateral_damage(SINGLE) == pytest.approx(0.01)
    assert metrics.worst_collateral_damage(SINGLE) == pytest.approx(0.09)
    # With targets 0, 1, 2 the other is the last-trained domain alone.
    assert metrics.collateral_damage(ALL) == pytest.approx(0.09)
    assert metrics.worst_collateral_damage(ALL) == pytest.approx(0.09)


def test_retention_does_not_count_surplus() -> None:
    # min(end, A) = .54 .70 .70 .41 (the .72 counts as .70); minus base = .34 .35 .25 .31 = 1.25; gains = 1.50
    assert metrics.retention(ALL) == pytest.approx(1.25 / 1.50)
    more = replace(ALL, final=np.array([0.54, 0.99, 0.70, 0.41]))
    assert metrics.retention(more) == pytest.approx(1.25 / 1.50)


def test_the_domain_with_the_worst_retention() -> None:
    # own - end = .60 - .54, .70 - .72, .80 - .70, .50 - .41 = .06, -.02, .10, .09
    assert metrics.worst_retention(ALL) == pytest.approx(0.10)
    assert metrics.worst_retention(replace(ALL, final=np.array([0.7, 0.75, 0.81, 0.6]))) == pytest.approx(-0.01)


def test_a_cap_stays_where_it_was_put() -> None:
    # min(end, own) as it is: domain 1 is capped. Elsewhere the side is held, so that the sum is linear.
    np.testing.assert_array_equal(metrics.capped(ALL), [False, True, False, False])
    assert metrics.retained_points(ALL, metrics.capped(ALL)) == pytest.approx(1.25)
    assert metrics.retained_points(ALL, np.zeros(4, bool)) == pytest.approx(1.27)


def test_surplus_is_what_lies_beyond_the_own_stage() -> None:
    assert metrics.surplus(ALL) == pytest.approx(0.02)  # .72 - .70; the other three lie below
    more = replace(ALL, final=np.array([0.63, 0.99, 0.70, 0.41]))
    assert metrics.surplus(more) == pytest.approx(0.03 + 0.29)


def test_normalized_forgetting_leaves_the_last_domain_out() -> None:
    # (.16 + .14 + .06) / (.40 + .35 + .35)
    assert metrics.normalized_forgetting(ALL) == pytest.approx(0.36 / 1.10)
    # own stage - final = .06, -.02, .10
    assert metrics.normalized_forgetting_repaired(ALL) == pytest.approx(0.14 / 1.10)


def test_backward_transfer() -> None:
    # end - the method's own stage = .54 - .58, .72 - .66, .70 - .78 = -.04, .06, -.08: the mean over T - 1 = 3
    assert metrics.backward_transfer(ALL) == pytest.approx(-0.02)


def test_forward_transfer() -> None:
    # before own stage - base: domain 1: .34 - .35, domain 2: .42 - .45, domain 3: .18 - .10 = -.01, -.03, .08: over 3
    assert metrics.forward_transfer(ALL) == pytest.approx(0.04 / 3)


def test_final_average() -> None:
    assert metrics.final_average(ALL) == pytest.approx(2.37 / 4)


# --- undefined stays undefined


@pytest.mark.parametrize("lost", [0.0, -0.05], ids=["no forgetting", "improved"])
def test_recovery_without_forgetting_is_undefined(lost: float) -> None:
    plain = BASELINE.copy()
    plain[4] = np.diagonal(BASELINE[1:]) - lost
    assert np.isnan(metrics.recovery_ratio(replace(ALL, baseline=plain)))
    assert np.isnan(metrics.net_recovery(replace(ALL, baseline=plain)))


def test_shares_of_nothing_gained_are_undefined() -> None:
    flat = np.tile(BASELINE[0], (5, 1))
    assert np.isnan(metrics.retention(replace(ALL, baseline=flat)))
    assert np.isnan(metrics.normalized_forgetting(replace(ALL, baseline=flat)))


def test_collateral_damage_without_other_domains_is_undefined() -> None:
    everything = replace(ALL, targets=(0, 1, 2, 3))
    assert np.isnan(metrics.collateral_damage(everything))
    assert np.isnan(metrics.worst_collateral_damage(everything))


def test_undefined_in_one_seed_leaves_the_others() -> None:
    flat = np.tile(BASELINE[0], (5, 1))
    both = Outcome(np.stack([BASELINE, flat]), np.stack([METHOD, METHOD]), np.stack([FINAL, FINAL]), (0, 1, 2))
    np.testing.assert_allclose(metrics.retention(both), [1.25 / 1.50, np.nan])
    np.testing.assert_allclose(metrics.recovery_ratio(both), [0.22 / 0.36, np.nan])


# --- seeds


def test_aggregate_first_then_divide() -> None:
    # Seed one loses .10 and recovers all of it; seed two loses .30 and recovers nothing. .10 / .40, not (1 + 0) / 2.
    plain = np.array([[[0.2, 0.2], [0.6, 0.2], [0.5, 0.6]], [[0.2, 0.2], [0.6, 0.2], [0.3, 0.6]]])
    seeds = Outcome(plain, plain, np.array([[0.6, 0.6], [0.3, 0.6]]), (0,))
    np.testing.assert_allclose(metrics.recovery_ratio(seeds), [1.0, 0.0])
    assert metrics.recovery_ratio(seeds.mean()) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.forgetting,
        metrics.recovered,
        metrics.recovery_ratio,
        metrics.net_recovery,
        metrics.collateral_damage,
        metrics.worst_collateral_damage,
        metrics.retention,
        metrics.worst_retention,
        metrics.surplus,
        metrics.normalized_forgetting,
        metrics.normalized_forgetting_repaired,
        metrics.backward_transfer,
        metrics.forward_transfer,
        metrics.final_average,
    ],
)
@pytest.mark.parametrize("targets", [(1,), (0, 1, 2)])
def test_a_leading_axis_is_seed_by_seed(metric: object, targets: tuple[int, ...]) -> None:
    generator = np.random.default_rng(3)
    plain, method, end = generator.random((6, 5, 4)), generator.random((6, 5, 4)), generator.random((6, 4))
    together = metric(Outcome(plain, method, end, targets))
    alone = [metric(Outcome(plain[s], method[s], end[s], targets)) for s in range(6)]
    np.testing.assert_allclose(together, np.stack(alone))


# --- the identity

SCORES = st.integers(2, 6).flatmap(lambda count: arrays(float, (count + 1, count), elements=st.floats(0, 1)))


@settings(max_examples=100, deadline=None)
@given(SCORES)
def test_transfer_and_learning_add_up_to_the_final_average(matrix: np.ndarray) -> None:
    """PAPER.md (Continual Reasoning Gym): FinalAvg = BaseAvg + (T-1)/T FWT + mean(A - P) + (T-1)/T BWT, without a repair.

    P and A are read off in a plain loop here, so that the metrics' own slicing is what is tested.
    """
    count = matrix.shape[1]
    run = Outcome(matrix, matrix, matrix[-1], targets=(0,))
    learned = sum(matrix[d + 1][d] - matrix[d][d] for d in range(count)) / count
    share = (count - 1) / count
    right = matrix[0].mean() + share * metrics.forward_transfer(run) + learned + share * metrics.backward_transfer(run)
    assert metrics.final_average(run) == pytest.approx(right, abs=1e-9)


def test_metrics_and_statistics_load_without_torch() -> None:
    imports = "import sys, bench.results.boards, bench.results.regimes"
    code = f"{imports}; print([m for m in ('torch', 'pandas', 'scipy') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
