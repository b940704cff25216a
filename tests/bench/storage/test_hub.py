"""Finding models: folders and the Hub, and one line for what cannot be found or trained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest

from bench.errors import UserError
from bench.storage.hub import FILES, check_model, context_window, find_model


@pytest.fixture
def copy(chat_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chat_model, tmp_path / "copy"))


def test_a_folder_is_known_by_its_files(copy: Path) -> None:
    found = find_model(str(copy))
    assert (found.folder, found.revision) == (copy, "")
    assert found.identity == find_model(str(copy)).identity
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert found.identity != find_model(str(copy)).identity


def test_the_hub_is_asked_for_what_is_needed_at_the_revision(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    snapshot = copy.rename(copy.parent / ("c" * 40))

    def download(repository: str, **given: object) -> str:
        asked.update(given, repository=repository)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    found = find_model("Qwen/Qwen3-0.6B@main")
    assert asked == {"repository": "Qwen/Qwen3-0.6B", "revision": "main", "allow_patterns": list(FILES), "ignore_patterns": ["*/*"]}
    assert (found.name, found.revision) == ("Qwen/Qwen3-0.6B", "c" * 40)
    assert found.identity == {"repository": "Qwen/Qwen3-0.6B", "revision": "c" * 40}
    find_model("Qwen/Qwen3-0.6B")
    assert asked["revision"] is None


def set_in(folder: Path, **values: object) -> None:
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | values))


def spoil(folder: Path, kind: str) -> None:
    if kind == "config":
        (folder / "config.json").unlink()
    elif kind == "weights":
        for file in folder.glob("*.safetensors"):
            file.unlink()
    elif kind == "quantized":
        set_in(folder, quantization_config={"quant_method": "fp8"})
    elif kind == "masked":
        set_in(folder, model_type="bert", architectures=["BertForMaskedLM"])
    elif kind == "encoder-decoder":
        set_in(folder, model_type="t5", architectures=["T5ForConditionalGeneration"])
    elif kind == "classifier":
        set_in(folder, architectures=["Qwen3ForSequenceClassification"])
    elif kind == "own code":
        set_in(folder, model_type="mystery", auto_map={"AutoConfig": "own.Config"})
    elif kind == "no type":
        set_in(folder, model_type=None)
    else:
        (folder / "config.json").write_bytes({"broken": b"{", "list": b"[]", "deep": b"[" * 100_000, "binary": b"\xff\xfe"}[kind])


REFUSED = [
    ("config", "no config.json"),
    ("weights", "no .safetensors"),
    ("quantized", "weights are quantized"),
    ("masked", r"saved as bert \(BertForMaskedLM\), not as a causal language model"),
    ("encoder-decoder", r"t5 \(T5ForConditionalGeneration\) is not a causal language model"),
    ("classifier", "saved as qwen3"),
    ("own code", "needs Python code"),
    ("no type", "no valid model_type"),
    ("broken", "cannot be read"),
    ("list", "not a JSON object"),
    ("deep", "cannot be read"),
    ("binary", "cannot be read"),
]


@pytest.mark.parametrize(("kind", "said"), REFUSED)
@pytest.mark.parametrize("look", [find_model, check_model])
def test_what_cannot_be_trained_is_refused_in_one_line(copy: Path, kind: str, said: str, look: Callable[[str], object]) -> None:
    spoil(copy, kind)
    with pytest.raises(UserError, match=said) as error:
        look(str(copy))
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"--model {copy}: ")


@pytest.mark.parametrize("name", ["no/such/folder/here", "Qwen/Qwen3-0.6B", "nobody/nothing@main", "~nobody/model", "x" * 300, "a\0b"])
@pytest.mark.parametrize("look", [find_model, check_model])
def test_what_is_neither_here_nor_on_the_hub_is_refused_in_one_line(name: str, look: Callable[[str], object]) -> None:
    """The tests are offline (HF_HUB_OFFLINE): the Hub has nothing for us."""
    with pytest.raises(UserError, match="no such folder") as error:
        look(name)
    assert "\n" not in str(error.value)


def test_a_file_is_not_asked_of_the_hub(copy: Path) -> None:
    with pytest.raises(UserError, match="a file, not a folder"):
        check_model(str(next(copy.glob("*.safetensors"))))


def test_the_check_downloads_the_config_alone(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(repository: str, **given: object) -> str:
        asked.append((repository, given["revision"], given["allow_patterns"]))
        return str(copy)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    set_in(copy, max_position_embeddings=512)
    for file in copy.glob("*.safetensors"):
        file.unlink()
    check_model("Qwen/Qwen3-0.6B@main", 512)
    assert asked == [("Qwen/Qwen3-0.6B", "main", ["config.json"])]
    with pytest.raises(UserError, match=r"--model Qwen/Qwen3-0\.6B@main: its context window is 512 tokens, and this suite needs 513"):
        check_model("Qwen/Qwen3-0.6B@main", 513)


def test_weights_that_are_not_downloaded_yet_are_not_called_missing(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline with the config in the Hub's cache, as a dry run leaves it."""
    for file in copy.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(UserError, match=r"no \.safetensors file in .*; load the model with transformers"):
        find_model(str(copy))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda repository, **given: str(copy))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"no \.safetensors file in .*; perhaps they are not downloaded yet: unset HF_HUB_OFFLINE once"):
        find_model("Qwen/Qwen3-0.6B")


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({"max_position_embeddings": 7}, 7),
        ({"n_positions": 8}, 8),
        ({"text_config": {"max_position_embeddings": 9}}, 9),
        ({"text_config": None}, 0),
        ({}, 0),
    ],
)
def test_the_context_window_is_found_under_every_name(config: dict, window: int) -> None:
    assert context_window(config) == window


@pytest.mark.parametrize("kind", ["chat_model", "tiny_gguf"])
def test_the_check_loads_neither_torch_nor_transformers(kind: str, request: pytest.FixtureRequest) -> None:
    code = (
        "import sys; from bench.storage.hub import check_model; check_model(sys.argv[1], 512); "
        "print(*{'torch', 'transformers'} & set(sys.modules))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(request.getfixturevalue(kind))], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
