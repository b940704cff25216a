"""Finding models: folders and the hub, and one line for what cannot be had or trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest

from bench.errors import UserError
from bench.storage.hub import FILES, find_model


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


def spoil(folder: Path, kind: str) -> None:
    if kind == "config":
        (folder / "config.json").unlink()
    elif kind == "weights":
        for file in folder.glob("*.safetensors"):
            file.unlink()
    elif kind == "quantized":
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(content | {"quantization_config": {"quant_method": "fp8"}}))
    else:
        (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("kind", "said"),
    [("config", "no config.json"), ("weights", "no .safetensors"), ("quantized", "weights are quantized"), ("broken", "cannot be read")],
)
def test_what_cannot_be_trained_is_told_in_one_line(copy: Path, kind: str, said: str) -> None:
    spoil(copy, kind)
    with pytest.raises(UserError, match=said) as error:
        find_model(str(copy))
    assert "\n" not in str(error.value)
    assert str(copy) in str(error.value)


@pytest.mark.parametrize("name", ["no/such/folder/here", "Qwen/Qwen3-0.6B", "nobody/nothing@main"])
def test_what_is_neither_here_nor_on_the_hub_is_told_in_one_line(name: str) -> None:
    """The tests are offline (HF_HUB_OFFLINE): the hub has nothing for us."""
    with pytest.raises(UserError, match="no folder of that name here") as error:
        find_model(name)
    assert "\n" not in str(error.value)
