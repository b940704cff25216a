"""Finding methods by name or file, and giving them settings."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest

from bench import registry
from bench.errors import UserError
from bench.method import Method, Stage, Track, Training
from bench.registry import describe, described, make_method, method_class, method_names

CONTROLS = ["interpolate", "longer", "none", "random", "relearn", "revert", "sharpen", "shrink"]
STAGES = ["cpr", "ewc", "kl", "l2", "replay"]
REPAIRS = [
    "dare",
    "magmax",
    "mean_imm",
    "mode_imm",
    "opd",
    "projection",
    "ram",
    "refresh",
    "rft",
    "rollback",
    "stage_ties",
    "task_arithmetic",
    "ties",
]
SEARCHED = 8
"""Settings that tuning tries for each proposed method."""
NAMES = ["joint", *CONTROLS, *STAGES, *REPAIRS]

OWN = '''
"""A method of my own."""
from bench.method import Method, Training


class Mine(Method):
    """steps: how many."""

    steps: int = 4

    def recover(self, checkpoint, targets, history):
        return history.train(checkpoint, Training.on(*targets, steps=self.steps))
'''


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert text.strip()
    assert "\n" not in text
    return text


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


# --- by name


def test_names_are_the_files_of_baselines() -> None:
    assert sorted(NAMES) == method_names()
    assert method_names() == sorted(method_names())


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_method_with_working_defaults(name: str) -> None:
    method = make_method(name, {})
    assert isinstance(method, Method)
    assert type(method).__module__ == f"baselines.{name}"
    assert method.track in get_args(Track)
    assert type(method).__doc__
    json.dumps(described(name, {}).record.model_dump(mode="json"), allow_nan=False)


def test_which_baselines_are_controls() -> None:
    """DESIGN's controls in every table; `joint` is a reference line and no method."""
    controls = {name for name in NAMES if method_class(name).controls}
    assert controls == set(CONTROLS)
    assert {name for name in NAMES if method_class(name).track == "reference"} == {"joint"}


def test_what_each_baseline_alters() -> None:
    altered = {name for name in NAMES if not method_class(name).plain_stages()}
    assert altered == {"joint", "longer", *STAGES}
    repairing = {name for name in NAMES if method_class(name).repairs()}
    assert repairing == {*CONTROLS, *REPAIRS} - {"none", "longer"}


@pytest.mark.parametrize("name", [*STAGES, *REPAIRS])
def test_every_proposal_says_where_to_search(name: str) -> None:
    """As many combinations each, all different, so that none is tuned harder than the others."""
    search = method_class(name).search
    combinations = [dict(zip(search, values, strict=True)) for values in itertools.product(*search.values())]
    assert len(combinations) == SEARCHED
    found = [make_method(name, chosen).settings() for chosen in combinations]
    assert all(found[0].keys() >= chosen.keys() for chosen in combinations)
    assert all(found.count(settings) == 1 for settings in found)


def test_controls_and_references_are_not_tuned() -> None:
    assert all(not method_class(name).search for name in [*CONTROLS, "joint"])


def test_a_method_of_defaults_is_the_plain_run() -> None:
    class Idle(Method):
        pass

    stage = Stage(1, "math", ("code", "math"))
    assert Idle().stage(stage, None) == Training.on("math")
    mark = object()
    assert Idle().after_stage(stage, mark, None) is mark
    assert Idle().recover(mark, ("code",), None) is mark
    assert Idle.plain_stages()
    assert not Idle.repairs()


def test_altering_after_stage_alone_makes_stages_of_its_own() -> None:
    class After(Method):
        def after_stage(self, stage: Stage, checkpoint: Any, history: Any) -> Any:
            return checkpoint

    assert not After.plain_stages()


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UserError) as error:
        method_class("rolback")
    assert one_line(error) == "unknown method 'rolback': did you mean rollback?"
    with pytest.raises(UserError) as error:
        method_class("zzzz")
    assert all(name in one_line(error) for name in NAMES)


@pytest.mark.parametrize("name", ["__init__", "../baselines/none", "", "None_"])
def test_what_is_no_name_is_not_imported(name: str) -> None:
    with pytest.raises(UserError):
        method_class(name)


# --- settings


