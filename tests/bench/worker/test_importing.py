"""Importing a user's checkpoints: what cannot be a run is refused in one line that names the option and the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bench.checkpoint import Tensors
from bench.errors import UserError
from bench.weights import WEIGHTS
from bench.worker.importing import import_checkpoints


@pytest.fixture
def copy(chat_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chat_model, tmp_path / "copy"))


def refused(base: Path, stage: Path, suite: Path, tmp_path: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        import_checkpoints(base, [("math", base), ("qa", stage)], suite=str(suite), cache=tmp_path / "cache")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_broken_file_of_a_stage_is_named(copy: Path, chat_model: Path, chat_suite: Path, tmp_path: Path, name: str) -> None:
    (copy / name).write_text("{")
    refused(chat_model, copy, chat_suite, tmp_path, name)


def test_a_tokenizer_of_an_unknown_kind_is_refused(copy: Path, chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    content = json.loads((copy / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text(json.dumps(content | {"model": {"type": "Unheard"}}))
    refused(chat_model, copy, chat_suite, tmp_path, "its tokenizer cannot be loaded")


def test_a_stage_with_other_tensors_is_refused(copy: Path, chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    tensors = dict(Tensors(copy).items())
    for file in copy.glob("*.safetensors*"):
        file.unlink()
    save_file(tensors | {"model.extra.weight": torch.ones(2)}, copy / WEIGHTS)
    refused(chat_model, copy, chat_suite, tmp_path, f"--stage qa={copy}: .* does not know: model.extra.weight")


def test_a_context_that_the_suites_prompts_do_not_fit_is_refused(copy: Path, chat_suite: Path, tmp_path: Path) -> None:
    content = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(content | {"max_position_embeddings": 32}))
    refused(copy, copy, chat_suite, tmp_path, f"--base {copy}: its context window is 32 tokens")


def test_a_folder_that_is_no_model_is_refused_before_any_is_stored(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    refused(chat_model, tmp_path / "none", chat_suite, tmp_path, "--stage qa=.*none: no config.json there")
    assert not (tmp_path / "cache").exists()
