"""Suites: what ships is what DESIGN says, unknown names give the nearest, a bad file gives one line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import UserError, nearest
from bench.suite import DEVELOPMENT_SEEDS, FOLDER, SCORED_SEEDS, Suite, load_suite, suite_names

MICRO = yaml.safe_load((FOLDER / "micro.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def suite() -> Suite:
    return load_suite("micro")


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert text.strip()
    assert "\n" not in text
    return text


def write(folder: Path, without: str = "", **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in (MICRO | changes).items() if key != without}))
    return path


# --- what ships


def test_every_shipped_suite_loads_under_its_own_name() -> None:
    assert "micro" in suite_names()
    for name in suite_names():
        for quick in (False, True):
            assert load_suite(name, quick=quick).name == name


def test_the_paper_sequences(suite: Suite) -> None:
    assert suite.sequence("paper") == ("code", "math", "qa", "cw")
    assert suite.sequence("math-qa") == ("math", "qa")
    assert set(suite.domains) == {"code", "math", "qa", "cw"}
    assert suite.id == f"micro/{suite.version}"


def test_the_balanced_design_is_a_williams_square(suite: Suite) -> None:
    """Every domain once at every place, and right after every other domain once."""
    square = [suite.sequence(name) for name in ("paper", "balanced-2", "balanced-3", "balanced-4")]
    for place in range(4):
        assert {sequence[place] for sequence in square} == set(suite.domains)
    pairs = [pair for sequence in square for pair in pairwise(sequence)]
    assert len(pairs) == len(set(pairs)) == 12


def test_scored_and_development_seeds_are_different() -> None:
    assert not set(SCORED_SEEDS) & set(DEVELOPMENT_SEEDS)
    assert (len(SCORED_SEEDS), len(DEVELOPMENT_SEEDS)) == (10, 10)


def test_tasks_are_those_of_their_domains(suite: Suite) -> None:
    assert {domain: task.domain for domain, task in suite.loaded_tasks.items()} == {d: d for d in suite.domains}


def test_items_are_fixed_and_their_latents_differ(suite: Suite) -> None:
    small = load_suite("micro", quick=True)
    test, validation = small.items("math", "test"), small.items("math", "validation")
    assert (len(test), len(validation)) == (small.test_items, small.validation_items)
    assert len({item.latent for item in [*test, *validation]}) == len(test) + len(validation)
    assert load_suite("micro", quick=True).items("math", "test") == test


# --- quick


def test_quick_is_shorter_and_not_comparable(suite: Suite) -> None:
    quick = load_suite("micro", quick=True)
    assert suite.comparable
    assert not quick.comparable
    assert quick.test_items < suite.test_items
    assert quick.rl["steps"] < suite.rl["steps"]
    assert quick.rl["learning_rate"] == suite.rl["learning_rate"], "settings that quick does not name stay"
    assert quick.fingerprint() != suite.fingerprint()


def test_quick_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, test_items=100, rl={"steps": 50, "group": 4}, quick={"test_items": 7, "rl": {"steps": 2}})
    plain, quick = load_suite(str(path)), load_suite(str(path), quick=True)
    assert (plain.test_items, plain.rl, plain.comparable) == (100, {"steps": 50, "group": 4}, True)
    assert (quick.test_items, quick.rl, quick.comparable) == (7, {"steps": 2, "group": 4}, False)
    without = load_suite(str(write(tmp_path, without="quick")), quick=True)
    assert (without.test_items, without.comparable) == (MICRO["test_items"], False)


def test_fingerprint_is_of_the_content(suite: Suite, tmp_path: Path) -> None:
    assert load_suite(str(write(tmp_path))).fingerprint() == suite.fingerprint()
    assert load_suite(str(write(tmp_path, memory_gb=7))).fingerprint() == suite.fingerprint(), "what a machine needs is no result"
    changed = {
        load_suite(str(write(tmp_path, **change))).fingerprint()
        for change in ({"test_items": 5}, {"stage_flops": dict.fromkeys(("math", "code", "qa", "cw"), 2.0)})
    }
    assert suite.fingerprint() not in changed
    assert len(changed) == 2


def test_numbers_that_yaml_takes_for_text_are_numbers(tmp_path: Path) -> None:
    assert load_suite(str(write(tmp_path, rl={"learning_rate": "2e-6"}))).grpo.learning_rate == 2e-6


# --- targets


@pytest.mark.parametrize(
    ("sequence", "single", "every"),
    [
        (("code", "math", "qa", "cw"), ("math",), ("code", "math", "qa")),
        (("math", "qa"), ("math",), ("math",)),
        (("qa", "code", "cw", "math"), ("qa",), ("qa", "code", "cw")),  # math is last: nothing came after it
        (("qa", "code"), ("qa",), ("qa",)),
    ],
)
def test_targets(suite: Suite, sequence: tuple[str, ...], single: tuple[str, ...], every: tuple[str, ...]) -> None:
    assert suite.targets(sequence, "single") == single
    assert suite.targets(sequence, "all") == every


# --- unknown names


def test_tuned_settings_go_by_a_hub_models_whole_name_and_by_a_local_ones_last(suite: Suite, tmp_path: Path) -> None:
    plain = suite.board("balanced", "all")
    assert plain == f"{suite.id} paper all"
    assert suite.board("balanced", "all", "Qwen/Qwen3-0.6B@main") == f"{suite.id} Qwen/Qwen3-0.6B paper all"
    (tmp_path / "tiny").mkdir()
    assert suite.board("paper", "all", str(tmp_path / "tiny")) == f"{suite.id} tiny paper all"


def test_nearest_names_what_is_close_and_otherwise_all() -> None:
    assert str(nearest("colour", "gren", ["blue", "green"])) == "unknown colour 'gren': did you mean green?"
    assert str(nearest("colour", "xyz", ["red", "green"])) == "unknown colour 'xyz': known: green, red"
    assert "micro-11 or micro-2" in str(nearest("suite", "micro-1", ["micro-2", "micro-11"]))


def test_an_unknown_suite_gives_the_nearest() -> None:
    with pytest.raises(UserError) as error:
        load_suite("mirco")
    assert one_line(error) == "unknown suite 'mirco': did you mean micro?"


def test_a_suite_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load_suite(str(tmp_path / "absent.yaml"))
    assert "absent.yaml" in one_line(error)


def test_an_unknown_sequence_gives_the_nearest(suite: Suite) -> None:
    with pytest.raises(UserError) as error:
        suite.sequence("papper")
    assert one_line(error) == "unknown sequence 'papper': did you mean paper?"


def test_unknown_targets_give_the_nearest(suite: Suite) -> None:
    with pytest.raises(UserError) as error:
        suite.targets(("math", "qa"), "singel")
    assert one_line(error) == "unknown targets 'singel': did you mean single?"


# --- bad files


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"test_items": 0}, "test_items"),
        ({"test_items": "many"}, "test_items"),
        ({"stage_flops": {"math": -1.0}}, "stage_flops"),
        ({"base": {"folder": "micro", "content": "abc"}}, "base.content"),
        ({"base": {"folder": "micro", "content": "0" * 64, "sha": 1}}, "base.sha"),
        ({"tets_items": 5}, "tets_items"),
        ({"sequences": {"odd": ["math", "maths"]}}, "'odd'"),
        ({"sequences": {"odd": ["math", "qa", "math"]}}, "'odd'"),
        ({"sequences": {"odd": ["math"]}}, "'odd'"),
        ({"sequences": ["math", "qa"]}, "sequences"),
        ({"without": "title"}, "title"),
        ({"without": "rl"}, "rl"),
        ({"rl": {"learning_rte": 1e-4}}, "rl: learning_rte"),
        ({"rl": {"group": 1}}, "rl: group"),
        ({"rl": {"lora": {"rank": "many"}}}, "rl: lora.rank"),
        ({"rl": {"lora": {"rank": 0}}}, "rank=0"),
        ({"rl": {"learning_rate": float("inf")}}, "rl: learning_rate"),
        ({"rl": {"learning_rate": float("nan")}}, "rl: learning_rate"),
        ({"rl": {"learning_rate": 0.0}}, "rl: learning_rate"),
        ({"rl": {"steps": 2.5}}, "rl: steps"),
        ({"rl": {"steps": 10**6}}, "rl: steps"),
        ({"rl": {"prompts": 10**6}}, "rl: prompts"),
        ({"rl": {"steps": 1_001, "prompts": 1_000}}, "steps=1001 of prompts=1000 are more than 1,000,000 prompts"),
        ({"rl": {"group": 10**6}}, "rl: group"),
        ({"rl": {"kl": -5}}, "rl: kl"),
        ({"gpu_memory_gb": float("inf")}, "gpu_memory_gb"),
        ({"test_items": 1}, "test_items"),
        ({"test_items": 10**6}, "test_items"),
        ({"validation_items": 10**6}, "validation_items"),
        ({"prompting": {"prompt_tokens": 10**9}}, "prompting.prompt_tokens"),
        ({"prompting": {"chat": "thinking", "thinking_tokens": 10**9}}, "prompting.thinking_tokens"),
        ({"answers_at_once": 10**9}, "answers_at_once"),
        ({"levels": {"maths": [1]}}, "levels.maths: needs a domain of the suite"),
        ({"levels": {"math": []}}, "levels.math: needs a domain of the suite, and one or more different levels in order"),
        ({"levels": {"math": [2, 1]}}, "levels.math"),
        ({"levels": {"math": [1, 1]}}, "levels.math"),
        ({"levels": {"math": [0]}}, "levels.math.0"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_bad_field_is_named_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        load_suite(str(path))
    text = one_line(error)
    assert str(path) in text
    assert said in text


@pytest.mark.parametrize("text", ["a: [b\n", "a: b: c\n", "\tx", "- a\n- b\n", "", "just words", "5"])
@pytest.mark.parametrize("quick", [False, True])
def test_bad_yaml_gives_one_line(tmp_path: Path, text: str, quick: bool) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_suite(str(path), quick=quick)
    assert str(path) in one_line(error)


def test_quick_of_a_file_without_rl_gives_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rl"):
        load_suite(str(write(tmp_path, without="rl")), quick=True)


def test_a_file_that_is_no_text_gives_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError):
        load_suite(str(path))


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()
    with pytest.raises(UserError, match=r"mine\.yaml: cannot be read"):
        load_suite(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("text", ["a: " + "[" * 5_000 + "]" * 5_000, "a:\n" + "".join(" " * n + "a:\n" for n in range(1, 3_000))])
def test_yaml_nested_thousands_of_levels_deep_gives_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_suite(str(path))
    assert "nested too deeply" in one_line(error)


# --- tasks of a suite in a file of its own


OWN = """
from helper_of_suite import WORD
from tasks.task import Item, Task


