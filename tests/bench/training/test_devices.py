"""The same run on every device and with every engine: in bf16 autocast over fp32 weights on CUDA, in fp32 on a CPU. A CPU with transformers
runs the lines that the marked cases run, so that those cannot break unseen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import run
from bench.method import Training
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.worker.keys import Numerics
from bench.worker.workbench import Workbench

HERE = "cuda" if torch.cuda.is_available() else "cpu"
"""What vLLM is installed for."""
CUDA = pytest.param("cuda", "hf", marks=pytest.mark.gpu)
VLLM = pytest.param(HERE, "vllm", marks=[pytest.mark.vllm, pytest.mark.timeout(1200)])


@pytest.mark.parametrize(("device", "engine"), [("cpu", "hf"), CUDA, VLLM])
def test_a_run_scores_the_base_as_a_cpu_does(device: str, engine: str, tmp_path: Path, tiny_suite: Path) -> None:
    options = {"suite": str(tiny_suite), "sequence": "math-qa", "cache": tmp_path / "cache", "jobs": 1, "display": False}
    on_cpu = run("none", device="cpu", out=tmp_path / "cpu", **options)
    done = run("refresh", settings={"steps": 3}, device=device, engine=engine, out=tmp_path / "run", **options)
    assert done.manifest.numerics["device"] == device
    assert done.manifest.numerics["bf16"] is (device == "cuda")
    assert done.manifest.numerics.get("engine", "hf").split()[0] == engine
    assert done.manifest.cost.repair > 0
    gaps = [abs(a - b) for a, b in zip(on_cpu.matrix["greedy"].baseline[0], done.matrix["greedy"].baseline[0], strict=True)]
    assert max(gaps) <= (0.13 if device == "cuda" else 0.07 if engine == "vllm" else 0)  # of 16 items, two in bf16, one in fp32: near-ties


@pytest.mark.parametrize(("device", "engine"), [("cpu", "hf"), CUDA, VLLM])
def test_stored_weights_are_fp32(device: str, engine: str, tmp_path: Path, tiny_suite: Path) -> None:
    bench = Workbench(load_suite(str(tiny_suite)), Cache(tmp_path), Numerics.choose(device, engine))
    trained = bench.cache.checkpoint(bench.train(bench.base, Training.on("math"), seed=100).value["checkpoint"])
    for name, own in bench.base.items():
        tensor = trained.tensor(name)
        assert tensor.dtype == torch.float32
        assert torch.isfinite(tensor).all()
        if own.ndim == 2:
            assert not torch.equal(own, tensor)
