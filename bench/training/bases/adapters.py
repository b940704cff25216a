"""Low-rank adapters (LoRA, 2106.09685) as a small file that turns one model into another, the same to the bit on every machine.

An adapter of a weight matrix W (rows, columns) is a pair A (rank, columns), B (rows, rank): the new weight is W + scale * B A. A matrix
product may be summed in any order, and so differs between CPUs. Here it is the sum of `rank` outer products, one after the other, each
a product and a sum of fp32 numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from bench.checkpoint import Tensors


def write_adapters(file: Path, pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]], scale: float) -> None:
    """Write the pairs (A, B) of weights, by the weight's name, in fp16."""
    tensors = {f"{name}.{part}": value.half().contiguous() for name, pair in pairs.items() for part, value in zip("AB", pair, strict=True)}
    unfinished = file.with_name(f".{file.name}.unfinished")
    save_file(tensors, unfinished, metadata={"scale": repr(scale)})
    unfinished.replace(file)


def adapted(weights: Tensors, file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a model in fp32, in order of their names, with the adapters of a file added. ValueError where an adapter fits no
    tensor."""
    with safe_open(file, "pt") as stored:
        scale = float(stored.metadata()["scale"])
        left = set(stored.keys())
        for name in weights.names():
            weight = weights.tensor(name).float()
            if f"{name}.A" in left:
                a, b = (stored.get_tensor(f"{name}.{part}").float() for part in "AB")
                if (len(b), a.shape[1]) != tuple(weight.shape):
                    raise ValueError(f"{file}: the adapter of {name} is for another shape than {tuple(weight.shape)}")
                left -= {f"{name}.A", f"{name}.B"}
                weight = weight + scale * _product(b, a)
            yield name, weight
    if left:
        raise ValueError(f"{file}: no tensor for the adapter {min(left)}")


def _product(b: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    total = torch.zeros(len(b), a.shape[1])
    for column, row in zip(b.T, a, strict=True):
        total += column[:, None] * row
    return total
