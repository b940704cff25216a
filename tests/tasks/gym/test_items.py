"""Items of the gym suite: pinned to reasoning-gym 0.1.25, the same everywhere, split by what is asked, mixed as the weights say."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import tasks
from tasks.gym import answers, base, code, math, qa
from tasks.gym.base import ASK, INSTALL, Entry, Gym, Source
from tasks.gym.code import Code
from tasks.gym.cw import CW
from tasks.gym.math import Math
from tasks.gym.qa import QA
from tasks.task import Item, Split, Task, rng, split_of

pytestmark = pytest.mark.skipif(find_spec("reasoning_gym") is None, reason=f"needs reasoning-gym: {INSTALL}")

ROOT = Path(tasks.__file__).parents[1]
BUILT: tuple[Gym, ...] = (Math(), Code(), QA())
TASKS: tuple[Task, ...] = (*BUILT, CW())
Drawn = Callable[[Task, Split], list[Item]]

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.domain)
every_built = pytest.mark.parametrize("task", BUILT, ids=lambda task: task.domain)

PINNED = {
    "math": "8e9ec11d392af7c0a5f5174304f29e31edbee6543a9d5864b76672c4198f1882",
    "code": "a23dcffc264a77fade9845530345165b20f42d94b8013b65925b5a1a79eae075",
    "qa": "4975e7f9cb07e41b37b4dc68b245e791861d7bea26d7fa36fcf4a9cafa017110",
    "cw": "f77328063b9531e09b67e3ba74275de328b85bc6b748d4ced3a6e9621aac4093",
}
"""sha256 over prompt, answer and latent of the first 128 test and 128 validation items. A hash changes with its task's `version` only."""


@every_task
def test_items_are_pinned(task: Task, drawn: Drawn) -> None:
    first = [[item.prompt, item.answer, item.latent] for split in ("test", "validation") for item in drawn(task, split)[:128]]
    found = hashlib.sha256(json.dumps(first).encode()).hexdigest()
    installed = {name: importlib.metadata.version(name) for name in ("reasoning-gym", "numpy", "sympy")}
    assert found == PINNED[task.domain], f"other items of {task.domain} under {installed}: results do not compare with published ones"


