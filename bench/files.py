"""Files and hashes that need no torch: canonical JSON, writing whole or not at all, where the cache is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

CACHE_VARIABLE = "BENCH_CACHE"
"""Environment variable that puts the cache elsewhere."""


def default_cache() -> Path:
    """$BENCH_CACHE, or the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("interference-bench"))


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values, equal text. TypeError or ValueError for what is no JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_hash(key: Mapping[str, Any]) -> str:
    """sha256 of a key's canonical JSON."""
    return hashlib.sha256(canonical(key).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """`content` under a temporary name, then renamed. The name is always the same, so what an interruption leaves is written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON with sorted keys, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
