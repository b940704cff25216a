"""GGUF files as base models: the weights, the tokenizer and the template that are in them, and nothing that lies beside them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, RopeScalingType
from gguf_files import tiny_llama, write_gguf
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from bench.errors import UserError
from bench.storage.cache import Cache
from bench.storage.hub import find_model
from bench.suite import load_suite
from bench.training.dequantize import dequantized
from bench.training.models import load_model, load_tokenizer
from bench.training.prompting import Dialogue
from bench.weights import WeightFiles
from bench.worker.workbench import Workbench


@pytest.fixture(scope="module")
def tokenizer(chat_model: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(chat_model)


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    return tiny_llama(tokenizer)


@pytest.fixture
def file(tiny_gguf: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_gguf, tmp_path))


@pytest.mark.parametrize("kind", ["F32", "Q4_1", "Q8_0"])
def test_weights_are_those_in_the_file(kind: str, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    stored = write_gguf(tmp_path / "tiny.gguf", model, tokenizer, kind)
    (tmp_path / "folder").mkdir()
    found = WeightFiles(dequantized(tmp_path / "tiny.gguf", tmp_path / "folder", "--model tiny.gguf"))
    assert found.names() == sorted(stored)
    for name, values in stored.items():
        assert found.dtype(name) == torch.float32
        assert torch.equal(found.tensor(name), values), name
    same = all(torch.equal(found.tensor(name), model.state_dict()[name]) for name in found.names())
    assert same == (kind == "F32")


def test_the_model_computes_what_the_one_it_was_made_from_computes(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    write_gguf(tmp_path / "tiny.gguf", model, tokenizer, "F32")
    (tmp_path / "folder").mkdir()
    read = load_model(dequantized(tmp_path / "tiny.gguf", tmp_path / "folder", "--model tiny.gguf"))
    ids = torch.tensor([tokenizer("19-5*3=Moon>Rain")["input_ids"]])
    torch.testing.assert_close(read(ids).logits, model(ids).logits, atol=1e-6, rtol=0)


def test_tokenizer_template_and_end_tokens_are_kept(file: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    suite = load_suite("gym")
    read, own = (
        Dialogue.of(dequantized(file, tmp_path / "folder", "--model tiny.gguf"), suite.prompting),
        Dialogue(tokenizer, suite.prompting),
    )
    prompts = ["19-5*3=", "Moon>Rain?Moon>=", "<|im_end|> 14 + 23"]
    assert read.encode(prompts) == own.encode(prompts)
    assert (read.ends, read.pad) == (own.ends, own.pad)


def test_files_beside_it_change_nothing(file: Path, chat_model: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    alone = dequantized(file, tmp_path / "alone", "--model tiny.gguf")
    for other in ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (tmp_path / other).write_bytes((chat_model / other).read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "among").mkdir()
    among = dequantized(file, tmp_path / "among", "--model tiny.gguf")
    assert {path.name for path in among.iterdir()} == {path.name for path in alone.iterdir()}
    for path in alone.iterdir():
        assert (among / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_workbench_takes_it_as_a_base_and_remembers_it(file: Path, model: LlamaForCausalLM, chat_suite: Path, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    bench = Workbench(load_suite(str(chat_suite)), cache, model=str(file))
    for name in bench.base.names():
        torch.testing.assert_close(bench.base.tensor(name), model.state_dict()[name], atol=0.02, rtol=0)
    made = cache.made
    again = Workbench(load_suite(str(chat_suite)), cache, model=str(file))
    assert again.named_model == bench.named_model
    assert again.named_model.name == str(file)
    assert cache.made == made == 1


def test_another_file_is_another_base(file: Path, tokenizer: PreTrainedTokenizerBase, model: LlamaForCausalLM) -> None:
    known = find_model(str(file)).identity
    assert known == find_model(str(file)).identity
    write_gguf(file, model, tokenizer, "Q8_0")
    assert known != find_model(str(file)).identity


def test_a_file_of_that_name_in_the_current_folder_is_not_read(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gguf(tmp_path / "tiny.gguf", model, tokenizer, "F32")
    (tmp_path / "here").mkdir()
    other = LlamaForCausalLM(model.config)
    other.load_state_dict({name: 1.5 * tensor for name, tensor in model.state_dict().items()})
    write_gguf(tmp_path / "here" / "tiny.gguf", other, tokenizer, "F32")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = WeightFiles(dequantized(Path("../tiny.gguf"), tmp_path / "folder", "--model tiny.gguf"))
    assert torch.equal(found.tensor("model.norm.weight"), model.state_dict()["model.norm.weight"])


def tensor(name: str, *shape: int) -> Callable[[GGUFWriter], None]:
    return lambda writer: writer.add_tensor(name, np.ones(shape, np.float32))


@pytest.mark.parametrize("name", ["rope_freqs.weight", "blk.0.attn_q.bias", "blk.2.attn_q.weight", "adapter.weight"])
def test_tensors_that_would_not_be_used_are_refused(
    name: str, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """transformers passes over them: Llama 3.1's frequencies, biases, another layer."""
    write_gguf(tmp_path / "tiny.gguf", model, tokenizer, "F32", also=tensor(name, 64))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=f"has tensors it does not know: {name}, which would not be used"):
        dequantized(tmp_path / "tiny.gguf", tmp_path / "folder", "--model x")


def linear(writer: GGUFWriter) -> None:
    writer.add_rope_scaling_type(RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


def factor_alone(writer: GGUFWriter) -> None:
    writer.add_rope_scaling_factor(4.0)


def unscaled(writer: GGUFWriter) -> None:
    writer.add_rope_scaling_type(RopeScalingType.NONE)
    writer.add_rope_scaling_factor(1.0)


@pytest.mark.parametrize(("scaling", "words"), [(linear, "type = linear"), (factor_alone, "factor = 4.0"), (unscaled, "")])
def test_positions_that_would_not_be_scaled_are_refused(
    scaling: Callable[[GGUFWriter], None], words: str, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    write_gguf(tmp_path / "tiny.gguf", model, tokenizer, "F32", also=scaling)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=f"its llama.rope.scaling.{words} would not be used") if words else nullcontext():
        dequantized(tmp_path / "tiny.gguf", tmp_path / "folder", "--model x")


def test_an_architecture_that_transformers_does_not_know_is_one_line(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    assert content.count(b"llama") > 1
    file.write_bytes(content.replace(b"llama", b"xlama"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(
        UserError, match=r"--model x: transformers cannot read it \(ValueError: GGUF model with architecture xlama"
    ) as error:
        dequantized(file, tmp_path / "folder", "--model x")
    assert "\n" not in str(error.value)


def test_a_file_that_lacks_a_tensor_is_refused(file: Path, tmp_path: Path) -> None:
    """transformers would fill in random weights."""
    file.write_bytes(file.read_bytes().replace(b"blk.0.ffn_up.weight", b"blk.0.ffn_xx.weight"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"lacks model\.layers\.0\.mlp\.up_proj\.weight, which would start with random weights"):
        dequantized(file, tmp_path / "folder", "--model x")