@pytest.mark.parametrize(
    ("name", "key", "given", "expected"),
    [
        ("refresh", "steps", "30", 30),
        ("refresh", "steps", 30, 30),
        ("replay", "share", "0.5", 0.5),
        ("rollback", "share", "1e-2", 0.01),
        ("rollback", "step", 1, 1.0),
        ("rollback", "rank", "magnitude", "magnitude"),
        ("random", "match", "count", "count"),
        ("random", "share", "0.1", 0.1),  # inherited from rollback
        ("random", "rank", "gradient", "gradient"),
        ("interpolate", "alphas", [0, "0.5", 1.0], (0.0, 0.5, 1.0)),
        ("interpolate", "alphas", ["0", "1"], (0.0, 1.0)),  # what the command line makes of 0:1
        ("sharpen", "scales", (1, 3), (1.0, 3.0)),
    ],
)
def test_settings_take_their_types(name: str, key: str, given: Any, expected: Any) -> None:
    value = make_method(name, {key: given}).settings()[key]
    assert value == expected
    assert type(value) is type(expected)
    if isinstance(expected, tuple):
        assert {type(part) for part in value} == {float}


def test_other_settings_stay_and_none_is_shared() -> None:
    changed = make_method("rollback", {"share": "0.2", "prompts": "64"})
    assert changed.settings() == {"share": 0.2, "step": 1.0, "rank": "fisher", "prompts": 64}
    assert make_method("rollback", {}).settings()["share"] == 0.05


