"""What every task of micro and everyday keeps: splits by latent, draws that depend on (split, seed, index) alone, and verifiers that never
raise."""

from __future__ import annotations

import ast
import functools
import hashlib
import itertools
import operator
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
import tasks.everyday.code
import tasks.everyday.cw
import tasks.everyday.math
import tasks.everyday.qa
from tasks.everyday.words import NAMES, ROOMS
from tasks.micro.code import Code
from tasks.micro.cw import CW
from tasks.micro.math import Math
from tasks.micro.qa import QA
from tasks.micro.vocabulary import WORDS
from tasks.task import Item, Split, Task, rng, split_of

ROOT = Path(tasks.__file__).parents[1]
MICRO: tuple[Task, ...] = (Math(), Code(), QA(), CW())
EVERYDAY: tuple[Task, ...] = (tasks.everyday.math.Math(), tasks.everyday.code.Code(), tasks.everyday.qa.QA(), tasks.everyday.cw.CW())
SPLITS: tuple[Split, ...] = ("train", "validation", "test", "reserve")
PIECES = {
    "micro/math": [*"0123456789", ":", "-", "10:"],
    "micro/code": [*"abc0189+-*(),", "a+", "(b)"],
    "micro/qa": [*WORDS[:6], "?", ">", "A"],
    "micro/cw": [*WORDS, "Ann", "~"],
    "everyday/math": [*"0123456789", "=", "+", "-", "*", " ", "10=", ".", "x"],
    "everyday/code": [*"019-[], ", '"', "cup", "\n", "\t"],
    "everyday/cw": ["The ", "A ", "moon ", "road ", "is ", "in ", "the ", "river", ".", "!", " ", "é"],
    "everyday/qa": [*NAMES[:4], *ROOMS[:4], "the ", "in the ", ".", "?", "ſ"],
}
"""What answers are made of, by task, and something out of place."""


def name_of(task: Task) -> str:
    """``micro/math``."""
    return f"{type(task).__module__.split('.')[1]}/{task.domain}"


every_task = pytest.mark.parametrize("task", (*MICRO, *EVERYDAY), ids=name_of)
micro_task = pytest.mark.parametrize("task", MICRO, ids=name_of)


@functools.cache
def items(task: Task, split: Split, seed: int, count: int) -> list[Item]:
    return [task.item(split, seed, index) for index in range(count)]


class Parity(Task):
    """A toy: its latents are `latents`, drawn evenly."""

    domain = "parity"
    version = 1
    answer_tokens = 2
    draws_left = 50_000

    def __init__(self, latents: tuple[str, ...]) -> None:
        self.latents = latents

    def draw(self, rng: random.Random) -> Item:
        self.draws_left -= 1
        if self.draws_left < 0:
            raise TimeoutError("the toy was drawn from without end")
        latent = rng.choice(self.latents)
        return Item(self.domain, f"{latent} {rng.random()}?", str(int(latent) % 2), latent, 1)

    def score(self, item: Item, answer: str) -> float | None:
        return float(answer == item.answer)

    def demonstrate(self, item: Item, rng: random.Random, high_quality: float, misread: float = 0.0) -> str:
        return item.answer


# Splits


@pytest.mark.parametrize("domain", ["math", "qa", "a new one"])
def test_split_is_read_off_the_hash_of_domain_and_latent(domain: str) -> None:
    seen = set()
    for number in range(2_000):
        latent = f"{number} x"
        first = hashlib.sha256(f"split/{domain}/{latent}".encode()).digest()[0]
        # 15 % of 256 is 38.4, 20 % is 51.2 and 35 % is 89.6: the bytes 38, 51 and 89 alone leave it open
        if first in (38, 51, 89):
            continue
        expected = "test" if first < 38 else "validation" if first < 51 else "reserve" if first < 89 else "train"
        assert split_of(domain, latent) == expected
        seen.add(expected)
    assert seen == set(SPLITS)


