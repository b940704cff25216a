"""The command line. Each command checks its words, calls one function, prints what comes back."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.command_line import one_line_errors
from bench.errors import UserError
from bench.options import IMPORT, RUN, TUNE, Options, described, takes

if TYPE_CHECKING:
    from bench.results.run import Run
    from bench.runs.plan import Plan

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Measures how much RL on one domain makes a language model forget other domains, and which methods recover it.",
)


CacheFolder = Annotated[Path | None, typer.Option("--cache", help=described("cache"))]
Out = Annotated[Path, typer.Option(help=described("out"))]


@app.command()
@one_line_errors("bench")
@takes(*RUN)
def run(
    method: Annotated[str, typer.Option(help="Method: a name (see `list methods`) or path/to/file.py:Class.")] = "none",
    settings: Annotated[list[str] | None, typer.Option("--set", help="A setting of the method, key=value; key=a,b,c runs each.")] = None,
    full: Annotated[bool, typer.Option("--all", help="Print every metric.")] = False,
    *,
    options: Options,
) -> None:
    """Train a sequence, repair the model, and score both. Then report forgetting and recovery."""
    from bench.runs.compare import plans_of, tuned_choices

    finished, failed = _execute(plans_of(tuned_choices(method, settings or [], options), options), options)
    _print_summaries(finished, full)
    if failed is not None:
        raise failed


def _print_summaries(runs: list[Run], full: bool = False) -> None:
    """The summary of each entry among the runs, and where they are."""
    from bench.report.summary import summary

    entries: dict[str, list[Run]] = {}
    for done in runs:
        entries.setdefault(repr((done.manifest.method, done.sequence, done.manifest.spec.null)), []).append(done)
    for part in entries.values():
        typer.echo("\n" + summary(part, all_metrics=full))
        typer.echo("run       " + "\n          ".join(str(done.folder) for done in part))


@app.command()
@one_line_errors("bench")
@takes(*RUN, seeds=5)
def compare(
    methods: Annotated[
        str, typer.Option(help="Methods, as in refresh[steps=5,30],rollback,mine.py:Mine; `controls` and `all` select groups.")
    ] = "refresh,rollback,replay,controls",
    *,
    options: Options,
) -> None:
    """Run methods on the same stages and seeds, and compare them. The baseline run is always among them."""
    from bench.runs.compare import choices_of, plans_of

    finished, failed = _execute(plans_of(choices_of(methods, options), options), options)
    if options.null:
        _print_summaries(finished)  # null stages make no board of their own
    elif finished:
        from bench.report.content import content
        from bench.report.text import terminal

        typer.echo("\n" + terminal(content(finished)), nl=False)
    if finished:
        typer.echo(f"\nthe whole report: python -m bench report {options.out} --out report")
    if failed is not None:
        raise failed


def _execute(plans: list[Plan], options: Options) -> tuple[list[Run], UserError | None]:
    """Check, print a forecast where that is worth a line, run. The finished runs, and the error that tells of the others."""
    from bench.api import start
    from bench.runs import preflight
    from bench.runs.execute import FailedRunsError, replaced

    if not plans:
        typer.echo("no run falls to this shard")
        return [], None
    if options.dry_run or len(plans) > 1:
        preflight.check(plans, options)
        typer.echo(preflight.forecast(plans, options))
    for folder in replaced(plans, options.out):
        typer.echo(
            f"{folder}: this run was made by another version of the method or the suite and will be replaced; to keep it, change --out"
        )
    if options.dry_run:
        return [], None
    try:
        finished, failed = start(plans, options), None
    except FailedRunsError as error:
        finished, failed = error.done, error
    for done in finished:
        for line in done.unmetered:
            typer.echo(f"unmetered computing in {done.name}: {line}")
    return finished, failed


@app.command()
@one_line_errors("bench")
@takes(*TUNE)
def tune(
    method: Annotated[str, typer.Option(help="A method that declares a search space: a name or path/to/file.py:Class.")],
    *,
    options: Options,
) -> None:
    """Choose a method's settings on validation items. Uses development seeds, and keeps the record beside the method."""
    from bench.registry import describe, tuned_file
    from bench.runs import preflight
    from bench.runs.tune import check, plans_for, table
    from bench.runs.tune import tune as try_all

    if options.dry_run:
        plans = [planned for part in plans_for(method, options) for planned in part]
        check(method, plans, options)
        typer.echo(preflight.forecast(plans, options))
        return
    record = try_all(method, options)
    typer.echo("\n" + table(record))
    kept = "--quick: the record is not kept" if options.quick else f"kept in {tuned_file(describe(method).record)}"
    typer.echo(f"\n{kept}")


@app.command("import")
@one_line_errors("bench")
@takes(*IMPORT)
def import_(
    base: Annotated[Path, typer.Option(help="HF folder of the model before the first stage.")],
    stage: Annotated[list[str], typer.Option(help="domain=HF folder of the checkpoint after its stage; repeat for each stage, in order.")],
    *,
    options: Options,
) -> None:
    """Turn your own checkpoints into a run. `run --from RUN --method rollback` then repairs it."""
    from bench.runs.plan import plan
    from bench.runs.preflight import check_options

    stages = []
    for word in stage:
        domain, equals, folder = word.partition("=")
        if not equals:
            raise UserError(f"--stage {word}: write domain=folder")
        stages.append((domain, Path(folder)))
    check_options(options)
    from bench.worker.importing import import_checkpoints  # loads torch

    where = {"suite": options.suite, "quick": options.quick, "targets": options.targets, "cache": options.cache}
    scored = {"device": options.device, "also": options.also, "also_limit": options.also_limit}
    spec = import_checkpoints(base, stages, **where).model_copy(update=scored)
    finished, failed = _execute([plan(spec)], options)
    if failed is not None:
        raise failed
    _print_summaries(finished)
    typer.echo(f"repair it: python -m bench run --from {finished[0].folder} --method rollback")


