"""Fixtures that several folders of tests use: a ten-step suite on the real base, and a workbench on it."""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")

from pathlib import Path

import pytest
import yaml

from bench.report.doctor import find_browser
from bench.suite import FOLDER, load_suite

TINY = {"test_items": 16, "validation_items": 8, "snapshot_every": 4}
TINY_RL = {"steps": 10, "prompts": 4, "group": 4}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what this machine or command is not for, saying what is missing."""
    missing = {} if config.getoption("--slow") else {"slow": "takes minutes: run with --slow"}
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            missing["gpu"] = "needs a CUDA device; torch sees none here"
    if find_browser() is None:
        missing["browser"] = "needs Chromium or Chrome; none is on the PATH here"
    for item in items:
        for marker, reason in missing.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def tiny_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite file: micro with ten small steps a stage and 16 test items."""
    content = yaml.safe_load((FOLDER / "micro.yaml").read_text(encoding="utf-8"))
    content |= TINY | {"name": "tiny", "rl": content["rl"] | TINY_RL, "comparable": False}
    path = tmp_path_factory.mktemp("suite") / "tiny.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_bench(tiny_suite: Path, tmp_path_factory: pytest.TempPathFactory):
    """A workbench on the ten-step suite, with a cache that all tests of a session share."""
    import torch

    from bench.cache import Cache
    from bench.workbench import Workbench

    torch.set_num_threads(1)
    return Workbench(load_suite(str(tiny_suite)), Cache(tmp_path_factory.mktemp("cache")))
