"""Hashes of code: the same for comments, docstrings and layout, different for anything that could change a result."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tasks
from tasks import own_files
from tasks.micro.math import Math
from tasks.own_files import SourceError
from tasks.source import class_hash, closure, modules_hash, text_hash

PLAIN = '''
"""What the module is for."""
LIMIT = 4


class Counter:
    """What it counts."""

    start: int = 0

    def count(self, text, sign="+"):
        """How it counts."""
        return self.start + text.count(sign) * LIMIT


async def wait():
    """How long."""
'''

SAME = {
    "comments": PLAIN.replace("LIMIT = 4", "# why four\nLIMIT = 4  # four"),
    "a module's docstring": PLAIN.replace("What the module is for.", "Other words."),
    "a class's docstring": PLAIN.replace("What it counts.", "Other words."),
    "a method's docstring": PLAIN.replace("How it counts.", "Other words,\n        on two lines."),
    "a docstring that is all of a function": PLAIN.replace("How long.", "Other words."),
    "no docstring": PLAIN.replace('        """How it counts."""\n', ""),
    "layout": PLAIN.replace("\n\n\n", "\n").replace("(self, text,", "(\n        self,\n        text,"),
    "quotes": PLAIN.replace('"+"', "'+'"),
    "indentation of the whole": "\n".join("    " + line if line else line for line in PLAIN.split("\n")),
}

OTHER = {
    "a number": PLAIN.replace("LIMIT = 4", "LIMIT = 5"),
    "a string": PLAIN.replace('"+"', '"-"'),
    "a default": PLAIN.replace("int = 0", "int = 1"),
    "an operator": PLAIN.replace("* LIMIT", "- LIMIT"),
    "a name": PLAIN.replace("wait", "hold"),
    "a statement more": PLAIN + "\nLIMIT += 1\n",
    "the order of statements": PLAIN.replace("LIMIT = 4", "").replace("async def", "LIMIT = 4\n\n\nasync def"),
    "a returned string": PLAIN.replace('"""How long."""', 'return "How long."'),
    "a decorator": PLAIN.replace("    def count", "    @staticmethod\n    def count"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_decides_nothing_leaves_the_hash_alone(change: str) -> None:
    assert SAME[change] != PLAIN
    assert text_hash(SAME[change]) == text_hash(PLAIN)


@pytest.mark.parametrize("change", OTHER)
def test_what_decides_a_result_changes_the_hash(change: str) -> None:
    assert OTHER[change] != PLAIN
    assert text_hash(OTHER[change]) != text_hash(PLAIN)


def test_hashes_are_sha256_in_hexadecimal() -> None:
    assert len(text_hash(PLAIN)) == 64
    assert int(text_hash(PLAIN), 16) > 0


def test_every_python_makes_the_same_hash():
    source = "class A(B):\n    def f(self, x=1.5, *, y):\n        return f'{x:.2f} of {y!r}' if x else None\n"
    assert text_hash(source) == "443cdf95064599474915d500c4dc6d80d001dee778244e5f4b040b7ad96c4523"


def test_docstrings_of_constants_leave_the_hash_alone() -> None:
    assert text_hash('LIMIT = 4\n"""Why four."""\n') == text_hash('LIMIT = 4\n"""Because."""\n') == text_hash("LIMIT = 4\n")


def test_blanks_inside_a_string_change_the_hash() -> None:
    assert text_hash('TEMPLATE = """a\n   \nb"""') != text_hash('TEMPLATE = """a\n\nb"""')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path whose modules are forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_modules_are_hashed_by_their_text_and_not_imported(folder: Path) -> None:
    (folder / "hashed_first.py").write_text('raise RuntimeError("imported")\n')
    (folder / "hashed_second.py").write_text("VALUE = 1\n")
    importlib.invalidate_caches()
    both = modules_hash("hashed_first", "hashed_second")
    assert "hashed_first" not in sys.modules
    assert len({both, modules_hash("hashed_first"), modules_hash("hashed_second")}) == 3


def test_modules_hash_follows_the_code_alone(folder: Path) -> None:
    file = folder / "hashed_third.py"
    hashes = []
    for text in ("VALUE = 1\n", '"""A docstring."""\n\nVALUE = 1  # why\n', "VALUE = 2\n"):
        file.write_text(text)
        importlib.invalidate_caches()
        modules_hash.cache_clear()
        hashes.append(modules_hash("hashed_third"))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_module_that_moves_keeps_its_hash(folder: Path) -> None:
    (folder / "hashed_left.py").write_text("import math\n\nVALUE = 1\n")
    (folder / "hashed_right.py").write_text("VALUE = 2\n")
    before = modules_hash("hashed_left", "hashed_right")
    moved = folder / "hashed_room"
    moved.mkdir()
    (moved / "__init__.py").write_text("")
    (moved / "hashed_new.py").write_text("from math import pi\n\nVALUE = 1\n")
    importlib.invalidate_caches()
    assert modules_hash("hashed_right", "hashed_room.hashed_new") == before
    assert modules_hash("hashed_right") != before


def test_an_unknown_module_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        modules_hash("tasks.task", "no_such_module")


def package(folder: Path, name: str, modules: dict[str, str]) -> None:
    """A package on the path with these modules."""
    (folder / name).mkdir()
    for module, text in ({"__init__": ""} | modules).items():
        (folder / name / f"{module}.py").write_text(text)
    importlib.invalidate_caches()


def test_closures_of_the_tasks_by_hand() -> None:
    assert closure("tasks.micro.math") == ("tasks.micro.math", "tasks.task")
    assert closure("tasks.micro.code") == ("tasks.micro.code", "tasks.micro.program", "tasks.task")
    assert closure("tasks.micro.qa") == ("tasks.micro.qa", "tasks.micro.vocabulary", "tasks.task")


def test_a_closure_follows_imports_inside_the_package(folder: Path) -> None:
    package(
        folder,
        "closed_a",
        {
            "start": "import json\nimport closed_a.middle\nfrom torch import nn\n",
            "middle": "def late():\n    from closed_a.end import VALUE\n    return VALUE\n",
            "end": "from closed_a.start import late\nVALUE = 1\n",  # a circle
            "apart": "raise RuntimeError('imported')\n",
        },
    )
    assert closure("closed_a.start") == ("closed_a.end", "closed_a.middle", "closed_a.start")
    assert closure("closed_a.apart") == ("closed_a.apart",)


@pytest.mark.parametrize("line", ["from closed_b import rest", "from .rest import VALUE", "from . import rest"])
def test_a_closure_follows_every_way_to_import(folder: Path, line: str) -> None:
    package(folder, "closed_b", {"start": f"{line}\n", "rest": "VALUE = 1\n"})
    sys.modules.pop("closed_b", None)
    assert set(closure("closed_b.start")) >= {"closed_b.rest", "closed_b.start"}


def test_a_closure_follows_relative_imports_up_and_down(folder: Path) -> None:
    package(folder, "closed_c", {"__init__": "from .named import VALUE\n", "named": "VALUE = 1\n", "rest": "VALUE = 2\n"})
    package(
        folder / "closed_c", "sub", {"__init__": "from .near import VALUE\n", "near": "VALUE = 3\n", "deep": "from ..rest import VALUE\n"}
    )
    assert closure("closed_c.sub.deep") == ("closed_c.rest", "closed_c.sub.deep")
    assert closure("closed_c.sub") == ("closed_c.sub", "closed_c.sub.near")
    assert closure("closed_c") == ("closed_c", "closed_c.named")
    for name in ("closed_c", "closed_c.sub", "closed_c.sub.near", "closed_c.named"):
        sys.modules.pop(name, None)


def loaded(file: Path, text: str) -> type:
    """The class `Rule` of a file with this text, loaded as a method's own file is."""
    file.write_text(text)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module.Rule


