"""How this machine rounds, measured. CPUs of one capability (AVX512, say) still differ: MKL chooses its kernels by model and cache, and so
adds in another order. After some steps of training, that is another model."""

from __future__ import annotations

import hashlib
from functools import cache

import torch
from torch.nn import functional

SHAPES = ((8, 128, 512), (512, 128, 128), (64, 576, 1536), (512, 576, 576), (256, 1536, 576), (64, 4096, 576))
"""Rows, inner dimension and columns of the products: from those of micro to those of everyday."""


@cache
def arithmetic() -> str:
    """Eight hexadecimal digits that are the same where products, sums and functions of fp32 numbers are, on one thread of this CPU. Takes a
    tenth of a second, once a process."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _digest()
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def _digest() -> str:
    found = hashlib.sha256()

    def note(result: torch.Tensor) -> None:
        found.update(result.contiguous().numpy().tobytes())

    for rows, inner, columns in SHAPES:
        a, b = _numbers(rows, inner), _numbers(inner, columns)
        note(a @ b)
        note(_numbers(rows, columns) @ b.T)
        note(a.T @ _numbers(rows, columns))
    x = _numbers(64, 576)
    for result in (x.sum(1), x.softmax(1), x.exp(), x.log1p(), functional.silu(x), x.pow(2).mean(1).rsqrt(), x.cos()):
        note(result)
    query = _numbers(3 * 64, 64).view(1, 3, 64, 64)
    note(functional.scaled_dot_product_attention(query, query, query, is_causal=True))
    return found.hexdigest()[:8]


def _numbers(rows: int, columns: int) -> torch.Tensor:
    """(rows, columns) from -0.5 to 0.5, the same to the bit on every machine."""
    return torch.arange(rows * columns, dtype=torch.float64).mul(0.618033988749895).frac().sub(0.5).float().view(rows, columns)