class Own(Task):
    domain = "own"
    version = 1
    answer_tokens = 4

    def draw(self, rng):
        return Item("own", WORD, WORD, str(rng.random()), 1)

    def score(self, item, answer):
        return float(answer == WORD)

    def demonstrate(self, item, rng, high_quality, misread=0.0):
        return WORD
"""


def own_suite(folder: Path, text: str = OWN, place: str = "own.py:Own", **changes: Any) -> Path:
    """A suite of math and of a task in own.py, which imports a helper beside it."""
    (folder / "own.py").write_text(text)
    (folder / "helper_of_suite.py").write_text("WORD = 'one'\n")
    own = {"tasks": {"math": MICRO["tasks"]["math"], "own": place}, "sequences": {"both": ["math", "own"]}, "designs": {}}
    bare = {name: value for name, value in MICRO.items() if name not in ("base", "stage_flops", "quick")}
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(bare | own | changes))
    return path


def test_a_suite_with_a_task_of_its_own_loads(tmp_path: Path) -> None:
    suite = load_suite(str(own_suite(tmp_path)))
    assert suite.loaded_tasks["own"].domain == "own"
    assert len(suite.items("own", "validation")) == suite.validation_items


def test_the_helper_of_an_own_task_belongs_to_the_fingerprint(tmp_path: Path) -> None:
    path = own_suite(tmp_path)
    before = load_suite(str(path)).task_hash("own"), load_suite(str(path)).fingerprint()
    (tmp_path / "helper_of_suite.py").write_text("WORD = 'two'\n# longer\n")
    after = load_suite(str(path)).task_hash("own"), load_suite(str(path)).fingerprint()
    assert before[0] != after[0] and before[1] != after[1]
    assert load_suite(str(path)).items("own", "test")[0].prompt == "two"


@pytest.mark.parametrize(
    ("place", "edit", "said"),
    [
        ("own.py:Onw", ("", ""), "no subclass of tasks.task.Task named 'Onw' in 'own.py'"),
        ("other.py:Own", ("", ""), "no file"),
        ("tasks.micro.maths:Math", ("", ""), "ModuleNotFoundError: No module named 'tasks.micro.maths'"),
        ("tasks.micro.math:Maths", ("", ""), "named 'Maths' in 'tasks.micro.math'"),
        ("os:system", ("", ""), "no subclass of tasks.task.Task named 'system' in 'os'"),
        ("os:getcwd", ("", ""), "no subclass of tasks.task.Task named 'getcwd' in 'os'"),
        ("tasks.task:Task", ("", ""), "TypeError"),
        ("own.py", ("", ""), "named '' in 'own.py'"),
        ("", ("", ""), "ValueError"),
        ("own.py:Own", ('domain = "own"', 'domain = "onw"'), "class Own: its domain is 'onw', not 'own'"),
        ("own.py:Own", ('    domain = "own"\n', ""), "its domain is None"),
        ("own.py:Own", ("version = 1", "version = 'one'"), "version='one': must be a whole number"),
        ("own.py:Own", ("answer_tokens = 4", "answer_tokens = 10**9"), "answer_tokens=1000000000: must be a whole number from 1 to 32,768"),
        ("own.py:Own", ("answer_tokens = 4", "answer_tokens = 0"), "answer_tokens=0"),
        ("own.py:Own", ("answer_tokens = 4", "answer_tokens = 2.5"), "answer_tokens=2.5"),
        ("own.py:Own", ("answer_tokens = 4", "def __init__(self): raise SystemExit(0)"), "SystemExit: 0"),
        ("own.py:Own", ("from helper_of_suite import WORD", "import sys; sys.exit(0)"), "SystemExit: 0"),
        ("own.py:Own", ("from helper_of_suite import WORD", "WORD = input()"), "EOFError"),
    ],
)
def test_a_task_that_cannot_be_used_is_refused_when_the_file_is_read(tmp_path: Path, place: str, edit: tuple[str, str], said: str) -> None:
    path = own_suite(tmp_path, OWN.replace(*edit), place)
    with pytest.raises(UserError) as error:
        load_suite(str(path))
    text = one_line(error)
    assert "tasks.own" in text
    assert said in text


def test_a_loaded_task_keeps_the_hash_of_its_code_when_the_file_is_edited(tmp_path: Path) -> None:
    """Otherwise a run that goes on would store what the old code computes under the new code's hash."""
    path = own_suite(tmp_path)
    loaded = load_suite(str(path))
    before = loaded.task_hash("own")
    for name, text in (("own.py", OWN.replace("answer_tokens = 4", "answer_tokens = 14")), ("helper_of_suite.py", "WORD = 'three'\n")):
        (tmp_path / name).write_text(text)
        assert loaded.task_hash("own") == before
    again = load_suite(str(path))
    assert again.task_hash("own") != before
    assert again.loaded_tasks["own"].answer_tokens == 14


