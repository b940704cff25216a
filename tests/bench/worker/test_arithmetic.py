"""The arithmetic of a machine: the same in every process of it, another one where kernels or functions are others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.worker.arithmetic import arithmetic
from bench.worker.keys import Numerics


def elsewhere(**environment: str) -> str:
    """What another process says."""
    command = [sys.executable, "-c", "from bench.worker.arithmetic import arithmetic; print(arithmetic())"]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=True).stdout.strip()


def test_it_is_the_same_in_another_process_and_with_other_threads() -> None:
    threads = torch.get_num_threads()
    assert arithmetic() == elsewhere(OMP_NUM_THREADS="2", MKL_NUM_THREADS="2")
    assert torch.get_num_threads() == threads
    assert len(arithmetic()) == 8 and int(arithmetic(), 16) >= 0


def test_other_functions_are_another_arithmetic() -> None:
    """torch's own, by its capability."""
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this CPU has no capability but the default one")
    assert elsewhere(ATEN_CPU_CAPABILITY="default") != arithmetic()


def test_other_products_are_another_arithmetic_of_the_same_capability() -> None:
    """As on two CPUs with AVX512 for which MKL chooses different kernels."""
    known = Path("/proc/cpuinfo")
    if not torch.backends.mkl.is_available() or not known.is_file() or "GenuineIntel" not in known.read_text(encoding="utf-8"):
        pytest.skip("needs MKL on an Intel CPU")
    assert elsewhere(MKL_CBWR="COMPATIBLE") != arithmetic()


def test_it_is_part_of_what_results_depend_on() -> None:
    described = Numerics("cpu").described()
    assert described["arithmetic"] == arithmetic()
    assert described["capability"] == torch.backends.cpu.get_cpu_capability()
    assert Numerics("cuda", bf16=True).described()["arithmetic"] == ""


def test_the_type_of_gpu_is_part_of_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    monkeypatch.setattr(torch.version, "cuda", "12.9")
    assert Numerics("cuda", bf16=True).described()["capability"] == "NVIDIA H200, CUDA 12.9"
