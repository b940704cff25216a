"""What needs a CUDA device: the same run there, in bf16 autocast over fp32 weights."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.gpu


def test_a_run_on_cuda_scores_the_base_as_the_cpu_does(tmp_path, tiny_suite):
    from bench import run

    options = {"suite": str(tiny_suite), "sequence": "math-qa", "cache": tmp_path / "cache", "display": False}
    on_cpu = run("none", device="cpu", out=tmp_path / "cpu", **options)
    on_gpu = run("refresh", settings={"steps": 3}, device="cuda", out=tmp_path / "gpu", **options)
    assert on_gpu.manifest["numerics"]["bf16"] is True
    gap = [abs(a - b) for a, b in zip(on_cpu.matrix["greedy"]["plain"][0], on_gpu.matrix["greedy"]["plain"][0], strict=True)]
    assert max(gap) <= 0.13  # two of 16 items: bf16 may flip near-ties


def test_stored_weights_stay_fp32_on_cuda(tmp_path, tiny_suite):
    import torch

    from bench.method import Training
    from bench.storage.cache import Cache
    from bench.suite import load_suite
    from bench.worker.keys import Numerics
    from bench.worker.workbench import Workbench

    bench = Workbench(load_suite(str(tiny_suite)), Cache(tmp_path), Numerics.choose("cuda"))
    trained = bench.cache.checkpoint(bench.train(bench.base, Training.on("math"), seed=100).value["checkpoint"])
    for name, own in bench.base.items():
        tensor = trained.tensor(name)
        assert tensor.dtype == torch.float32
        assert torch.isfinite(tensor).all()
        if own.ndim == 2:
            assert not torch.equal(own, tensor)
