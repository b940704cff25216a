"""A worker: a fresh process that does jobs one after another and dies with its parent.

    python -P -m bench worker --cache FOLDER --lane LANE

Jobs come as JSON lines on what was standard input, events go as JSON lines to what was standard output; whatever else prints goes to
standard error, and standard input is empty. A worker keeps to one lane: one that runs a user's method does that
method's jobs and nothing else, and what it computes it remembers under that method's own keys.

When the channel closes, because the parent is done or dead (even by SIGKILL), the process ends at once: everything it was doing is
either in the cache or can be done again.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from bench.errors import MachineError, UserError
from bench.files import disk_error, disk_failure
from bench.user_code import line_of, no_breakpoint


def _read_jobs(channel: TextIO, jobs: queue.Queue[dict[str, Any]]) -> None:
    for line in channel:
        jobs.put(json.loads(line))
    os._exit(0)


def failure(error: BaseException) -> dict[str, Any]:
    """An error as an event has it: its line, whether a user can put it right, and whether the machine failed. The trace of any other
    goes to the log, and so does that of a disk that failed, whose file may have no name."""
    import torch

    from bench.training.grpo import DivergedError

    failed = None if isinstance(error, UserError) else disk_failure(error)
    if failed is not None:
        traceback.print_exception(error)
        error = disk_error(str(failed.filename or f"the cache or the temporary files ({tempfile.gettempdir()})"), failed)
    if isinstance(error, UserError | DivergedError):
        return {"error": str(error), "user": True, "machine": isinstance(error, MachineError)}
    traceback.print_exception(error)
    text, line = " ".join(str(error).split()), line_of(error)
    told = f"{type(error).__name__}: {text[:300]}{f' ({line})' if line else ''}"
    return {"error": told, "user": False, "machine": isinstance(error, torch.OutOfMemoryError)}


def main(cache_folder: str, lane: str) -> None:
    """Serve until the channel closes."""
    channel = os.fdopen(os.dup(0), encoding="utf-8")
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    lock = threading.Lock()

    def send(event: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps(event) + "\n")

    waiting: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(channel, waiting), daemon=True).start()

    import torch
    import transformers

    from bench.storage.cache import Cache
    from bench.worker import outcomes
    from bench.worker.jobs import from_json
    from bench.worker.perform import Performer

    sys.breakpointhook = no_breakpoint
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    cache = Cache(Path(cache_folder), owner=lane)
    current = ""
    performer = Performer(cache, lambda event: send({"job": current, **event}))
    while True:
        line = waiting.get()
        job = from_json(line["job"])
        current = job.key
        began, worked, made, flops = time.monotonic(), time.process_time(), cache.made, cache.made_flops
        try:
            if job.lane != lane:
                raise RuntimeError(f"a job of lane {job.lane!r} came to a worker of lane {lane!r}")
            result = outcomes.to_json(performer.perform(job, line["made"]))
            took = {"seconds": time.monotonic() - began, "cpu": time.process_time() - worked}
            send({"job": current, "event": "done", "result": result, **took, "fresh": cache.made > made, "flops": cache.made_flops - flops})
        except (Exception, SystemExit) as error:
            send({"job": current, "event": "failed", **failure(error)})