def test_a_mistyped_setting_gives_the_nearest() -> None:
    with pytest.raises(UserError) as error:
        make_method("refresh", {"stpes": "3"})
    text = one_line(error)
    assert "'stpes'" in text
    assert "did you mean steps?" in text
    assert "refresh" in text


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("refresh", "steps", "many", "integer"),
        ("refresh", "steps", "2.5", "integer"),
        ("rollback", "share", "a lot", "number"),
        ("rollback", "rank", "fishr", "'fisher', 'magnitude' or 'gradient'"),
        ("random", "match", "both", "'count' or 'norm'"),
        ("interpolate", "alphas", ["x"], "number"),
        ("ties", "share", "1.5", "(0, 1]"),
    ],
)
def test_a_bad_value_is_told_in_one_line(name: str, key: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        make_method(name, {key: value})
    text = one_line(error)
    assert key in text
    assert name in text
    assert said in text


def test_a_setting_for_a_method_without_any_is_refused() -> None:
    with pytest.raises(UserError) as error:
        make_method("none", {"steps": "3"})
    assert "none" in one_line(error)


@pytest.mark.parametrize("key", ["track", "controls", "search"])
def test_a_class_variable_is_no_setting(key: str) -> None:
    with pytest.raises(UserError):
        make_method("refresh", {key: "open"})


def test_a_method_without_settings_says_so() -> None:
    with pytest.raises(UserError, match="takes no settings"):
        make_method("none", {"steps": "3"})


# --- by file


RECOVER = "    def recover(self, checkpoint, targets, history): return checkpoint"
STAGE = "    def stage(self, stage, history): return Training.on(stage.domain)"


@pytest.mark.parametrize(
    ("body", "settings", "said"),
    [
        (RECOVER.replace("recover(", "recovery("), {}, "overrides none of stage, after_stage and recover"),
        (STAGE, {}, 'track light keeps the plain stages.*set track = "during"'),
        (f"    track = 'training-free'\n{STAGE}", {}, "track training-free keeps the plain stages"),
        (f"    alpha = 0.3\n{RECOVER}", {"alpha": "1"}, "alpha is no setting: .*`alpha: float = "),
        (f"    search: dict = {{}}\n{RECOVER}", {}, "search is no setting: write it without an annotation"),
        (
            "    pass\n\n\nclass Slip(Refresh):\n    steps = 30",
            {},
            "change the default of steps, write it with its annotation: `steps: int = ",
        ),
    ],
)
def test_a_class_that_says_something_else_than_its_author_means(tmp_path: Path, body: str, settings: dict[str, str], said: str) -> None:
    file = tmp_path / "slip.py"
    imports = "from baselines.refresh import Refresh\nfrom bench.method import Method, Training\n"
    file.write_text(f"{imports}\n\nclass Slip(Method):\n{body}\n")
    with pytest.raises(UserError, match=said) as error:
        describe(f"{file}:Slip", settings)
    assert one_line(error)


def test_a_changed_default_of_any_type_names_its_annotation(tmp_path: Path) -> None:
    """An annotation that is no class has no name of its own."""
    file = tmp_path / "mine.py"
    body = f"class First(Method):\n    start: int | None = None\n{RECOVER}\n\n\nclass Second(First):\n    start = 3\n"
    file.write_text(f"from bench.method import Method\n\n\n{body}")
    with pytest.raises(UserError, match=r"Second: to change the default of start, .*`start: int \| None = "):
        describe(f"{file}:Second")


def test_what_every_method_has_is_no_setting_to_be_annotated() -> None:
    for key in ("track", "recover", "settings"):
        with pytest.raises(UserError, match=f"setting of refresh.*{key}"):
            make_method("refresh", {key: "1"})


def test_class_variables_may_be_annotated_as_such(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        f"from typing import ClassVar\nfrom bench.method import Method\n\n\nclass Mine(Method):\n    track: ClassVar = 'open'\n{RECOVER}\n"
    )
    assert describe(str(file)).record.track == "open"


def test_a_method_that_changes_the_stages_names_its_track(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(f"from bench.method import Method, Training\n\n\nclass Own(Method):\n    track = 'during'\n{STAGE}\n")
    assert describe(str(file)).record.own_stages


def test_a_class_of_a_file(own: Path) -> None:
    method = make_method(f"{own}:Mine", {"steps": "7"})
    assert type(method).__name__ == "Mine"
    assert method.settings() == {"steps": 7}
    assert type(make_method(str(own), {})).__name__ == "Mine", "the only class needs no name"


def test_imported_methods_are_not_a_files_own(tmp_path: Path) -> None:
    path = tmp_path / "child.py"
    path.write_text("from baselines.rollback import Rollback\n\n\nclass Child(Rollback):\n    more: int = 1\n")
    method = make_method(str(path), {"share": "0.5"})
    assert type(method).__name__ == "Child"
    assert method.settings() == {"share": 0.5, "step": 1.0, "rank": "fisher", "prompts": 32, "more": 1}


def test_an_edited_file_is_read_again(own: Path) -> None:
    assert make_method(str(own), {}).settings() == {"steps": 4}
    own.write_text(OWN.replace("steps: int = 4", "steps: int = 55"))
    assert make_method(str(own), {}).settings() == {"steps": 55}


TWO = OWN + "\n\nclass Other(Method):\n    pass\n"


@pytest.mark.parametrize(
    ("source", "wanted", "said"),
    [
        (None, "", "no file"),
        (OWN, ":Mime", "did you mean Mine?"),
        (TWO, "", "name the class"),
        ("x = 1\n", "", "no subclass"),
        ("from bench.method import Method\n", "", "no subclass"),
        ("def broken(:\n", "", "SyntaxError"),
        ("import no_such_module_here\n", "", "ModuleNotFoundError"),
        ("raise ValueError('because')\n", "", "ValueError: because"),
        (OWN.replace("steps: int = 4", "steps: list = []"), "", "mutable default"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(tmp_path: Path, source: str | None, wanted: str, said: str) -> None:
    path = tmp_path / "broken.py"
    if source is not None:
        path.write_text(source)
    with pytest.raises(UserError) as error:
        method_class(f"{path}{wanted}")
    text = one_line(error)
    assert str(path) in text
    assert said in text


def test_an_error_of_several_lines_is_told_in_one(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("raise ValueError('one\\ntwo')\n")
    with pytest.raises(UserError) as error:
        method_class(str(path))
    one_line(error)


def test_annotations_for_type_checkers_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "typed.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "from bench.method import Method\n"
        "if TYPE_CHECKING:\n    from bench.checkpoint import Checkpoint\n"
        f"class Typed(Method):\n    steps: int = 4\n    start: Checkpoint | None = None\n{RECOVER}\n"
    )
    assert make_method(str(path), {"steps": "5"}).settings()["steps"] == 5


# --- what a method is


def test_a_record_is_plain_and_complete() -> None:
    record = described("interpolate", {"alphas": [0, 1]}).record
    assert (record.reference, record.name, record.track, record.control) == ("interpolate", "interpolate", "light", True)
    assert record.settings == {"alphas": [0.0, 1.0]}
    assert (record.own_stages, record.repairs, record.from_package) == (False, True, True)
    assert len(record.source) == 64
    assert json.loads(record.model_dump_json()) == record.model_dump(mode="json")


def test_given_are_the_chosen_settings_in_their_types() -> None:
    assert described("rollback", {"share": "0.2", "prompts": "64"}).given == {"share": 0.2, "prompts": 64}


def test_source_is_of_the_code_not_of_comments(own: Path) -> None:
    def source() -> str:
        return described(f"{own}:Mine", {}).record.source

    first = source()
    own.write_text(OWN.replace("A method of my own.", "Another word.") + "\n# a comment\n")
    assert source() == first
    own.write_text(OWN.replace("steps=self.steps", "steps=self.steps + 1"))
    assert source() != first


def test_a_files_method_is_named_by_its_class(own: Path) -> None:
    assert described(f"{own}:Mine", {}).record.name == described(str(own), {}).record.name == "Mine"


def test_two_files_of_one_name_keep_their_own_source(own: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "mine.py"
    other.parent.mkdir()
    other.write_text(OWN.replace("steps: int = 4", "steps: int = 5"))
    one, two = (described(str(path), {}).record for path in (own, other))
    assert one.source != two.source
    assert described(str(own), {}).record == one


# --- a user's file is read by another process


def test_a_file_is_described_without_being_imported_here(own: Path) -> None:
    own.write_text(OWN + "\nimport os, pathlib\npathlib.Path(__file__).with_suffix('.pid').write_text(str(os.getpid()))\n")
    found = describe(f"{own}:Mine", {"steps": "7"})
    assert int(own.with_suffix(".pid").read_text()) != os.getpid()
    assert found.given == {"steps": 7}


SAID = "print('hello'); import sys; sys.stdout.flush()\n"
POST = OWN + "\n    def __post_init__(self):\n        raise RuntimeError('one\\ntwo')\n"
UNREADABLE = {
    "latin-1": (b"NAME = 'caf\xe9'\n" + OWN.encode(), "cannot be loaded"),
    "exit at import": (b"import sys\nsys.exit(0)\n" + OWN.encode(), "SystemExit"),
    "end at import": (b"import os\nos._exit(0)\n", "ended its process with code 0"),
    "question at import": (b"input('go on?')\n", "EOFError"),
    "breakpoint at import": (b"breakpoint()\n", "breakpoint()"),
    "NaN": (OWN.replace("steps: int = 4", "steps: float = float('nan')").encode(), "must be a finite number"),
    "no track": (OWN.replace('    """steps: how many."""', "    track = None").encode(), "unknown track"),
    "post init": (POST.encode(), "RuntimeError: one two"),
    "no default": (OWN.replace("steps: int = 4", "steps: int").encode(), "every setting needs a default"),
    "a setting that is no JSON": (OWN.replace("steps: int = 4", "steps: object = object()").encode(), "must be a finite number"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_file_that_cannot_be_used_is_one_line(what: str, tmp_path: Path) -> None:
    content, said = UNREADABLE[what]
    path = tmp_path / "mine.py"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        describe(f"{path}:Mine")
    text = one_line(error)
    assert said in text
    assert str(path) in text or "mine.py" in text


def test_what_a_file_prints_is_not_taken_for_the_answer(own: Path) -> None:
    own.write_text(SAID + OWN)
    assert describe(f"{own}:Mine").record.settings == {"steps": 4}


def test_an_edited_file_is_described_again(own: Path) -> None:
    first = describe(str(own)).record
    own.write_text(OWN.replace("steps: int = 4", "steps: int = 55"))
    os.utime(own, ns=(1, 1))
    assert describe(str(own)).record.settings == {"steps": 55} != first.settings


def test_a_file_that_never_ends_is_given_up(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr("bench.registry.IMPORT_SECONDS", 3)
    with pytest.raises(UserError, match="took more than 3 s"):
        describe(str(own))


def test_a_file_is_read_once_for_each_choice_of_settings(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it may mean importing torch."""
    asked = []
    apart = registry._described_apart
    monkeypatch.setattr(registry, "_described_apart", lambda reference, choices: asked.append(len(choices)) or apart(reference, choices))
    plain = describe(str(own))
    seven, default = registry.describe_all(str(own), [{"steps": "7"}, {"steps": "4"}])
    assert asked == [1, 2]
    assert describe(str(own), {"steps": 7}) == seven
    assert describe(str(own), {"steps": 4}) == default
    assert describe(str(own)) == plain
    assert asked == [1, 2]
    assert (seven.record.settings, plain.given, default.given) == ({"steps": 7}, {}, {"steps": 4})
