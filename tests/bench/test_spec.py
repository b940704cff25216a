"""A run's folder: readable, the same for the same run, and no other's."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from bench.spec import RunSpec


def test_a_plain_run_reads_as_what_it_is() -> None:
    assert RunSpec().folder_name() == "micro-paper-single-none-s0"
    spec = RunSpec(quick=True, sequence="math-qa", targets="all", method="refresh", settings={"steps": 30}, seed=7)
    assert spec.folder_name() == "micro-quick-math-qa-all-refresh-steps=30-s7"
    assert RunSpec(null="math").folder_name() == "micro-paper-single-null-after-math-s0"
    assert (
        RunSpec(method="interpolate", settings={"alphas": [0.0, 0.5]}).folder_name() == "micro-paper-single-interpolate-alphas=0.0+0.5-s0"
    )


DIFFERENT: list[list[dict[str, Any]]] = [
    [{"suite": "gym", "model": "a/same"}, {"suite": "gym", "model": "b/same"}, {"suite": "gym", "model": "a/same@main"}],
    [{"settings": {"rank": "a/b"}}, {"settings": {"rank": "a_b"}}, {"settings": {"rank": "a b"}}],
    [{"settings": {"a": "1-b=2"}}, {"settings": {"a": "1", "b": "2"}}],
    [{"settings": {"a": "1+2"}}, {"settings": {"a": ["1", "2"]}}],
    [{"settings": {"a": "x" * 300}}, {"settings": {"a": "x" * 299 + "y"}}],
    [{"device": "cpu"}, {"device": "cuda"}, {"device": "auto"}],
    [{"engine": "hf"}, {"engine": "vllm"}],
    [{"suite": "one/tiny.yaml"}, {"suite": "two/tiny.yaml"}, {"suite": "tiny"}],
    [{"method": "one/mine.py:Mine"}, {"method": "two/mine.py:Mine"}, {"method": "one/mine.py:Other"}],
    [{"imported": ("a", "b")}, {"imported": ("a", "c")}, {}],
    [{"null": "code"}, {"null": "math"}, {}],
    [{"quick": True}, {"quick": False}],
]


@pytest.mark.parametrize("fields", DIFFERENT, ids=lambda fields: next(iter(fields[0])))
def test_different_runs_have_different_folders(fields: list[dict[str, Any]]) -> None:
    for one, other in combinations([RunSpec(**each) for each in fields], 2):
        assert one.identity() != other.identity()
        assert one.folder_name() != other.folder_name()


@pytest.mark.parametrize("spec", [RunSpec(**each) for fields in DIFFERENT for each in fields])
def test_a_folder_is_one_name_of_a_file(spec: RunSpec) -> None:
    name = spec.folder_name()
    assert "/" not in name
    assert len(name.encode()) < 200


def test_two_ways_to_write_a_path_are_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model.gguf").touch()
    monkeypatch.chdir(tmp_path)
    for field, ending in (("model", ""), ("model", ".gguf"), ("suite", ".yaml"), ("method", ".py:Mine")):
        names = {RunSpec(**{field: f"{start}model{ending}"}).folder_name() for start in ("", "./", f"{tmp_path}/")}
        assert len(names) == 1, field


def test_what_is_scored_beside_the_domains_makes_no_other_run() -> None:
    assert RunSpec(also=("mmlu",), also_limit=5).folder_name() == RunSpec().folder_name()
