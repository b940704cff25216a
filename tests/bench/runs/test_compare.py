"""Which runs a command is made of: methods, settings, orders, seeds, shards, and the checkpoints of an earlier run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UserError
from bench.options import Options
from bench.registry import described, method_names, tuned_file, tuned_settings
from bench.runs import compare
from bench.runs.plan import Plan
from bench.spec import RunSpec
from bench.suite import load_suite

MICRO = load_suite("micro").id


def plans(methods: str, **options: Any) -> list[Plan]:
    chosen = Options.checked(**options)
    return compare.plans_of(compare.choices_of(methods, chosen), chosen)


def comparison(methods: str, **options: Any) -> list[RunSpec]:
    return [planned.spec for planned in plans(methods, **options)]


@pytest.fixture
def untuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No method has been tuned."""
    monkeypatch.setattr("bench.registry.tuned_file", lambda record: tmp_path / "absent.json")


# --- words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("refresh", [("refresh", [])]),
        ("refresh,rollback", [("refresh", []), ("rollback", [])]),
        (
            "refresh[steps=5,30], rollback[share=0.1;rank=magnitude]",
            [("refresh", ["steps=5,30"]), ("rollback", ["share=0.1", "rank=magnitude"])],
        ),
        ("a/b.py:Mine[x=1],refresh,", [("a/b.py:Mine", ["x=1"]), ("refresh", [])]),
        ("refresh,refresh", [("refresh", [])]),
    ],
)
def test_methods_are_split(text: str, found: list[tuple[str, list[str]]]) -> None:
    assert compare.split_methods(text) == found


def test_all_and_controls_stand_for_many() -> None:
    assert [name for name, _ in compare.split_methods("all")] == method_names()
    controls = [name for name, _ in compare.split_methods("controls")]
    assert {"none", "revert", "shrink", "interpolate", "random", "sharpen", "longer", "relearn"} == set(controls)


@pytest.mark.parametrize("text", ["refresh[steps=5", "refresh]", "[steps=5]", "all[steps=5]"])
def test_words_that_do_not_match_get_one_line(text: str) -> None:
    with pytest.raises(UserError, match="--methods"):
        compare.split_methods(text)


def test_the_plain_run_is_always_there_and_once() -> None:
    for text in ("refresh", "none,refresh"):
        specs = comparison(text, seeds=2)
        assert sorted((spec.method, spec.seed) for spec in specs) == [("none", 0), ("none", 1), ("refresh", 0), ("refresh", 1)]


def test_what_every_run_shares_is_in_all_of_them() -> None:
    specs = comparison("refresh", seeds=2, engine="vllm", also=("mmlu",), also_limit=20)
    assert {(spec.engine, spec.also, spec.also_limit) for spec in specs} == {("vllm", ("mmlu",), 20)}


def test_a_design_runs_every_order() -> None:
    specs = comparison("none", sequence="balanced", targets="all")
    assert [spec.sequence for spec in specs] == ["paper", "balanced-2", "balanced-3", "balanced-4"]
    with pytest.raises(UserError, match="balanced"):
        comparison("none", sequence="balancd")


# --- shards


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 7, 30])
def test_shards_hold_every_run_once(parts: int) -> None:
    whole = comparison("refresh,rollback", seeds=5)
    shards = [compare.sharded(whole, f"{number}/{parts}") for number in range(1, parts + 1)]
    assert sorted(spec.folder_name() for shard in shards for spec in shard) == sorted(spec.folder_name() for spec in whole)


