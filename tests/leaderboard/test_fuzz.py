"""Random edits of a submission: none changes a number that ranks without being refused, and none raises an error.

The quick suite makes a few; `--slow` makes thousands.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from entries import MINE, WORDS, write_runs
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn_from
from hypothesis import strategies as st
from verdict_files import judge

from bench.files import file_hash
from bench.results.entries import Entry
from bench.results.estimates import measure
from bench.suite import DECODINGS, Suite
from leaderboard.files import packed
from leaderboard.pack import pack
from leaderboard.submission import FILE, LOGS
from leaderboard.verdicts import OWN
from leaderboard.verify import Place, Verified, verify


@pytest.fixture(scope="module")
def original(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An accepted submission over two domains, and the reference of its board beside it."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "mine.py").write_text(MINE, encoding="utf-8")
    pack(write_runs(folder / "runs", suite, sequence="math-qa"), "reference", folder / "board", WORDS)
    pack(write_runs(folder / "runs", suite, f"{folder / 'mine.py'}:Mine", sequence="math-qa"), "mine", folder / "board", WORDS)
    judge(place_of(folder / "board" / "mine"), "reference", OWN)
    assert not verify(folder / "board" / "mine", place_of(folder / "board" / "mine")).problems
    return folder / "board" / "mine"


def place_of(folder: Path) -> Place:
    return Place(folder.parent, folder.parent / "verdicts")


def numbers(found: Verified) -> Any:
    """What an entry is ranked by, and whether it can have a place. Its costs have a lower bound only: a rerun measures them."""
    assert found.submission is not None
    entry = Entry("", found.runs)
    return [measure(found.runs, decoding) for decoding in DECODINGS], entry.unranked, entry.method.track, found.submission.board


def places_in(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value of nested JSON."""
    yield way
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(inner, (*way, key))


STRANGE = st.one_of(
    *(st.just(value) for value in (None, [], {}, "", "0" * 64, "../x")), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)  # fmt: skip


def change_json(folder: Path, data: st.DataObject) -> None:
    """One value of a JSON file replaced, removed, doubled or moved to another key; its sha256 is made to fit."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))
    path = data.draw(st.sampled_from(files), "file")
    content = json.loads((folder / path).read_text())
    way = data.draw(st.sampled_from([place for place in places_in(content) if place]), "place")
    parent = content
    for step in way[:-1]:
        parent = parent[step]
    action = data.draw(st.sampled_from(["replace", "near", "remove", "add", "swap"]), "action")
    if action == "replace":
        parent[way[-1]] = data.draw(STRANGE)
    elif action == "near":
        value = parent[way[-1]]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        parent[way[-1]] = value * data.draw(st.sampled_from([0.5, 0.999, 1.001, 2, -1])) if number else f"{value}x"
    elif action == "remove":
        del parent[way[-1]]
    elif action == "add" and isinstance(parent, dict):
        parent[data.draw(st.text(max_size=8))] = data.draw(STRANGE)
    else:
        other = data.draw(st.sampled_from(list(range(len(parent)) if isinstance(parent, list) else parent)))
        parent[way[-1]], parent[other] = parent[other], parent[way[-1]]
    (folder / path).write_text(json.dumps(content))
    if path != FILE:
        seal(folder, path)


def change_bytes(folder: Path, data: st.DataObject) -> None:
    """Some bytes of a file changed, cut or added; half of the time its sha256 is made to fit."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(files), "file")
    content = bytearray((folder / path).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1), "place")
    action = data.draw(st.sampled_from(["flip", "cut", "insert", "append"]), "action")
    if action == "flip":
        content[place] ^= data.draw(st.integers(1, 255))
    elif action == "cut":
        del content[place:]
    else:
        at = place if action == "insert" else len(content)
        content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
    (folder / path).write_bytes(content)
    if path != FILE and data.draw(st.booleans(), "sealed"):
        seal(folder, path)


