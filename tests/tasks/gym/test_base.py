"""tasks.gym.base: which answer counts, both gates of a verdict, and what a missing or another reasoning-gym says."""

from __future__ import annotations

import importlib.metadata
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from tasks.gym import answers, base
from tasks.gym.base import READ_CHARS, VERSION, Gym, Source, final_answer, package, tagged
from tasks.gym.math import Math
from tasks.task import MAX_ANSWER_CHARS, Item

ROOT = Path(tasks.__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>5</answer>", "5"),
        ("2 + 3 is 5.\n<answer> 5\n</answer> Done.", "5"),
        ("<answer>4</answer> no: <answer>5</answer>", "5"),
        ("<answer>5</answer> or <answer>6", "5"),
        ("<answer>5</answer> or 6</answer>", "5"),
        ("<answer>4 <answer>5</answer>", "5"),
        ("<answer>1 2\n3 4</answer>", "1 2\n3 4"),
        ("<answer></answer>", ""),
        ("between <answer> and </answer>", "and"),
        ("", None),
        ("5", None),
        ("<answer>5", None),
        ("5</answer>", None),
        ("</answer>5<answer>", None),
        ("<ANSWER>5</ANSWER>", None),
        ("< answer>5</ answer>", None),
        ("<answer>5<answer>", None),
        ("<answer>" + "x" * READ_CHARS + "</answer>", None),
        ("x" * 10 * READ_CHARS + "<answer>5</answer>", "5"),
    ],
)
def test_the_last_complete_pair_counts(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@settings(max_examples=200, deadline=None, database=None)
@given(st.text(st.characters(codec=None)), st.text(st.characters(exclude_characters="<", codec=None)))
def test_whatever_comes_first_the_tagged_answer_is_found(before: str, answer: str) -> None:
    assert final_answer(before + tagged(answer)) == answer.strip()


class Lenient:
    """A verifier that gives half marks to "2", fails on "3" and takes everything else for right."""

    def score_answer(self, answer: str, entry: dict[str, Any]) -> float:
        if answer == "3":
            raise ZeroDivisionError
        return 0.5 if answer == "2" else 1


class Toy(Gym):
    domain = "toy"
    version = 1
    answer_tokens = 8
    sources = (Source("toy", 1, ({},), lambda entry: "toy", answers.integer, answers.wrong_integer),)


ITEM = Item("toy", "?", tagged("1"), "toy", 1, {"dataset": "toy", "level": 1, "answer": "1", "metadata": {}})


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_dataset", lambda source, level: Lenient())


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("<answer>1</answer>", 1.0),
        ("<answer>4.0</answer>", 1.0),  # the verifier has the last word
        ("<answer>2</answer>", 0.0),  # half marks
        ("<answer>3</answer>", 0.0),  # the verifier failed
        ("<answer>one</answer>", 0.0),  # the reader says no
        ("<answer>1 or 2</answer>", 0.0),
        ("<answer></answer>", 0.0),
        ("1", None),
        (f"<answer>{'0' * (MAX_ANSWER_CHARS - 1)}1</answer>", 1.0),
        (f"<answer>{'0' * MAX_ANSWER_CHARS}1</answer>", 0.0),
    ],
)
def test_an_answer_passes_the_reader_and_the_verifier(answer: str, score: float | None) -> None:
    assert Toy().score(ITEM, answer) == score


@pytest.mark.usefixtures("lenient")
def test_high_quality_is_the_share_of_right_demonstrations() -> None:
    rng = random.Random(0)
    shown = [Toy().demonstrate(ITEM, rng, 0.3) for _ in range(2_000)]
    assert shown.count(ITEM.answer) / len(shown) == pytest.approx(0.3, abs=0.03)
    assert set(shown) - {ITEM.answer} == {tagged(str(1 + step)) for step in (-10, -2, -1, 1, 2, 10)}


@pytest.mark.usefixtures("lenient")
def test_answers_of_millions_of_characters_cost_nothing() -> None:
    long = [piece * (16_000_000 // len(piece)) for piece in ("1", "<answer>", "<answer></answer>", "</", "é", "<answer>1</answer>")]
    start = time.process_time()
    assert [Toy().score(ITEM, text) for text in long] == [None, None, 0.0, None, None, 1.0]
    assert time.process_time() - start < 1.0


# The package


@pytest.fixture
def fresh() -> Any:
    package.cache_clear()
    yield
    package.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_a_missing_package_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(base, "version", missing)
    with pytest.raises(ImportError, match=r'not installed: pip install "interference-bench\[gym\]"') as error:
        package()
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("fresh")
def test_another_version_is_an_error_and_no_other_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "version", lambda name: "0.1.26")
    with pytest.raises(ImportError, match=rf"reasoning-gym {VERSION}, and 0\.1\.26 is installed"):
        package()


@pytest.mark.usefixtures("fresh")
def test_no_verdict_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is lacking on the machine is no 0."""
    base._dataset.cache_clear()
    monkeypatch.setattr(base, "version", lambda name: "0.1.26")
    item = Item("math", "?", tagged("1"), "gcd", 1, {"dataset": "gcd", "level": 1, "answer": "1", "metadata": {}})
    with pytest.raises(ImportError):
        Math().score(item, "<answer>1</answer>")


_IMPORT = """
import sys
from tasks.gym import code, cw, math, qa
item = cw.CW().item("train", 0, 0)
assert cw.CW().score(item, item.answer) == 1.0
heavy = {"reasoning_gym", "sympy", "numpy", "torch", "matplotlib"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""


def test_the_tasks_import_nothing_heavy_and_cw_needs_no_reasoning_gym() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _IMPORT], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
