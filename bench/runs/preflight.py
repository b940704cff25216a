"""What is checked before work starts, so that no run fails late for something that was wrong from the beginning. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from bench.errors import UserError
from bench.files import check_cache, check_checkpoints, check_folder, default_cache
from bench.options import Options
from bench.runs.execute import check_folders
from bench.runs.forecast import Ledger
from bench.runs.machine import cards, default_jobs
from bench.runs.plan import Plan, graph_of


def check(plans: Sequence[Plan], options: Options) -> None:
    """`UserError` in one line for a device, an engine, a model, a task of lm-eval or a folder that cannot be used."""
    if options.device == "cuda" and (version("torch").endswith("+cpu") or not cards()):
        raise UserError("--device cuda: no CUDA device, or a torch without CUDA; use --device cpu, or run `python -m bench doctor`")
    if options.engine == "vllm" and not find_spec("vllm"):
        raise UserError("--engine vllm: vllm is not installed here; pip install 'interference-bench[vllm]' in a venv of its own")
    for task in options.also:
        if task.endswith((".yaml", ".yml")) and not Path(task).is_file():
            raise UserError(f"--also {task}: no such file")
    if options.log_to is not None and not find_spec("tensorboard"):
        raise UserError("--log-to tensorboard: the package is not installed; pip install tensorboard")
    spec = plans[0].spec
    if spec.model and not spec.imported:
        from bench.storage.hub import check_model

        check_model(spec.model, spec.load_suite().context)
    check_cache(options.cache or default_cache())
    if spec.imported:
        check_checkpoints(spec.imported, options.cache, f"--from {options.source}" if options.source else "import")
    check_folder(options.out, "--out")
    check_folders(plans, options.out)


def forecast(plans: Sequence[Plan], options: Options) -> str:
    """What the runs will take, in a line: stages, repairs and scorings, those in the cache, and the time by what such jobs took here."""
    workers = options.jobs or default_jobs(options.device, plans[0].spec.load_suite().gpu_memory_gb)
    found = Ledger(options.cache or default_cache(), graph_of(plans).values()).forecast()
    return f"{len(plans)} run{'s' * (len(plans) > 1)}: {found.text(workers)}"
