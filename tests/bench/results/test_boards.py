"""Boards on built score matrices: the order of entries, what is significant, and that no entry gets a place it did not earn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import manifest_of

from bench.costs import AccessRecord
from bench.errors import UserError
from bench.results.boards import Board, Comparison, Entry, Places, boards
from bench.results.estimates import Measured
from bench.results.measured import Order
from bench.results.regimes import regime_warnings
from bench.results.rows import Row, rows_of
from bench.results.run import Run
from bench.suite import DECODINGS

PAPER = ("code", "math", "qa", "cw")
BASELINE = np.array(
    [
        [0.30, 0.45, 0.50, 0.45],
        [0.45, 0.45, 0.52, 0.45],
        [0.44, 0.85, 0.55, 0.46],
        [0.42, 0.80, 0.90, 0.45],
        [0.39, 0.66, 0.88, 0.65],
    ]
)
"""Scores of the baseline run; it forgets 19 points of math, 6 of code, 2 of qa."""
REFRESHED = np.array([0.40, 0.80, 0.88, 0.65])
NO_ACCESS: dict[str, Any] = {"checkpoints": [], "experts": [], "prompts": {}}
ITEMS = 1000


def answers(label: str, rows: np.ndarray, seed: int, sequence: tuple[str, ...]) -> dict[str, np.ndarray]:
    """domain -> (R, I) answers: the items' difficulties are the same everywhere, the seed moves a row by a point or so."""
    found = {}
    for column, domain in enumerate(sequence):
        spread = np.random.default_rng([len(domain), ord(domain[0])]).permutation(np.linspace(-0.1, 0.1, ITEMS))
        draw = np.random.default_rng([seed, len(label), column])
        level = rows[:, [column]] + 0.01 * draw.standard_normal((len(rows), 1))
        found[domain] = (draw.random((len(rows), ITEMS)) < level + spread).astype(float)
    return found


def built(
    label: str,
    end: np.ndarray,
    seed: int,
    *,
    sampled_end: np.ndarray | None = None,
    stages: np.ndarray | None = None,
    baseline: np.ndarray = BASELINE,
    sequence: tuple[str, ...] = PAPER,
    name: str = "paper",
    targets: str = "single",
    control: bool = False,
    track: str = "light",
    cost: float = 1.05,
    access: dict[str, Any] = NO_ACCESS,
    null: str = "",
    imported: str | None = None,
    source: str = "5" * 64,
    engine: str = "hf",
    **settings: Any,
) -> Run:
    """A run as it would be loaded, its answers drawn from the given scores. The baseline rows of a seed are the same for every method."""
    rows = rows_of(sequence, own_stages=stages is not None, repairs=True)
    manifest = manifest_of(
        label,
        seed=seed,
        sequence=sequence,
        targets=["math"] if targets == "single" else sequence[:-1],
        spec={"targets": targets, "sequence": name, "null": null, "imported": (imported,) if imported else (), "engine": engine},
        method={"settings": settings, "track": track, "control": control, "source": source, "own_stages": stages is not None},
        access=AccessRecord(**access),
        cost=cost,
        chain=imported,
    )
    run = Run(Path(label), manifest)
    tables: dict[Row, dict[tuple[str, str], np.ndarray]] = {row: {} for row in rows.distinct()}
    for decoding in DECODINGS:
        final = sampled_end if decoding == "sampled" and sampled_end is not None else end
        scores = dict(zip(rows.baseline, rows_scores("baseline", baseline, seed, sequence), strict=True))
        if stages is not None:
            scores |= dict(zip(rows.method, rows_scores(label, stages, seed, sequence), strict=True))
        untouched = end is BASELINE[-1] and sampled_end is None
        scores[rows.final] = scores[rows.method[-1]] if untouched else rows_scores(label, final[None], seed, sequence)[0]
        for row, values in scores.items():
            for domain, own in zip(sequence, values, strict=True):
                tables[row][domain, decoding] = np.stack([own, np.ones(ITEMS), np.ones(ITEMS)], -1)
    run.__dict__["tables"] = tables  # what the cached property would read from files
    return run


def rows_scores(label: str, rows: np.ndarray, seed: int, sequence: tuple[str, ...]) -> np.ndarray:
    """(R, T, I) answers."""
    return np.moveaxis(np.stack([*answers(label, rows, seed, sequence).values()]), 1, 0)


def board(*methods: dict[str, Any], targets: str = "single", seeds: int = 5) -> Board:
    everyone = [{"label": "none", "end": BASELINE[-1], "control": True}, *methods]
    return boards([built(seed=seed, targets=targets, **method) for method in everyone for seed in range(seeds)])[0]


