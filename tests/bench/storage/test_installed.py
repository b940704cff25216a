"""What the installed transformers can load, against its own tables."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.storage import installed
from bench.storage.installed import causal_models, gguf_architectures


def test_causal_models_are_those_that_transformers_loads() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    assert causal_models() == dict(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert causal_models()["qwen3"] == "Qwen3ForCausalLM"


def test_gguf_architectures_are_those_that_transformers_reads() -> None:
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    assert gguf_architectures() == set(GGUF_SUPPORTED_ARCHITECTURES) - {"general", "tokenizer"}
    assert {"llama", "qwen2", "qwen3", "gemma3"} <= gguf_architectures()


@pytest.mark.parametrize("source", ["", "GGUF_CONFIG_MAPPING = other()\nMODEL_FOR_CAUSAL_LM_MAPPING_NAMES = 3\n", "x = (", None])
def test_a_source_of_another_shape_says_nothing(source: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("models/auto/modeling_auto.py", "integrations/ggml.py"):
        (tmp_path / file).parent.mkdir(parents=True)
        if source is not None:
            (tmp_path / file).write_text(source)
    monkeypatch.setattr(installed, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    assert causal_models.__wrapped__() == {}
    assert gguf_architectures.__wrapped__() == frozenset()
