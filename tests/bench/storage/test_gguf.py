"""GGUF files before work starts: what their header says, and one line for what cannot be used."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.storage.gguf import is_gguf, spelling
from bench.storage.hub import check_model, find_model
from bench.storage.installed import gguf_architectures


@pytest.fixture
def file(tiny_gguf: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(tiny_gguf, tmp_path))


def test_a_file_is_known_by_its_ending() -> None:
    assert is_gguf("models/SmolLM2.Q4_1.gguf") and is_gguf("A.GGUF")
    assert not is_gguf("Qwen/Qwen3-0.6B")


def test_a_folder_of_such_a_name_is_a_folder(tmp_path: Path, chat_model: Path) -> None:
    folder = Path(shutil.copytree(chat_model, tmp_path / "model.gguf"))
    assert find_model(str(folder)).folder == folder
    check_model(str(folder))


def damaged(file: Path, kind: str) -> None:
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "other": b"PK\3\4" + whole, "cut": whole[:500], "half": whole[: len(whole) // 2]}[kind])


@pytest.mark.parametrize("kind", ["empty", "other", "cut", "half"])
@pytest.mark.parametrize("look", [check_model, find_model])
def test_a_damaged_file_is_refused_in_one_line(file: Path, kind: str, look: Callable[[str], object]) -> None:
    damaged(file, kind)
    with pytest.raises(UserError, match="not a readable GGUF file") as error:
        look(str(file))
    assert str(error.value).startswith(f"--model {file}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("field", [b"llama.context_length", b"general.architecture"])
def test_a_header_without_what_is_needed_is_one_line(file: Path, field: bytes) -> None:
    content = file.read_bytes()
    file.write_bytes(content.replace(field, b"x" * len(field)))
    if field == b"llama.context_length":
        check_model(str(file), 10**9)  # unknown, so not too short
    else:
        with pytest.raises(UserError, match="not a readable GGUF file"):
            check_model(str(file))


def test_a_file_without_a_tokenizer_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"tokenizer.ggml.tokens", b"tokenizer.ggml.xxxxxx"))
    with pytest.raises(UserError, match="it has no tokenizer; give the GGUF file of a language model"):
        check_model(str(file))


@pytest.mark.parametrize("architecture", [b"xlama", b"bert!"])
def test_an_architecture_that_is_not_read_is_refused_before_work_starts(file: Path, architecture: bytes) -> None:
    file.write_bytes(file.read_bytes().replace(b"llama", architecture))
    words = f"the installed transformers reads no GGUF files of architecture {architecture.decode()}; give an HF folder instead"
    with pytest.raises(UserError, match=words):
        check_model(str(file))


@pytest.mark.parametrize("name", ["gpt-oss", "qwen2moe", "minimax-m2", "llama"])
def test_architectures_are_known_in_a_files_own_spelling(name: str) -> None:
    assert spelling(name) in map(spelling, gguf_architectures())


def test_a_quantization_that_cannot_be_dequantised_is_refused_before_work_starts(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf_files
    import numpy as np
    from gguf import GGML_QUANT_SIZES

    from bench.training.models import load_tokenizer

    def q8_1(values: np.ndarray, kind: int) -> np.ndarray:
        block, size = GGML_QUANT_SIZES[kind]
        return np.zeros((len(values), values.shape[1] // block * size), np.uint8)

    monkeypatch.setattr(gguf_files, "quantize", q8_1)
    monkeypatch.setattr(gguf_files, "dequantize", lambda values, kind: np.zeros((1, 1), np.float32))
    tokenizer = load_tokenizer(chat_model)
    gguf_files.write_gguf(tmp_path / "x.gguf", gguf_files.tiny_llama(tokenizer), tokenizer, "Q8_1")
    with pytest.raises(UserError, match="its tensors in Q8_1 cannot be dequantised; give a file in another quantization"):
        check_model(str(tmp_path / "x.gguf"))


@pytest.mark.parametrize("name", ["x" * 300 + ".gguf", "a\0b.gguf"])
def test_a_name_that_no_file_can_have_is_one_line(name: str) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_model(name)


def test_a_missing_file_is_not_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.gguf: no such file"):
        check_model(str(tmp_path / "nothing.gguf"))


def test_one_of_several_parts_is_refused(chat_model: Path, tmp_path: Path) -> None:
    from gguf_files import tiny_llama, write_gguf

    from bench.training.models import load_tokenizer

    tokenizer = load_tokenizer(chat_model)
    write_gguf(tmp_path / "part.gguf", tiny_llama(tokenizer), tokenizer, split__count=3)
    with pytest.raises(UserError, match="one of 3 parts"):
        check_model(str(tmp_path / "part.gguf"))


def test_a_context_window_that_is_too_short_is_refused(file: Path) -> None:
    check_model(str(file), 512)
    with pytest.raises(UserError, match="its context window is 512 tokens, and this suite needs 513"):
        check_model(str(file), 513)


def test_without_the_reader_the_message_says_what_to_install(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.storage.gguf.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "interference-bench\[gguf\]"'):
        check_model(str(file))