def change_lines(folder: Path, data: st.DataObject) -> None:
    """A line inside a compressed file dropped, doubled, moved, or with another value in it; all that names it is made to fit."""
    path = data.draw(st.sampled_from(sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.xz"))), "file")
    lines = lzma.decompress((folder / path).read_bytes()).splitlines()
    place, other = (data.draw(st.integers(0, len(lines) - 1), name) for name in ("line", "other line"))
    action = data.draw(st.sampled_from(["drop", "double", "swap", "value", "value", "value"]), "action")
    if action == "drop":
        del lines[place]
    elif action == "double":
        lines.insert(other, lines[place])
    elif action == "swap":
        lines[place], lines[other] = lines[other], lines[place]
    elif path == LOGS:
        digest, text = json.loads(lines[place])
        steps = text.splitlines()
        step = data.draw(st.integers(0, len(steps) - 1), "step")
        steps[step] = json.dumps(with_another_value(json.loads(steps[step]), data))
        text = "\n".join(steps) + "\n"
        new = hashlib.sha256(text.encode()).hexdigest()
        lines[place] = json.dumps([new, text]).encode()
        for run in sorted((folder / "runs").iterdir()):
            run.write_text(run.read_text().replace(digest, new))
            seal(folder, f"runs/{run.name}")
    else:
        lines[place] = json.dumps(with_another_value(json.loads(lines[place]), data)).encode()
    (folder / path).write_bytes(packed(lines))
    seal(folder, path)


def with_another_value(content: Any, data: st.DataObject) -> Any:
    """JSON in which one value is a strange one, or a number far larger or smaller."""
    way = data.draw(st.sampled_from([place for place in places_in(content) if place]), "place")
    parent = content
    for step in way[:-1]:
        parent = parent[step]
    value = parent[way[-1]]
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and data.draw(st.booleans(), "scaled")
    parent[way[-1]] = value * 10 ** data.draw(st.integers(-5, 300)) if is_number else data.draw(STRANGE)
    return content


def seal(folder: Path, path: str) -> None:
    """Make submission.json name the file as it is now."""
    signed = json.loads((folder / FILE).read_text())
    signed["files"][path] = file_hash(folder / path)
    (folder / FILE).write_text(json.dumps(signed))


def change_files(folder: Path, data: st.DataObject) -> None:
    """A file removed, renamed, or put in the place of another."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    path, other = data.draw(st.sampled_from(files), "file"), data.draw(st.sampled_from(files), "other")
    action = data.draw(st.sampled_from(["remove", "rename", "replace", "folder"]), "action")
    if action == "remove":
        (folder / path).unlink()
    elif action == "rename":
        (folder / path).rename(folder / f"{path}x")
    elif action == "replace":
        shutil.copyfile(folder / path, folder / other) if path != other else (folder / path).write_bytes(b"")
    else:
        (folder / path).unlink()
        (folder / path).mkdir()


def check_edit(original: Path, data: st.DataObject) -> None:
    board = original.parents[1] / "edited"
    shutil.rmtree(board, ignore_errors=True)
    shutil.copytree(original.parent, board)
    change = data.draw(st.sampled_from([change_json, change_bytes, change_lines, change_files]), "change")
    change(board / "mine", data)
    found = verify(board / "mine", place_of(board / "mine"))
    assert all("\n" not in str(problem) for problem in found.problems)
    if not found.refusals:
        assert numbers(found) == numbers(verify(original, place_of(original)))


CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@drawn_from(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS, derandomize=True)
def test_some_edits(original: Path, data: st.DataObject) -> None:
    check_edit(original, data)


@pytest.mark.slow
@drawn_from(data=st.data())
@settings(max_examples=2500, deadline=None, suppress_health_check=CHECKS, database=None)
def test_thousands_of_edits(original: Path, data: st.DataObject) -> None:
    check_edit(original, data)
