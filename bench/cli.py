"""The command line. Each command checks its words, calls one function, prints what comes back."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import UserError

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measures what RL on one domain damages in a language model's other domains, and which repairs win it back.",
)


def _one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            typer.echo(f"bench: {error}", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("bench: stopped; the same command goes on where it was", err=True)
            raise typer.Exit(130) from None

    return guarded


Out = Annotated[Path, typer.Option(help="Where run folders go.")]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Where checkpoints go (default: $BENCH_CACHE or the user's cache folder).")
]
JobCount = Annotated[
    int | None, typer.Option(help="Worker processes, one thread each (default: the cores, on CUDA what fits the cards).", min=1)
]
LogTo = Annotated[str | None, typer.Option(help="tensorboard: training curves into the run folders, as they grow.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Engine = Annotated[str, typer.Option(help="Who writes the answers: hf, or vllm where it is installed.")]
Quick = Annotated[bool, typer.Option("--quick", help="A minute; not comparable with anything.")]
SuiteName = Annotated[str, typer.Option(help="Suite, by name or .yaml file.")]
Also = Annotated[str, typer.Option(help="Tasks of lm-eval to score every row on as well, by name or .yaml file: mmlu,hellaswag.")]
AlsoLimit = Annotated[int | None, typer.Option(help="Items of each of them (default: all).", min=1)]
ModelName = Annotated[str, typer.Option(help="HF folder, or owner/name[@revision] on the hub, for suites without a base of their own.")]


@app.command()
@_one_line_errors
def run(
    method: Annotated[str, typer.Option(help="Method: a name (see `list methods`) or path/to/file.py:Class.")] = "none",
    suite: SuiteName = "micro",
    model: ModelName = "",
    sequence: Annotated[str, typer.Option(help="Sequence of domains (see `list sequences`).")] = "paper",
    targets: Annotated[str, typer.Option(help="Domains to win back: single (math) or all (every one but the last).")] = "single",
    seed: Annotated[int, typer.Option(help="First seed.", min=0)] = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds, from --seed on; side by side.", min=1)] = 1,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A setting of the method, key=value; key=a,b,c runs each.")] = None,
    device: DeviceName = "auto",
    engine: Engine = "hf",
    quick: Quick = False,
    null: Annotated[
        bool, typer.Option("--null", help="After each target's own stage, null stages: rewards permuted within groups.")
    ] = False,
    source: Annotated[Path | None, typer.Option("--from", help="A run whose checkpoints to repair instead of training stages.")] = None,
    also: Also = "",
    also_limit: AlsoLimit = None,
    out: Out = Path("runs"),
    cache: CacheFolder = None,
    jobs: JobCount = None,
    log_to: LogTo = None,
) -> None:
    """Train a sequence, repair it with a method, score everything, say how much was damaged and won back."""
    from bench.registry import tuned_settings
    from bench.report.tables import summary
    from bench.runs.compare import settings_of
    from bench.runs.execute import execute
    from bench.spec import RunSpec
    from bench.suite import load_suite

    given: dict[str, Any] = {"suite": suite, "model": model, "quick": quick, "sequence": sequence} | (_imported(source) if source else {})
    given |= {"also": _tasks_in(also), "also_limit": also_limit, "engine": _known_engine(engine)}
    tuned = tuned_settings(method, load_suite(given["suite"], quick=given["quick"]).board(given["sequence"], targets, given["model"]))
    first = RunSpec(**given, targets=targets)
    variants = [
        [
            RunSpec(**given, targets=targets, method=method, settings=tuned | chosen, seed=each, device=device, null=after)
            for each in range(seed, seed + seeds)
        ]
        for chosen in settings_of(settings or [], method)
        for after in (first.target_domains() if null else ("",))
    ]
    runs = execute([spec for variant in variants for spec in variant], out=out, cache=cache, jobs=jobs, log_to=log_to)
    for number in range(len(variants)):
        part = runs[number * seeds : (number + 1) * seeds]
        typer.echo("\n" + summary(part))
        typer.echo("run       " + "\n          ".join(str(done.folder) for done in part))


def _known_engine(name: str) -> str:
    if name not in ("hf", "vllm"):
        raise UserError(f"--engine {name}: choose hf or vllm")
    return name


def _tasks_in(also: str) -> tuple[str, ...]:
    return tuple(filter(None, also.split(",")))


def _imported(folder: Path) -> dict[str, Any]:
    from bench.results.run import load_run

    manifest = load_run(folder).manifest
    chain = tuple(manifest["checkpoints"][row] for row in manifest["rows"]["baseline"])
    spec = manifest["spec"]
    return {
        "suite": spec["suite"],
        "model": spec.get("model", ""),
        "quick": spec["quick"],
        "sequence": spec["sequence"],
        "imported": chain,
        "imported_sequence": tuple(manifest["sequence"]),
    }


@app.command()
@_one_line_errors
def compare(
    methods: Annotated[
        str, typer.Option(help="Methods, as in refresh[steps=5,30],rollback,mine.py:Mine; `controls` and `all` stand for many.")
    ] = "refresh,rollback,replay,controls",
    suite: SuiteName = "micro",
    model: ModelName = "",
    sequence: Annotated[str, typer.Option(help="Sequence, or a design of several (balanced).")] = "paper",
    targets: Annotated[str, typer.Option(help="Domains to win back: single (math) or all (every one but the last).")] = "single",
    seed: Annotated[int, typer.Option(help="First seed.", min=0)] = 0,
    seeds: Annotated[int, typer.Option(help="How many seeds, from --seed on.", min=1)] = 5,
    device: DeviceName = "auto",
    engine: Engine = "hf",
    quick: Quick = False,
    shard: Annotated[str, typer.Option(help="i/n: part i of n, for machines that share --cache and --out.")] = "1/1",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it will take, and stop.")] = False,
    also: Also = "",
    also_limit: AlsoLimit = None,
    out: Out = Path("runs"),
    cache: CacheFolder = None,
    jobs: JobCount = None,
    log_to: LogTo = None,
) -> None:
    """Run methods on the same stages and seeds, and say which is better. The plain run is always among them."""
    from bench.runs.compare import comparison, forecast
    from bench.runs.execute import FailedRunsError, execute

    specs = comparison(
        methods,
        seeds=range(seed, seed + seeds),
        suite=suite,
        model=model,
        quick=quick,
        sequence=sequence,
        targets=targets,
        device=device,
        engine=_known_engine(engine),
        also=_tasks_in(also),
        also_limit=also_limit,
        shard=shard,
    )
    if not specs:
        typer.echo("nothing falls to this shard")
        return
    typer.echo(forecast(specs, cache=cache, jobs=jobs))
    if dry_run:
        return
    failed = None
    try:
        runs = execute(specs, out=out, cache=cache, jobs=jobs, log_to=log_to)
    except FailedRunsError as error:
        runs, failed = error.done, error
    if runs:
        from bench.report.content import content
        from bench.report.text import terminal

        typer.echo("\n" + terminal(content(runs)), nl=False)
        typer.echo(f"\nthe whole report: python -m bench report {out} --out report")
    if failed is not None:
        raise failed


@app.command()
@_one_line_errors
def tune(
    method: Annotated[str, typer.Option(help="Method: a name or path/to/file.py:Class, with a search space of its own.")],
    suite: SuiteName = "micro",
    model: ModelName = "",
    sequence: Annotated[str, typer.Option(help="Sequence of domains.")] = "paper",
    targets: Annotated[str, typer.Option(help="single or all.")] = "single",
    device: DeviceName = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="A try-out: the record is shown and not kept.")] = False,
    cache: CacheFolder = None,
    jobs: JobCount = None,
) -> None:
    """Choose a method's settings on validation items and development seeds, and keep the record beside the method."""
    from bench.registry import tuned_file
    from bench.runs.tune import table
    from bench.runs.tune import tune as try_all

    record = try_all(
        method, suite=suite, model=model, quick=quick, sequence=sequence, targets=targets, device=device, cache=cache, jobs=jobs
    )
    typer.echo("\n" + table(record))
    typer.echo("\n--quick: not kept" if quick else f"\nkept in {tuned_file(method)}")


