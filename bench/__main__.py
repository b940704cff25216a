"""`python -m bench`. The current folder leaves the import path unless it is the checkout itself, so that a user's `tasks.py` or empty
`tests/` there does not stand in for ours."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the command line."""
    here = Path.cwd().resolve()
    if Path(__file__).resolve().parent.parent != here:
        sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    from bench.cli import app

    app()


if __name__ == "__main__":
    main()
