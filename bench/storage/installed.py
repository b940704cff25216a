"""What the installed transformers can load, read from its source: importing its tables takes seconds and loads torch.

Each table is empty where the source has another shape than expected; then only loading a model shows whether it is one.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path


@lru_cache
def causal_models() -> dict[str, str]:
    """model_type -> class of the causal language models."""
    table = _assigned("models/auto/modeling_auto.py", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
    try:
        return dict(ast.literal_eval(table.args[0])) if isinstance(table, ast.Call) else {}
    except (ValueError, IndexError, TypeError):
        return {}


@lru_cache
def gguf_architectures() -> frozenset[str]:
    """The architectures whose GGUF files it reads, in the spelling of its configs ("qwen2_moe", in a file "qwen2moe")."""
    table = _assigned("integrations/ggml.py", "GGUF_CONFIG_MAPPING")
    names = [key.value for key in table.keys if isinstance(key, ast.Constant)] if isinstance(table, ast.Dict) else []
    return frozenset(map(str, names)) - {"general", "tokenizer"}


def _assigned(path: str, name: str) -> ast.expr | None:
    """What a file of transformers assigns to a name; None where it cannot be found."""
    spec = find_spec("transformers")
    try:
        source = Path((spec.submodule_search_locations or [])[0], path).read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
                return node.value
    except (OSError, SyntaxError, ValueError, AttributeError, IndexError):
        pass
    return None
