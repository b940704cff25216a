"""A base that is pretrained weights and an adapter: made once, checked, and one line for what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from own_base import WEIGHT, write_suite
from transformers import AutoConfig, AutoModelForCausalLM

from bench.api import run
from bench.checkpoint import Checkpoint, Store
from bench.errors import UserError
from bench.files import MODELS_VARIABLE
from bench.storage.cache import Cache
from bench.suite import ADAPTER, FOLDER, Suite, load_suite
from bench.training.bases.adapters import write_adapters
from bench.training.bases.own import add_own_base
from bench.training.dequantize import dequantized
from bench.worker.workbench import Workbench


@pytest.fixture
def suite_file(tiny_gguf: Path, chat_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    return write_suite(tmp_path, tiny_gguf, chat_suite)


@pytest.fixture
def suite(suite_file: Path) -> Suite:
    return load_suite(str(suite_file))


def test_it_is_the_pretrained_weights_with_the_adapter(suite: Suite, tmp_path: Path) -> None:
    base = add_own_base(Store(tmp_path / "store"), suite)
    (tmp_path / "plain").mkdir()
    plain = Checkpoint(dequantized(tmp_path / "models" / "tiny.gguf", tmp_path / "plain", "tiny"))
    for name in base.names():
        assert torch.equal(base.tensor(name), plain.tensor(name) + (1.0 if name == WEIGHT else 0.0)), name


def test_everyday_states_the_size_of_its_model() -> None:
    """Counted on the architecture that its config describes, without weights."""
    suite = load_suite("everyday")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(suite.base_folder))
    assert model.num_parameters() == suite.base.pretrained.parameters


def test_a_run_takes_it_and_needs_the_pretrained_file_only_once(suite_file: Path, tmp_path: Path) -> None:
    where = {"suite": str(suite_file), "sequence": "math-qa", "device": "cpu", "jobs": 1, "cache": tmp_path / "cache", "display": False}
    done = run("none", **where, out=tmp_path / "runs")
    assert done.manifest.checkpoints["baseline-0-base"] == load_suite(str(suite_file)).base.content
    (tmp_path / "models" / "tiny.gguf").unlink()
    again = run("none", **where, out=tmp_path / "again")
    assert again.manifest.checkpoints == done.manifest.checkpoints


def test_without_the_pretrained_file_nothing_starts(suite_file: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "tiny.gguf").unlink()
    with pytest.raises(UserError, match=r"its pretrained model .*tiny\.gguf is missing: run `fetch the tiny model`"):
        run("none", suite=str(suite_file), sequence="math-qa", device="cpu", cache=tmp_path / "cache", out=tmp_path / "runs", display=False)
    assert not (tmp_path / "runs").exists()


def test_another_file_is_not_taken(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "models" / "tiny.gguf"
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(UserError, match="is damaged, or another file: run `fetch the tiny model`"):
        add_own_base(Store(tmp_path / "store"), suite)


def test_another_adapter_is_another_base(suite: Suite, tmp_path: Path) -> None:
    rows, columns = 96, 64
    write_adapters(tmp_path / "own" / ADAPTER, {WEIGHT: (torch.ones(1, columns), torch.ones(rows, 1))}, 2.0)
    with pytest.raises(UserError, match=r"the base of suite chat, made from .*own: content .* is not the suite's"):
        add_own_base(Store(tmp_path / "store"), suite)
    assert not list((tmp_path / "store").iterdir())


def test_a_folder_without_its_adapter_says_so(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "own" / ADAPTER).unlink()
    with pytest.raises(UserError, match=r"the base of suite chat is missing: no .*adapter\.safetensors"):
        add_own_base(Store(tmp_path / "store"), suite)


def test_another_model_takes_the_adapter_by_its_name(suite_file: Path, tmp_path: Path) -> None:
    """As with the original weights from the Hub in place of the quantised ones: another base, under its own name."""
    (tmp_path / "plain").mkdir()
    plain = Checkpoint(dequantized(tmp_path / "models" / "tiny.gguf", tmp_path / "plain", "tiny"))
    other = Store(tmp_path / "other").add_in_fp32(((name, 1.5 * tensor) for name, tensor in plain.items()), plain.folder)
    (tmp_path / "models" / "tiny.gguf").unlink()
    where = {"suite": str(suite_file), "sequence": "math-qa", "device": "cpu", "jobs": 1, "cache": tmp_path / "cache", "display": False}
    manifest = run("none", **where, model=str(other.folder), out=tmp_path / "runs").manifest
    base = Checkpoint(tmp_path / "cache" / "checkpoints" / manifest.checkpoints["baseline-0-base"])
    for name in base.names():
        assert torch.equal(base.tensor(name), 1.5 * plain.tensor(name) + (1.0 if name == WEIGHT else 0.0)), name
    assert manifest.model.name == str(other.folder)
    assert manifest.model.content == base.hash != load_suite(str(suite_file)).base.content


def test_a_model_of_another_size_is_refused(suite_file: Path, chat_model: Path, tmp_path: Path) -> None:
    where = {"suite": str(suite_file), "sequence": "math-qa", "device": "cpu", "jobs": 1, "cache": tmp_path / "cache", "display": False}
    with pytest.raises(UserError, match=r"the suite's adapter does not fit it"):
        run("none", **where, model=str(chat_model), out=tmp_path / "runs")


def changed(folder: Path, suite_file: Path, change: str) -> Path:
    """The suite's pretrained model as an HF folder that differs in its config or its tokenizer, with tensors of the same shapes."""
    folder.mkdir()
    dequantized(folder.parent / "models" / "tiny.gguf", folder, "tiny")
    if change == "tokens":
        file = folder / "tokenizer.json"
        content = json.loads(file.read_text())
        plain = [token for token in content["model"]["vocab"] if not token.startswith("<|")]
        numbers = [content["model"]["vocab"][token] for token in plain]
        content["model"]["vocab"] |= dict(zip(plain, reversed(numbers), strict=True))
        file.write_text(json.dumps(content))
    else:
        file = folder / "config.json"
        config = json.loads(file.read_text())
        config |= {"rms_norm_eps": 1e-2} if change == "eps" else {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}}
        file.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(("change", "words"), [("theta", "its config is"), ("eps", "its config is"), ("tokens", "its tokens are")])
def test_a_model_of_that_size_that_computes_otherwise_is_refused(change: str, words: str, suite_file: Path, tmp_path: Path) -> None:
    """It would silently be run with the suite's own config and tokenizer."""
    folder = changed(tmp_path / change, suite_file, change)
    with pytest.raises(UserError, match=f"--model .*{change}: {words} .*the suite takes models of one architecture and size"):
        _ = Workbench(load_suite(str(suite_file)), Cache(tmp_path / "cache"), model=str(folder)).base


def test_a_damaged_adapter_is_one_line(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "own" / ADAPTER
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(UserError, match=r"adapter\.safetensors is damaged \(.*\); install the package again"):
        add_own_base(Store(tmp_path / "store"), suite)


def test_what_micro_ships_is_stored_as_it_is(tmp_path: Path) -> None:
    suite = load_suite("micro")
    stored = add_own_base(Store(tmp_path / "store"), suite)
    assert stored.hash == suite.base.content == Checkpoint(FOLDER / "micro").content()