def test_a_task_with_too_few_items_says_so(tmp_path: Path) -> None:
    suite = load_suite(str(own_suite(tmp_path, OWN.replace("str(rng.random())", "str(rng.randint(1, 50))"), test_items=512)))
    with pytest.raises(UserError, match=r"task own: split 'test' has only \d+ latents .* not 512; widen .* fewer test_items"):
        suite.items("own", "test")


def test_two_classes_of_one_file_are_two_tasks(tmp_path: Path) -> None:
    task = (FOLDER.parents[1] / "tasks" / "micro" / "math.py").read_text()
    (tmp_path / "own.py").write_text(task + "\n\nclass Lenient(Math):\n    pass\n")
    content = yaml.safe_load((FOLDER / "micro.yaml").read_text())
    hashes = []
    for name in ("Math", "Lenient"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content | {"tasks": content["tasks"] | {"math": f"own.py:{name}"}}))
        hashes.append(load_suite(str(file)).task_hash("math"))
    assert hashes[0] != hashes[1]


def test_only_the_suites_own_base_has_constant_costs() -> None:
    suite = load_suite("micro")
    assert suite.is_own_base(suite.base.content)
    assert not suite.is_own_base("0" * 64)
    assert not load_suite("gym").is_own_base("0" * 64)


# --- levels


