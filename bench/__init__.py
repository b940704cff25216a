"""interference-bench: what RL on one domain damages in a language model's others, and which repair wins it back.

from bench import run, load_run
result = run(method="refresh")
print(result.metrics["greedy"]["recovery ratio"])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import run
    from bench.results.run import Run, load_run

__all__ = ["Run", "load_run", "run"]


def __getattr__(name: str) -> Any:
    """Load the API where it is used: `import bench` alone costs nothing."""
    if name == "run":
        from bench.api import run

        return run
    if name in ("Run", "load_run"):
        from bench.results import run as results

        return getattr(results, name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")
