"""Score matrices, null stages, reverted updates and training curves, against hand-made runs."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runs import BASELINE

from bench.report import tables
from bench.report.content import collect, content
from bench.report.prose import null_words
from bench.results.run import load_run


def test_the_matrix_is_the_mean_over_seeds(board, folder):
    runs = [load_run(folder / f"micro-paper-single-none-s{seed}") for seed in range(5)]
    mean = 100 * np.mean([run.matrix["greedy"].baseline for run in runs], 0)
    (matrix,) = board.matrices
    assert np.allclose([row.score["greedy"] for row in matrix.rows[:5]], mean)
    assert [row.own for row in matrix.rows[:5]] == [None, 0, 1, 2, 3]
    assert [row.title for row in matrix.rows if row.title.startswith("replay")] == [
        "replay, after code", "replay, after math", "replay, after qa", "replay",
    ]  # fmt: skip
    assert {row.title for row in matrix.rows if row.part == "final"} >= {"refresh", "sharpen", "revert"}
    assert all(value == pytest.approx(10) for row in matrix.rows for value in row.unparsed["greedy"])


def test_interference_is_real_minus_null(board):
    (found,) = board.null.domains
    assert found.seeds == (0, 1, 2, 3, 4)
    for decoding in ("greedy", "sampled"):
        real, null, interference = (getattr(found, kind)[decoding] for kind in ("real", "null", "interference"))
        assert real == board.baseline[decoding]["math"].forgetting
        assert interference.estimate == pytest.approx(real.estimate - null.estimate)
        assert interference.low > 0
    header, (greedy, _) = tables.baseline(board).header, tables.baseline(board).rows
    assert greedy[header.index("interference, math")].startswith(f"{found.interference['greedy'].estimate:.1f} [")


def test_null_runs_of_other_seeds_have_no_interference(tmp_path, build_run):
    build_run(tmp_path, method="none", seed=0)
    build_run(tmp_path, method="none", seed=1, null="math")
    board = content(*collect([tmp_path])).boards[0]
    assert board.null.domains[0].interference == {}
    assert tables.null(board).rows[0][4] == "no shared seed"


def test_real_stages_beside_null_ones_are_of_the_same_orders_and_seeds(tmp_path, build_run):
    """On a board of four orders and two seeds, null stages were run on two of the orders, and of seed 1 only."""
    orders = {
        "paper": ("code", "math", "qa", "cw"), "balanced-2": ("math", "cw", "code", "qa"), "balanced-3": ("cw", "qa", "math", "code"),
        "balanced-4": ("qa", "code", "cw", "math"),
    }  # fmt: skip
    rates = {name: BASELINE - 0.05 * place * np.arange(5)[:, None] ** 2 / 16 for place, name in enumerate(orders)}
    for seed in range(2):
        for name, order in orders.items():
            build_run(tmp_path, method="none", seed=seed, order=order, sequence=name, targets="all", baseline=rates[name] - 0.1 * seed)
    for name in ("paper", "balanced-3"):
        build_run(tmp_path, method="none", seed=1, order=orders[name], sequence=name, targets="all", null="math", baseline=rates[name] / 2)
    paired = [run for run in map(load_run, tmp_path.iterdir()) if run.seed == 1 and run.manifest.spec.sequence in ("paper", "balanced-3")]
    _, board = content(*collect([tmp_path])).boards  # after that of `paper` alone
    (found,) = board.null.domains
    assert (found.orders, found.seeds) == ((orders["paper"], orders["balanced-3"]), (1,))
    assert "null stages after math: seed 1 of code → math → qa → cw and cw → qa → math → code." in null_words(board)
    for decoding in ("greedy", "sampled"):
        lost: dict[str, list[float]] = {"": [], "math": []}
        for run in paired:
            column = run.sequence.index("math")
            scores = np.array(run.matrix[decoding].baseline)[:, column]
            lost[run.manifest.spec.null].append(100 * (scores[column + 1] - scores[-1]))
        real, null, interference = (getattr(found, kind)[decoding].estimate for kind in ("real", "null", "interference"))
        assert (real, null) == pytest.approx((np.mean(lost[""]), np.mean(lost["math"])))
        assert interference == pytest.approx(real - null)
        assert real != pytest.approx(board.baseline[decoding]["math"].forgetting.estimate)
    # math comes second on paper (two stages of 3 follow) and third on balanced-3 (one); null stages move the weights by 2.
    assert (found.moved_real, found.moved_null) == (4.5, 3.0)


def test_null_runs_of_several_orders_without_a_common_seed_are_left_out(tmp_path, build_run):
    other = ("cw", "qa", "math", "code")
    for name, order in (("paper", ("code", "math", "qa", "cw")), ("balanced-2", ("math", "cw", "code", "qa")), ("balanced-3", other),
                        ("balanced-4", ("qa", "code", "cw", "math"))):  # fmt: skip
        build_run(tmp_path, method="none", order=order, sequence=name, targets="all", items=40)
    build_run(tmp_path, method="none", null="math", targets="all", items=40)
    build_run(tmp_path, method="none", null="math", seed=1, order=other, sequence="balanced-3", targets="all", items=40)
    report = content(*collect([tmp_path]))
    board = report.boards[-1]
    assert board.title.startswith("micro/1 · balanced")
    assert board.null is None
    (line,) = report.left_out  # the other one stands on the board of `paper` alone
    assert "balanced-3" in line
    assert "null stages after math: another run of the same order and seed counts, or" in line


def test_forgetting_is_given_per_distance_that_the_weights_moved(board):
    (found,) = board.null.domains
    # From after math to the end: two stages of 3, or of 2 where rewards were permuted.
    assert (found.moved_real, found.moved_null) == (6.0, 4.0)
    table = tables.null(board)
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert float(row["real per |δ|"]) == pytest.approx(found.real["greedy"].estimate / 6, abs=0.006)
    assert float(row["null per |δ|"]) == pytest.approx(found.null["greedy"].estimate / 4, abs=0.006)


def test_the_reverted_update_is_a_share_of_its_square(entries):
    assert entries["none"].reverted == pytest.approx(0.0)
    assert entries["refresh"].reverted == pytest.approx(1 - 5**2 / 6**2)  # a repaired model lies 5 from after math, the baseline's end 6
    assert entries["replay"].reverted is None  # its own stages are another update


def test_a_move_that_undoes_nothing_reverts_no_share(tmp_path, build_run):
    """Another row lies 5 from after math, and the baseline's end 3: 1 - 25/9 is below -1."""
    build_run(tmp_path, method="sharpen", final=BASELINE[-1], targets="single", order=("code", "qa", "math", "cw"), sequence="other")
    (board,) = content(*collect([tmp_path])).boards
    assert board.entries[0].reverted is None


