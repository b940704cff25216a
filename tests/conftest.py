"""Fixtures that several folders of tests use: a ten-step suite on the real base, and a workbench on it."""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")

import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_runs import write

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
    if shutil.which("bwrap") is None:
        missing["bubblewrap"] = "needs bubblewrap: apt-get install bubblewrap"
    if "slow" not in missing and any(item.get_closest_marker("docker") for item in items) and not has_docker():
        missing["docker"] = "needs a docker daemon that has the image of leaderboard.rerun.docker.Docker"
    if find_browser() is None:
        missing["browser"] = "needs Chromium or Chrome; none is on the PATH here"
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def has_docker() -> bool:
    """Whether a daemon answers and has the image that reruns take."""
    from leaderboard.rerun.docker import Docker

    asked = ["docker", "image", "inspect", Docker.image]
    return shutil.which("docker") is not None and subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def build_run() -> Callable[..., Path]:
    """Writes a valid run folder below a folder, from the fields of `FakeRun`: build_run(out, method="refresh", final=[...], seed=3)."""
    return write


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

    from bench.storage.cache import Cache
    from bench.worker.workbench import Workbench

    torch.set_num_threads(1)
    return Workbench(load_suite(str(tiny_suite)), Cache(tmp_path_factory.mktemp("cache")))


TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""ChatML, and what Qwen3's template does with `enable_thinking`."""


@pytest.fixture(scope="session")
def write_chat_model() -> Callable[..., Path]:
    """Writes an HF folder as one downloads it: a random Qwen3 in bf16 and in shards, a BPE tokenizer trained on texts, a chat template,
    two tokens that end an answer. Settings of the config take the place of the tokenizer's or of Qwen3's own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    def write(folder: Path, texts: list[str], *, tokens: int, shard: str, **config: Any) -> Path:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=tokens, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
        fast.chat_template = TEMPLATE
        torch.manual_seed(0)
        own = {"vocab_size": len(fast), "tie_word_embeddings": True, "eos_token_id": fast.eos_token_id, "pad_token_id": fast.pad_token_id}
        model = Qwen3ForCausalLM(Qwen3Config(**own | config)).to(torch.bfloat16)
        model.generation_config.eos_token_id = [fast.convert_tokens_to_ids("<|im_end|>"), fast.convert_tokens_to_ids("<|endoftext|>")]
        model.save_pretrained(folder, max_shard_size=shard)
        fast.save_pretrained(folder)
        assert len(list(folder.glob("*.safetensors"))) > 1
        return folder

    return write


@pytest.fixture(scope="session")
def chat_model(write_chat_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as above of a tiny model, its tokenizer trained on micro's prompts."""
    texts = [task.item("train", 0, number).prompt for task in load_suite("micro").loaded_tasks.values() for number in range(50)]
    return write_chat_model(
        tmp_path_factory.mktemp("models") / "Tiny-Qwen3", texts, tokens=320, shard="20KB", hidden_size=32, intermediate_size=48,
        num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, max_position_embeddings=1024,
    )  # fmt: skip


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


@pytest.fixture(scope="session")
def tiny_gguf(chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF file: a random Llama with matrices in Q4_1, a context window of 512, and the tokenizer of `chat_model`."""
    from gguf_files import tiny_llama, write_gguf

    from bench.training.models import load_tokenizer

    file, tokenizer = tmp_path_factory.mktemp("gguf") / "tiny.gguf", load_tokenizer(chat_model)
    write_gguf(file, tiny_llama(tokenizer), tokenizer)
    return file