@app.command("list")
@one_line_errors("bench")
def list_(
    what: Annotated[str, typer.Argument(help="suites, sequences, tasks, methods, runs, or all.")] = "all",
    suite: Annotated[str, typer.Option(help=described("suite"))] = "micro",
    out: Out = Path("runs"),
) -> None:
    """List suites, sequences, tasks, methods, and runs. Runs are the finished ones below --out."""
    from bench.report.listing import listing

    typer.echo(listing(what, suite, out))


@app.command()
@one_line_errors("bench")
def show(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN", help="A run's folder, or those of several seeds.")],
    domain: Annotated[str | None, typer.Option(help="Show one domain's answers.")] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="The items lost since the domain's own stage, and those that the repair recovered.")
    ] = False,
    count: Annotated[int, typer.Option(help="How many items of each kind.", min=1)] = 10,
    full: Annotated[bool, typer.Option("--all", help="Print every metric.")] = False,
    picture: Annotated[Path | None, typer.Option(help="Draw forgetting and recovery into this .svg file.")] = None,
) -> None:
    """Show a finished run again, or the answers behind it."""
    from bench.report.listing import answers_text, flips_text
    from bench.report.summary import summary
    from bench.results.run import distinct_seeds, load_run

    runs = distinct_seeds([load_run(folder) for folder in folders])
    if picture is not None:
        from bench.report.picture import picture as draw

        draw(runs, picture)
        typer.echo(f"drawn {picture}")
    elif domain is None and not flips:
        typer.echo(summary(runs, all_metrics=full))
    else:
        for run, name in product(runs, [domain] if domain else runs[0].sequence):
            typer.echo((flips_text if flips else answers_text)(run, name, count))


@app.command()
@one_line_errors("bench")
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, or folders of them (runs).")],
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, .md, .json, entries.csv and cells.csv.")] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ONE/OTHER", help="Two entries whose comparison was planned; planned pairs are corrected as a separate family."
        ),
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Compare every two entries, corrected over all pairs.")] = False,
) -> None:
    """Compare finished runs on boards, with intervals. --out also writes an HTML page, Markdown, JSON and CSV."""
    from bench.files import check_folder
    from bench.report.content import collect, content, planned_pairs

    if out is not None:
        check_folder(out, "--out")
    found = content(*collect(folders), planned=planned_pairs(pair or []), all_pairs=all_pairs)
    if out is not None:
        from bench.report.page import write_report

        typer.echo("\n".join(f"written {path}" for path in write_report(found, out)) + "\n")
    from bench.report.text import terminal

    typer.echo(terminal(found), nl=False)


@app.command()
@one_line_errors("bench")
@takes("cache", "jobs")
def diagnose(
    folders: Annotated[list[Path], typer.Argument(metavar="RUN", help="A run's folder, or those of several seeds.")],
    only: Annotated[
        str, typer.Option(help="Comma-separated: edits, neurons, routes, gradients, path, conflict, contraction (default: all).")
    ] = "",
    report_to: Annotated[Path | None, typer.Option("--out", help="Folder for diagnosis.md and diagnosis.json.")] = None,
    *,
    options: Options,
) -> None:
    """Measure the paper's claims about interference on a run's stages. Stages that are not in the cache are trained again."""
    from bench.api import diagnose as measure
    from bench.files import check_folder
    from bench.report.diagnosis import text, write

    if report_to is not None:
        check_folder(report_to, "--out")
    kinds = list(filter(None, only.split(",")))
    found = measure(folders, kinds, cache=options.cache, jobs=options.jobs)
    typer.echo("\n" + text(found), nl=False)
    if report_to is not None:
        typer.echo("\n".join(["", *(f"written {path}" for path in write(found, report_to))]))


@app.command()
@one_line_errors("bench")
def doctor(cache: CacheFolder = None) -> None:
    """Show what is installed and what is missing. For each missing piece, also what it would enable."""
    from bench.report.doctor import findings

    typer.echo(findings(cache))


@app.command()
@one_line_errors("bench")
def cache(action: Annotated[str, typer.Argument(help="show or prune.")] = "show", folder: CacheFolder = None) -> None:
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
@one_line_errors("bench")
def build_base(
    suite: Annotated[str, typer.Argument(help="The suite whose base to build: a name, or a suite file.")] = "micro",
    out: Annotated[Path, typer.Option(help="Folder for the base.")] = Path("base"),
) -> None:
    """Build a suite's base by its recipe, and score it. Rerun the same command to resume."""
    from bench.files import check_folder
    from bench.runs.workers import limit_threads
    from bench.suite import load_suite

    loaded = load_suite(suite)
    check_folder(out, "--out")
    limit_threads()
    from bench.worker.building import build_base as build

    build(loaded, out)


@app.command(hidden=True)
def worker(
    cache: Annotated[Path, typer.Option(help="Cache folder.")],
    lane: Annotated[str, typer.Option(help="Whose code its jobs run.")] = "",
) -> None:
    """Serve jobs on standard input (what `run` starts)."""
    from bench.worker.process import main

    main(str(cache), lane)


@app.command(hidden=True)
def describe(reference: str, choices: str) -> None:
    """Print what a user's method file defines (what the parent process starts, so that it need not import the file)."""
    from bench.worker.describe import main

    main(reference, choices)


if __name__ == "__main__":
    sys.exit(app())