def all_pairs(shown: Board) -> list[Comparison]:
    return shown.comparisons(families=["all pairs"])


REFRESH = {"label": "refresh", "end": REFRESHED}
LAZY = {"label": "lazy", "end": BASELINE[0], "stages": np.tile(BASELINE[0], (5, 1)), "track": "during"}
REVERT = {"label": "returns", "end": BASELINE[2], "track": "training-free", "cost": 1.0}
SHARPEN = {"label": "surer", "end": BASELINE[-1], "sampled_end": np.array([0.5, 0.95, 0.99, 0.8]), "track": "light"}


@pytest.mark.parametrize("targets", ["single", "all"])
@pytest.mark.parametrize("other", [LAZY, REVERT, SHARPEN], ids=["learns nothing", "reverts", "sharpens"])
def test_nothing_ranks_above_refresh_that_did_not_earn_it(other: dict[str, Any], targets: str) -> None:
    shown = board(other, REFRESH, targets=targets)
    places = shown.places()
    (pair,) = shown.comparisons(families=["next"])
    assert (pair.one, pair.other) == ("refresh", other["label"])
    assert pair.difference.low > 0
    assert pair.verdict == "better"
    assert (places["refresh"], places[other["label"]]) == (Places(1, 1), Places(2, 2))


def test_an_old_checkpoint_is_best_by_the_recovery_ratio_alone() -> None:
    """Why board `single` does not rank by it: math is recovered in full, and what qa and cw had learned is lost."""
    shown = board(REVERT, REFRESH)
    by_label = {entry.label: entry.metrics["greedy"] for entry in shown.entries}
    assert by_label["returns"]["recovery ratio"].estimate > by_label["refresh"]["recovery ratio"].estimate
    assert by_label["returns"]["net recovery"].estimate < 0
    # recovered 19, lost .88 - .55 = 33 (qa) and .65 - .46 = 19 (cw), over 19; code gains, which does not count
    assert by_label["returns"]["net recovery"].estimate == pytest.approx((19 - 33 - 19) / 19, abs=0.25)


def test_a_target_at_its_cap_is_not_known_without_error() -> None:
    """Math ends above its own stage: the estimate is 1 at most, and the interval has the variance of the uncapped quantity."""
    found = board({"label": "more", "end": np.array([0.39, 0.87, 0.88, 0.65])}).entries[0].metrics["greedy"]
    assert found["recovery ratio"].estimate > 1
    assert found["net recovery"].high <= 1
    assert found["net recovery"].low < found["net recovery"].high - 0.005, "no width at all"


def test_sharpening_is_seen_at_temperature_1_and_not_greedily() -> None:
    entry = next(e for e in board(SHARPEN).entries if e.label == "surer")
    assert entry.metrics["greedy"]["recovery ratio"].estimate == pytest.approx(0, abs=0.15)
    assert entry.metrics["sampled"]["recovery ratio"].low > 0.5


def test_controls_and_the_reference_line_have_no_place() -> None:
    shown = board(
        REFRESH, {"label": "joint", "end": REFRESHED + 0.05, "track": "reference"}, {"label": "c", "end": REFRESHED, "control": True}
    )
    assert shown.places() == {"refresh": Places(1, 1)}
    assert next(entry.label for entry in shown.entries) == "joint"
    assert {entry.label: entry.unranked for entry in shown.entries} == {
        "refresh": "",
        "joint": "reference",
        "c": "control",
        "none": "control",
    }


def test_what_costs_more_than_its_track_allows_has_no_place() -> None:
    shown = board(REFRESH, {"label": "dear", "end": REFRESHED + 0.02, "cost": 1.2})
    assert shown.places() == {"refresh": Places(1, 1)}
    assert next(e for e in shown.entries if e.label == "dear").unranked == "over its track's 110 %"


def test_higher_with_more_access_is_not_called_better() -> None:
    more = NO_ACCESS | {"checkpoints": ["math"], "prompts": {"math": 64}}
    shown = board({"label": "poor", "end": np.array([0.39, 0.70, 0.88, 0.65])}, {"label": "rich", "end": REFRESHED, "access": more})
    verdicts = {(pair.one, pair.other): pair.verdict for pair in all_pairs(shown)}
    assert verdicts["rich", "poor"] == "higher, with more access"
    assert verdicts["rich", "none"] == "higher, with more access"


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        (NO_ACCESS, NO_ACCESS, True),
        (NO_ACCESS | {"prompts": {"math": 64}}, NO_ACCESS | {"prompts": {"math": 64, "qa": 1}}, True),
        (NO_ACCESS | {"prompts": {"math": 65}}, NO_ACCESS | {"prompts": {"math": 64}}, False),
        (NO_ACCESS | {"checkpoints": ["math"]}, NO_ACCESS | {"prompts": {"math": 64}}, False),
        (NO_ACCESS | {"experts": ["math"]}, NO_ACCESS | {"checkpoints": ["math"]}, False),
    ],
)
def test_access_is_compared_part_by_part(one: dict[str, Any], other: dict[str, Any], fits: bool) -> None:
    assert AccessRecord(**one).within(AccessRecord(**other)) is fits


