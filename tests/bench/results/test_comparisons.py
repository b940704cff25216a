"""Comparisons on scores given by hand: what is compared, when there is a verdict, and which places follow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from manifests import manifest_of

from bench.costs import AccessRecord
from bench.results.boards import Board
from bench.results.comparisons import FAMILIES, Comparison, Equivalence, Places, compare, equivalences, judge
from bench.results.entries import Entry
from bench.results.measured import Measured, Order
from bench.results.run import Run
from bench.results.statistics import holm
from bench.suite import DECODINGS

FORGETTING = np.array([0.217, 0.106, 0.186, 0.142, 0.349, 0.25, 0.12, 0.3, 0.2, 0.16])
"""Of math by seed: the first five are those of the first result, whose coefficient of variation is 0.47."""
ITEMS = np.linspace(-0.05, 0.05, 40)


def measured(shares: Sequence[float], forgetting: np.ndarray = FORGETTING, seeds: Sequence[int] | None = None) -> Measured:
    """Two domains, math then cw; the repair recovers a share of math by seed and leaves cw alone."""
    lost = forgetting[: len(shares)]
    rows = [(0.4, 0.9, 0.9 - f, 0.4, 0.9, 0.9 - f, 0.9 - f + share * f) for f, share in zip(lost, shares, strict=True)]
    math = np.array(rows)[:, :, None] + ITEMS
    cw = np.broadcast_to(np.array([0.3, 0.3, 0.8, 0.3, 0.3, 0.8, 0.8])[None, :, None] + ITEMS, math.shape)
    return Measured((Order(("math", "cw"), (0,), (math, cw)),), tuple(seeds or range(len(shares))))


def entry(
    label: str, found: Measured, *, control: bool = False, method: str = "", trainings: int = 10, access: Sequence[str] = ()
) -> Entry:
    """An entry whose scores are given; trainings: how many chains of checkpoints its seeds rest on."""
    runs = []
    for seed in found.seeds:
        used = AccessRecord(checkpoints=tuple(access))
        made = manifest_of(method or label, seed=seed, method={"control": control}, access=used, chain=seed % trainings)
        runs.append(Run(Path(label), made))
    made = Entry(label, tuple(runs))
    made.__dict__["_measured"] = dict.fromkeys(DECODINGS, found)  # what the cached property would read from the runs
    return made


def board(*entries: Entry) -> Board:
    def standing(one: Entry) -> float:
        return -(one.metrics["greedy"]["net recovery"].estimate or 0.0)

    return Board("micro/1", "paper", "single", "cpu", True, tuple(sorted(entries, key=standing)))


def noisy(mean: float, deviation: float, draw: int, seeds: int = 5) -> Measured:
    return measured(mean + deviation * np.random.default_rng(draw).standard_normal(seeds))


NONE = entry("none", measured([0.0] * 5), control=True)
SHRINK = entry("shrink", noisy(0.5, 0.03, 1), control=True)
REFRESH = entry("refresh", noisy(0.97, 0.05, 2))


def only(found: Sequence[Comparison]) -> Comparison:
    (comparison,) = found
    return comparison


def test_a_repair_that_recovers_97_percent_is_significant_however_much_forgetting_varies() -> None:
    """At rho = 0 the variance is that of forgetting itself: the difference would be 0.97 +- 0.57, with p over 0.1 after Holm."""
    found = board(NONE, REFRESH, *(entry(f"other{n}", noisy(0.2, 0.1, 50 + n)) for n in range(18))).comparisons(families=["none"])
    comparison = next(c for c in found if c.one == "refresh")
    assert len(found) == 19
    assert comparison.difference.estimate == pytest.approx(0.97, abs=0.05)
    assert comparison.p < 0.01
    assert comparison.verdict == "better"
    assert comparison.difference.low > 0.5


def test_p_interval_and_verdict_never_contradict_each_other() -> None:
    checked = 0
    for draw in range(12):
        means = np.random.default_rng(draw).uniform(-0.3, 1.1, 4)
        others = [entry(f"m{n}", noisy(mean, 0.15, 100 * draw + n, seeds=6)) for n, mean in enumerate(means)]
        shown = board(entry("none", measured([0.0] * 6), control=True), SHRINK, *others)
        for c in shown.comparisons(families=FAMILIES, planned=[("m0", "m1")]):
            excludes = c.difference.low > 0 or c.difference.high < 0
            assert excludes is (c.p <= 0.05) is (c.verdict != "not significant"), c
            assert c.difference.low <= c.difference.estimate <= c.difference.high
            if excludes:
                assert c.verdict == ("better" if c.difference.estimate > 0 else "worse")
                checked += 1
    assert checked > 30, "hardly any comparison was significant"


def test_what_the_default_families_compare() -> None:
    joint = entry("c", noisy(0.9, 0.02, 3), control=True)
    shown = board(NONE, SHRINK, REFRESH, joint, entry("a", noisy(0.7, 0.02, 4)), entry("b", noisy(0.3, 0.02, 5)))
    pairs = {family: [(c.one, c.other) for c in shown.comparisons() if c.family == family] for family in ("none", "shrink", "next")}
    assert pairs["none"] == [(label, "none") for label in ("refresh", "c", "a", "shrink", "b")]
    assert pairs["shrink"] == [(label, "shrink") for label in ("refresh", "c", "a", "b", "none")]
    assert pairs["next"] == [("refresh", "a"), ("a", "b")], "controls have no place"
    assert {c.family for c in shown.comparisons()} == {"none", "shrink", "next"}
    assert len(shown.comparisons(families=["all pairs"])) == 15


@pytest.mark.parametrize("seeds", [1, 2, 3, 4])
def test_there_is_no_verdict_below_five_seeds(seeds: int) -> None:
    shown = board(entry("none", measured([0.0] * seeds), control=True), *(entry(f"m{n}", noisy(0.9, 0.01, n, seeds)) for n in range(2)))
    found = shown.comparisons(families=FAMILIES)
    assert len(found) == 2 + 1 + 3
    assert {(c.verdict, c.p) for c in found} == {("no verdict", None)}
    if seeds > 1:  # one seed's forgetting is the same for every item here, so it is significant as well
        assert all(c.difference.estimate is None or c.difference.low <= c.difference.estimate for c in found)
    assert any(c.difference.estimate is not None for c in found) or seeds in (2, 3)


def test_five_seeds_of_one_training_are_no_verdict() -> None:
    shown = board(NONE, entry("refresh", noisy(0.97, 0.02, 2), trainings=1))
    assert only(shown.comparisons(families=["none"])).verdict == "no verdict"


def test_seeds_count_where_both_have_them() -> None:
    later = entry("later", measured([0.9, 0.95, 0.9], FORGETTING[2:], seeds=[2, 3, 4]))
    assert only(board(NONE, later).comparisons(families=["none"])).difference.seeds == 3


def test_without_a_common_seed_entries_are_independent_samples() -> None:
    """As after a re-run on fresh seeds: the estimate is the same, the interval is that of the sum of two variances."""
    paired = only(board(NONE, entry("later", noisy(0.9, 0.1, 3))).comparisons(families=["none"]))
    later = noisy(0.9, 0.1, 3)
    apart = only(board(NONE, entry("later", Measured(later.orders, tuple(range(20, 25))))).comparisons(families=["none"]))
    assert apart.difference.estimate == pytest.approx(paired.difference.estimate)
    assert (apart.difference.seeds, apart.verdict) == (5, "better")
    draws = [entry("drawn", Measured(later.orders, later.seeds)), entry("paired", later)]
    draws[0].runs[0].manifest.__dict__["spec"] = draws[0].runs[0].manifest.spec.model_copy(update={"draw": 7})
    found = [compare([one, entry("other", noisy(0.8, 0.1, 3))], "all pairs", "single", "greedy")[0].difference for one in draws]
    assert found[0].high - found[0].low > 5 * (found[1].high - found[1].low), "the same seeds on other items are not paired"


def test_each_entry_is_divided_by_its_own_forgetting() -> None:
    """On another type of machine the same seeds forget half as much; a repair that recovers as large a share there is no worse."""
    here = entry("here", measured([0.9] * 5))
    there = entry("there", measured([0.9] * 5, FORGETTING / 2))
    found = compare([here, there], "all pairs", "single", "greedy")[0]
    assert found.difference.estimate == pytest.approx(0, abs=1e-12)
    assert found.verdict == "not significant"


def test_without_forgetting_a_difference_is_undefined() -> None:
    nothing = np.array([0.01, -0.02, 0.03, -0.01, 0.0])
    shown = board(*(entry(label, measured([0.0] * 5, nothing)) for label in ("none", "other")))
    comparison = only(shown.comparisons(families=["none"]))
    assert (comparison.difference.estimate, comparison.difference.why) == (None, "forgetting is not significant")
    assert (comparison.p, comparison.verdict) == (None, "no verdict")


def test_planned_pairs_are_a_family_of_their_own() -> None:
    weak = entry("weak", noisy(0.25, 0.2, 12))
    shown = board(NONE, weak, *(entry(f"other{n}", noisy(0.5, 0.05, n)) for n in range(6)))
    asked = [("none", "weak"), ("other0", "weak"), ("weak", "nobody"), ("none", "weak")]
    planned = [c for c in shown.comparisons(planned=asked) if c.family == "planned"]
    assert [(c.one, c.other) for c in planned] == [("none", "weak"), ("other0", "weak")]
    alone = [only(shown.comparisons(families=["planned"], planned=[pair])).p for pair in asked[:2]]
    assert [c.p for c in planned] == pytest.approx(holm(alone))
    among_all = next(c for c in shown.comparisons(families=["all pairs"]) if {c.one, c.other} == {"none", "weak"})
    assert among_all.p > planned[0].p
    assert abs(among_all.difference.estimate) == pytest.approx(abs(planned[0].difference.estimate))


def test_more_access_is_not_called_better() -> None:
    shown = board(NONE, entry("rich", noisy(0.9, 0.02, 1), access=["math"]), entry("poor", noisy(0.4, 0.02, 2)))
    assert only(shown.comparisons(families=["next"])).verdict == "higher, with more access"
    assert only(shown.comparisons(families=["planned"], planned=[("poor", "rich")])).verdict == "lower, with less access"


def test_a_family_may_span_boards() -> None:
    weak, strong = entry("weak", noisy(0.25, 0.2, 12)), entry("strong", noisy(0.9, 0.2, 13))
    pairs = [(weak, NONE, "single"), (strong, NONE, "all"), (strong, weak, "single")]
    alone = [only(judge([pair], "planned", "greedy")) for pair in pairs]
    together = judge(pairs, "planned", "greedy")
    assert [c.p for c in together] == pytest.approx(holm([c.p for c in alone]))
    assert [c.difference.estimate for c in together] == [c.difference.estimate for c in alone]
    retained = compare([strong, NONE], "none", "all", "greedy")
    assert alone[1].difference == only(retained).difference, "retention on board `all`"
    assert alone[1].difference.estimate != only(judge([(strong, NONE, "single")], "planned", "greedy")).difference.estimate


# --- equivalence


def equal_to(*others: Entry, margin: float = 0.05, targets: str = "single") -> list[Equivalence]:
    return equivalences([(other, SAME, targets) for other in others], margin, "greedy")


SAME = entry("same", measured([0.7, 0.71, 0.69, 0.7, 0.7]))


def test_equivalence_needs_a_small_and_certain_difference() -> None:
    near = entry("near", measured([0.71, 0.71, 0.70, 0.7, 0.71]))
    far = entry("far", measured([0.79, 0.80, 0.81, 0.8, 0.8]))
    wild = entry("wild", measured([0.2, 1.1, 0.6, 0.9, 0.7]))
    assert [found.shown for found in equal_to(near, far, wild)] == [True, False, False]
    assert [found.shown for found in equal_to(near, far, wild, margin=0.2)] == [True, True, False]


def test_p_and_interval_of_equivalence_never_contradict_each_other() -> None:
    shown = 0
    for draw in range(40):
        others = [entry(f"m{n}", noisy(0.7, 0.03, 100 * draw + n, seeds=5)) for n in range(3)]
        for found in equal_to(*others):
            inside = found.difference.low >= -0.05 and found.difference.high <= 0.05
            assert inside is found.shown, found
            shown += found.shown
    assert 20 < shown < 100, "nothing to contradict"


def test_equivalences_are_adjusted_within_their_family_and_need_five_seeds() -> None:
    others = [entry(f"m{n}", noisy(0.7, 0.02, n)) for n in range(4)]
    assert [found.p for found in equal_to(*others)] == pytest.approx(holm([equal_to(other)[0].p for other in others]))
    few = entry("few", measured([0.7, 0.7, 0.7, 0.7]))
    found = equal_to(few)[0]
    assert (found.p, found.shown, found.difference.seeds) == (None, False, 4)


# --- places


def test_a_place_counts_who_is_significantly_above_and_below() -> None:
    top, bottom = entry("top", noisy(0.95, 0.01, 1)), entry("bottom", noisy(0.2, 0.01, 2))
    middle = [entry(f"middle{n}", noisy(0.6, 0.05, 10 + n)) for n in range(2)]
    found = board(NONE, top, bottom, *middle).places()
    assert found == {"top": Places(1, 1), "middle0": Places(2, 3), "middle1": Places(2, 3), "bottom": Places(4, 4)}


def test_an_uncertain_entry_has_a_wide_range_and_does_not_widen_others() -> None:
    """`sure` is significantly better than `low`; `wild` has the highest estimate, but it does not differ from either."""
    wild = entry("wild", measured([2.6, -0.5, 1.6, -0.3, 1.0]))
    sure, low = entry("sure", noisy(0.5, 0.01, 3)), entry("low", noisy(0.3, 0.01, 4))
    shown = board(NONE, wild, sure, low)
    by_pair = {(c.one, c.other): c.verdict for c in shown.comparisons(families=["next"])}
    assert by_pair == {("wild", "sure"): "not significant", ("sure", "low"): "better"}
    assert shown.places() == {"wild": Places(1, 3), "sure": Places(1, 2), "low": Places(2, 3)}


def test_places_are_adjusted_for_all_pairs() -> None:
    """A difference that would be significant alone is not among 45 pairs."""
    close = entry("close", noisy(0.66, 0.04, 5))
    others = [entry(f"m{n}", noisy(0.55, 0.04, 20 + n)) for n in range(9)]
    alone = board(close, others[0])
    assert alone.places()["close"] == Places(1, 1)
    assert board(close, *others).places()["close"] == Places(1, 10)


def test_provisional_entries_share_the_places_behind_all_others() -> None:
    shown = board(NONE, REFRESH, *(entry(f"new{n}", noisy(0.99, 0.01, n, seeds=3)) for n in range(2)))
    assert shown.places() == {"refresh": Places(1, 1), "new0": Places(2, 3), "new1": Places(2, 3)}
