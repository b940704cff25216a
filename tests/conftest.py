"""Fixtures that several folders of tests use: a ten-step suite on the real base, and a workbench on it."""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")

from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from bench.report.doctor import find_browser
from bench.suite import FOLDER, load_suite

TINY = {"test_items": 16, "validation_items": 8, "snapshot_every": 4}
TINY_RL = {"steps": 10, "prompts": 4, "group": 4}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine or command is not for, saying what is missing."""
    missing = {} if config.getoption("--slow") else {"slow": "takes minutes: run with --slow"}
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            missing["gpu"] = "needs a CUDA device; torch sees none here"
    if find_spec("vllm") is None:
        missing["vllm"] = "needs vllm, which is not installed here: scripts/check_vllm.sh makes a venv for it"
    if find_browser() is None:
        missing["browser"] = "needs Chromium or Chrome; none is on the PATH here"
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def tiny_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite file: micro with ten small steps a stage and 16 test items."""
    content = yaml.safe_load((FOLDER / "micro.yaml").read_text(encoding="utf-8"))
    content |= TINY | {"name": "tiny", "rl": content["rl"] | TINY_RL, "comparable": False}
    path = tmp_path_factory.mktemp("suite") / "tiny.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_bench(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory):
    """A workbench on the ten-step suite, with a cache that all tests of a session share."""
    import torch

    from bench.cache import Cache
    from bench.workbench import Workbench

    torch.set_num_threads(1)
    return Workbench(load_suite(str(tiny_suite)), Cache(tmp_path_factory.mktemp("cache")))


TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""ChatML, and what Qwen3's template does with `enable_thinking`."""


@pytest.fixture(scope="session")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HF folder as one downloads it: a random Qwen3 in bf16 and in shards, a BPE tokenizer trained on micro's prompts, a chat template,
    two tokens that end an answer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [task.item("train", 0, number).prompt for task in load_suite("micro").loaded_tasks.values() for number in range(50)]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(fast), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=16, max_position_embeddings=512, tie_word_embeddings=True, eos_token_id=fast.eos_token_id, pad_token_id=fast.pad_token_id,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config).to(torch.bfloat16)
    model.generation_config.eos_token_id = [fast.convert_tokens_to_ids("<|im_end|>"), fast.convert_tokens_to_ids("<|endoftext|>")]
    folder = tmp_path_factory.mktemp("models") / "Tiny-Qwen3"
    model.save_pretrained(folder, max_shard_size="20KB")
    fast.save_pretrained(folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    return folder


@pytest.fixture(scope="session")
def chat_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite file without a base: micro's tasks as messages to a chat model, two small steps a stage."""
    content = yaml.safe_load((FOLDER / "micro.yaml").read_text(encoding="utf-8"))
    for name in ("base", "stage_flops", "quick"):
        del content[name]
    content |= {"name": "chat", "test_items": 8, "validation_items": 4, "snapshot_every": 1}
    content |= {"rl": {"steps": 2, "prompts": 2, "group": 4, "learning_rate": 1e-3}, "prompting": {"chat": "plain", "prompt_tokens": 44}}
    path = tmp_path_factory.mktemp("suite") / "chat.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