def test_fewer_than_five_seeds_are_provisional() -> None:
    assert all(entry.provisional for entry in board(REFRESH, seeds=4).entries)
    assert not any(entry.provisional for entry in board(REFRESH, seeds=5).entries)


def test_one_training_repaired_five_times_is_provisional() -> None:
    (entry,) = boards([built("refresh", REFRESHED, seed, imported="mine") for seed in range(5)])[0].entries
    assert (len(entry.seeds), entry.trainings, entry.provisional) == (5, 1, True)


def test_unrepaired_ends_where_the_plain_run_ends() -> None:
    measured = Measured.of([built("refresh", REFRESHED, seed) for seed in range(5)], "greedy")
    assert sum(stratum.mean() for stratum in measured.recovered) > 0.1
    assert sum(stratum.mean() for stratum in measured.unrepaired.recovered) == pytest.approx(0, abs=1e-12)
    assert sum(s.mean() for s in measured.unrepaired.forgetting) == pytest.approx(sum(s.mean() for s in measured.forgetting))


def test_provisional_entries_rank_behind_all_others() -> None:
    better = [built("better", REFRESHED + 0.04, seed) for seed in range(3)]
    shown = boards([*better, *(built("refresh", REFRESHED, seed) for seed in range(5))])[0]
    assert [entry.label for entry in shown.entries] == ["better", "refresh"]
    assert shown.places() == {"refresh": Places(1, 1), "better": Places(2, 2)}


def test_settings_distinguish_siblings() -> None:
    shown = board(
        {"label": "refresh", "end": REFRESHED, "steps": 5, "rate": 1}, {"label": "refresh", "end": REFRESHED, "steps": 9, "rate": 1}
    )
    assert {entry.label for entry in shown.entries} == {"none", "refresh steps=5", "refresh steps=9"}


def test_without_forgetting_no_entry_has_a_place() -> None:
    whole = BASELINE.copy()
    whole[-1] = np.append(np.diagonal(BASELINE[1:])[:3], 0.65)
    runs = [built("refresh", REFRESHED, seed, baseline=whole) for seed in range(5)]
    shown = boards(runs)[0]
    assert shown.places() == {}
    assert shown.entries[0].metrics["greedy"]["net recovery"].why == "forgetting is not significant"


def test_interference_is_that_of_the_seeds_which_both_have() -> None:
    """Under null stages math loses 5 points rather than 19: 14 points are interference."""
    harmless = BASELINE.copy()
    harmless[-1, 1] = 0.80
    null = [built("none", harmless[-1], seed, baseline=harmless, null="math", control=True) for seed in range(2, 9)]
    value = boards([*(built("refresh", REFRESHED, seed) for seed in range(5)), *null])[0].interference()["math"]
    assert value.seeds == 3
    assert value.estimate == pytest.approx(14, abs=4)
    assert boards([built("refresh", REFRESHED, 0), *null])[0].interference() == {}, "no seed in common"


def test_a_repair_that_fails_on_a_seed_is_named_once_and_a_broken_baseline_run_too() -> None:
    broken = BASELINE.copy()
    broken[-1, 1] = 0.10
    runs = [built("none", BASELINE[-1], seed, control=True) for seed in range(4)]
    runs += [built("none", broken[-1], 4, baseline=broken, control=True)]
    runs += [
        built("refresh", BASELINE[-1] if seed == 2 else REFRESHED, seed, baseline=broken if seed == 4 else BASELINE) for seed in range(5)
    ]
    lines = regime_warnings(boards(runs)[0].entries)
    assert sorted(line.partition(":")[0] for line in lines) == ["refresh", "seed 4"]
    assert any("refresh: seed 2: the repair recovers" in line for line in lines)


def test_runs_of_another_generation_backend_have_their_own_board() -> None:
    plain = [built("refresh", REFRESHED, seed) for seed in range(3)]
    other = [built("refresh", BASELINE[-1], seed, engine="vllm") for seed in range(2)]
    null = [built("none", BASELINE[-1], 0, null="math", control=True, engine="vllm")]
    for shown in (boards([*plain, *other, *null]), boards([*other, *null, *plain])):
        by_device = {board.device: board for board in shown}
        assert {device: board.entries[0].seeds for device, board in by_device.items()} == {"cpu": (0, 1, 2), "cpu vllm": (0, 1)}
        assert {device: list(board.null) for device, board in by_device.items()} == {"cpu": [], "cpu vllm": ["math"]}


