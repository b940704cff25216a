"""The command line: pack, verify, change, rerun, rank, page, rules, schema."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.command_line import one_line_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leaderboard.problems import Problem

app = typer.Typer(
    name="leaderboard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Packs the runs of a comparison into a submission; verifies, reruns, ranks and publishes submissions. See leaderboard/RULES.md.",
)


class Form(StrEnum):
    """How a ranking is printed."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


class Sandbox(StrEnum):
    """Where a stranger's method runs."""

    bubblewrap = "bubblewrap"
    docker = "docker"
    none = "none"


class Seeds(StrEnum):
    """Which seeds and items a rerun takes."""

    same = "same"
    fresh = "fresh"


_OWN = Path(__file__).parent
Submissions = Annotated[Path, typer.Option("--submissions", help="Folder of the submissions to rank, or to compare with.")]
Verdicts = Annotated[Path, typer.Option("--verdicts", help="Folder of the maintainers' verdicts.")]


@app.command()
@one_line_errors("leaderboard")
def pack(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, or folders that contain them.")],
    name: Annotated[str, typer.Option(help="The entry's name: 3 to 40 lowercase letters, digits and dashes.")],
    method: Annotated[str, typer.Option(help="Method to pack if the folders hold several: its name, class, or FILE:Class.")] = "",
    out: Annotated[Path, typer.Option(help="Where to create the submission's folder.")] = Path("submissions"),
    rows_from: Annotated[str, typer.Option(help="A maintainers' entry: rows of answers that it stores are not stored again.")] = "",
    submissions: Submissions = _OWN / "submissions",
    verdicts: Verdicts = _OWN / "verified",
) -> None:
    """Create a submission's folder from finished runs, and verify it."""
    from leaderboard.pack import pack as pack_runs
    from leaderboard.pack import runs_below
    from leaderboard.verify import Place
    from leaderboard.verify import verify as verified

    place = Place(submissions, verdicts)
    folder = pack_runs(runs_below(runs, method), name, out, rows_from=place.stored_by(rows_from) if rows_from else None)
    found = verified(folder, place)
    count = len(found.refusals)
    typer.echo(f"{folder}: packed" + (f"; {_counted(count)} to fix before you submit:" if count else ""))
    _list(found.folder, found.problems)
    if count:
        typer.echo(f"then run: python -m leaderboard verify {folder}")


@app.command()
@one_line_errors("leaderboard")
def verify(
    folders: Annotated[list[Path], typer.Argument(help="Folders of submissions, or files of evaluations.")],
    submissions: Submissions = _OWN / "submissions",
    verdicts: Verdicts = _OWN / "verified",
) -> None:
    """Check submissions without trusting them. Every answer is scored again, and all problems are listed."""
    from bench.errors import UserError
    from leaderboard.evaluations import read_evaluation
    from leaderboard.submission import FILE
    from leaderboard.verify import Place, verify_each

    for path in folders:
        if path.name == FILE:
            raise UserError(f"{path}: name its folder, {path.parent}")
        if not (path / FILE).exists() and any(path.glob(f"*/{FILE}")):
            raise UserError(f"{path}: holds several submissions: name one of them, or all as {path}/*")
    refused = 0
    for file in (path for path in folders if path.suffix == ".json"):
        problems = read_evaluation(file, submissions)[1]
        refused += _concluded(file, file.parent, problems)
    entries = [path for path in folders if path.suffix != ".json"]
    for folder, found in zip(entries, verify_each(entries, Place(submissions, verdicts)), strict=True):
        refused += _concluded(folder, found.folder, found.problems)
    if refused:
        raise typer.Exit(1)


def _concluded(what: Path, folder: Path, problems: Iterable[Problem]) -> bool:
    """List the problems; whether any of them refuses."""
    listed = list(problems)
    _list(folder, listed)
    count = sum(not problem.warning for problem in listed)
    typer.echo(f"{what}: {'verified' if not count else f'refused ({_counted(count)})'}")
    return bool(count)


def _counted(problems: int) -> str:
    return f"{problems} problem{'s' * (problems > 1)}"


def _list(folder: Path, problems: Iterable[Problem]) -> None:
    for problem in problems:
        typer.echo(f"{folder}/{problem}")


