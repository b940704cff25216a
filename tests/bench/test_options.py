"""The options: the same on the command line and in Python, checked in one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import bench.api
from bench import cli
from bench.errors import UserError
from bench.options import RUN, TUNE, Options, takes


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize(("name", "options"), [("run", RUN), ("compare", RUN), ("tune", TUNE)])
def test_python_takes_the_options_of_the_command_line(name: str, options: tuple[str, ...]) -> None:
    on_cli, in_python = parameters(getattr(cli, name)), parameters(getattr(bench.api, name))
    shared = set(options) - {"dry_run"}
    assert set(options) <= set(on_cli)
    assert shared <= set(in_python)
    assert set(in_python) - shared - {"display"} == set(on_cli) - set(options) - {"full"}, "and its own words"
    for option in shared:
        assert in_python[option].default == on_cli[option].default, option


def test_every_option_has_a_command() -> None:
    taken = {name for command in (cli.run, cli.compare, cli.tune, cli.import_) for name in parameters(command)}
    assert set(Options.__dataclass_fields__) <= taken


def test_run_and_compare_differ_in_the_number_of_seeds_alone() -> None:
    one, other = parameters(bench.api.run), parameters(bench.api.compare)
    assert {name for name in RUN if name in one and one[name].default != other[name].default} == {"seeds"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sed": 1}, "did you mean seed"),
        ({"seed": -1}, "--seed -1: must be at least 0"),
        ({"seeds": 0}, "must be at least 1"),
        ({"seed": True}, "--seed True: must be of type int"),
        ({"seed": "1"}, "must be of type int"),
        ({"quick": 1}, "must be of type bool"),
        ({"device": "gpu"}, "--device"),
        ({"targets": "al"}, "did you mean all"),
        ({"log_to": "tensorbord"}, "did you mean tensorboard"),
        ({"also_limit": 0}, "--also-limit 0"),
    ],
)
def test_a_bad_value_gets_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        Options.checked(**given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_tasks_are_a_text_or_a_list() -> None:
    assert Options.checked(also="a,b,").also == Options.checked(also=["a", "b"]).also == ("a", "b")


def test_a_default_of_a_command_is_its_own() -> None:
    @takes("seed", "seeds", seeds=5)
    def count(*, options: Options) -> tuple[int, int]:
        return options.seed, options.seeds

    assert count() == (0, 5)
    assert count(seeds=2, seed=3) == (3, 2)
    with pytest.raises(TypeError):
        count(jobs=1)
