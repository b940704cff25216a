"""Verdicts on claims whose scores are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from entries import write_runs

from bench.results.run import Run
from bench.suite import Suite
from leaderboard.limits import REPRODUCED_LEVEL
from leaderboard.rerun.judge import FRESH, adjusted, compared, level_of, reproduced, words
from leaderboard.verdicts import OWN, Rerun

NOTHING = {"repaired": (0.5, 0.3, 0.6, 0.8)}
"""Rates of a repair that recovers no math."""


def record(claim: Sequence[Run], again: Sequence[Run]) -> Rerun:
    return adjusted([compared(claim, again, "single", public="", sandbox="bubblewrap")])[0]


@pytest.fixture(scope="module")
def claim(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return write_runs(tmp_path_factory.mktemp("claim"), suite, "refresh")


@pytest.fixture(scope="module")
def poor(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """A rerun that recovers no math."""
    return write_runs(tmp_path_factory.mktemp("poor"), suite, "refresh", rates=NOTHING)


def test_the_same_again_is_reproduced_and_bit_exact(claim: list[Run]) -> None:
    found = record(claim, claim)
    assert reproduced(found)
    assert (found.p, found.excess["estimate"]) == (1.0, 0.0)
    assert found.same == (5, 5), "the five repairs; the stages were not the method's"
    assert "5 of 5 checkpoints are bit-exact" in words(found)
    assert level_of("claimed", [found]) == "reproduced"


def test_a_spot_check_compares_its_seeds_and_decides_nothing(claim: list[Run], suite: Suite, tmp_path: Path) -> None:
    found = adjusted([compared(claim, claim[1:2], "single", public="", sandbox="bubblewrap", spot=True)])[0]
    assert (found.seeds, found.same, found.p, found.excess["estimate"]) == ((1,), (1, 1), None, 0.0)
    assert words(found) == "the claim differs by +0.00 from a spot check on some of its seeds (1); 1 of 1 checkpoints are bit-exact"
    low = write_runs(tmp_path / "again", suite, "refresh", rates=NOTHING, seeds=[1])
    below = compared(claim, low, "single", public="", sandbox="bubblewrap", spot=True)
    assert below.excess["estimate"] > 0.3
    assert level_of("claimed", [found]) == level_of("claimed", [below]) == "claimed"
    assert level_of("reproduced", [made(0.5), below, made(None, error="code 1", by_method=True, spot=True)]) == "reproduced"


def test_a_claim_above_its_re_run_is_not(claim: list[Run], suite: Suite, tmp_path: Path) -> None:
    found = record(claim, write_runs(tmp_path / "again", suite, "refresh", rates=NOTHING))
    assert found.p < REPRODUCED_LEVEL
    assert reproduced(found) is False
    assert "is significantly above its rerun on the same seeds (0 to 4)" in words(found)


def test_a_claim_below_its_re_run_is_reproduced(claim: list[Run], suite: Suite, tmp_path: Path) -> None:
    low = write_runs(tmp_path / "again", suite, "refresh", rates=NOTHING)
    found = record(low, claim)
    assert found.excess["estimate"] < -0.3
    assert reproduced(found)


def test_fresh_seeds_are_compared_as_independent(claim: list[Run], suite: Suite, tmp_path: Path) -> None:
    fair = write_runs(tmp_path / "again", suite, "refresh", seeds=range(50, 55))
    found = record(claim, fair)
    assert found.same == (0, 0)
    assert reproduced(found)
    assert reproduced(record(claim, write_runs(tmp_path / "none", suite, "refresh", seeds=range(50, 55), rates=NOTHING))) is False


def test_holm_across_entries_rerun_together(claim: list[Run], poor: list[Run]) -> None:
    below = compared(claim, poor, "single", public="", sandbox="none")
    close = below.model_copy(update={"p": 0.004})
    assert [rerun.adjusted for rerun in adjusted([close, close, close.model_copy(update={"p": None})])] == [0.008, 0.008, None]
    assert [reproduced(rerun) for rerun in adjusted([close] * 3)] == [True] * 3


def made(p: float | None, *, items: int = 0, first: int = 0, error: str = "", by_method: bool = False, spot: bool = False) -> Rerun:
    seeds, excess = tuple(range(first, first + 5)), {"estimate": 0.1, "low": 0.0, "high": 0.2, "seeds": 5}
    given = {"public": "", "sandbox": "none", "numerics": {}, "versions": {}, "excess": excess}
    return Rerun(seeds=seeds, items=items, p=p, adjusted=p, error=error, by_method=by_method, spot=spot, **given)


@pytest.mark.parametrize(
    ("before", "reruns", "level"),
    [
        ("claimed", [made(0.5)], "reproduced"),
        ("claimed", [made(0.5, items=7, first=50)], FRESH),
        ("reproduced", [made(0.5), made(0.5, items=7, first=50)], FRESH),
        (FRESH, [made(0.5, items=7, first=50), made(0.5)], FRESH),
        ("claimed", [made(0.001)], "claimed"),
        ("claimed", [made(0.001), made(0.001)], "claimed"),
        ("claimed", [made(0.001), made(0.001, items=7, first=50)], "disputed"),
        ("claimed", [made(0.001), made(0.5, items=7, first=50)], FRESH),
        (FRESH, [made(0.5, items=7, first=50), made(0.001)], FRESH),
        ("claimed", [made(None, error="the disk was full")], "claimed"),
        ("reproduced", [made(0.5), made(None, error="the disk was full")], "reproduced"),
        ("reproduced", [made(0.5), made(None, items=7, first=50, error="code 1", by_method=True)], "claimed"),
        (
            "claimed",
            [made(None, items=7, first=50, error="code 1", by_method=True), made(None, items=9, first=90, error="code 1", by_method=True)],
            "disputed",
        ),
        ("disputed", [made(0.001), made(0.001, items=7, first=50), made(0.5)], "disputed"),
        ("disputed", [made(0.001), made(0.001, items=7, first=50), made(0.5, items=9, first=90)], FRESH),
        (FRESH, [made(0.5, items=7, first=50), made(0.001, items=9, first=90), made(0.5)], "claimed"),
        ("withdrawn", [made(0.5, items=7, first=50)], "withdrawn"),
        (OWN, [made(0.5, items=7, first=50)], OWN),
        (OWN, [made(0.001)], OWN),
        (OWN, [made(0.001), made(0.001, items=7, first=50)], "disputed"),
    ],
)
def test_levels(before: str, reruns: list[Rerun], level: str) -> None:
    """A claim is disputed after two reruns on different seeds that did not reproduce it, until one on fresh seeds does."""
    assert level_of(before, reruns) == level


def test_the_words_of_what_failed() -> None:
    assert words(made(None, error="it took longer than 20 s")).endswith("gave no result: it took longer than 20 s")
    undefined = made(None).model_copy(update={"excess": {"estimate": None, "low": None, "high": None, "seeds": 5, "why": "no gain"}})
    assert words(undefined).endswith("gave no result: no gain")
