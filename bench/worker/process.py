"""A worker: a fresh process that does jobs one after another and dies with its parent.

    python -P -m bench worker

Jobs come as JSON lines on standard input, events go as JSON lines to standard output; whatever else prints goes to standard error.
When standard input closes, because the parent is done or dead (even by SIGKILL), the process ends at once: everything it was doing is
either in the cache or can be done again.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any


def _read_jobs(jobs: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


def main(cache_folder: str) -> None:
    """Serve until standard input closes."""
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def send(event: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps(event) + "\n")

    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()

    import torch
    import transformers

    from bench.errors import UserError
    from bench.storage.cache import Cache
    from bench.training.grpo import DivergedError
    from bench.worker.jobs import Jobs

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    cache = Cache(Path(cache_folder))
    worker = Jobs(cache, lambda event: send({"job": current, **event}))
    current = ""
    while True:
        job = jobs.get()
        current = job.pop("id")
        began, made = time.monotonic(), cache.made
        try:
            result = worker.do(job)
            took = {"seconds": time.monotonic() - began, "fresh": cache.made > made}
            send({"job": current, "event": "done", "result": result, **took})
        except (UserError, DivergedError) as error:
            send({"job": current, "event": "failed", "error": str(error), "user": True})
        except Exception as error:
            traceback.print_exc()
            send({"job": current, "event": "failed", "error": f"{type(error).__name__}: {error}", "user": False})
