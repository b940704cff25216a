"""build-base: a folder that a suite can take as its base, the scores of that base, and one line for a suite without a recipe."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml
from own_base import write_suite
from typer.testing import CliRunner

from bench import hardware
from bench.checkpoint import Checkpoint, Store
from bench.cli import app
from bench.errors import UserError
from bench.files import MODELS_VARIABLE
from bench.storage.cache import Cache
from bench.suite import ADAPTER, FOLDER, load_suite
from bench.training.bases import micro, warm_up
from bench.training.bases.own import add_own_base
from bench.training.models import load_tokenizer
from bench.worker import building
from bench.worker.building import build_base, scores_table
from bench.worker.workbench import Workbench


@pytest.fixture
def suite_file(tiny_gguf: Path, chat_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `write_suite` makes it; the warm-up has two steps."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(warm_up, "Recipe", partial(warm_up.Recipe, steps=2, rows={}, other_rows=2, rank=2, warmup=1))
    return write_suite(tmp_path, tiny_gguf, chat_suite)


def test_what_it_builds_is_a_suites_base(suite_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build_base(load_suite(str(suite_file)), tmp_path / "out")
    said = capsys.readouterr().out
    content = said.partition("content ")[2].split(",")[0]
    assert "another base than the suite's" in said
    settings = yaml.safe_load(suite_file.read_text())
    settings["base"] |= {"folder": "out", "content": content}
    suite_file.write_text(yaml.safe_dump(settings))
    suite = load_suite(str(suite_file))
    base = add_own_base(Store(tmp_path / "store"), suite)
    assert base.hash == content
    assert load_tokenizer(base.folder).chat_template == warm_up.TEMPLATE
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {ADAPTER, "config.json", "generation_config.json", "tokenizer.json"}
    build_base(suite, tmp_path / "again")
    assert f"content {content}, the suite's base" in capsys.readouterr().out


def test_an_interruption_while_it_scores_loses_no_step(
    suite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*given: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "scores_table", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build_base(load_suite(str(suite_file)), tmp_path / "out")
    monkeypatch.setattr(warm_up, "batch", interrupted)
    build_base(load_suite(str(suite_file)), tmp_path / "out")
    assert "| greedy" in capsys.readouterr().out
    assert not (tmp_path / "out" / "unfinished.pt").exists()


@pytest.mark.parametrize("name", ["config.json", "notes.txt", "model"])
def test_a_folder_with_other_files_is_refused_and_left_as_it_is(name: str, suite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    for suite in (str(suite_file), "micro"):
        with pytest.raises(UserError, match="out: not empty, and there is no unfinished base in it; choose an empty or a new folder"):
            build_base(load_suite(suite), tmp_path / "out")
    assert [(file.name, file.read_text()) for file in (tmp_path / "out").iterdir()] == [(name, "mine")]


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, {"step": 1}, [1]])
def test_a_damaged_unfinished_base_is_one_line(content: object, suite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "unfinished.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    for suite in (str(suite_file), "micro"):
        with pytest.raises(UserError, match=r"unfinished\.pt is damaged \(.*: remove it to begin again, or choose another --out") as error:
            build_base(load_suite(suite), tmp_path / "out")
        assert "\n" not in str(error.value)


def test_it_prints_what_the_base_scores(suite_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = load_suite("micro").model_copy(update={"validation_items": 24})
    table = scores_table(suite, Checkpoint(FOLDER / "micro"))
    header, _, greedy, sampled = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
    assert header == ["", *suite.tasks]
    bench = Workbench(suite, Cache(tmp_path / "cache"))
    own = [100 * bench.answers(bench.base, domain, "validation").value["greedy"] for domain in suite.tasks]
    assert greedy == ["greedy", *(f"{score:.1f}" for score in own)]
    assert sampled[0] == "sampled"
    assert sampled[1:] != greedy[1:]


def test_micro_is_built_by_its_own_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = replace(micro.Recipe(), steps=2, copy_until=1, first_phase_until=1, decay_from=1, warmup=1, hidden=32, layers=1, heads=1)
    monkeypatch.setattr(micro, "Recipe", lambda: small)
    monkeypatch.setattr(hardware, "cores", lambda: 1)
    monkeypatch.setattr(building, "LINES", 2)
    build_base(load_suite("micro").model_copy(update={"validation_items": 2}), tmp_path / "out")
    lines = (out := capsys.readouterr().out).splitlines()
    losses = " ".join(rf"{domain} \d\.\d\d" for domain in ("math", "code", "qa", "cw"))
    assert [line for line in lines if re.fullmatch(rf"step 2 of 2: {losses}", line)] == lines[:1]
    assert f"content {Checkpoint(tmp_path / 'out').content()}, another base than the suite's (d1a40f08acf7)" in out


def test_a_suite_without_a_recipe_is_refused(chat_suite: Path, suite_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="suite chat has no base of its own: its runs name a model, as in --model FOLDER"):
        build_base(load_suite(str(chat_suite)), tmp_path / "out")
    settings = yaml.safe_load(suite_file.read_text())
    del settings["base"]["pretrained"]
    suite_file.write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match=r"suite chat: there is no recipe for a base like the one in .*own"):
        build_base(load_suite(str(suite_file)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_in_one_line_what_is_missing(suite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny.gguf").unlink()
    done = CliRunner().invoke(app, ["build-base", str(suite_file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert done.stderr.startswith("bench: suite chat: its pretrained model")
    assert done.stderr.endswith("is missing: run `fetch the tiny model`\n")