_PRINT = """
import json, random
from tasks.gym import code, cw, math, qa
from tasks.task import rng
for task in (math.Math(), code.Code(), qa.QA(), cw.CW()):
    for index in range(40):
        item = task.item("train", 4, index)
        shown = [task.demonstrate(item, rng(index), quality) for quality in (0.0, 1.0)]
        scores = [task.score(item, text) for text in shown]
        print(json.dumps([item.prompt, item.answer, item.latent, item.level, item.facts, shown, scores]))
"""


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """What two fresh processes print under different hash seeds."""
    found = []
    for seed in ("0", "4242"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run([sys.executable, "-P", "-c", _PRINT], env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    return found


def test_items_and_scores_are_the_same_under_any_pythonhashseed(printed: list[str]) -> None:
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 160


def test_items_do_not_depend_on_what_was_drawn_before(printed: list[str]) -> None:
    told = [json.loads(line) for line in printed[0].splitlines()]
    for task, lines in zip(TASKS, (told[:40], told[40:80], told[80:120], told[120:]), strict=True):
        for index in (31, 2, 17):
            item = task.item("train", 4, index)
            assert [item.prompt, item.answer, item.latent, item.level] == lines[index][:4]
            assert json.loads(json.dumps(item.facts)) == lines[index][4]


@every_task
def test_the_global_generators_are_neither_read_nor_moved(task: Task) -> None:
    import numpy as np

    random.seed(1)
    np.random.seed(1)
    before, numpy_before = random.getstate(), np.random.get_state()[1].tolist()
    first = [task.item("train", 0, index) for index in range(8)]
    assert random.getstate() == before and np.random.get_state()[1].tolist() == numpy_before
    random.seed(2)
    np.random.seed(2)
    assert [task.item("train", 0, index) for index in range(8)] == first


@every_task
def test_test_and_validation_items_are_apart_and_lie_in_their_split(task: Task, drawn: Drawn) -> None:
    latents = {split: {item.latent for item in drawn(task, split)} for split in ("test", "validation")}
    assert (len(latents["test"]), len(latents["validation"])) == (1024, 256)
    assert all(split_of(task.domain, latent) == split for split, found in latents.items() for latent in found)
    train = {task.item("train", 0, index).latent for index in range(200)}
    assert all(split_of(task.domain, latent) == "train" for latent in train)
    assert not latents["test"] & latents["validation"] and not train & (latents["test"] | latents["validation"])


@every_built
def test_the_mixture_is_what_the_weights_say(task: Gym) -> None:
    """Counted on choices alone: 20,000 draws of a dataset and a level, without their entries."""

    class Counted(type(task)):
        def item_of(self, source: Source, level: int, entry: Entry) -> Any:
            return source.name, level

    counts: Counter[tuple[str, int]] = Counter()
    generator = random.Random(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "entry", lambda self, level, rng: {})
        counts.update(Counted().draw(generator) for _ in range(20_000))
    total = sum(source.weight for source in task.sources)
    for source in task.sources:
        for level in range(1, len(source.levels) + 1):
            expected = 20_000 * source.weight / total / len(source.levels)
            assert counts[source.name, level] == pytest.approx(expected, rel=0.15)


@every_built
def test_the_test_set_keeps_the_mixture(task: Gym, drawn: Drawn) -> None:
    """Small populations are not used up: a dataset's share of 1,024 different items is near its weight, and no level is missing."""
    counts = Counter((item.facts["dataset"], item.level) for item in drawn(task, "test"))
    total = sum(source.weight for source in task.sources)
    for source in task.sources:
        found = [counts[source.name, level] for level in (1, 2, 3)]
        assert sum(found) / 1024 == pytest.approx(source.weight / total, abs=0.045), source.name
        assert min(found) >= 10, (source.name, found)


def test_the_writing_test_set_has_all_levels(drawn: Drawn) -> None:
    counts = Counter(item.level for item in drawn(CW(), "test"))
    assert set(counts) == {1, 2, 3} and min(counts.values()) > 250


@every_task
def test_canonical_answers_score_1(task: Task, drawn: Drawn) -> None:
    for item in (*drawn(task, "test"), *drawn(task, "validation")):
        assert task.score(item, item.answer) == 1.0, item


@every_task
def test_demonstrations_are_right_or_wrong_by_quality(task: Task, drawn: Drawn) -> None:
    for place, item in enumerate(drawn(task, "validation")):
        assert task.demonstrate(item, rng(place), 1.0) == task.demonstrate(item, rng(place), 1.0, 1.0) == item.answer
        for misread in (0.0, 1.0):
            score = task.score(item, task.demonstrate(item, rng(place), 0.0, misread))
            assert score is not None and score < 1.0, item


@every_task
def test_prompts_ask_for_the_tags_and_do_not_hold_the_answer_in_them(task: Task, drawn: Drawn) -> None:
    for item in drawn(task, "test"):
        assert item.prompt == item.prompt.strip()
        assert item.prompt.count("<answer>") == item.prompt.count("</answer>") == 1
        assert item.prompt.endswith(ASK if task.domain != "cw" else "between <answer> and </answer>.")
        assert task.score(item, item.prompt) == 0.0


@every_task
def test_facts_are_plain_json(task: Task, drawn: Drawn) -> None:
    for item in drawn(task, "validation"):
        assert json.loads(json.dumps(item.facts)) == item.facts


@every_task
def test_answers_fit_into_a_third_of_the_tokens(task: Task, drawn: Drawn) -> None:
    """Counted in pieces no smaller than any tokenizer's: words of up to four letters, digits and signs one by one."""
    pieces = re.compile(r"[A-Za-z]{1,4}|[0-9]|[^A-Za-z0-9\s]|\n")
    longest = max(len(pieces.findall(item.answer)) for item in drawn(task, "test"))
    assert longest <= task.answer_tokens * (0.8 if task.domain == "cw" else 0.4)


# Latents: other words and another order, the same question


def entry_of(task: Gym, name: str, level: int) -> tuple[Source, Entry]:
    source = next(source for source in task.sources if source.name == name)
    return source, source.entry(level, rng("latent", name))


def latent(source: Source, question: str = "", **metadata: Any) -> str:
    return source.latent({"question": question, "answer": "", "metadata": {"source_dataset": source.name} | metadata})


def test_sums_are_the_same_question_in_any_order_and_dataset() -> None:
    chain, basic, products = (entry_of(Math(), name, 1)[0] for name in ("chain_sum", "basic_arithmetic", "products"))
    assert latent(chain, expression="12 + 30 - 5") == latent(chain, expression="30 - 5 + 12") == latent(basic, expression="12 + ( 30 - 5 )")
    assert latent(products, expression="12 * 30") == latent(basic, expression="30 * 12") != latent(chain, expression="12 + 30")


@pytest.mark.parametrize("name", ["gcd", "lcm"])
def test_the_order_of_numbers_is_no_matter(name: str) -> None:
    source, _ = entry_of(Math(), name, 3)
    assert latent(source, numbers=[30, 12, 45]) == latent(source, numbers=[45, 30, 12]) != latent(source, numbers=[45, 30, 11])


def test_gcd_and_lcm_are_different_questions() -> None:
    assert len({latent(entry_of(Math(), name, 1)[0], numbers=[12, 30]) for name in ("gcd", "lcm")}) == 2


@pytest.mark.parametrize(
    ("equation", "variable", "same"),
    [
        ("7*x + 12 = 40", "x", True),
        ("7*k + 12 = 40", "k", True),
        ("12 + 7*k = 40", "k", True),
        ("-7*x - 12 = -40", "x", True),
        ("7*x = 28", "x", False),
        ("7*x - 12 = 40", "x", False),
    ],
)
def test_equations_are_the_same_whatever_the_letter_and_sign(equation: str, variable: str, same: bool) -> None:
    source, _ = entry_of(Math(), "simple_equations", 1)
    asked = latent(source, equation="7*t + 12 = 40", variable="t")
    assert (latent(source, equation=equation, variable=variable) == asked) is same


def test_countdown_is_numbers_and_target() -> None:
    source, _ = entry_of(Math(), "countdown", 1)
    assert latent(source, numbers=[3, 9, 4], target=31) == latent(source, numbers=[9, 4, 3], target=31)
    assert latent(source, numbers=[3, 9, 4], target=31) != latent(source, numbers=[9, 4, 3], target=23)


@pytest.mark.parametrize("same", ["A# #B #A", "B# #A #B", "A# B# #A", "B# A# #B"])
def test_ab_programs_renamed_or_mirrored_are_one(same: str) -> None:
    source, entry = entry_of(Code(), "ab", 1)
    program = code._ab_program(entry)
    asked = {latent(source, entry["question"].replace(program, text)) for text in ("A# #B #A", same)}
    assert len(asked) == 1
    assert latent(source, entry["question"].replace(program, "A# #B #B")) not in asked


def test_filters_are_what_they_keep() -> None:
    source, _ = entry_of(Code(), "number_filtering", 1)
    asked = {"filter_value": "5", "original_numbers": ["1", "7", "9"]}
    same = latent(source, operation="keep_larger", **asked)
    assert latent(source, operation="remove_smaller", **asked | {"original_numbers": ["9", "1", "7"]}) == same
    assert latent(source, operation="keep_smaller", **asked) != same
    assert latent(source, operation="keep_smaller", **asked) == latent(source, operation="remove_larger", **asked)


def test_three_quarter_turns_and_seven_are_one() -> None:
    source, _ = entry_of(Code(), "rotate_matrix", 1)
    assert latent(source, num_rotations=3, matrix=[[1, 2], [3, 4]]) == latent(source, num_rotations=7, matrix=[[1, 2], [3, 4]])
    assert latent(source, num_rotations=3, matrix=[[1, 2], [3, 4]]) != latent(source, num_rotations=1, matrix=[[1, 2], [3, 4]])


def test_families_are_facts_in_any_order() -> None:
    source, _ = entry_of(QA(), "family_relationships", 1)
    stories = [
        "John is married to Mary. They have children called Owen and Zoe. Owen is married to Lisa.\n\nWhat is John to Zoe?",
        "Lisa is married to Owen. Mary is married to John. They have children called Zoe and Owen.\n\nHow is John related to Zoe?",
    ]
    assert len({latent(source, story, person1="John", person2="Zoe") for story in stories}) == 1
    assert len({latent(source, stories[0], person1="John", person2=other) for other in ("Zoe", "Owen")}) == 2


def test_knights_are_the_same_under_other_names_and_orders() -> None:
    source, _ = entry_of(QA(), "knights_knaves", 1)
    first = ("and", ("telling-truth", 1), ("lying", 0)), ("->", ("lying", 0), ("not", ("telling-truth", 1)))
    renamed = ("->", ("lying", 1), ("lying", 0)), ("and", ("lying", 1), ("telling-truth", 0))
    other = ("and", ("telling-truth", 1), ("lying", 0)), ("->", ("not", ("telling-truth", 1)), ("lying", 0))
    assert latent(source, statements=first) == latent(source, statements=renamed) != latent(source, statements=other)


# Entries that are drawn again


def fair(task: Gym, name: str, answer: str = "", question: str = "", **metadata: Any) -> bool:
    source = next(source for source in task.sources if source.name == name)
    return source.fair({"question": question, "answer": answer, "metadata": metadata})


FAMILY = "John is married to Mary. They have children called Owen and Anna. Anna is married to Jack. They have a child called Zoe.\n\n?"
AB = "Now, consider the following program:\n\nA# #B\n\nReturn"


@pytest.mark.parametrize(
    ("used", "drawn_again"),
    [
        (fair(Math(), "gcd", result=5), fair(Math(), "gcd", result=4)),
        (
            fair(Math(), "fraction_simplification", simplified_denominator=2),
            fair(Math(), "fraction_simplification", simplified_denominator=1),
        ),
        (fair(Code(), "ab", "#B A#", AB), fair(Code(), "ab", "A# #B", AB)),
        (fair(Code(), "ab", "#B A#", AB), fair(Code(), "ab", "", AB)),
        *[
            (fair(Code(), "string_manipulation", states=["cbb", "cb"], selected_rules=["x"]), again)
            for again in (
                fair(Code(), "string_manipulation", states=["cbb", "cb"], selected_rules=[code._CB]),
                fair(Code(), "string_manipulation", states=["a" * 16, "a" * 15], selected_rules=[code._MIDDLE]),
                fair(Code(), "string_manipulation", states=["cbb"], selected_rules=["x"]),
                fair(Code(), "string_manipulation", states=["cb", ""], selected_rules=["x"]),
            )
        ],
        *[
            (fair(Code(), "manipulate_matrix", matrix=[[1, 2], [3, 4], [5, 6]], solution=[[1, 2], [5, 6]]), again)
            for again in (
                fair(Code(), "manipulate_matrix", matrix=[[1, 2], [3, 4]], solution=[[1, 2], [3, 4]]),
                fair(Code(), "manipulate_matrix", matrix=[[1, 2], [3, 4]], solution=[[3, 4]]),
                fair(Code(), "manipulate_matrix", matrix=[[1, 2], [3, 4]], solution=[[0]]),
            )
        ],
        *[
            (fair(Code(), "number_filtering", filter_value="5", original_numbers=["1", "9"], result=["9"]), again)
            for again in (
                fair(Code(), "number_filtering", filter_value="5", original_numbers=["1", "5.0"], result=["1"]),
                fair(Code(), "number_filtering", filter_value="5", original_numbers=["1", "9", "9.0"], result=["1"]),
                fair(Code(), "number_filtering", filter_value="5", original_numbers=["1", "2"], result=[]),
                fair(Code(), "number_filtering", filter_value="5", original_numbers=["1", "2"], result=["1", "2"]),
            )
        ],
        *[
            (fair(Code(), "word_sorting", sorted_words=["a", "b"], transformed_words=["b", "a"]), again)
            for again in (
                fair(Code(), "word_sorting", sorted_words=["a", "b"], transformed_words=["a", "b"]),
                fair(Code(), "word_sorting", sorted_words=["_a", "b"], transformed_words=["b", "_a"]),
            )
        ],
        (fair(Code(), "base_conversion", "10", source_repr="2"), fair(Code(), "base_conversion", "10", source_repr="10")),
        (
            fair(Code(), "spiral_matrix", matrix=[[1, 2], [3, 4]], solution=[1, 2, 4, 3]),
            fair(Code(), "spiral_matrix", matrix=[[1, 2], [4, 4]], solution=[1, 2, 4, 4]),
        ),
        (
            fair(Code(), "rotate_matrix", matrix=[[1, 2], [3, 4]], solution=[[3, 1], [4, 2]]),
            fair(Code(), "rotate_matrix", matrix=[[1, 1], [1, 1]], solution=[[1, 1], [1, 1]]),
        ),
        (
            fair(QA(), "family_relationships", "niece", FAMILY, person1="Zoe", person2="Owen"),
            fair(QA(), "family_relationships", "nephew", FAMILY, person1="Zoe", person2="Owen"),
        ),
        (
            fair(QA(), "family_relationships", "wife", FAMILY, person1="Mary", person2="John"),
            fair(QA(), "family_relationships", "father-in-law", FAMILY, person1="Jack", person2="John"),
        ),
    ],
)
def test_entries_with_wrong_or_easy_keys_are_drawn_again(used: bool, drawn_again: bool) -> None:
    assert used and not drawn_again


@pytest.mark.parametrize(("more", "used"), [("Eva scorns tea. ", True), ("Eva scorns cooking. ", False)])
def test_needles_that_two_people_answer_are_drawn_again(more: str, used: bool) -> None:
    source = next(source for source in QA.sources if source.name == "needle_haystack")
    asked = "Who scorns cooking? Reply only with a name."
    stack = f"Leo scorns cooking. Ann loves cooking. {more}\n{asked}"
    assert source.fair({"question": stack, "answer": "Leo", "metadata": {"question": asked}}) is used


def test_a_dataset_without_fair_entries_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_TRIES", 50)
    monkeypatch.setattr(base, "_dataset", lambda source, level: range(2**48))
    source = Source("gcd", 1, ({},), str, answers.integer, answers.wrong_integer, fair=lambda entry: False)
    with pytest.raises(RuntimeError, match="gcd, level 1: no fair entry in 50"):
        source.entry(1, random.Random(0))


@pytest.mark.parametrize("task", [math.Math, code.Code, qa.QA], ids=lambda task: task.domain)
def test_source_names_are_different(task: type[Gym]) -> None:
    names = [source.name for source in task.sources]
    assert len(set(names)) == len(names)
    assert sum(source.weight for source in task.sources) == 100
    assert all(
        f"{source.name} {source.weight} %" in re.sub(" +", " ", sys.modules[task.__module__].__doc__ or "") for source in task.sources
    )
