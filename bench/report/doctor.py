"""What `python -m bench doctor` prints: what is installed, and what each missing piece would enable."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tabulate import tabulate

from bench import hardware
from bench.errors import UserError
from bench.files import default_cache
from bench.suite import load_suite, suite_names

NEEDED = ("torch", "transformers", "safetensors", "datasets", "lm-eval", "peft", "pandas", "tabulate", "pydantic", "scipy")
OPTIONAL = {
    "vllm": "faster generation on GPUs (install it in a separate environment)",
    "trl": "the tests that compare gradients and speed with TRL's",
    "reasoning-gym": "the suite gym",
    "gguf": "models in GGUF files",
    "pytest": "the tests: pip install -e '.[test]'",
    "pytest-benchmark": "the speed comparisons: pip install -e '.[test]'",
}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def find_browser() -> str | None:
    """Where Chromium or Chrome is, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def findings(cache: Path | None) -> str:
    """One table; nothing is changed. `UserError` where the base of micro cannot be read."""
    import torch

    from bench.worker.arithmetic import arithmetic

    rows = [["python", platform.python_version(), ""], ["cores", hardware.cores(), "at most one worker process a core"]]
    rows.append(["memory", f"{hardware.free_memory_gb():.1f} GB free", f"a worker on a CPU needs {_needs()}"])
    rows += [[name, _version(name) or "MISSING", "" if _version(name) else "needed: pip install -e ."] for name in NEEDED]
    rows += [[name, _version(name) or "not found", "" if _version(name) else f"would enable: {use}"] for name, use in OPTIONAL.items()]
    if torch.cuda.is_available():
        rows.append(["CUDA", torch.cuda.get_device_name(), f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB"])
    else:
        rows.append(["CUDA", "not found", "would enable: --device cuda (bf16 autocast, fp32 master weights)"])
    own = f"{torch.backends.cpu.get_cpu_capability()}, arithmetic {arithmetic()}"
    rows.append(["CPU", own, "results are bit-identical only where both are the same"])
    sandbox = shutil.which("bwrap")
    rows.append(["bubblewrap", sandbox or "not found", "" if sandbox else "would enable: python -m leaderboard rerun, in a sandbox"])
    browser = find_browser()
    rows.append(["chromium", browser or "not found", "" if browser else "would enable: the report's browser test, and screenshots"])
    rows.append(["cache", str(cache or default_cache()), ""])
    rows.append(["base of micro", *_base()])
    return tabulate(rows, tablefmt="plain", disable_numparse=True)


def _needs() -> str:
    """What memory a worker of each suite takes, as in "1 GB for micro, 5 GB for everyday"."""
    suites = sorted(map(load_suite, suite_names()), key=lambda suite: (suite.memory_gb, suite.name))
    return ", ".join(f"{suite.memory_gb:g} GB for {suite.name}" for suite in suites)


def _base() -> tuple[str, str]:
    from bench.checkpoint import Checkpoint

    suite = load_suite("micro")
    folder = suite.base_folder
    try:
        found = Checkpoint(folder).content()
    except Exception as error:
        raise UserError(f"the base of suite micro at {folder} cannot be read ({error}): reinstall the package") from error
    return ("intact", found[:12]) if found == suite.base.content else ("DAMAGED", f"{folder}: reinstall the package")
