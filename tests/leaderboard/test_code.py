"""What is read from a method's text: what it asks of a history, its settings, and which functions it has."""

from __future__ import annotations

import ast

import pytest

from leaderboard.code import facts_of, requests

RECOVER = "    def recover(self, checkpoint, targets, history):\n        "
ASKED = {
    "inherits": ("class Mine(Refresh):\n    steps: int = 3", {"train"}),
    "overrides": (f"class Mine(Refresh):\n{RECOVER}return history.base", {"base"}),
    "overrides what its base overrides": (
        f"class Other(Refresh):\n    steps: int = 1\nclass Mine(Other):\n{RECOVER}return history.base",
        {"base"},
    ),
    "overrides by a name": ("rec = lambda self, checkpoint, targets, history: checkpoint\nclass Mine(Refresh):\n    recover = rec", set()),
    "calls super": (f"class Mine(Refresh):\n{RECOVER}return super().recover(history.base, targets, history)", {"base", "train"}),
    "calls its base": (f"class Mine(Refresh):\n{RECOVER}return Refresh.recover(self, checkpoint, targets, history)", {"train"}),
    "calls another method": (
        f"from baselines.relearn import Relearn as R\nclass Mine(Method):\n{RECOVER}return R().recover(0, 0, history)",
        {"base", "train"},
    ),
    "of a module": (
        f"from baselines import refresh\nclass Mine(Method):\n{RECOVER}return refresh.Refresh().recover(0, 0, history)",
        {"train"},
    ),
    "of everything in a module": (
        f"from baselines.relearn import *\nclass Mine(Method):\n{RECOVER}return Relearn().recover(0, 0, history)",
        {"base", "train"},
    ),
    "of two modules": (
        f"import baselines.relearn\nimport baselines.revert\nclass Mine(Method):\n{RECOVER}return baselines.relearn.Relearn()",
        {"base", "checkpoint", "train"},
    ),
    "in a helper": (
        f"def helper(h):\n    return again(h)\ndef again(h):\n    return h.expert\nclass Mine(Method):\n{RECOVER}return helper(history)",
        {"expert"},
    ),
    "by attrgetter": (f"import operator\nclass Mine(Method):\n{RECOVER}return operator.attrgetter('train')(history)()", {"train"}),
    "by a pattern": (f"class Mine(Method):\n{RECOVER}match history:\n            case object(train=t): return t()", {"train"}),
    "not by another class": (
        f"class Other(Method):\n{RECOVER}return history.train(0)\nclass Mine(Method):\n{RECOVER}return checkpoint",
        set(),
    ),
    "of a history called self": (
        "class Mine(Method):\n    def recover(own, checkpoint, targets, self):\n        return self.train(0)",
        {"train"},
    ),
    "of a history called like a module": (
        f"import math as history\nclass Mine(Method):\n{RECOVER}return history.train(0)",
        {"train"},
    ),
    "not by a setting": (f"class Mine(Method):\n    train: bool = False\n{RECOVER}return checkpoint if self.train else None", set()),
    "not of another module": (f"import random\nclass Mine(Method):\n{RECOVER}return random.sample([checkpoint], 1)[0]", set()),
}


@pytest.mark.parametrize("how", ASKED)
def test_what_a_method_asks_of_a_history(how: str) -> None:
    code, uses = ASKED[how]
    facts = facts_of(f"from bench.method import Method\nfrom baselines.refresh import Refresh\n{code}\n", "Mine")
    assert facts is not None
    assert facts.uses == uses


AFTER = "    def after_stage(self, stage, checkpoint, history):\n        "
REPAIRS = {
    "itself": (f"{AFTER}return checkpoint\n{RECOVER}return history.train(checkpoint)", True),
    "in a function of its own": (f"{RECOVER}return self.fit(history)\n    def fit(self, h):\n        return h.train(0)", True),
    "by way of a helper of the file": (f"{RECOVER}return helper(self, history)\n    def fit(self, h):\n        return h.train(0)", True),
    "by a function's name": (f"{RECOVER}return getattr(self, 'fit')(history)\n    def fit(self, h):\n        return h.train(0)", True),
    "as after a stage": (f"{AFTER}return history.train(checkpoint)\n{RECOVER}return self.after_stage(0, checkpoint, history)", True),
    "only after stages": (
        f"{AFTER}return self.fit(history)\n{RECOVER}return checkpoint\n    def fit(self, h):\n        return h.train(0)",
        False,
    ),
}


@pytest.mark.parametrize("how", REPAIRS)
def test_whether_the_repair_trains(how: str) -> None:
    code, trains = REPAIRS[how]
    facts = facts_of(f"from bench.method import Method\ndef helper(self, h):\n    return self.fit(h)\nclass Mine(Method):\n{code}\n")
    assert facts is not None
    assert "train" in facts.uses
    assert ("train" in facts.asked_by("recover")) is trains


@pytest.mark.parametrize(("code", "trains"), [("pass", True), (f"x = 1\n{RECOVER}return checkpoint", False)])
def test_whether_an_inherited_repair_trains(code: str, trains: bool) -> None:
    facts = facts_of(f"from baselines.refresh import Refresh\nclass Mine(Refresh):\n    {code}\n")
    assert facts is not None
    assert ("train" in facts.asked_by("recover")) is trains


def test_a_function_by_another_name_repairs() -> None:
    facts = facts_of(
        "from bench.method import Method\ndef rec(self, c, t, h):\n    return c\nclass Mine(Method):\n    recover = stage = rec\n", "Mine"
    )
    assert facts is not None
    assert (facts.repairs, facts.own_stages) == (True, True)


def test_fields_that_are_no_settings() -> None:
    fields = "    _: KW_ONLY\n    steps: int = 3\n    shared: ClassVar[int] = 1\n    once: InitVar[int] = 2\n"
    facts = facts_of(f"from bench.method import Method\nclass Mine(Method):\n{fields}", "Mine")
    assert facts is not None
    assert (facts.settings, facts.unsure) == ({"steps"}, "")
    facts = facts_of("from bench.method import Method\nclass Mine(Method):\n    if True:\n        steps: int = 3\n", "Mine")
    assert facts is not None
    assert facts.unsure == "Mine has settings under a condition"


def test_code_is_read_once_however_often_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few kB could take minutes otherwise."""
    count = 60
    helpers = "".join(f"def f{n}(h):\n    return f{n + 1}(h)\n" for n in range(count)) + f"def f{count}(h):\n    return h.train(0)\n"
    functions = "".join(f"    def g{n}(self, history):\n        return f0(history)\n" for n in range(count))
    read = []
    walk = ast.walk
    monkeypatch.setattr(requests.ast, "walk", lambda node: read.append(node) or walk(node))
    facts = facts_of(f"from bench.method import Method\n{helpers}class Mine(Method):\n{functions}{RECOVER}return f0(history)\n", "Mine")
    assert facts is not None
    assert facts.uses == {"train"}
    assert len(read) < 5 * count
