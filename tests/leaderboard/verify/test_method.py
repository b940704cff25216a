"""The method's code, which is only read, and what is said of it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from entries import MINE, WORDS, write_runs
from forgeries import edit, put, refusals, refused, reseal, warnings

from bench.suite import Suite
from leaderboard.pack import pack
from leaderboard.submission import FILE, METHOD_FILE


def test_another_method_than_the_one_that_ran(submissions: Path) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(file.read_text().replace("self.steps", "2 * self.steps"))
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", r"method\.py: not the code that the runs used \(method\.source\): submit the file that ran")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("track", "training-free", "is 'training-free', but the code of Mine implies 'light': pack again"),
        ("own_stages", True, "is True, but the code of Mine implies False"),
        ("repairs", False, "is False, but the code of Mine implies True"),
        ("control", True, "is True, but the code of Mine implies False"),
    ],
)
def test_what_the_code_declares(submissions: Path, field: str, value: Any, said: str) -> None:
    edit(submissions / "mine", FILE, put(f"method.{field}", value))
    refused(submissions / "mine", rf"submission\.json: method\.{field}: {said}")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (b"\xff\xfe", r"method\.py: not readable as Python"),
        ("x = 1  # \u202e ssap".encode(), r"method\.py: line 1: has the invisible character U\+202E"),
        (b"x = (", r"method\.py: line 1: not readable as Python: '\(' was never closed"),
        (b"class Other: ...\n", r"method\.py: defines no class Mine that subclasses bench\.method\.Method"),
        (b"#" * 64_001, r"method\.py: has more than 64,000 bytes, the limit for a method"),
    ],
)
def test_code_that_cannot_be_read(submissions: Path, code: bytes, said: str) -> None:
    (submissions / "mine" / METHOD_FILE).write_bytes(code)
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", said)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("-" * 20_000 + "1", r"method\.py: not readable as Python"),
        ("# coding: hex\n", r"method\.py: declares the encoding hex: must be UTF-8"),
        ("# -*- coding: utf-7 -*-\n", r"method\.py: declares the encoding utf-7: must be UTF-8"),
        ("from baselines.refresh.x import y\n" + MINE, r"method\.py: not the code that the runs used"),
        (MINE + 'X = "/proc/self/mem"\n', r"method\.py: not the code that the runs used"),
        ("class Mine(" + "A, " * 60 + "): ...\nclass A(" + "Mine, " * 60 + "): ...\n", r"method\.py: defines no class Mine"),
    ],
)
def test_hostile_code_is_only_read(submissions: Path, code: str, said: str) -> None:
    (submissions / "mine" / METHOD_FILE).write_text(code)
    reseal(submissions / "mine", METHOD_FILE)
    refused(submissions / "mine", said)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"DATA = '{'x' * 2001}'", r"has 2,001 characters in strings \(limit 2,000\): precomputed data is not allowed"),
        ("DATA = " + " + ".join([f"'{'x' * 201}'"] * 10), r"has 2,010 characters in strings"),
        (f"DATA = [{'1, ' * 2001}]", r"has 2,002 numbers \(limit 2,000\): precomputed data is not allowed"),
        (f"DATA = [{('[' + '1.5, ' * 201 + '], ') * 10}]", r"has 2,011 numbers"),
        (f"DATA = {{{', '.join(f'{n}: 1' for n in range(1001))}}}", r"has 2,003 numbers"),
        (f"DATA = [{', '.join(['0x' + 'f' * 3000] * 11)}]", r"has 2,069 numbers"),  # 12,000 bits count as 188
        (f"DATA = dict({', '.join(f'x{n}=1' for n in range(2001))})", r"has 2,002 numbers"),
    ],
)
def test_data_in_the_code(submissions: Path, line: str, said: str) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(f"{file.read_text()}\n{line}\n")
    refused(submissions / "mine", rf"method\.py: {said}")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os", "imports os: a maintainer should check why"),
        ("from tasks.micro.math import Math", "imports tasks.micro.math"),
        ("open('x')", r"uses open"),
        ("f = open", r"uses open"),
        ("\u0430 = 1", r"has the name \u0430, whose letters may look like others"),
        ("import torch\ntorch.os.environ", r"uses \.os"),
        ("WEIGHTS = Mine.__doc__", r"uses \.__doc__"),
        ("def f(task): task.items(split='test')", "names 'test', and a method must not use test items"),
        ("from torch import os", "imports os from torch"),
        ("import dataclasses\ndataclasses.builtins", r"uses \.builtins"),
        ("from operator import attrgetter", "imports attrgetter from operator"),
        ("WEIGHTS = __doc__", r"uses __doc__"),
        ("import numpy\nnumpy.fromfile(__file__)", r"uses \.fromfile"),
        ("f = __file__", r"uses __file__"),
        ("from numpy import memmap", "imports memmap from numpy"),
        ("'{0.__doc__}'.format(Mine)", r"has a text with \.__ in it"),
        ("def rec\u043ever(): pass", "has the name rec\u043ever, whose letters may look like others"),
        ("from baselines import refresh\nclass Again(refresh.Refresh): pass", r"Again is built on refresh\.Refresh of the package"),
        ("from baselines.opd import OPD as Own\nclass Again(Own): pass", "Again is built on Own of the package"),
        ("def f(\u0445): pass", "has the name \u0445, whose letters may look like others"),
        (
            "def f(loss): loss.backward()",
            r"calls \.backward\(\), and compute outside `history` is not metered: a maintainer should check why",
        ),
        ("def f(task): task.items('test')", "names 'test', and a method must not use test items"),
    ],
)
def test_code_that_a_maintainer_should_read(submissions: Path, line: str, said: str) -> None:
    file = submissions / "mine" / METHOD_FILE
    file.write_text(f"{file.read_text()}\n{line}\n")
    assert any(re.search(said, line) for line in warnings(submissions / "mine"))


@pytest.mark.parametrize("name", ["mine", "refresh-4"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"submission\.json: method\.settings\.steps: missing: pack again"),
        ({"steps": 4, "bogus": 1}, r"submission\.json: method\.settings\.bogus: \w+ has no such setting: pack again"),
    ],
)
def test_settings_are_those_of_the_method(submissions: Path, name: str, settings: dict[str, int], said: str) -> None:
    edit(submissions / name, FILE, put("method.settings", settings))
    refused(submissions / name, said)


def test_access_that_the_code_asks_for_and_no_run_states(submissions: Path, suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace("history.train(checkpoint,", "history.train(history.expert(targets[0]) or history.base,"))
    pack(write_runs(tmp_path / "runs", suite, f"{file}:Mine"), "expert", submissions, WORDS)
    said = "submission.json: cost.access.{}: warning: no run states any, but the code has .{}: a maintainer should check"
    found = warnings(submissions / "expert")
    assert [line for line in found if "cost.access" in line] == [
        f"{said.format(field, request)} whether it reads more than what it is given"
        for field, request in (("checkpoints", "base"), ("experts", "expert"))
    ]
    for seed in range(5):
        access = {"checkpoints": ["base"], "experts": ["math"], "prompts": {"math": 128}}
        edit(submissions / "expert", f"runs/paper-s{seed}.json", put("cost.access", access))
    assert not [line for line in warnings(submissions / "expert") if "cost.access" in line]


def test_a_copied_method_is_pointed_out(submissions: Path) -> None:
    shutil.copytree(submissions / "mine", submissions / "copied")
    edit(submissions / "copied", FILE, put("name", "copied"))
    said = "100 % of this code is also in mine; if it is a variant, add mine to declared.earlier_entries"
    assert warnings(submissions / "copied") == [f"method.py: warning: {said}"]
    edit(submissions / "copied", FILE, put("declared.earlier_entries", ["mine"]))
    assert warnings(submissions / "copied") == []


def test_code_beside_a_method_of_the_package(submissions: Path) -> None:
    (submissions / "refresh-4" / METHOD_FILE).write_text(MINE)
    reseal(submissions / "refresh-4", METHOD_FILE)
    refused(submissions / "refresh-4", r"method\.py: not part of this submission: remove it")


@pytest.mark.parametrize("kind", ["deep", "folder", "link", "huge"])
def test_a_broken_neighbour_is_no_concern_of_others(submissions: Path, kind: str) -> None:
    file = submissions / "neighbour" / METHOD_FILE
    file.parent.mkdir()
    if kind == "deep":
        file.write_text("-" * 20_000 + "1")
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to("/dev/zero")
    else:
        file.write_bytes(b"#" * 100_000)
    for path in (FILE, "runs/paper-s0.json"):
        (file.parent / path).parent.mkdir(exist_ok=True)
        (file.parent / path).symlink_to("/dev/zero")
    assert refusals(submissions / "mine") == warnings(submissions / "mine") == []
