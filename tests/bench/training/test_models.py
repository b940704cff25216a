"""Models are loaded whole or refused in one line: no random weights, no code from their folder, no model that our sampling gets wrong."""

from __future__ import annotations

import builtins
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import save_file

from bench.checkpoint import Store, Tensors
from bench.errors import UserError
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.training.models import add_model_folder, check_context, check_sampling, load_checkpoint, load_model, load_tokenizer
from bench.training.prompting import Dialogue
from bench.weights import INDEX, WEIGHTS, WeightFiles
from bench.worker.workbench import Workbench

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
GPT2 = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}


@pytest.fixture
def copy(chat_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(chat_model, tmp_path / "copy"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Change the tensors of an HF folder, and write them to one file."""
    tensors = dict(Tensors(folder).items())
    change(tensors)
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def set_in(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def random_model(kind: str, **config: object) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    model = getattr(transformers, kind)
    return model(model.config_class(**config)).eval()


def refused(call: Callable[[], object], said: str) -> str:
    with pytest.raises(UserError, match=said) as error:
        call()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
    return str(error.value)


# --- tensors that do not fit


def untie(folder: Path) -> None:
    set_in(folder / "config.json", tie_word_embeddings=False)


def rename(folder: Path) -> None:
    name = "model.layers.0.self_attn.q_proj.weight"
    rewrite(folder, lambda tensors: tensors.update({name.replace("q_proj", "query"): tensors.pop(name)}))


def reshape(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"model.norm.weight": torch.ones(33)}))


def extend(folder: Path) -> None:
    rewrite(folder, lambda tensors: tensors.update({"model.layers.7.mlp.up_proj.weight": torch.ones(3)}))


def lose_a_shard(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    (folder / next(iter(index["weight_map"].values()))).unlink()


UNFIT = [
    (untie, "lacks lm_head.weight.*random weights.*tie_word_embeddings"),
    (rename, "lacks model.layers.0.self_attn.q_proj.weight"),
    (reshape, r"model.norm.weight \(file 33, model 32\)"),
    (extend, "does not know: model.layers.7.mlp.up_proj.weight"),
    (lose_a_shard, "cannot load the model"),
]


@pytest.mark.parametrize(("spoil", "said"), UNFIT, ids=[spoil.__name__ for spoil, _ in UNFIT])
def test_a_model_whose_tensors_do_not_fit_is_refused_before_any_training(
    copy: Path, chat_suite: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(copy)
    bench = Workbench(load_suite(str(chat_suite)), Cache(tmp_path / "cache"), model=str(copy))
    told = refused(lambda: bench.base, said)
    assert told.startswith(f"--model {copy}: ")


def test_every_load_of_a_checkpoint_is_checked(store: Store, chat_model: Path) -> None:
    tensors = [(name, tensor) for name, tensor in Tensors(chat_model).items() if name != "model.norm.weight"]
    refused(lambda: load_checkpoint(store.add_checkpoint(tensors, chat_model)), "lacks model.norm.weight")


def test_a_checkpoint_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path: Path) -> None:
    missing = Cache(tmp_path / "cache").checkpoint("a" * 64)
    assert "repo" not in refused(lambda: load_checkpoint(missing), "checkpoint aaaaaaaaaaaa is not in the cache.*pass the --cache")


def test_a_complete_model_is_loaded_in_fp32_with_tied_weights(chat_model: Path) -> None:
    model = load_model(chat_model)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert not model.training
    for name, tensor in Tensors(chat_model).items():
        assert torch.equal(model.state_dict()[name], tensor.float())


# --- kinds of models


def test_a_masked_language_model_is_refused(chat_model: Path, tmp_path: Path) -> None:
    random_model("BertForMaskedLM", **SMALL).save_pretrained(tmp_path / "bert")
    refused(lambda: load_model(tmp_path / "bert"), r"saved as bert \(BertForMaskedLM\)")


def test_an_encoder_decoder_is_refused_in_one_line(tmp_path: Path) -> None:
    random_model("T5ForConditionalGeneration", vocab_size=50, d_model=16, d_ff=24, num_layers=1, num_heads=2, d_kv=8).save_pretrained(
        tmp_path
    )
    refused(lambda: load_model(tmp_path), r"t5 \(T5ForConditionalGeneration\) is not a causal language model")


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("MambaForCausalLM", {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}, "it keeps a state"),
        ("RwkvForCausalLM", {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2}, "cannot be sampled here"),
        ("BertLMHeadModel", SMALL, "logits depend on later tokens"),
    ],
)
def test_a_model_that_our_sampling_gets_wrong_is_refused(kind: str, config: dict, said: str) -> None:
    refused(lambda: check_sampling(random_model(kind, **config), "--model x"), f"--model x: {kind} .*{said}")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("LlamaForCausalLM", SMALL),
        ("GPT2LMHeadModel", GPT2),
        ("BertLMHeadModel", SMALL | {"is_decoder": True}),
        ("MistralForCausalLM", SMALL | {"num_key_value_heads": 1, "sliding_window": 4}),
        ("MixtralForCausalLM", SMALL | {"num_key_value_heads": 1, "num_local_experts": 2}),
    ],
)
def test_causal_models_of_all_sorts_can_be_sampled(kind: str, config: dict) -> None:
    check_sampling(random_model(kind, **config), "--model x")


def test_weights_that_are_not_numbers_are_refused() -> None:
    model = random_model("GPT2LMHeadModel", **GPT2)
    torch.nn.init.constant_(model.transformer.ln_f.weight, torch.nan)
    refused(lambda: check_sampling(model, "--model x"), "not numbers.*damaged")


# --- code from a model's folder


def test_code_in_a_models_folder_is_never_run_and_never_asked_about(copy: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(builtins, "input", lambda prompt="": asked.append(prompt) or "y")
    (copy / "own.py").write_text("raise SystemExit('the code of the model was run')\n")
    set_in(copy / "config.json", model_type="mystery", auto_map={"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"})
    refused(lambda: load_model(copy), "needs Python code from its own folder, which is never run")
    store.add_folder(copy)
    set_in(copy / "tokenizer_config.json", tokenizer_class="Mystery", auto_map={"AutoTokenizer": ["own.Tokenizer", None]})
    refused(lambda: load_tokenizer(copy), "its tokenizer cannot be loaded")
    assert asked == []


# --- broken files


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("text", ["{", "[1, 2]", "[" * 20000, "\udcff"], ids=["cut", "a list", "deep", "not UTF-8"])
def test_a_broken_file_of_a_model_is_named(copy: Path, store: Store, name: str, text: str) -> None:
    (copy / name).write_bytes(text.encode(errors="surrogateescape"))
    refused(lambda: add_model_folder(store, copy, "--model x"), f"{name} ")


def test_a_tokenizer_that_tokenizers_cannot_read_is_refused(copy: Path) -> None:
    set_in(copy / "tokenizer.json", model={"type": "Unheard"})
    refused(lambda: load_tokenizer(copy), f"{copy}: its tokenizer cannot be loaded")


# --- what is stored


def test_a_folder_is_stored_as_it_came(store: Store, chat_model: Path) -> None:
    added = add_model_folder(store, chat_model, "--model x")
    assert added == store.add_folder(chat_model)
    assert WeightFiles(added.folder).dtype("model.norm.weight") == torch.bfloat16


@pytest.mark.parametrize(
    ("kind", "config", "strip"),
    [("GPT2LMHeadModel", GPT2, "transformer."), ("MixtralForCausalLM", SMALL | {"num_key_value_heads": 1, "num_local_experts": 2}, "")],
    ids=["no prefix", "experts apart"],
)
def test_names_of_another_time_are_stored_as_a_stage_would(
    store: Store, chat_model: Path, tmp_path: Path, kind: str, config: dict, strip: str
) -> None:
    """GPT-2's file on the Hub lacks a prefix, Mixtral's has one tensor per expert: arithmetic of base and stages needs the same names."""
    tokens = len(load_tokenizer(chat_model))
    model = random_model(kind, **config | {"vocab_size": tokens})
    model.save_pretrained(tmp_path / "model")
    load_tokenizer(chat_model).save_pretrained(tmp_path / "model")
    rewrite(tmp_path / "model", lambda old: old.update({name.removeprefix(strip): old.pop(name) for name in list(old)}))
    base = add_model_folder(store, tmp_path / "model", "--model x")
    stage = store.add_model(load_checkpoint(base), base.folder)
    assert base.shapes() == stage.shapes()
    assert all(torch.equal(own, theirs) for _, own, theirs in base.pieces(stage))
    for name, tensor in model.state_dict().items():
        assert torch.equal(load_checkpoint(base).state_dict()[name], tensor)


# --- context


def test_a_context_too_short_for_prompts_and_answers_is_refused(copy: Path, chat_suite: Path) -> None:
    suite = load_suite(str(chat_suite))
    dialogue = Dialogue.of(copy, suite.prompting)
    check_context(dialogue, suite, copy, "--model x")
    set_in(copy / "config.json", max_position_embeddings=40)
    refused(lambda: check_context(dialogue, suite, copy, "--model x"), "context window is 40 tokens; .* needs .* for a prompt")
