"""Repairs of models that do not fit into memory: a billion parameters in bf16 on disk, under 4 GB, and how fast.

Synthetic checkpoints of Qwen3-1.7B's shapes with as many layers as make a billion parameters; a repair's time is set beside that of
copying the files it reads, in turn within one run, and beside mergekit's linear merge of the same files where mergekit is there (its
command `mergekit-yaml`, on the PATH or in MERGEKIT_YAML). Results are fp32 with both.

    pytest tests/benchmarks/test_large_repairs.py --slow -n 0 -s
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bench.checkpoint import Checkpoint, Store, Tensors

LAYERS, HIDDEN, INNER, VOCABULARY = 16, 2048, 6144, 151_936
PROGRAM = """
import sys, time
from pathlib import Path
from bench.checkpoint import Checkpoint, Tensors
from bench.registry import make_method

class Stored:
    seed = 0
    def __init__(self, stages, fishers):
        self.stages, self.fishers, self.sequence = stages, fishers, tuple(stages)
    def checkpoint(self, domain):
        return self.stages[domain]
    def fisher(self, checkpoint, domain, count=512):
        return self.fishers[domain]

method, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
names = [f"stage{number}" for number in range(count)]
stages = {name: Checkpoint((folder / name).resolve()) for name in names}
fishers = {name: Tensors((folder / f"fisher-{name}").resolve()) for name in names}
began = time.perf_counter()
repaired = make_method(method, {}).recover(stages[names[-1]], (names[0],), Stored(stages, fishers))
seconds = time.perf_counter() - began
# Not ru_maxrss: a child begins with the most that its parent held, and that made the checkpoints.
(most,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
print(seconds, int(most) * 1024, repaired.hash)
"""


def shapes() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        found |= {f"{block}.self_attn.{name}_proj.weight": (HIDDEN, HIDDEN) for name in ("q", "o")}
        found |= {f"{block}.self_attn.{name}_proj.weight": (HIDDEN // 2, HIDDEN) for name in ("k", "v")}
        found |= {f"{block}.self_attn.{name}_norm.weight": (128,) for name in ("q", "k")}
        found |= {f"{block}.mlp.{name}_proj.weight": (INNER, HIDDEN) for name in ("gate", "up")}
        found |= {f"{block}.mlp.down_proj.weight": (HIDDEN, INNER)}
        found |= {f"{block}.{name}_layernorm.weight": (HIDDEN,) for name in ("input", "post_attention")}
    return found


def synthetic(store: Store, like: Path, seed: int, dtype: torch.dtype) -> Tensors:
    """Tensors at random, those of a model where `like` is its folder."""

    def stream():
        generator = torch.Generator().manual_seed(seed)
        for name, shape in sorted(shapes().items()):
            whole = torch.empty(shape, dtype=dtype)
            for rows in whole.split(max(1, (1 << 22) // (shape[-1] if len(shape) > 1 else 1))):
                rows.copy_(torch.randn(rows.shape, generator=generator) * 0.02)
            yield name, whole if dtype == torch.bfloat16 else whole.square_()

    return store.add_checkpoint(stream(), like) if dtype == torch.bfloat16 else store.add_tensors(stream())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints in bf16 (about 2.2 GB each) with a Fisher each in fp32, under their names."""
    out = tmp_path_factory.mktemp("large")
    like = out / "like"
    like.mkdir()
    config = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "dtype": "bfloat16", "tie_word_embeddings": True}
    config |= {"hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "vocab_size": VOCABULARY}
    config |= {"num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128}
    (like / "config.json").write_text(json.dumps(config))
    store = Store(out / "store")
    for number in range(2):
        (out / f"stage{number}").symlink_to(synthetic(store, like, number, torch.bfloat16).folder)
        (out / f"fisher-stage{number}").symlink_to(synthetic(store, like, 10 + number, torch.float32).folder)
    return out


def repaired(method: str, folder: Path) -> tuple[float, int, Checkpoint]:
    """Seconds, the most memory in bytes, and the result, of a repair in a process of its own."""
    words = [sys.executable, "-c", PROGRAM, method, str(folder), "2"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    seconds, memory, content = done.stdout.split()
    return float(seconds), int(memory), Checkpoint(folder / "store" / content)


def copying(folders: list[Path], to: Path) -> float:
    """Seconds to copy folders' files and have them on disk, as a repair has."""
    began = time.perf_counter()
    for place in folders:
        shutil.copytree(place, to / place.name, symlinks=False)
    os.sync()
    seconds = time.perf_counter() - began
    shutil.rmtree(to)
    return seconds


def merged_by_mergekit(folder: Path, to: Path) -> float | None:
    """Seconds of mergekit's linear merge of the two checkpoints; None where mergekit is not there."""
    program = os.environ.get("MERGEKIT_YAML") or shutil.which("mergekit-yaml")
    if program is None:
        return None
    models = [{"model": str((folder / f"stage{number}").resolve()), "parameters": {"weight": 0.5}} for number in range(2)]
    recipe = folder / "linear.yaml"
    recipe.write_text(json.dumps({"models": models, "merge_method": "linear", "dtype": "float32"}))
    began = time.perf_counter()
    words = [program, str(recipe), str(to), "--allow-crimes", "--lazy-unpickle", "--no-copy-tokenizer"]
    subprocess.run(words, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    seconds = time.perf_counter() - began
    shutil.rmtree(to)
    return seconds


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("method", ["mean_imm", "mode_imm", "rollback"])
def test_a_billion_parameters_are_repaired_under_4_gb(method: str, folder: Path, tmp_path: Path) -> None:
    count = sum(torch.Size(shape).numel() for shape in shapes().values())
    assert count >= 1e9
    read = [folder / f"stage{number}" for number in range(2)]
    read += [folder / "fisher-stage0"] if method == "rollback" else [folder / f"fisher-stage{number}" for number in range(2)]
    read = read[:2] if method == "mean_imm" else read
    for place in read:  # the page cache is warm for both
        copying([place], tmp_path / "warm")
    ours, memory, end = repaired(method, folder)
    copied = copying(read, tmp_path / "copied")
    theirs = merged_by_mergekit(folder, tmp_path / "merged") if method == "mean_imm" else None
    size = sum(file.stat().st_size for place in read for file in place.resolve().glob("*.safetensors")) / 1e9
    beside = "" if theirs is None else f"; mergekit's linear merge {theirs:.1f} s"
    line = f"{method}: {count / 1e9:.2f} B parameters, {size:.1f} GB read: {ours:.1f} s, {memory / 1e9:.2f} GB of memory"
    print(f"\n{line}; copying what it reads {copied:.1f} s{beside}")
    assert memory < 4e9
    one, other = (Checkpoint((folder / f"stage{number}").resolve()) for number in range(2))
    name = "model.layers.3.mlp.up_proj.weight"
    if method == "mean_imm":
        assert torch.equal(end.tensor(name), (one.tensor(name) + other.tensor(name)) / 2)
    else:
        low, high = torch.minimum(one.tensor(name), other.tensor(name)), torch.maximum(one.tensor(name), other.tensor(name))
        assert ((end.tensor(name) >= low - 1e-3) & (end.tensor(name) <= high + 1e-3)).all()
        assert not torch.equal(end.tensor(name), other.tensor(name))
    shutil.rmtree(end.folder)
