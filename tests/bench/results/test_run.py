"""Run folders as they are read: damage of every kind is one line, and only seeds of one entry go together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import manifest_of

from bench.costs import AccessRecord
from bench.errors import UserError
from bench.results.answers import DamagedRunError
from bench.results.entries import Entry
from bench.results.run import Run, distinct_seeds, find_runs, load_run

Build = Callable[..., Path]
GOOD = {"method": "refresh", "final": [0.7, 0.8, 0.9, 0.8], "also": {"repaired": {"mmlu": {"acc": (0.5, 0.1)}}}}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, build_run: Build) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), **GOOD)


@pytest.fixture
def copied(built: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(built, tmp_path / "runs" / built.name))


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def _as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


MANIFESTS: dict[str, Callable[[Path], Any]] = {
    "empty": lambda file: file.write_text(""),
    "garbage": lambda file: file.write_bytes(b"\xff\x00"),
    "a list": lambda file: file.write_text("[]"),
    "nested": lambda file: file.write_text("[" * 100_000),
    "a folder": _as_folder,
    "a key missing": lambda file: _edit(file, '"cost"', '"costs"'),
    "a wrong type": lambda file: _edit(file, '"seed": 0', '"seed": "first"'),
    "an old format": lambda file: _edit(file, '"format": 3', '"format": 2'),
}
FILES = ("matrix.json", "metrics.json", "also.json", "samples/repaired.jsonl.gz", "training/baseline-1-code.jsonl")
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(b"\xff\x00"),
    "a folder": _as_folder,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-20]),
    "edited": lambda file: file.write_bytes(file.read_bytes().replace(b"0", b"1", 1)),
}


@pytest.mark.parametrize("damage", MANIFESTS)
def test_a_damaged_manifest_is_one_line_and_hides_no_other_run(damage: str, copied: Path, build_run: Build) -> None:
    other = build_run(copied.parent, seed=5)
    MANIFESTS[damage](copied / "manifest.json")
    with pytest.raises(UserError) as error:
        load_run(copied)
    assert "\n" not in str(error.value)
    assert str(copied) in str(error.value)
    runs, unreadable = find_runs(copied.parent)
    assert [run.folder for run in runs] == [other]
    assert unreadable == [str(error.value)]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_line(name: str, damage: str, copied: Path) -> None:
    load_run(copied).check()
    before = (copied / name).read_bytes()
    DAMAGES[damage](copied / name)
    assert not (copied / name).is_file() or (copied / name).read_bytes() != before
    with pytest.raises(DamagedRunError) as error:
        load_run(copied).check()
    assert "\n" not in str(error.value)
    assert str(copied / name) in str(error.value)


def test_an_edited_number_is_not_shown(copied: Path) -> None:
    stored = json.loads((copied / "matrix.json").read_text())
    stored["greedy"]["repaired"] = [1.0, 1.0, 1.0, 1.0]
    (copied / "matrix.json").write_text(json.dumps(stored))
    with pytest.raises(DamagedRunError, match="its sha256 differs"):
        _ = load_run(copied).matrix


def test_a_timing_file_may_be_anything(copied: Path) -> None:
    for content in (b"", b"\xff", b"[]", b'{"unmetered": 3}'):
        (copied / "timing.json").write_bytes(content)
        assert load_run(copied).unmetered == ()
    (copied / "timing.json").write_text('{"unmetered": ["recover of x: took 9 CPU s"]}')
    assert load_run(copied).unmetered == ("recover of x: took 9 CPU s",)
    (copied / "timing.json").unlink()
    load_run(copied).check()


def test_the_last_checkpoint_is_no_access_whatever_a_record_says() -> None:
    """Records made before 2026-12 name every checkpoint that was asked for."""
    record = AccessRecord(checkpoints=("base", "cw", "math"), prompts={"math": 8})
    run = Run(Path("x"), manifest_of(sequence=("math", "qa", "cw"), access=record))
    assert run.access == AccessRecord(checkpoints=("base", "math"), prompts={"math": 8})
    assert Entry("x", (run,)).access == run.access


def test_a_run_knows_its_scores_by_row_and_item(built: Path) -> None:
    run = load_run(built)
    scores = run.scores("greedy")
    assert scores["math"].shape == (11, 120)
    frame = run.scores_frame()
    assert len(frame) == 6 * 4 * 2
    cell = frame[(frame.row == "repaired") & (frame.domain == "math") & (frame.decoding == "greedy")].iloc[0]
    assert cell.score == pytest.approx(scores["math"][-1].mean()) == pytest.approx(run.matrix["greedy"].final[1])
    assert cell.parsed == pytest.approx(0.9)
    assert np.array_equal(scores["qa"][0], scores["qa"][5]), "the method's base is the baseline's"


# --- seeds of one entry


def test_seeds_of_one_entry_go_together(tmp_path: Path, build_run: Build) -> None:
    runs = [load_run(build_run(tmp_path, **GOOD | {"seed": seed})) for seed in (0, 1)]
    assert distinct_seeds(runs) == runs


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "rollback"}, "different methods"),
        ({"settings": {"steps": 9}}, "different settings"),
        ({"targets": "all"}, "different targets"),
        ({"order": ("math", "qa", "code", "cw"), "sequence": "other"}, "different sequences"),
        ({"null": "math"}, "different null stages"),
    ],
)
def test_runs_of_different_entries_are_not_averaged(changed: dict[str, Any], message: str, tmp_path: Path, build_run: Build) -> None:
    one = load_run(build_run(tmp_path / "one", **GOOD))
    other = load_run(build_run(tmp_path / "other", **GOOD | {"seed": 1} | changed))
    with pytest.raises(UserError, match=message):
        distinct_seeds([one, other])


def test_a_seed_counts_once(built: Path, copied: Path) -> None:
    with pytest.raises(UserError, match="seed 0 is there twice"):
        distinct_seeds([load_run(built), load_run(copied)])
