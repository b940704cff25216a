"""Packing: what makes an entry and what does not, and a folder that is whole or not there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from entries import MINE, WORDS, write_runs
from typer.testing import CliRunner

import bench.suite
from bench.errors import UserError
from bench.registry import describe
from bench.results.run import Run
from bench.spec import RunSpec
from bench.suite import Suite, load_suite
from leaderboard import pack as packing
from leaderboard.cli import app
from leaderboard.pack import pack, runs_below
from leaderboard.submission import FILE, PLACEHOLDER, Submission
from leaderboard.verify import Place, verify


@pytest.fixture(scope="module")
def runs(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    return write_runs(tmp_path_factory.mktemp("runs"), suite, "refresh")


def test_without_words_it_says_what_to_fill_in(runs: list[Run], tmp_path: Path) -> None:
    folder = pack(runs, "refresh-4", tmp_path)
    lines = [str(problem) for problem in verify(folder, Place(tmp_path, tmp_path)).refusals]
    fields = ["title", "authors.0", "licences.code", "licences.data", "declared.configurations_tried", "declared.scored_runs_seen"]
    fields += ["declared.external_data", "declared.external_compute"]
    numbers = ("declared.configurations_tried", "declared.scored_runs_seen")
    forms = ["a whole number, 0 if there was none" if field in numbers else "a text without FILL IN" for field in fields]
    assert lines == [f"submission.json: {field}: fill it in: {form}" for field, form in zip(fields, forms, strict=True)]
    assert (folder / "README.md").read_text().startswith(f"# {PLACEHOLDER}")


def test_tuning_of_a_method_of_yours_without_a_record_is_yours_to_fill_in(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    runs = write_runs(tmp_path / "runs", suite, f"{tmp_path / 'mine.py'}:Mine")
    folder = pack(runs, "mine", tmp_path, replace(WORDS, tuning_seeds=None))
    (problem,) = verify(folder, Place(tmp_path, tmp_path)).refusals
    assert str(problem) == "submission.json: declared.tuning_seeds: fill it in: a list of whole numbers, [] if there was none"


def test_the_same_runs_give_the_same_bytes(runs: list[Run], tmp_path: Path) -> None:
    for out in ("one", "other"):
        pack(runs if out == "one" else runs[::-1], "refresh-4", tmp_path / out, WORDS)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes() for file in files)


def test_what_it_knows_it_fills_in(runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "tuned.json"
    record.write_text(json.dumps({"small/3 paper single": {"seeds": [100, 101], "trials": [{}, {}, {}]}}))
    monkeypatch.setattr(packing, "tuned_file", lambda method: record)
    submission = Submission.model_validate_json(
        (pack(runs, "refresh-4", tmp_path, replace(WORDS, tuning_seeds=None, configurations_tried=None)) / FILE).read_bytes()
    )
    assert submission.declared.tuning_seeds == (100, 101)
    assert submission.declared.configurations_tried == 3
    assert (submission.method.reference, submission.method.settings) == ("refresh", {"steps": 4})
    assert submission.seeds == (0, 1, 2, 3, 4)
    assert len(submission.rows) == 1 + 5 * 5


@pytest.mark.parametrize("method", ["refresh", "relearn"])
@pytest.mark.parametrize("sequence", ["paper", "balanced"])
def test_a_methods_tuning_is_found(method: str, sequence: str) -> None:
    """Designs are tuned on their first sequence, whichever run comes first, and relearn takes the settings of refresh."""
    suite, record = load_suite(str(Path(bench.suite.__file__).parent / "suites" / "micro.yaml")), describe(method).record
    specs = [RunSpec(sequence=order, targets="all") for order in sorted(suite.orders(sequence))]
    found = packing._tuning([SimpleNamespace(manifest=SimpleNamespace(spec=spec, method=record)) for spec in specs], suite)
    assert (found["seeds"], len(found["trials"])) == ([100, 101, 102], 8)


def test_rows_that_another_submission_has_are_not_stored_again(board: Place) -> None:
    rows = {
        name: Submission.model_validate_json((board.submissions / name / FILE).read_bytes()).rows for name in ("reference", "refresh-4")
    }
    assert len(rows["reference"]) == 1 + 10 * 4
    assert len(rows["refresh-4"]) == 5
    assert not set(rows["reference"]) & set(rows["refresh-4"])


def test_a_design_is_one_entry(suite: Suite, tmp_path: Path) -> None:
    orders = suite.orders("balanced")
    runs = [run for order in orders for run in write_runs(tmp_path / "runs", suite, sequence=order, targets="all")]
    folder = pack(runs, "balanced", tmp_path, WORDS)
    assert Submission.model_validate_json((folder / FILE).read_bytes()).board.sequence == "balanced"
    assert not verify(folder, Place(tmp_path, tmp_path)).refusals
    with pytest.raises(UserError, match="the sequences balanced-2, paper do not form a design of suite small"):
        pack([run for run in runs if run.manifest.spec.sequence in orders[:2]], "two", tmp_path, WORDS)
    with pytest.raises(UserError, match="an entry has one run for each order and seed; missing: balanced-4 seed 4"):
        pack(runs[:-1], "most", tmp_path, WORDS)
    with pytest.raises(UserError, match=r"^\S+ and \S+ are both of paper, seed 0: name only the folders of one entry"):
        pack([*runs, next(run for run in runs if run.manifest.spec.sequence == "paper")], "more", tmp_path, WORDS)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"quick": True}, "a quick run cannot be submitted"),
        ({"null": "math"}, "runs with null stages cannot be submitted"),
        ({"seeds": range(4)}, "seeds 0, 1, 2, 3: an entry has exactly the seeds 0 to 4 or 0 to 9"),
        ({"seeds": range(100, 105)}, "an entry has exactly the seeds 0 to 4 or 0 to 9"),
    ],
)
def test_runs_that_are_no_entry(suite: Suite, tmp_path: Path, fields: dict, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fields.get("quick"):
        monkeypatch.setattr("bench.suite._parsed", lambda *args: suite)
    runs = write_runs(tmp_path / "runs", suite, **fields)
    with pytest.raises(UserError, match=said):
        pack(runs, "nothing", tmp_path, WORDS)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"draw": 7}, "runs on a draw from the reserve cannot be submitted"),
        ({"imported": ("0" * 64,) * 5}, "imported checkpoints cannot be submitted: the harness must train them"),
        ({"model": "gpt2"}, "used another model than the suite's own base"),
    ],
)
def test_runs_that_were_not_trained_from_the_base_or_not_scored_on_the_test_items(
    suite: Suite, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    runs = write_runs(tmp_path / "runs", suite)
    manifest = runs[3].manifest
    spec = manifest.spec.model_copy(update=changed)
    runs[3] = replace(runs[3], manifest=manifest.model_copy(update={"spec": spec}))
    with pytest.raises(UserError, match=f"{runs[3].folder}: {said}"):
        pack(runs, "nothing", tmp_path, WORDS)


def test_runs_of_a_suite_under_development(suite: Suite, tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs", suite)
    record = runs[3].manifest.suite.model_copy(update={"comparable": False})
    runs[3] = replace(runs[3], manifest=runs[3].manifest.model_copy(update={"suite": record}))
    with pytest.raises(UserError, match=f"{runs[3].folder}: suite {suite.id} was under development; its runs cannot be submitted"):
        pack(runs, "nothing", tmp_path, WORDS)


def test_runs_of_several_entries(runs: list[Run], suite: Suite, tmp_path: Path) -> None:
    others = write_runs(tmp_path / "runs", suite)
    with pytest.raises(UserError, match="have different methods; choose one with --method"):
        pack([*runs, *others], "both", tmp_path, WORDS)
    with pytest.raises(UserError, match="have different settings; name only the run folders of one entry"):
        pack([*runs[:3], *write_runs(tmp_path / "runs", suite, "refresh", steps=5)[3:]], "both", tmp_path, WORDS)
    with pytest.raises(UserError, match="have different targets"):
        pack([*runs[:3], *write_runs(tmp_path / "runs", suite, "refresh", targets="all")[3:]], "both", tmp_path, WORDS)
    spec = runs[3].manifest.spec.model_copy(update={"engine": "vllm"})
    other = replace(runs[3], manifest=runs[3].manifest.model_copy(update={"spec": spec}))
    with pytest.raises(UserError, match="answers of another engine cannot be submitted"):
        pack([*runs[:3], other, *runs[4:]], "both", tmp_path, WORDS)
    with pytest.raises(UserError, match="no runs: name the folders"):
        pack([], "nothing", tmp_path, WORDS)


def test_a_method_in_several_files(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("STEPS = 4\n")
    (tmp_path / "mine.py").write_text(MINE.replace("from bench.method", "import helper\nfrom bench.method"))
    runs = write_runs(tmp_path / "runs", suite, f"{tmp_path / 'mine.py'}:Mine")
    with pytest.raises(UserError, match=r"mine\.py: it uses helper\.py; a submitted method is one file"):
        pack(runs, "mine", tmp_path, WORDS)


def test_a_method_whose_file_is_gone(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    runs = write_runs(tmp_path / "runs", suite, f"{tmp_path / 'mine.py'}:Mine")
    (tmp_path / "mine.py").unlink()
    with pytest.raises(UserError, match=r"mine\.py: no such file: restore the method's file"):
        pack(runs, "mine", tmp_path, WORDS)


def test_runs_below_folders(suite: Suite, tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", suite)
    refresh = write_runs(tmp_path / "runs", suite, "refresh")
    assert [run.name for run in runs_below([tmp_path / "runs"], "refresh")] == [run.name for run in refresh]
    assert [run.name for run in runs_below([refresh[0].folder])] == [refresh[0].name]
    assert [run.name for run in runs_below([refresh[0].folder, tmp_path / "runs"], "refresh")] == [run.name for run in refresh]
    with pytest.raises(UserError, match="no runs of rollback in these folders; they hold runs of none, refresh"):
        runs_below([tmp_path / "runs"], "rollback")
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(MINE)
    files = [f"{tmp_path / folder / 'mine.py'}:Mine" for folder in ("one", "other")]
    one, other = (write_runs(tmp_path / "runs", suite, file) for file in files)
    assert [run.name for run in runs_below([tmp_path / "runs"], files[1])] == [run.name for run in other]
    assert len(runs_below([tmp_path / "runs"], "Mine")) == len(one) + len(other)
    with pytest.raises(UserError, match=r"no runs of mine\.py:Mine in these folders; they hold runs of /.*/one/mine\.py:Mine, "):
        runs_below([tmp_path / "runs"], "mine.py:Mine")
    with pytest.raises(UserError, match="contains no finished runs"):
        runs_below([tmp_path])


def test_the_commands(runs: list[Run], tmp_path: Path) -> None:
    """pack, verify with placeholders, verify without."""
    folder = tmp_path / "submissions" / "refresh-4"
    said = CliRunner().invoke(app, ["pack", str(runs[0].folder.parent), "--name", "refresh-4", "--out", str(folder.parent)])
    assert said.exit_code == 0
    assert said.output.splitlines()[0] == f"{folder}: packed; 8 problems to fix before you submit:"
    assert said.output.splitlines()[-1] == f"then run: python -m leaderboard verify {folder}"
    again = CliRunner().invoke(app, ["verify", str(folder), "--submissions", str(folder.parent)])
    assert (again.exit_code, again.output.splitlines()[-1]) == (1, f"{folder}: refused (8 problems)")
    shutil.rmtree(folder)
    pack(runs, "refresh-4", folder.parent, WORDS)
    said = CliRunner().invoke(app, ["verify", str(folder), "--submissions", str(folder.parent)])
    assert (said.exit_code, said.output.splitlines()[-1]) == (0, f"{folder}: verified")
    said = CliRunner().invoke(app, ["pack", str(tmp_path), "--name", "x"])
    assert (said.exit_code, said.stderr) == (2, f"leaderboard: {tmp_path}: contains no finished runs\n")


def test_rows_of_an_entry_are_named_by_its_name(board: Place, suite: Suite, tmp_path: Path) -> None:
    """As the maintainers pack theirs."""
    runs = write_runs(tmp_path / "runs", suite, "rollback")
    given = ["pack", *(str(run.folder) for run in runs), "--out", str(tmp_path / "out"), "--submissions", str(board.submissions)]
    given += ["--verdicts", str(board.verdicts)]
    said = CliRunner().invoke(app, [*given, "--name", "borrows", "--rows-from", "reference"])
    assert said.exit_code == 0, said.output
    packed = json.loads((tmp_path / "out" / "borrows" / FILE).read_text())
    assert packed["rows_from"] == "reference"
    assert len(packed["rows"]) == 5, "of the repaired models alone"
    for name in ("mine", "refresh-4", "nobody"):
        said = CliRunner().invoke(app, [*given, "--name", "others", "--rows-from", name])
        assert (said.exit_code, f"--rows-from {name}: must be an entry of the maintainers" in said.stderr) == (2, True)
    assert not (tmp_path / "out" / "others").exists()


@pytest.mark.parametrize("name", ["", "../elsewhere", "Mine", "x", "a/b"])
def test_a_name_that_is_none_deletes_nothing(runs: list[Run], tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_text("x")
    with pytest.raises(UserError, match="use 3 to 40 lowercase letters, digits and dashes"):
        pack(runs, name, tmp_path / "out", WORDS)
    assert (tmp_path / "out" / "kept").exists()


def test_what_is_there_is_not_packed_over(runs: list[Run], tmp_path: Path) -> None:
    folder = pack(runs, "refresh-4", tmp_path, WORDS)
    (folder / "README.md").write_text("edited")
    with pytest.raises(UserError, match="refresh-4: already there; remove it to pack again"):
        pack(runs, "refresh-4", tmp_path, WORDS)
    assert (folder / "README.md").read_text() == "edited"
