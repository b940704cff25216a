"""interference-bench: how much RL on one domain makes a language model forget other domains, and which methods recover it.

from bench import boards, compare, run

result = run(method="refresh")
print(result.metrics["greedy"]["recovery ratio"])
(board,) = boards(compare("refresh,rollback,controls", seeds=5))
print(board.frame())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import compare, diagnose, run, tune
    from bench.results.boards import boards
    from bench.results.run import Run, load_run

_WHERE = {
    "run": "bench.api",
    "compare": "bench.api",
    "tune": "bench.api",
    "diagnose": "bench.api",
    "boards": "bench.results.boards",
    "Run": "bench.results.run",
    "load_run": "bench.results.run",
}
__all__ = ["Run", "boards", "compare", "diagnose", "load_run", "run", "tune"]


def __getattr__(name: str) -> Any:
    """Load the API where it is used: `import bench` alone costs nothing."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