def test_format_loss_counts_lost_items_that_did_not_stop(tmp_path, build_run):
    """Two of ten answers at the end of the baseline run do not stop or do not parse, evenly over the items, the lost ones too."""
    for seed in range(2):
        build_run(tmp_path, method="none", seed=seed, unended=0.2, items=400)
    found = content(*collect([tmp_path])).boards[0].baseline_metrics["greedy"]["format loss"]
    # Of 100 item numbers, 0 to 19 do not stop where the answer is wrong; multiples of 10 do not parse: 20 + 8.
    assert found.estimate == pytest.approx(0.28, abs=0.1)
    board = content(*collect([tmp_path])).boards[0]
    assert "format loss" in tables.baseline(board).header
    (matrix,) = board.matrices
    assert max(matrix.rows[4].unended["greedy"]) > 5
    assert max(matrix.rows[3].unended["greedy"]) == 0


def test_training_curves_span_the_seeds(board):
    baseline = [curve for curve in board.training if curve.label == "baseline run"]
    assert [(curve.stage, curve.trained, curve.domain, curve.seeds) for curve in baseline] == [
        (1, "code", "code", 5), (2, "math", "math", 5), (3, "qa", "qa", 5), (4, "cw", "cw", 5),
    ]  # fmt: skip
    assert {curve.label for curve in board.training} == {"baseline run", "replay"}
    first = baseline[0]
    assert first.steps == tuple(range(1, 21))
    assert all(low <= mean <= high for low, mean, high in zip(first.low, first.mean, first.high, strict=True))
    # As the runs were written: a rising line with a wave of its own for each seed.
    rewards = [100 * (0.9 + 0.02 * np.sin(19 * (seed + 1))) for seed in range(5)]
    ends = (first.mean[-1], first.low[-1], first.high[-1])
    assert ends == pytest.approx((np.mean(rewards), min(rewards), max(rewards)))


def test_lm_evals_results_are_means_of_each_row_once(tmp_path, build_run):
    for seed in range(2):
        also = {row: {"mmlu": {"acc": (0.5 + seed / 10, 0.01)}} for row in ("baseline-0-base", "baseline-4-cw")}
        build_run(tmp_path, method="none", seed=seed, also=also, items=20)
        build_run(
            tmp_path, method="refresh", final=[0.6, 0.8, 0.9, 0.8], seed=seed, items=20, also=also | {"repaired": also["baseline-4-cw"]}
        )
    board = content(*collect([tmp_path])).boards[0]
    assert [(row.title, row.values) for row in board.also] == [
        ("base", {"mmlu: acc": pytest.approx(0.55)}),
        ("after cw", {"mmlu: acc": pytest.approx(0.55)}),
        ("refresh", {"mmlu: acc": pytest.approx(0.55)}),
    ]
    assert tables.also(board).rows[0] == ("base", "0.550")