def test_null_runs_belong_to_their_board() -> None:
    null = [built("none", BASELINE[-1], seed, null="math", control=True) for seed in range(2)]
    shown = boards([*(built("refresh", REFRESHED, seed) for seed in range(2)), *null])
    assert len(shown) == 1
    assert [run.seed for run in shown[0].null["math"]] == [0, 1]
    assert shown[0].interference()["math"].seeds == 2
    other = [built("refresh", REFRESHED, seed, targets="all") for seed in range(2)]
    assert len(boards([*other, *null])[0].null["math"]) == 2, "forgetting under null stages does not depend on targets"
    assert [entry.label for entry in shown[0].entries] == ["refresh"]


# --- designs of several orders

OTHER = ("math", "cw", "code", "qa")
OTHER_BASELINE = np.array(
    [[0.45, 0.45, 0.30, 0.50], [0.85, 0.45, 0.30, 0.50], [0.80, 0.65, 0.31, 0.50], [0.75, 0.60, 0.45, 0.52], [0.70, 0.55, 0.40, 0.90]]
)


def both_orders(label: str, paper_end: np.ndarray, other_end: np.ndarray, seeds: range) -> list[Run]:
    one = [built(label, paper_end, seed, targets="all") for seed in seeds]
    return one + [
        built(label, other_end, seed, baseline=OTHER_BASELINE, sequence=OTHER, name="balanced-2", targets="all") for seed in seeds
    ]


def test_a_design_is_one_board_of_means_over_its_orders() -> None:
    runs = both_orders("refresh", REFRESHED, np.array([0.85, 0.65, 0.45, 0.90]), range(5))
    designed = boards(runs, {"two": ("paper", "balanced-2")})
    assert [shown.sequence for shown in designed] == ["paper", "two"]
    (entry,) = designed[1].entries
    alone = [boards([run for run in runs if run.manifest.spec.sequence == name], {})[0].entries[0] for name in ("paper", "balanced-2")]
    for metric in ("forgetting", "collateral damage", "final average", "BWT", "FWT"):
        means = [one.metrics["greedy"][metric].estimate for one in alone]
        assert entry.metrics["greedy"][metric].estimate == pytest.approx(np.mean(means))
    # Sums over both orders, then one division.
    kept = [(sum(k.mean() for k in m.retention.points), sum(g.mean() for g in m.gain)) for m in (one.measured("greedy") for one in alone)]
    assert entry.metrics["greedy"]["retention"].estimate == pytest.approx(sum(k for k, _ in kept) / sum(g for _, g in kept))
    assert entry.domains["greedy"]["math"].forgetting.estimate == pytest.approx(
        np.mean([one.domains["greedy"]["math"].forgetting.estimate for one in alone])
    )


def test_intransigence_is_what_a_stage_falls_short_of_where_the_domain_comes_first() -> None:
    """Each of two domains begins one order. After its own stage code has .80 where it comes first and .75 after math, math .90 and .70."""
    first = np.array([[0.30, 0.40], [0.80, 0.42], [0.60, 0.70]])
    second = np.array([[0.40, 0.30], [0.90, 0.31], [0.50, 0.75]])
    runs = [
        built("none", baseline[-1], seed, baseline=baseline, sequence=order, name=name, targets="all")
        for seed in range(5)
        for name, order, baseline in (("one", ("code", "math"), first), ("two", ("math", "code"), second))
    ]
    found = boards(runs, {"both": ("one", "two")})
    falls = (("one", ("code", "math"), first, 0.10), ("two", ("math", "code"), second, 0.20))
    own = [
        built("ewc", base[-1], seed, stages=base - fall, baseline=base, sequence=order, name=name, targets="all", track="during")
        for seed in range(5)
        for name, order, base, fall in falls
    ]
    both = next(shown for shown in boards(runs + own, {"both": ("one", "two")}) if shown.sequence == "both")
    entries = {entry.label: entry for entry in both.entries}
    value = entries["none"].metrics["greedy"]["intransigence"]
    assert value.estimate == pytest.approx((5 + 20) / 2, abs=1)
    assert value.low < value.estimate < value.high
    # Its own stages end .10 lower on the order where math comes second, and .20 lower on the other; experts are the baseline run's.
    assert entries["ewc"].metrics["greedy"]["intransigence"].estimate == pytest.approx((5 + 20 + 20 + 10) / 2, abs=1)
    for entry in entries.values():
        tables = entry.measured("greedy").unrepaired.intransigence
        assert 100 * sum(table.mean() for table in tables) == pytest.approx(value.estimate), "that of the baseline run"
    alone = next(shown for shown in found if shown.sequence == "one").entries[0]
    assert "intransigence" not in alone.metrics["greedy"], "code alone comes first"