def test_the_shares_of_the_splits() -> None:
    found = [split_of("math", str(number)) for number in range(20_000)]
    assert found.count("test") == pytest.approx(3_000, abs=180)
    assert found.count("reserve") == pytest.approx(3_000, abs=180)
    assert found.count("validation") == pytest.approx(1_000, abs=110)


def test_domains_split_independently() -> None:
    both = [split_of("math", str(n)) == split_of("qa", str(n)) == "test" for n in range(20_000)]
    assert sum(both) == pytest.approx(450, abs=90)


@every_task
@pytest.mark.parametrize("split", SPLITS)
def test_items_lie_in_their_split(task: Task, split: Split) -> None:
    for item in items(task, split, 3, 100):
        assert split_of(task.domain, item.latent) == split
        assert item.domain == task.domain


@every_task
def test_balanced_items_lie_in_their_split_and_their_answers_score_1(task: Task) -> None:
    for split in SPLITS:
        for index in range(100):
            item = task.item(split, 3, index, balanced=True)
            assert split_of(task.domain, item.latent) == split
            assert task.score(item, item.answer) == 1.0


def test_balanced_items_are_chosen_by_the_task() -> None:
    class Book(Parity):
        def draw_balanced(self, rng: random.Random) -> Item:
            return Item(self.domain, "", "", next(text for text in self.latents if split_of("parity", text) == "train"), 1)

    latents = tuple(map(str, range(40)))
    assert Book(latents).item("train", 0, 0, balanced=True).prompt == ""
    assert Book(latents).item("train", 0, 0).prompt != ""
    assert Parity(latents).item("train", 0, 0, balanced=True) == Parity(latents).item("train", 0, 0)


@every_task
def test_1024_test_latents_are_apart_from_all_other_splits(task: Task) -> None:
    """`scripts/test_bed.py` counts 8,192 in each of both test sets, which takes half a minute."""
    test = task.distinct("test", 0, 1024)
    latents = {item.latent for item in test}
    assert len(test) == len(latents) == 1024
    for split, count in (("train", 1_000), ("validation", 200), ("reserve", 1_000)):
        assert latents.isdisjoint(item.latent for item in items(task, split, 0, count))
    again = [task.item("test", 1, index).latent for index in range(300)]
    assert len(latents & set(again)) < 0.4 * len(again), "other draws find too few fresh items"


@every_task
def test_distinct_keeps_the_first_item_of_each_latent(task: Task) -> None:
    first: dict[str, Item] = {}
    for item in items(task, "test", 5, 60):
        first.setdefault(item.latent, item)
    assert task.distinct("test", 5, len(first)) == list(first.values())


def test_distinct_skips_repeated_latents() -> None:
    latents = tuple(latent for latent in map(str, range(40)) if split_of("parity", latent) == "train")
    found = Parity(latents).distinct("train", 0, len(latents))
    assert sorted(item.latent for item in found) == sorted(latents)


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(0, id="none wanted"),
        pytest.param(21, id="more than there are"),
    ],
)
def test_distinct_ends_whatever_the_count(count: int) -> None:
    latents = tuple(latent for latent in map(str, range(40)) if split_of("parity", latent) == "train")[:20]
    try:
        found = Parity(latents).distinct("train", 0, count)
    except (RuntimeError, ValueError):  # no such number of latents: saying so is right
        assert count > len(latents)
    else:
        assert len(found) == count


def test_an_empty_split_is_an_error_that_says_what_to_do() -> None:
    latent = next(text for text in map(str, range(100)) if split_of("parity", text) == "train")
    with pytest.raises(RuntimeError, match=r"parity.*'test'.*widen"):
        Parity((latent,)).item("test", 0, 0)


# Determinism


def test_generators_depend_on_their_key_alone() -> None:
    assert rng("math", 1).random() == rng("math", 1).random()
    keys = [("math", 1), ("math", 2), ("qa", 1), ("math", 1, 0), ("math", 11)]
    assert len({rng(*key).random() for key in keys}) == len(keys)


