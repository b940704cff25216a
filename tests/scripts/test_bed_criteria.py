"""scripts/test_bed.py on made-up scores: which criteria a bed meets."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UserError
from bench.suite import load_suite

FILE = Path(__file__).parents[2] / "scripts" / "test_bed.py"
ITEMS = 2_000


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("test_bed_script", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def table(share: float, unparsed: float = 0.0) -> np.ndarray:
    """(ITEMS, 3) with the first `share` of the items right, and the last `unparsed` of them not parsed."""
    place = np.arange(ITEMS)
    return np.stack([place < round(share * ITEMS), place < round((1 - unparsed) * ITEMS), np.ones(ITEMS)], 1).astype(float)


@pytest.fixture
def bed(script: Any) -> Callable[..., Any]:
    """Every stage takes its domain from 0.3 to `own`; what comes later takes `real` of it, or `null` where stages are null."""

    def make(
        own: float = 0.8,
        real: float = 0.1,
        null: float = 0.01,
        unparsed: float = 0.0,
        varies: float = 0.0,
        name: str = "micro",
        seeds: int = 5,
    ) -> Any:
        suite, nulls = load_suite(name), ("math", "code") if name == "micro" else ("math", "code", "qa")
        orders, drawn = suite.orders("balanced" if name == "micro" else "paper"), tuple(range(100, 100 + seeds))
        tables = {}
        for order, which in [*((order, "") for order in orders), *((orders[0], null) for null in nulls)]:
            sequence = suite.sequence(order)
            for place, seed in enumerate(drawn):
                lost = null if which else real * (1 + varies * (place - (seeds - 1) / 2))
                rows = []
                for row in range(len(sequence) + 1):
                    rows.append({})
                    for domain in sequence:
                        after = row - 1 - sequence.index(domain)
                        score = 0.3 if after < 0 else own if after == 0 else own - lost
                        rows[-1][domain, "greedy"] = table(score, unparsed if after > 0 else 0.0)
                tables[order, which, seed] = rows
        flops = {key: [1e9 * (n + 1) for n in range(len(suite.sequence(key[0])))] for key in tables}
        return script.Bed(suite, orders, drawn, tables, flops, dict.fromkeys(tables, "one machine"))

    return make


def unmet(script: Any, bed: Any) -> list[str]:
    return [criterion.words for criterion in script.criteria(bed) if criterion.met is script.Met.NO]


def test_a_valid_bed_meets_every_criterion(script: Any, bed: Callable[..., Any]) -> None:
    assert unmet(script, bed()) == []
    assert len(list(script.criteria(bed()))) == 21


@pytest.mark.parametrize(
    ("change", "words", "count"),
    [
        ({"real": 0.02, "null": 0.0}, "forgets at least", 6),
        ({"real": 0.0, "null": 0.0}, "null stages take less", 2),
        ({"null": 0.05}, "null stages take less", 2),
        ({"null": 0.1}, "interference is significant", 2),
        ({"own": 0.96}, "at most 95", 4),
        ({"own": 0.39, "real": 0.07}, "gains at least 10", 4),
        ({"varies": 0.25}, "coefficient of variation", 1),
        ({"unparsed": 0.75, "real": 0.1}, "only format", 2),
    ],
)
def test_each_fault_is_seen(script: Any, bed: Callable[..., Any], change: dict[str, float], words: str, count: int) -> None:
    assert sum(words in each for each in unmet(script, bed(**change))) == count


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"real": 0.0, "null": 0.0}, "some domain forgets"),
        ({"own": 0.37, "real": 0.05, "null": 0.0}, "gains at least 8"),
        ({"own": 0.39, "real": 0.05, "null": 0.0}, ""),
        ({"null": 0.1}, "interference is significant"),
        ({"null": 0.05}, "null stages take less"),
        ({"unparsed": 0.75}, "only format"),
        ({"varies": 0.25}, ""),
    ],
)
def test_everyday_needs_some_forgetting_and_gains_of_eight(
    script: Any, bed: Callable[..., Any], change: dict[str, float], words: str
) -> None:
    found = unmet(script, bed(name="everyday", **change))
    assert any(words in each for each in found) if words else found == []


def test_what_everyday_forgets_is_what_its_criteria_are_about(script: Any, bed: Callable[..., Any]) -> None:
    """Of a domain that does not forget, no share of null stages is asked, nor a spread."""
    made = bed(name="everyday")
    steady = {key: [dict(row) for row in rows] for key, rows in made.tables.items()}
    for rows in steady.values():
        for row in rows:
            row["math", "greedy"] = table(0.3) if row is rows[0] or row is rows[1] else table(0.8)
    about = [each.words for each in script.criteria(replace(made, tables=steady)) if not each.words.startswith("math gains")]
    assert [words for words in about if "math" in words] == ["math is at most 95 after its own stage, in every order at every seed's mean"]
    assert sum("code" in words for words in about) == 6


def test_a_domain_that_forgets_needs_null_stages(script: Any, bed: Callable[..., Any]) -> None:
    made = bed(name="everyday")
    without = replace(made, tables={key: rows for key, rows in made.tables.items() if key[1] != "qa"})
    assert unmet(script, without) == []
    (unmeasured,) = [each for each in script.criteria(without) if each.met is script.Met.UNMEASURED]
    assert (unmeasured.words, unmeasured.measured) == ("qa: null stages take less than real ones on `paper`", "by --null qa")
    assert "not measured" in verdicts(script.report(without, "the command", "validation", [unmeasured]))


def test_forgetting_is_told_by_seed(script: Any, bed: Callable[..., Any]) -> None:
    made = bed(varies=0.4, seeds=3)
    text = script.report(made, "the command", "validation", [])
    assert "Forgetting on `paper` by seed, greedy: code 6.0, 10.0, 14.0; math 6.0, 10.0, 14.0; qa 6.0, 10.0, 14.0." in text


def test_format_loss_counts_lost_items_only(script: Any, bed: Callable[..., Any]) -> None:
    """10 % of the items are lost, places 0.7 to 0.8; the last 25 % are not parsed, of which the lost ones are a half."""
    only, lost = bed(unparsed=0.25).format_loss("paper", "math", "greedy")
    assert lost.mean() == pytest.approx(0.1)
    assert only.mean() == pytest.approx(0.05)


def test_the_report_has_every_table(script: Any, bed: Callable[..., Any]) -> None:
    made = bed()
    text = script.report(made, "the command", "validation", list(script.criteria(made)))
    assert text.count("## Real and null stages") == 1
    assert all(f"## `{order}`, greedy" in text for order in made.orders)
    cells = [
        [word for cell in line.split("|")[2:-1] for word in cell.split()[:1]] for line in text.splitlines() if line.startswith("| math ")
    ]
    assert ["+10.0", "+1.0", "+9.0", "10"] in cells
    places = [[made.suite.sequence(order).index(domain) + 1 for order in made.orders] for domain in ("code", "math", "qa", "cw")]
    means = [f"{sum(found) / len(found):.3g}" for found in places]
    assert "FLOPs of a stage, mean over orders and seeds: " in text
    assert all(mean in text.partition("FLOPs of a stage")[2].partition("\n")[0] for mean in means)
    assert "Made by `the command`" in text
    assert "trained on one machine." in text
    assert "nothing is judged" not in text
    assert "another type of machine" not in text


def test_null_stages_of_another_machine_are_measured_from_their_own_training(script: Any, bed: Callable[..., Any]) -> None:
    """The second training of math ends its own stage at 0.5 instead of 0.8, and loses 0.02 of it to null stages."""
    made = bed(name="everyday")
    tables, machines = dict(made.tables), dict(made.machines)
    for seed in (101, 103):
        key = ("paper", "math", seed)
        rows = [dict(row) for row in tables[key]]
        rows[2]["math", "greedy"], rows[4]["math", "greedy"] = table(0.5), table(0.48)
        tables[key], machines[key] = rows, "another"
    mixed = replace(made, tables=tables, machines=machines)
    assert mixed.forgetting("paper", "math", "greedy", "math").mean(1) == pytest.approx([1, 2, 1, 2, 1])
    assert unmet(script, mixed) == []
    text = script.report(mixed, "the command", "validation", [])
    assert "Null stages after math, seeds 101, 103: on another type of machine, with the stages before them trained there" in text
    assert text.count("on another type of machine") == 1
    assert "trained on one machine; and on another." in text


def verdicts(text: str) -> list[str]:
    """Of the table of criteria, the column "met"."""
    criteria = text.partition("## Criteria")[2].partition("##")[0]
    return [line.split("|")[2].strip() for line in criteria.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("seeds", [1, 3, 4])
def test_nothing_is_judged_below_five_seeds(script: Any, bed: Callable[..., Any], seeds: int) -> None:
    made = bed(seeds=seeds)
    text = script.report(made, "the command", "validation", list(script.criteria(made)))
    assert "With fewer than 5 seeds, nothing is judged." in text
    assert set(verdicts(text)) == {"–"}
    assert ("intervals over items." in text) == (seeds == 1)


def test_how_seeds_differ_is_only_reported_where_the_suite_says_so(script: Any, bed: Callable[..., Any]) -> None:
    made = bed(name="everyday", varies=0.25)
    found = [each for each in script.criteria(made) if "coefficient of variation" in each.words]
    assert {each.met for each in found} == {script.Met.UNJUDGED} and len(found) == 3
    text = script.report(made, "the command", "validation", found)
    assert verdicts(text) == ["–", "–", "–"]
    assert "forgetting between seeds below" not in text


def test_a_suite_without_bounds_is_refused_before_anything_is_trained(script: Any, bed: Callable[..., Any]) -> None:
    with pytest.raises(UserError, match="suite everyday-24: it is not said what its bed must meet"):
        script.bounds_of("everyday-24")


def test_a_criterion_that_is_met_shows_an_order_that_meets_it(script: Any, bed: Callable[..., Any]) -> None:
    """The other order forgets more on average, but not on every seed."""
    made = bed()
    tables = dict(made.tables)
    for place, seed in enumerate(made.seeds):
        rows = [dict(row) for row in tables["balanced-3", "", seed]]
        rows[-1]["math", "greedy"] = table((0.8, 0.8, 0.2, 0.8, 0.2)[place])
        tables["balanced-3", "", seed] = rows
    (shown,) = [each for each in script.criteria(replace(made, tables=tables)) if each.words.startswith("math forgets at least 3")]
    assert shown.met is script.Met.YES and shown.measured.startswith("paper: +10.0")