RULE = "def helper(x):\n    return x + 1\n\n\nclass Rule:\n    def apply(self, x):\n        return helper(x)\n"


def test_class_hash_takes_in_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(3):
        monkeypatch.setitem(sys.modules, f"rule_{place}", None)  # taken out again after the test
    first = class_hash(loaded(tmp_path / "rule_0.py", RULE), "tasks")
    told = class_hash(loaded(tmp_path / "rule_1.py", '"""A rule."""\n\n' + RULE.replace("x + 1", "x + 1  # one more")), "tasks")
    other = class_hash(loaded(tmp_path / "rule_2.py", RULE.replace("x + 1", "x + 2")), "tasks")
    assert first == told == text_hash(RULE)
    assert other != first


def test_a_class_hash_is_that_of_its_file_where_it_imports_nothing_of_the_package() -> None:
    file = Path(tasks.__file__).parent / "micro" / "math.py"
    assert class_hash(Math, "baselines") == text_hash(file.read_text(encoding="utf-8"))
    assert class_hash(Math, "tasks") != class_hash(Math, "baselines")


def test_a_class_hash_takes_in_what_its_file_is_built_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(folder, "built", {"ground": "import built.deep\nclass Ground: pass\n", "deep": ""})
    for place in range(3):
        monkeypatch.setitem(sys.modules, f"upon_{place}", None)
    text = "from built.ground import Ground\nclass Rule(Ground): pass\n"
    hashes = []
    for place, depth in enumerate((1, 1, 2)):
        (folder / "built" / "deep.py").write_text(f"DEPTH = {depth}\n")
        modules_hash.cache_clear()
        hashes.append(class_hash(loaded(tmp_path / f"upon_{place}.py", text), "built"))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_class_without_a_file_is_an_error_that_says_what_to_do() -> None:
    script = "from tasks.source import class_hash\nclass Rule: pass\nclass_hash(Rule, 'tasks')"
    root = Path(tasks.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "define it in a .py file" in done.stderr.rpartition("\n  ")[2]


# --- helpers and data files beside a user's own file

TASK = "import helper_own\nfrom pathlib import Path\nHERE = Path(__file__).parent\n\n\nclass Rule:\n    words = HERE / 'words.txt'\n"


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes files into a folder and gives the hash of `Rule` in its mine.py."""
    monkeypatch.syspath_prepend(tmp_path)

    def hashed(**files: str) -> str:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_txt", ".txt").replace("_py", ".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name in [name for name in sys.modules if name.startswith(("helper_own", "mine_own"))]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        return class_hash(loaded(tmp_path / "mine_own.py", (tmp_path / "mine.py").read_text()), "tasks")

    hashed(mine_py=TASK, helper_own_py="LIMIT = 1\n", words_txt="one two")
    return hashed


@pytest.mark.parametrize(
    "edit",
    [
        {"helper_own_py": "LIMIT = 2\n"},
        {"helper_own_py": "import helper_own_deep\nLIMIT = 1\n"},
        {"words_txt": "one three"},
        {"mine_py": TASK + "LIMIT = 3\n"},
    ],
    ids=lambda edit: next(iter(edit)),
)
def test_an_edit_of_a_helper_or_of_data_beside_the_file_changes_its_hash(beside: Callable[..., str], edit: dict[str, str]) -> None:
    before = beside(helper_own_deep_py="DEPTH = 1\n")
    assert beside() == before
    assert beside(**edit) != before


def test_helpers_are_followed_and_their_comments_do_not_count(beside: Callable[..., str]) -> None:
    before = beside(helper_own_py="from helper_own_deep import DEPTH\n", helper_own_deep_py="DEPTH = 1\n")
    assert beside(helper_own_deep_py='"""Deep."""\n\nDEPTH = 1  # one\n') == before
    assert beside(helper_own_deep_py="DEPTH = 2\n") != before


def test_helpers_import_our_packages_too(beside: Callable[..., str]) -> None:
    before = beside()
    after = beside(helper_own_py="from tasks.micro.program import run\nLIMIT = 1\n")
    assert after != before
    assert closure("tasks.micro.program") == ("tasks.micro.program",)


def test_a_folder_that_the_code_names_counts_whole(beside: Callable[..., str], tmp_path: Path) -> None:
    before = beside(mine_py=TASK + "DATA = HERE / 'data'\n", data__one_txt="1")
    (tmp_path / "data" / ".hidden").write_text("x")
    assert beside() == before
    assert beside(data__two_txt="2") != before


def test_what_the_code_does_not_name_leaves_the_hash_alone(beside: Callable[..., str], tmp_path: Path) -> None:
    before = beside(mine_py=TASK + '"""notes.txt"""\n', notes_txt="one")
    assert beside(notes_txt="two", other_py="LIMIT = 4\n") == before
    assert beside(mine_py=TASK) == before, "names in docstrings are no data"


def test_a_file_without_helpers_hashes_as_its_text(beside: Callable[..., str]) -> None:
    assert beside(mine_py=RULE) == text_hash(RULE)


def test_too_much_data_is_refused(beside: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_files, "MAX_FILES", 3)
    text = TASK + "DATA = HERE / 'data'\n"
    beside(mine_py=text, data__1_txt="", data__2_txt="")
    with pytest.raises(SourceError, match="names more than 3 files"):
        beside(data__3_txt="", data__4_txt="")
    monkeypatch.setattr(own_files, "MAX_FILES", 1000)
    monkeypatch.setattr(own_files, "MAX_BYTES", 4)
    with pytest.raises(SourceError, match="of data beside it"):
        beside()


def test_source_is_read_in_its_own_encoding(tmp_path: Path) -> None:
    latin = tmp_path / "latin_own.py"
    latin.write_bytes("# coding: latin-1\nclass Rule:\n    word = 'é'\n".encode("latin-1"))
    spec = importlib.util.spec_from_file_location("latin_own", latin)
    module = importlib.util.module_from_spec(spec)
    sys.modules["latin_own"] = module
    spec.loader.exec_module(module)
    assert class_hash(module.Rule, "tasks") == text_hash("class Rule:\n    word = 'é'\n")
    del sys.modules["latin_own"]


def test_a_helper_that_is_no_python_counts_by_its_bytes(beside: Callable[..., str]) -> None:
    lazy = "class Rule:\n    def late(self):\n        import helper_own\n"
    before = beside(mine_py=lazy, helper_own_py="x = (\n")
    assert beside(helper_own_py="x = ((\n") != before


def test_imports_count_in_a_users_file_only() -> None:
    strict, loose = (f"from helper import {name} as check\n\nVALUE = check\n" for name in ("strict", "loose"))
    assert text_hash(strict) == text_hash(loose)
    assert text_hash(strict, imports=True) != text_hash(loose, imports=True)


def test_another_import_is_another_class_of_a_users_file(folder: Path) -> None:
    hashes = []
    for name in ("floor", "ceil"):
        module = f"hashed_user_{name}"
        (folder / f"{module}.py").write_text(f"from math import {name} as rounded\n\n\nclass Mine:\n    way = rounded\n")
        importlib.invalidate_caches()
        hashes.append(class_hash(importlib.import_module(module).Mine, "tasks"))
    assert hashes[0] != hashes[1]