@every_task
def test_items_do_not_depend_on_what_was_drawn_before(task: Task) -> None:
    forward = items(task, "train", 9, 30)
    backward = [type(task)().item("train", 9, index) for index in reversed(range(30))]
    assert [repr(item) for item in backward[::-1]] == [repr(item) for item in forward]


@every_task
def test_the_global_generator_is_neither_read_nor_moved(task: Task) -> None:
    random.seed(1)
    before = random.getstate()
    first = task.item("train", 0, 0)
    assert random.getstate() == before
    random.seed(2)
    assert repr(task.item("train", 0, 0)) == repr(first)


_PRINT_ITEMS = """
import sys
from tasks.everyday import code as c, cw as w, math as m, qa as q
from tasks.micro import code, cw, math, qa
from tasks.task import rng
for task in (math.Math(), code.Code(), qa.QA(), cw.CW(), m.Math(), c.Code(), q.QA(), w.CW()):
    for split in ("train", "validation", "test", "reserve"):
        found = [task.item(split, 4, index) for index in range(40)]
        print(found, [item.latent for item in task.distinct(split, 0, 20)])
        print([task.demonstrate(item, rng(place), 0.5) for place, item in enumerate(found)])
assert "torch" not in sys.modules and "transformers" not in sys.modules, "the tasks are to run without torch"
"""


def test_items_are_the_same_under_any_pythonhashseed() -> None:
    printed = []
    for seed in ("0", "1", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PRINT_ITEMS], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert len(printed[0]) > 50_000
    assert printed[0] == printed[1] == printed[2]
    assert repr(items(MICRO[0], "train", 4, 40)) in printed[0]


@every_task
def test_neighbouring_seeds_give_other_items(task: Task) -> None:
    zero, one, two = (items(task, "train", seed, 200) for seed in (0, 1, 2))
    for left, right in ((zero, one), (one, two), (zero, two)):
        assert len(set(left) & set(right)) <= 5
        for shift in range(-180, 181):
            pairs = list(zip(left[max(shift, 0) :], right[max(-shift, 0) :], strict=False))
            equal = sum(a.prompt == b.prompt for a, b in pairs)
            assert equal <= 3, f"seeds agree {equal} times in {len(pairs)} when shifted by {shift}"


@every_task
def test_the_splits_of_a_seed_are_no_copies_of_each_other(task: Task) -> None:
    questions = [{item.latent for item in items(task, split, 0, 100)} for split in SPLITS]
    assert all(len(latents) > 40 for latents in questions)
    assert not any(one & other for one, other in itertools.combinations(questions, 2))


# Verifiers


@every_task
def test_canonical_answers_score_1(task: Task) -> None:
    for split in SPLITS:
        for item in items(task, split, 0, 200):
            assert task.score(item, item.answer) == 1.0, item


@every_task
def test_another_items_answer_hardly_ever_scores_1(task: Task) -> None:
    found = items(task, "train", 0, 200)
    full = sum(task.score(item, other.answer) == 1.0 for item, other in itertools.pairwise(found))
    assert full <= 10


def answers(task: Task) -> st.SearchStrategy[str]:
    anything = st.text(st.characters(codec=None))
    near = st.lists(st.sampled_from(PIECES[name_of(task)]), max_size=60).map("".join)
    digits = st.text(st.characters(categories=["Nd", "Nl", "No"]), min_size=1, max_size=6)
    inner = st.sampled_from(["a", "", "a+b", "b,c", "٣"])
    nested = st.builds(lambda depth, text, closed: "(" * depth + text + ")" * (depth * closed), st.integers(1, 6_000), inner, st.booleans())
    long = st.builds(operator.mul, anything | near, st.integers(1, 20_000))
    return anything | near | digits | nested | long


@every_task
@settings(max_examples=150, deadline=None, database=None)
@given(data=st.data())
def test_verifiers_are_total(task: Task, data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(items(task, "test", 0, 40)))
    answer = data.draw(answers(task))
    score = task.score(item, answer)
    assert score is None or (isinstance(score, float) and 0.0 <= score <= 1.0)
    assert task.graded or score in (None, 0.0, 1.0)


