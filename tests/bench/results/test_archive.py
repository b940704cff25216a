"""Archives: the same boards from one file as from the folders, without texts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UserError
from bench.results.answers import DamagedRunError
from bench.results.archive import archive_texts, archived_texts, read_archive, write_archive
from bench.results.boards import boards
from bench.results.run import Run, load_run

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, build_run: Build) -> list[Run]:
    out = tmp_path_factory.mktemp("runs")
    folders = [build_run(out, seed=seed) for seed in range(3)]
    folders += [build_run(out, method="refresh", final=[0.7, 0.8, 0.9, 0.8], seed=seed) for seed in range(3)]
    return [load_run(folder) for folder in [*folders, build_run(out, null="math")]]


@pytest.fixture
def file(runs: list[Run], tmp_path: Path) -> Path:
    write_archive(tmp_path / "made" / "runs.zip", runs)
    return tmp_path / "made" / "runs.zip"


def test_an_archive_gives_the_same_boards(runs: list[Run], file: Path) -> None:
    (board,), (again,) = boards(runs), boards(read_archive(file))
    assert [entry.label for entry in again.entries] == [entry.label for entry in board.entries] == ["refresh", "none"]
    assert again.frame().equals(board.frame())
    assert again.comparisons() == board.comparisons()
    assert again.interference() == board.interference()
    assert "math" in board.interference()
    for one, other in zip(runs, read_archive(file), strict=True):
        assert (other.name, other.manifest) == (one.name, one.manifest)
        for row, table in one.tables.items():
            assert all(np.array_equal(other.tables[row][key], values) for key, values in table.items())


def test_an_archive_is_small_and_holds_shared_rows_once_and_no_texts(runs: list[Run], file: Path) -> None:
    """Rows of the three baseline runs, three repaired rows; build_run gives null stages the scores of real ones."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        texts = b"".join(map(archive.read, names))
    assert len([name for name in names if name.startswith("tables/")]) == 3 * 5 + 3
    assert b"says" not in texts, "the answers that build_run writes"
    folders = sum(path.stat().st_size for run in runs for path in run.folder.rglob("*") if path.is_file())
    assert file.stat().st_size < folders / 5


def test_the_same_runs_make_the_same_bytes(runs: list[Run], file: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "again.zip", read_archive(file))
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_what_an_archive_lacks_is_one_line(file: Path) -> None:
    run = read_archive(file)[0]
    with pytest.raises(DamagedRunError, match=r"runs\.zip.*metrics\.json"):
        _ = run.metrics
    with pytest.raises(DamagedRunError, match=r"runs\.zip.*samples"):
        list(run.answers(run.rows.final))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def _other(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("hello.txt", "hello")


def _without_tables(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        manifests = archive.read("manifests.jsonl")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifests.jsonl", manifests)


def _flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 255
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _other, _without_tables, _flipped, Path.unlink, lambda file: file.write_bytes(b"")])
def test_a_damaged_archive_is_one_line(damage: Callable[[Path], object], file: Path) -> None:
    damage(file)
    with pytest.raises(UserError) as error:
        read_archive(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


# --- texts


@pytest.fixture
def texts(runs: list[Run], tmp_path: Path) -> Path:
    archive_texts(tmp_path / "made" / "texts.zip", runs)
    return tmp_path / "made" / "texts.zip"


def test_texts_and_scores_are_all_that_was_written(runs: list[Run], file: Path, texts: Path) -> None:
    found = archived_texts(texts)
    for run, archived in zip(runs, read_archive(file), strict=True):
        for row, table in archived.tables.items():
            own = found.answers[run.manifest.files[f"samples/{row.name}.jsonl.gz"]]
            for answer in run.answers(row):
                score, parsed, ended = table[answer.domain, answer.decoding][answer.item]
                text = own[answer.domain, answer.decoding][answer.item]
                assert (text, score, bool(parsed), bool(ended)) == (answer.answer, answer.score, answer.parsed, answer.ended)
            if f"training/{row.name}.jsonl" in run.manifest.files:
                lines = found.logs[run.manifest.files[f"training/{row.name}.jsonl"]]
                assert list(map(json.loads, lines)) == run.logs(row)


def test_texts_of_any_characters_come_back(tmp_path: Path, build_run: Build) -> None:
    odd = '\u2028"\\\n\x85\0é\t[1, 2]'
    run = load_run(build_run(tmp_path, answer=odd))
    archive_texts(tmp_path / "texts.zip", [run])
    last = run.manifest.files[f"samples/{run.rows.baseline[-1].name}.jsonl.gz"]
    assert set(archived_texts(tmp_path / "texts.zip").answers[last]["math", "greedy"]) == {odd}


def test_shared_texts_are_stored_once_and_the_same_runs_make_the_same_bytes(runs: list[Run], texts: Path, tmp_path: Path) -> None:
    assert len(archived_texts(texts).answers) == 3 * 5 + 3
    archive_texts(tmp_path / "again.zip", runs)
    assert (tmp_path / "again.zip").read_bytes() == texts.read_bytes()


@pytest.mark.parametrize("other", [{"items": 40}, {"order": ("code", "math"), "sequence": "short"}])
def test_runs_of_other_items_or_domains_do_not_go_together(runs: list[Run], other: dict, tmp_path: Path, build_run: Build) -> None:
    other = load_run(build_run(tmp_path / "other", **other))
    with pytest.raises(ValueError):
        archive_texts(tmp_path / "texts.zip", [runs[0], other])
    assert not (tmp_path / "texts.zip").exists()


@pytest.mark.parametrize("damage", [_cut, _other, _flipped, Path.unlink, lambda file: file.write_bytes(b"")])
def test_a_damaged_archive_of_texts_is_one_line(damage: Callable[[Path], object], texts: Path) -> None:
    damage(texts)
    with pytest.raises(UserError, match="not an archive of texts") as error:
        archived_texts(texts)
    assert "\n" not in str(error.value)