@app.command()
@one_line_errors("leaderboard")
def change() -> None:
    """Print the submission or evaluation that a change adds. Reads the changed paths from standard input (`git diff --name-only -z`); on
    standard error, says whether it is there already."""
    import sys

    from leaderboard.change import submitted

    text = sys.stdin.buffer.read().decode(errors="replace")
    path = submitted(filter(None, text.split("\0")))
    if Path(path).exists():
        typer.echo(f"note: {path} is there already: its authors must agree to this change", err=True)
    typer.echo(path)


@app.command()
@one_line_errors("leaderboard")
def rerun(
    names: Annotated[list[str], typer.Argument(help="Names of submissions.")],
    seeds: Annotated[Seeds, typer.Option(help="The submission's seeds, or fresh seeds and test items.")] = Seeds.same,
    first: Annotated[int | None, typer.Option(min=1, help="Only its first seeds: a spot check, which changes no level.")] = None,
    public: Annotated[
        str,
        typer.Option(help="For fresh seeds, also run where a claim fails: a random value published later, and its source."),
    ] = "",
    sandbox: Annotated[Sandbox, typer.Option(help="Where the method runs.")] = Sandbox.bubblewrap,
    trusted: Annotated[bool, typer.Option("--i-have-read-the-code", help="Allow --sandbox none.")] = False,
    work: Annotated[Path, typer.Option(help="Folder for the run folders.")] = Path("reruns"),
    cache: Annotated[Path | None, typer.Option(help="Folder for checkpoints (default: as for bench).")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes (default: one per core).")] = None,
    submissions: Submissions = _OWN / "submissions",
    verdicts: Verdicts = _OWN / "verified",
) -> None:
    """Rerun submissions in a sandbox, for maintainers. Writes a verdict on each claim."""
    from bench.errors import UserError
    from bench.files import check_folder, default_cache

    if sandbox is Sandbox.none and not trusted:
        raise UserError("--sandbox none runs a stranger's code with all your rights: read it, then add --i-have-read-the-code")
    from leaderboard.rerun.bubblewrap import Bubblewrap
    from leaderboard.rerun.docker import Docker
    from leaderboard.rerun.execute import Bench
    from leaderboard.rerun.rerun import rerun as run_again
    from leaderboard.verify import Place

    check_folder(work, "--work")
    kinds = {Sandbox.bubblewrap: Bubblewrap, Sandbox.docker: Docker, Sandbox.none: None}
    bench = Bench(sandbox.value, kinds[sandbox], cache or default_cache(), work, jobs)
    for verdict in run_again(names, seeds.value, public, Place(submissions, verdicts), bench, first):
        typer.echo(f"{verdict.name}: {verdict.level}: {verdict.note}")


@app.command()
@one_line_errors("leaderboard")
def rank(
    submissions: Submissions = _OWN / "submissions",
    verdicts: Verdicts = _OWN / "verified",
    form: Annotated[Form, typer.Option("--format", help="Output format.")] = Form.table,
) -> None:
    """Verify all submissions and rank them, one table per board."""
    from leaderboard import rank as ranking
    from leaderboard.verify import Place

    found = ranking.leaderboard(Place(submissions, verdicts))
    write = {Form.json: ranking.as_json, Form.csv: ranking.as_csv, Form.table: ranking.as_text}
    typer.echo(ranking.as_text(found, "github") if form is Form.markdown else write[form](found).rstrip("\n"))


@app.command()
@one_line_errors("leaderboard")
def page(
    out: Annotated[Path, typer.Option(help="Folder for index.html.")] = Path("site"),
    submissions: Submissions = _OWN / "submissions",
    verdicts: Verdicts = _OWN / "verified",
) -> None:
    """Write the leaderboard as one HTML page."""
    from bench.files import check_folder, write_bytes
    from leaderboard.page import page as html
    from leaderboard.rank import leaderboard
    from leaderboard.verify import Place

    check_folder(out, "--out")
    write_bytes(out / "index.html", html(leaderboard(Place(submissions, verdicts))).encode())
    typer.echo(f"{out / 'index.html'}: written")


@app.command()
def rules() -> None:
    """Print the rules, with every limit as verification applies it."""
    from leaderboard.rules import rules as text

    typer.echo(text(), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a submission's files. They are submission.json, a run's file and an evaluation."""
    import json

    from leaderboard.evaluations import Evaluation
    from leaderboard.submission import schema as schemas

    typer.echo(json.dumps(schemas() | {"evaluation": Evaluation.model_json_schema()}, indent=1))