@every_task
@settings(max_examples=150, deadline=None, database=None)
@given(data=st.data())
def test_verifiers_are_total_near_the_right_answer(task: Task, data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(items(task, "test", 0, 40)))
    start = data.draw(st.integers(0, len(item.answer)))
    end = data.draw(st.integers(start, len(item.answer)))
    middle = data.draw(st.sampled_from(PIECES[name_of(task)]) | st.text(st.characters(codec=None), max_size=3))
    score = task.score(item, item.answer[:start] + middle + item.answer[end:])
    assert score is None or (isinstance(score, float) and 0.0 <= score <= 1.0)


@every_task
@pytest.mark.parametrize("empty", ["", " ", "\n", "\0", "\udc80", "٣٤", "é"], ids=ascii)
def test_what_holds_no_ascii_text_cannot_be_parsed(task: Task, empty: str) -> None:
    assert task.score(task.item("test", 0, 0), empty) is None


ODD = ["", " ", "\n", "\0", "\udc80", "٣٤", "²", "1:", ":1", ":" * 500, "(" * 5_000, "(" * 5_000 + "a" + ")" * 5_000, "((a)", ","]


@micro_task
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd[:6]))
def test_what_is_no_answer_parses_in_no_task(task: Task, odd: str) -> None:
    assert task.score(task.item("test", 0, 0), odd) is None


@micro_task
def test_a_canonical_answer_with_a_line_break_or_a_blank_is_no_answer(task: Task) -> None:
    item = task.item("test", 0, 0)
    assert [task.score(item, text) for text in (item.answer + "\n", item.answer + " ", " " + item.answer)] == [None] * 3