@app.command("import")
@_one_line_errors
def import_(
    base: Annotated[Path, typer.Option(help="HF folder of the model before the first stage.")],
    stage: Annotated[list[str], typer.Option(help="domain=HF folder of the checkpoint after its stage; once a stage, in order.")],
    suite: SuiteName = "micro",
    targets: Annotated[str, typer.Option(help="single or all.")] = "single",
    quick: Annotated[bool, typer.Option("--quick", help="Few items.")] = False,
    out: Out = Path("runs"),
    cache: CacheFolder = None,
) -> None:
    """Make a run of your own checkpoints; `run --from RUN --method rollback` then repairs it."""
    from bench.report.tables import summary
    from bench.runs.execute import execute
    from bench.worker.importing import import_checkpoints

    stages = []
    for word in stage:
        domain, equals, folder = word.partition("=")
        if not equals:
            raise UserError(f"--stage {word}: write domain=folder")
        stages.append((domain, Path(folder)))
    spec = import_checkpoints(base, stages, suite=suite, quick=quick, targets=targets, cache=cache)
    runs = execute([spec], out=out, cache=cache)
    typer.echo("\n" + summary(runs))
    typer.echo(f"run       {runs[0].folder}\nrepair it: python -m bench run --from {runs[0].folder} --method rollback")


