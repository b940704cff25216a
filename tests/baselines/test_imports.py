"""What the baselines import: the interface and nothing else of bench, and nothing heavy until a repair runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import baselines
from bench.registry import method_names

HEAVY = ("torch", "transformers", "pandas", "scipy", "bench.checkpoint")

NAME_ALL = f"""
import sys
from bench.registry import make_method, method_names
for name in method_names():
    make_method(name, {{}}).settings()
print(*(module for module in {HEAVY!r} if module in sys.modules))
"""


def test_naming_every_method_loads_no_torch() -> None:
    """The parent process names and checks methods; only workers run them."""
    found = subprocess.run(
        [sys.executable, "-c", NAME_ALL], capture_output=True, text=True, check=True, cwd=Path(baselines.__file__).parents[1]
    )
    assert found.stdout.split() == []


@pytest.mark.parametrize("name", method_names())
def test_a_baseline_sees_the_interface_alone(name: str) -> None:
    """Also in imports for type checkers and in those inside functions."""
    tree = ast.parse((Path(baselines.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    own = {module for module in named if module.partition(".")[0] in ("bench", "tasks", "leaderboard")}
    assert own <= {"bench.method", "bench.checkpoint"}