def test_runs_that_share_stages_go_to_one_shard_where_there_are_enough() -> None:
    whole = comparison("refresh,rollback", seeds=5)
    for number in (1, 2):
        mine = {spec.seed for spec in compare.sharded(whole, f"{number}/2")}
        other = {spec.seed for spec in compare.sharded(whole, f"{3 - number}/2")}
        assert mine.isdisjoint(other)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_gets_one_line(shard: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        compare.sharded([], shard)


# --- tuned settings


def test_tuned_settings_are_taken_and_given_ones_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "refresh.json"
    file.write_text(json.dumps({f"{MICRO} paper single": {"chosen": {"steps": 7}}}))
    monkeypatch.setattr("bench.registry.tuned_file", lambda record: file if record.name == "refresh" else tmp_path / "absent.json")
    (own,) = (spec for spec in comparison("refresh") if spec.method == "refresh")
    assert own.settings == {"steps": 7}
    (own,) = (spec for spec in comparison("refresh[steps=9]") if spec.method == "refresh")
    assert own.settings == {"steps": 9}
    (own,) = (spec for spec in comparison("refresh", targets="all") if spec.method == "refresh")
    assert own.settings == {}, "tuned on another board"
    (own,) = (spec for spec in comparison("longer") if spec.method == "longer")
    assert own.settings == {"steps": 7}, "a control follows the method it stands beside"


def test_the_same_run_is_planned_once(untuned: None) -> None:
    specs = comparison("refresh[steps=5],refresh[steps=5,30],refresh,refresh[steps=15]")
    assert [spec.settings for spec in specs] == [{}, {"steps": 5}, {"steps": 30}, {}]


@pytest.mark.parametrize(
    "content", ["{", "[]", f'{{"{MICRO} paper single": {{"chosen": {{"stepz": 7}}}}}}', f'{{"{MICRO} paper single": {{}}}}']
)
def test_a_record_that_does_not_fit_gets_one_line(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "refresh.json"
    file.write_text(content)
    monkeypatch.setattr("bench.registry.tuned_file", lambda record: file)
    with pytest.raises(UserError, match="tune it again"):
        tuned_settings("refresh", f"{MICRO} paper single")


def test_records_lie_beside_the_method(tmp_path: Path) -> None:
    assert tuned_file(described("refresh", {}).record).parts[-3:] == ("baselines", "tuned", "refresh.json")
    (tmp_path / "mine.py").write_text("from bench.method import Method\nclass Mine(Method):\n    def recover(self, *given): ...\n")
    assert tuned_file(described(f"{tmp_path}/mine.py:Mine", {}).record) == tmp_path / "tuned" / "mine-Mine.json"


# --- the checkpoints of an earlier run


def test_a_run_is_taken_up_with_its_suite_and_sequence(build_run: Callable[..., Path], tmp_path: Path) -> None:
    run = build_run(tmp_path, order=("math", "qa"), sequence="math-qa", quick=True)
    (spec,) = comparison("none", source=run, targets="all", seed=3)
    assert (spec.suite, spec.quick, spec.sequence, spec.seed) == ("micro", True, "math-qa", 3)
    assert spec.imported == tuple(f"baseline-{number}-0" for number in ("0-base", "1-math", "2-qa"))
    assert spec.imported_sequence == ("math", "qa")


@pytest.mark.parametrize(
    ("option", "words"),
    [({"suite": "gym"}, "--suite"), ({"model": "a/b"}, "--model"), ({"sequence": "math-qa"}, "--sequence"), ({"quick": True}, "--quick")],
)
def test_what_the_run_decides_cannot_be_chosen(option: dict[str, Any], words: str, build_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"--from takes .*; leave out {words}$"):
        comparison("none", source=build_run(tmp_path), **option)


def test_checkpoints_cannot_be_trained_on_permuted_rewards(build_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--null math: .*leave out --null"):
        comparison("none", source=build_run(tmp_path), null=True)


def test_null_stages_are_not_repaired_as_if_they_were_real(build_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its stages are null stages"):
        comparison("none", source=build_run(tmp_path, null="math"))


def test_every_null_run_has_a_target_of_its_own() -> None:
    assert [spec.null for spec in comparison("none", null=True, targets="all")] == ["code", "math", "qa"]