@app.command("list")
@_one_line_errors
def list_(
    what: Annotated[str, typer.Argument(help="suites, sequences, tasks, methods, runs, or all.")] = "all",
    suite: SuiteName = "micro",
    out: Out = Path("runs"),
) -> None:
    """What there is: suites, sequences, tasks, methods, and finished runs below --out."""
    from bench.report.listing import listing

    typer.echo(listing(what, suite, out))


@app.command()
@_one_line_errors
def show(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="A run's folder, or those of several seeds.")],
    domain: Annotated[str | None, typer.Option(help="Look at one domain's answers.")] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="The items lost since the domain's own stage, and those the end won back.")
    ] = False,
    count: Annotated[int, typer.Option(help="How many items of each kind.", min=1)] = 10,
    picture: Annotated[Path | None, typer.Option(help="Draw damage and recovery into this .svg file.")] = None,
) -> None:
    """Show a finished run again, or the answers behind it."""
    from bench.report.listing import answers_text, flips_text
    from bench.report.tables import summary
    from bench.results.run import load_run

    runs = [load_run(folder) for folder in folders]
    if picture is not None:
        from bench.report.picture import picture as draw

        draw(runs, picture)
        typer.echo(f"drawn {picture}")
    elif domain is None and not flips:
        typer.echo(summary(runs))
    else:
        for run, name in product(runs, [domain] if domain else runs[0].sequence):
            typer.echo((flips_text if flips else answers_text)(run, name, count))


@app.command()
@_one_line_errors
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or folders of them (runs).")],
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, .md, .json, entries.csv and cells.csv.")] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="ONE/OTHER", help="Two entries whose comparison was planned: p-values are corrected over these alone."),
    ] = None,
) -> None:
    """Compare finished runs: boards with intervals; with --out also a page to read, and files to compute with."""
    from bench.report.content import collect, content, planned_pairs

    told = content(*collect(folders), planned=planned_pairs(pair or []))
    if out is not None:
        from bench.report.page import write_report

        typer.echo("\n".join(f"written {path}" for path in write_report(told, out)) + "\n")
    from bench.report.text import terminal

    typer.echo(terminal(told), nl=False)


@app.command()
@_one_line_errors
def doctor(cache: CacheFolder = None) -> None:
    """What is installed here, and what each missing piece would enable."""
    from bench.report.doctor import findings

    typer.echo(findings(cache))


@app.command()
@_one_line_errors
def cache(
    action: Annotated[str, typer.Argument(help="show or prune.")] = "show",
    folder: CacheFolder = None,
) -> None:
    """Show what the cache holds, or empty it."""
    from bench.storage.cache import Cache

    held = Cache(folder)
    if action == "prune":
        typer.echo(f"freed {held.prune() / 1e6:.1f} MB in {held.folder}")
    elif action == "show":
        lines = [f"{held.folder}"]
        lines += [f"  {kind:<12} {number:>6}  {size / 1e6:>9.1f} MB" for kind, (number, size) in held.size().items()]
        typer.echo("\n".join(lines))
    else:
        raise UserError(f"cache {action}: choose show or prune")


@app.command("build-base")
@_one_line_errors
def build_base(
    suite: Annotated[str, typer.Argument(help="The suite whose base to build (micro).")] = "micro",
    out: Annotated[Path, typer.Option(help="Folder for the base.")] = Path("base"),
) -> None:
    """Make a suite's base model from nothing; goes on where it was stopped."""
    if suite != "micro":
        raise UserError(f"suite {suite!r} has no recipe for a base: only micro has")
    from bench.runs.machine import limit_threads

    limit_threads()
    from bench.training.build_base import command

    command(out)


@app.command(hidden=True)
def worker(cache: Annotated[Path, typer.Option(help="Cache folder.")]) -> None:
    """Serve jobs on standard input (what `run` starts)."""
    from bench.worker.process import main

    main(str(cache))


if __name__ == "__main__":
    sys.exit(app())
