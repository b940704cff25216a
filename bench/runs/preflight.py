"""What is checked before work starts, so that no run fails late for something that was wrong from the beginning. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from bench import hardware
from bench.errors import UserError
from bench.evaluation.lm_eval import check_tasks
from bench.files import check_cache, check_checkpoints, check_folder, default_cache, has_checkpoint
from bench.options import Options
from bench.runs.execute import check_folders
from bench.runs.forecast import Ledger
from bench.runs.plan import Plan, graph_of
from bench.runs.workers import default_jobs, on_cpu, places, short_of_memory
from bench.storage.gguf import pretrained_file
from bench.storage.hub import check_model
from bench.suite import Suite


def check(plans: Sequence[Plan], options: Options, *, writes_runs: bool = True) -> None:
    """`UserError` in one line for options, a model, checkpoints or run folders that cannot be used. writes_runs: whether run folders will
    be written below --out. Leaves no new folder behind but the cache's, and in a dry run not even that."""
    check_options(options, writes_runs=writes_runs)
    spec = plans[0].spec
    if options.engine != "hf" and options.jobs and not on_cpu(options.device):
        room = len(places(options.device, spec.load_suite(), options.engine))
        if options.jobs > room:
            why = f"--engine {options.engine} runs one worker a card, and there is room for {room}"
            raise UserError(f"--jobs {options.jobs}: {why}; use --jobs {room}, or leave it out")
    if spec.model and not spec.imported:
        check_model(spec.model, needed_context(spec.load_suite()))
    base = plans[0].suite.base
    if not (spec.model or spec.imported) and base and base.pretrained and not has_checkpoint(base.content, options.cache):
        pretrained_file(plans[0].suite)
    if spec.imported:
        check_checkpoints(spec.imported, options.cache, f"--from {options.source}" if options.source else "import")
    if writes_runs:
        check_folders(plans, options.out)


def check_options(options: Options, *, writes_runs: bool = True) -> None:
    """`UserError` for a device, an engine, tasks of lm-eval, a logger or a folder that cannot be used."""
    if options.device == "cuda" and not hardware.has_cuda():
        raise UserError("--device cuda: no CUDA device, or a torch without CUDA; use --device cpu, or run `python -m bench doctor`")
    if options.engine == "vllm" and not find_spec("vllm"):
        raise UserError("--engine vllm: vllm is not installed here; pip install 'interference-bench[vllm]' in a venv of its own")
    if options.also_limit is not None and not options.also:
        raise UserError("--also-limit: there is nothing to limit; add --also, or leave it out")
    check_tasks(options.also)
    if options.log_to is not None and not find_spec("tensorboard"):
        raise UserError("--log-to tensorboard: the package is not installed; pip install tensorboard")
    check_cache(options.cache or default_cache(), "--cache", make=not options.dry_run)
    if writes_runs:
        check_folder(options.out, "--out", make=False)


def needed_context(suite: Suite) -> int:
    """The least context window that a model needs: the suite's longest answer, thinking included, and one token of a prompt. How long its
    prompts are depends on the tokenizer; `prompt_tokens` is only their limit. The first job of a run checks the prompts themselves, before
    anything is trained (`bench.training.models.check_context`)."""
    prompting = suite.prompting
    thinking = prompting.thinking_tokens if prompting.chat == "thinking" else 0
    return 1 + max(task.answer_tokens for task in suite.loaded_tasks.values()) + thinking


def forecast(plans: Sequence[Plan], options: Options) -> str:
    """What the runs will take, in a line: stages, repairs and scorings, those in the cache, and the time by what such jobs took here."""
    suite = plans[0].spec.load_suite()
    workers = options.jobs or default_jobs(options.device, suite, options.engine)
    found = Ledger(options.cache or default_cache(), graph_of(plans).values()).forecast()
    short = "" if options.jobs else short_of_memory(options.device, suite)
    return f"{len(plans)} run{'s' * (len(plans) > 1)}: {found.text(workers)}" + (f"; {short}" if short else "")
