"""A wheel built from the checkout works from a folder whose files have our names."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECOYS = ("tasks.py", "bench/__init__.py", "tests/__init__.py", "leaderboard/__init__.py", "baselines.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)], check=True, capture_output=True
    )
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_base_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "bench/suites/micro/model.safetensors" in names
    assert "bench/suites/micro/tokenizer.json" in names
    assert "bench/suites/micro.yaml" in names
    assert "bench/report/page.html.j2" in names
    assert "tasks/everyday/sentences.txt" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_wheel_runs_among_decoys(wheel, tmp_path, tiny_suite):
    site, here = tmp_path / "site", tmp_path / "here"
    zipfile.ZipFile(wheel).extractall(site)
    unpacked = _files(site)
    for decoy in DECOYS:
        (here / decoy).parent.mkdir(parents=True, exist_ok=True)
        (here / decoy).write_text("raise RuntimeError('a decoy was imported')\n")
    # The checkout is installed for editing in this environment: the unpacked wheel comes before it.
    environment = os.environ | {"PYTHONPATH": str(site), "BENCH_CACHE": str(tmp_path / "cache")}
    words = ["run", "--suite", str(tiny_suite), "--sequence", "math-qa", "--method", "refresh", "--set", "steps=2", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", "import bench; print(bench.__file__)"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert str(site) in done.stdout
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", *words], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "repaired" in done.stdout
    assert _files(site) == unpacked, "nothing is written beside the package"


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