def test_intransigence_needs_each_domain_to_come_first_once() -> None:
    cells = (np.zeros((2, 9, 5)),) * 3
    orders = [Order(tuple(words), (0,), cells) for words in ("abc", "bca", "cab", "acb")]
    assert Measured(tuple(orders[:3]), (0, 1)).intransigence is not None
    assert Measured(tuple(orders), (0, 1)).intransigence is None, "a comes first twice"
    assert Measured(tuple(orders[:2]), (0, 1)).intransigence is None, "c never does"


def test_an_entry_without_all_orders_is_not_on_the_designs_board() -> None:
    runs = [
        *both_orders("refresh", REFRESHED, OTHER_BASELINE[-1], range(2)),
        *(built("half", REFRESHED, s, targets="all") for s in range(2)),
    ]
    by_name = {shown.sequence: shown for shown in boards(runs, {"two": ("paper", "balanced-2")})}
    assert [entry.label for entry in by_name["two"].entries] == ["refresh"]
    assert {entry.label for entry in by_name["paper"].entries} == {"refresh", "half"}


def test_an_entry_that_lacks_an_order_is_still_shown() -> None:
    runs = both_orders("refresh", REFRESHED, OTHER_BASELINE[-1], range(2))
    other = [run for run in both_orders("mine", REFRESHED, OTHER_BASELINE[-1], range(2)) if run.manifest.spec.sequence == "balanced-2"]
    by_name = {shown.sequence: shown for shown in boards([*runs, *other], {"two": ("paper", "balanced-2")})}
    assert {entry.label for entry in by_name["balanced-2"].entries} == {"refresh", "mine"}
    assert {entry.label for entry in by_name["two"].entries} == {"refresh"}


def test_other_code_under_the_same_name_is_another_entry() -> None:
    old = [built("refresh", REFRESHED, seed, source="a" * 64) for seed in range(3)]
    new = [built("refresh", REFRESHED, seed, source="b" * 64) for seed in range(3, 5)]
    shown = boards([*old, *new])[0]
    assert {entry.label: entry.seeds for entry in shown.entries} == {"refresh (aaaaaa)": (0, 1, 2), "refresh (bbbbbb)": (3, 4)}


def test_a_seed_that_an_order_lacks_does_not_count() -> None:
    runs = both_orders("refresh", REFRESHED, OTHER_BASELINE[-1], range(3))
    by_name = {shown.sequence: shown.entries[0] for shown in boards(runs[:-1], {"two": ("paper", "balanced-2")})}
    assert by_name["two"].seeds == (0, 1)
    assert [run.seed for run in by_name["two"].dropped] == [2]
    assert by_name["paper"].seeds == (0, 1, 2)
    with pytest.raises(UserError, match="different seeds"):
        Measured.of(runs[:-1], "greedy")


def test_a_seed_that_is_there_twice_counts_once() -> None:
    (entry,) = boards([built("refresh", REFRESHED, 0), built("refresh", REFRESHED, 0, cost=1.09)])[0].entries
    assert len(entry.runs) == len(entry.dropped) == 1
    assert entry.cost.total == pytest.approx(1.09), "the last one"


def test_no_runs_get_one_line() -> None:
    with pytest.raises(UserError, match="no runs"):
        boards([])


def test_an_entrys_access_is_that_of_all_its_runs() -> None:
    more = NO_ACCESS | {"checkpoints": ["math"], "prompts": {"math": 64}}
    entry = Entry("x", (built("x", REFRESHED, 0), built("x", REFRESHED, 1, access=more)))
    assert entry.access == AccessRecord(checkpoints=("math",), prompts={"math": 64})


def test_a_board_is_a_frame_of_its_metrics() -> None:
    shown = board(REFRESH)
    frame = shown.frame()
    one = frame[(frame.entry == "refresh") & (frame.decoding == "greedy") & (frame.metric == "net recovery")].iloc[0]
    (refresh,) = (entry for entry in shown.entries if entry.label == "refresh")
    assert one.estimate == refresh.metrics["greedy"]["net recovery"].estimate
    assert (one.unit, one["first place"], one.seeds) == ("share", 1, 5)
    assert frame[frame.entry == "none"]["first place"].isna().all()