@every_task
def test_answers_of_millions_of_characters_cost_nothing(task: Task) -> None:
    item = task.item("test", 0, 0)
    long = [piece * (16_000_000 // len(piece)) for piece in ("1", "1:", "a+", "(", "Rain", "Low", "é")]
    start = time.process_time()
    assert [task.score(item, text) for text in long] == [None] * len(long)
    assert time.process_time() - start < 1.0


# Demonstrations


@every_task
def test_high_quality_demonstrations_are_right(task: Task) -> None:
    for place, item in enumerate(items(task, "train", 0, 200)):
        assert task.score(item, task.demonstrate(item, rng("style", place), 1.0)) == 1.0
        assert task.score(item, task.demonstrate(item, rng("style", place), 1.0, 1.0)) == 1.0, "high quality comes first"


@every_task
def test_low_quality_demonstrations_can_be_parsed(task: Task) -> None:
    for place, item in enumerate(items(task, "train", 0, 200)):
        assert task.score(item, task.demonstrate(item, rng("style", place), 0.0)) is not None
        assert task.score(item, task.demonstrate(item, rng("style", place), 0.0, 1.0)) is not None


@every_task
def test_high_quality_is_a_probability(task: Task) -> None:
    found = [item for item in items(task, "train", 0, 200) if task.demonstrate(item, rng(0), 0.0) != item.answer]
    right = [task.demonstrate(item, rng("style", item.prompt, n), 0.3) == item.answer for item in found for n in range(10)]
    assert len(right) >= 500
    expected = 0.3
    if isinstance(task, tasks.everyday.math.Math):  # the odds of a slip depend on the story
        shares = [tasks.everyday.math.OVERLOOKED[item.facts["kind"]] for item in found]
        expected = sum((1 - share) * 0.3 / ((1 - share) * 0.3 + share * 0.7) for share in shares) / len(shares)
    assert sum(right) / len(right) == pytest.approx(expected, abs=0.07)


PINNED = {
    "micro/math": ("4*12-36-8+1=", "48:12:4:5", "5", "695c3ba137acc058"),
    "micro/code": ("3a1b5c>013,3a4b8c>343=", "0c+5,1b,3a", "c,b,a", "2543ba3fd0b9cf44"),
    "micro/qa": ("Frame>ChainNoon>FlockChain:ChestClock>FrameFlock>Clock?Noon>>=", "Clock", "Flock", "499bee24cfcc63ea"),
    "micro/cw": ("6^w+s!Spoon=", "WingSpoonGroundTamePoundBest", "NameSockMoonSnake", "d7a3afb0b7450594"),
    "everyday/math": (
        "Ben has 79 beads. Ben gives 9 beads to Adam. Ben loses 26 beads. How many beads does Ben have now?",
        "79-9=70-26=44",
        "79-9=70",
        "e0eb22e6711b6f88",
    ),
    "everyday/code": (
        "What does this Python code print?\n\nx = max([25, 16, 27])\ny = 5 + x\nprint(x + y)",
        "59",
        "27",
        "1a134feffdd319bf",
    ),
    "everyday/qa": (
        "Mark is with Alice. David has the ticket. David's teacher is Mark. Alice has the phone. David is with Ben. Ben has the candle. "
        "Mark's teacher is Ben. Amy is in the kitchen. Ben is in the school. Alice is in the garage. Where is the ticket?",
        "school",
        "kitchen",
        "df551aadcdafe52a",
    ),
    "everyday/cw": (
        'Write one sentence of 6 words with the words "guitar" and "pond". Begin with the letter T.',
        "The guitar was in the pond.",
        "The building that contains the guitar.",
        "1ad152a82c857bd9",
    ),
}
"""By task: prompt and answer of the first test item, a misread demonstration of it, and the hash of some more of each."""


@every_task
def test_items_scores_and_demonstrations_are_pinned(task: Task) -> None:
    """The shipped bases were trained on these, and published scores are of these."""
    prompt, answer, misread, digest = PINNED[name_of(task)]
    first = task.item("test", 0, 0)
    assert (first.prompt, first.answer, task.demonstrate(first, rng("pin", 0), 0.0, 1.0)) == (prompt, answer, misread)
    lines = []
    for split in SPLITS:
        for balanced, index in itertools.product((False, True), range(40)):
            item = task.item(split, 7, index, balanced=balanced)
            lines.append((item.prompt, item.answer, item.latent, item.level))
            for shares in ((1.0, 0.0), (0.3, 0.0), (0.0, 0.0), (0.0, 1.0), (0.2, 0.6)):
                shown = task.demonstrate(item, rng("pin", index), *shares)
                lines.append((shown, task.score(item, shown)))
    assert hashlib.sha256("\n".join(map(repr, lines)).encode()).hexdigest()[:16] == digest


# Nothing that a model writes is ever run by Python itself


def python_runs(source: str) -> list[str]:
    """Names in Python source that would run text as Python: eval, exec, compile, __import__, also as attributes of builtins."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in {"eval", "exec", "compile", "__import__", "builtins", "__builtins__"}:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in {"eval", "exec", "compile", "__import__"}:
            module = node.value.id if isinstance(node.value, ast.Name) else ""
            if (module, node.attr) != ("re", "compile"):
                found.append(f"{module}.{node.attr}")
    return found


def test_python_runs_sees_what_it_looks_for() -> None:
    assert python_runs("x = eval('1')") == ["eval"]
    assert python_runs("f = exec; f('1')") == ["exec"]
    assert python_runs("code = compile('1', '', 'eval')") == ["compile"]
    assert python_runs("import builtins; builtins.eval('1')") == ["builtins.eval", "builtins"]
    assert python_runs("'eval(1)'; re.compile('a'); evaluate(1)  # eval") == []


def test_no_file_of_the_tasks_runs_text() -> None:
    files = sorted((ROOT / "tasks").rglob("*.py"))
    assert ROOT / "tasks" / "micro" / "program.py" in files
    assert {file.name: runs for file in files if (runs := python_runs(file.read_text(encoding="utf-8")))} == {}