def with_levels(folder: Path, levels: dict[str, list[int]], **tasks: str) -> Suite:
    everyday = {"math": "tasks.everyday.math:Math", "qa": "tasks.everyday.qa:QA"}
    return load_suite(str(write(folder, levels=levels, tasks=MICRO["tasks"] | everyday | tasks)))


def test_levels_are_those_of_the_items_and_part_of_the_hash(tmp_path: Path) -> None:
    every, some, others = (with_levels(tmp_path, levels) for levels in ({}, {"math": [1, 2]}, {"math": [2]}))
    assert {item.level for item in every.items("math", "test")} == {1, 2, 3, 4}
    assert {item.level for item in some.items("math", "test")} == {1, 2}
    assert {item.level for item in some.items("qa", "test")} == {1, 2, 3, 4}
    assert len({suite.fingerprint() for suite in (every, some, others)}) == 3
    assert len({suite.task_hash("math") for suite in (every, some, others)}) == 3
    assert len({suite.task_hash("qa") for suite in (every, some, others)}) == 1


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ({"math": [3, 7]}, "levels.math: [3, 7]: its task has levels 1, 2, 3, 4"),
        ({"code": [1]}, "levels.code: [1]: its task has no levels to choose"),
    ],
)
def test_levels_that_a_task_does_not_have_are_refused(tmp_path: Path, levels: dict[str, list[int]], said: str) -> None:
    with pytest.raises(UserError) as error:
        with_levels(tmp_path, levels)
    assert one_line(error).endswith(said)


def test_a_base_lies_beside_the_suite_or_in_the_package(tmp_path: Path) -> None:
    suite = load_suite(str(write(tmp_path)))
    assert suite.base_folder == FOLDER / "micro"
    (tmp_path / "micro").mkdir()
    assert suite.base_folder == FOLDER / "micro", "an empty folder of that name is no base"
    (tmp_path / "micro" / "config.json").touch()
    assert suite.base_folder == tmp_path / "micro"
