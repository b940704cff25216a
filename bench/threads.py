"""The environment of processes that compute: one thread each, no spinning."""

from __future__ import annotations

import os

THREADS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Environment of a worker: one thread each. Two spinning threads on a busy machine were 40 times slower."""


def limit_threads() -> None:
    """The same for this process; before torch is loaded."""
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)
