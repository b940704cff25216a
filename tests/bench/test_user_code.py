"""A user's own file: whatever happens while it is loaded is one line, and it may import helpers that lie beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import bench
from bench.errors import UserError
from bench.registry import method_class
from bench.user_code import LoadingError, guarded, load_file


def own(folder: Path, text: str, name: str = "mine") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys\nsys.exit(0)", "SystemExit: 0; it ends the program"),
        ("raise SystemExit", "SystemExit: ; it ends the program"),
        ("exit()", "SystemExit"),
        ("input('y/N? ')", "EOFError"),
        ("import sys\nsys.stdin.readline()[0]", "IndexError"),
        ("breakpoint()", "RuntimeError: breakpoint()"),
        ("raise BaseException('a\\nb')", "BaseException: a b"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("x = (", "SyntaxError"),
        ("import no_such_module_here", "ModuleNotFoundError"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_whatever_happens_while_loading_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = own(tmp_path, text)
    stdin, hook = sys.stdin, sys.breakpointhook
    with pytest.raises(LoadingError) as error:
        load_file(path)
    assert str(error.value).startswith(f"{path} cannot be loaded: ")
    assert said in str(error.value) and "\n" not in str(error.value)
    assert (sys.stdin, sys.breakpointhook) == (stdin, hook)
    with pytest.raises(UserError, match=r"mine\.py"):
        method_class(f"{path}:Mine")


def test_an_interrupt_is_none_of_the_files_errors(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_file(own(tmp_path, "raise KeyboardInterrupt"))
    with pytest.raises(LoadingError, match=r"^method Mine: ValueError: no$"), guarded("method Mine"):
        raise ValueError("no")


@pytest.mark.parametrize("text", ["import sys\nsys.exit(0)", "input()", "breakpoint()"])
def test_the_command_fails_in_one_line_and_does_not_wait(tmp_path: Path, text: str) -> None:
    path = own(tmp_path, text)
    command = [sys.executable, "-P", "-m", "bench", "run", "--method", f"{path}:Mine", "--quick"]
    paths = str(Path(bench.__file__).parents[1])
    source, nobody = os.pipe()  # a terminal where nobody types
    try:
        done = subprocess.run(
            command, stdin=source, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}
        )
    finally:
        os.close(source), os.close(nobody)
    assert done.returncode == 2
    assert "mine.py" in done.stderr and "Traceback" not in done.stderr


def test_source_in_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = "# -*- coding: latin-1 -*-\nfrom bench.method import Method\n\n\nclass Mine(Method):\n    word: str = 'café'\n"
    path.write_bytes(text.encode("latin-1"))
    assert method_class(f"{path}:Mine")().word == "café"
    path.write_bytes(text.replace("latin-1", "utf-8").encode("latin-1"))
    with pytest.raises(LoadingError, match="SyntaxError"):
        load_file(path)


@pytest.mark.parametrize("kind", ["absent", "folder", "text"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("mine.txt" if kind == "text" else "mine.py")
    if kind == "folder":
        path.mkdir()
    if kind == "text":
        path.write_text("x = 1")
    with pytest.raises(LoadingError, match=str(path)):
        load_file(path)


# --- helpers beside the file


def test_a_helper_beside_the_file_is_found_and_run_anew(tmp_path: Path) -> None:
    path = own(tmp_path, "import helper_anew\nfrom parts_anew.deep import DEPTH\nVALUE = helper_anew.VALUE")
    own(tmp_path, "VALUE = 1", "helper_anew")
    own(tmp_path / "parts_anew", "DEPTH = 1", "deep")
    first = load_file(path)
    assert (first.VALUE, first.DEPTH) == (1, 1)
    own(tmp_path, "VALUE = 22", "helper_anew")
    own(tmp_path / "parts_anew", "DEPTH = 22", "deep")
    again = load_file(path)
    assert (again.VALUE, again.DEPTH) == (22, 22)


def test_every_file_gets_the_helper_beside_it(tmp_path: Path) -> None:
    left, right = own(tmp_path / "left", "from helper_twice import VALUE"), own(tmp_path / "right", "from helper_twice import VALUE")
    own(tmp_path / "left", "VALUE = 1", "helper_twice")
    own(tmp_path / "right", "VALUE = 2", "helper_twice")
    assert [load_file(path).VALUE for path in (left, right, left, right)] == [1, 2, 1, 2]


@pytest.mark.parametrize("late", ["left", "right"])
def test_an_import_inside_a_function_is_not_given_another_folders_helper(tmp_path: Path, late: str) -> None:
    name = f"helper_late_{late}"
    for number, side in enumerate(("left", "right")):
        own(tmp_path / side, f"def value():\n    import {name}\n    return {name}.VALUE" if side == late else f"import {name}")
        own(tmp_path / side, f"VALUE = {number}", name)
    assert load_file(tmp_path / "left" / "mine.py")
    with pytest.raises(LoadingError, match=rf"right.*{name}\.py beside it, which could be confused with .*left.*rename one"):
        load_file(tmp_path / "right" / "mine.py")
    assert load_file(tmp_path / "left" / "mine.py"), "the same file may be loaded again"


def test_the_standard_library_and_our_packages_win_over_files_beside(tmp_path: Path) -> None:
    for name in ("random", "tasks", "json"):
        own(tmp_path, "raise RuntimeError('shadowed')", name)
    module = load_file(own(tmp_path, "import random, json\nfrom tasks.task import Task\nVALUE = random.Random(0).random()"))
    assert 0 < module.VALUE < 1
