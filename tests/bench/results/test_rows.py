"""The rows of a score matrix, by hand."""

from __future__ import annotations

from bench.results.rows import Row, Rows, rows_of

SEQUENCE = ("math", "qa")


def names(rows: Rows[Row]) -> tuple[list[str], list[str], str]:
    return [row.name for row in rows.baseline], [row.name for row in rows.method], rows.final.name


def test_the_baseline_run_has_a_row_a_stage_and_ends_with_its_last() -> None:
    rows = rows_of(SEQUENCE, own_stages=False, repairs=False)
    baseline = ["baseline-0-base", "baseline-1-math", "baseline-2-qa"]
    assert names(rows) == (baseline, baseline, "baseline-2-qa")
    assert len(list(rows)) == 7
    assert [row.name for row in rows.distinct()] == baseline
    assert not rows.own_stages


def test_a_repair_adds_one_row() -> None:
    rows = rows_of(SEQUENCE, own_stages=False, repairs=True)
    assert rows.final.name == "repaired"
    assert len(rows.distinct()) == 4
    assert not rows.own_stages


def test_stages_of_its_own_share_the_base() -> None:
    rows = rows_of(SEQUENCE, own_stages=True, repairs=False)
    assert names(rows)[1:] == (["baseline-0-base", "method-1-math", "method-2-qa"], "method-2-qa")
    assert len(rows.distinct()) == 5
    assert rows.own_stages


def test_after_is_the_row_right_after_a_stage() -> None:
    rows = rows_of(SEQUENCE, own_stages=True, repairs=True)
    assert [rows.after(index).domain for index in range(2)] == ["math", "qa"]
    assert {rows.after(index).part for index in range(2)} == {"baseline"}


def test_the_same_rows_hold_something_else() -> None:
    titles = rows_of(SEQUENCE, own_stages=True, repairs=True).map(lambda row: row.title)
    assert titles == Rows(("base", "after math", "after qa"), ("base", "after math (method)", "after qa (method)"), "repaired")
