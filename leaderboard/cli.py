"""The command line: pack, verify, rank, page, rules, schema."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import UserError

app = typer.Typer(
    name="leaderboard",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Packs a comparison's runs into a submission, verifies and ranks submissions. The rules are in leaderboard/RULES.md.",
)


class Form(StrEnum):
    """How a ranking is printed."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


SUBMISSIONS = Path(__file__).parent / "submissions"
Folder = Annotated[Path, typer.Option("--submissions", help="Folder of the submissions.")]


def _one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except UserError as error:
            typer.echo(f"leaderboard: {error}", err=True)
            raise typer.Exit(2) from None

    return guarded


@app.command()
@_one_line_errors
def pack(
    runs: Annotated[list[Path], typer.Argument(help="Folders of one method's runs, or folders that hold such folders.")],
    name: Annotated[str, typer.Option(help="The entry's name: 3 to 40 small letters, digits and dashes.")],
    method: Annotated[str, typer.Option(help="Which method's runs to take, where the folders hold several: a name or a class.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for the submission's folder.")] = SUBMISSIONS,
    submissions: Folder = SUBMISSIONS,
) -> None:
    """Make a submission's folder from finished runs, and verify it."""
    from leaderboard.pack import pack as pack_runs
    from leaderboard.pack import runs_below

    folder = pack_runs(runs_below(runs, method), name, out)
    typer.echo(f"{folder}: packed. Fill in what begins with FILL IN, then run `python -m leaderboard verify {folder}`")
    _report(folder, submissions)


@app.command()
@_one_line_errors
def verify(
    folders: Annotated[list[Path], typer.Argument(help="Folders of submissions.")],
    submissions: Folder = SUBMISSIONS,
) -> None:
    """Check submissions without trusting them: every answer is scored again, and every problem is listed."""
    accepted = [_report(folder, submissions) for folder in folders]
    if not all(accepted):
        raise typer.Exit(1)


@app.command()
@_one_line_errors
def rank(
    submissions: Folder = SUBMISSIONS,
    form: Annotated[Form, typer.Option("--format", help="How to print it.")] = Form.table,
) -> None:
    """Verify all submissions and rank them, a table for each board."""
    from leaderboard import rank as ranking

    found = ranking.leaderboard(submissions)
    write = {Form.json: ranking.as_json, Form.csv: ranking.as_csv, Form.table: ranking.as_text}
    typer.echo(ranking.as_text(found, "github") if form is Form.markdown else write[form](found).rstrip("\n"))


@app.command()
@_one_line_errors
def page(
    out: Annotated[Path, typer.Option(help="Folder for index.html.")] = Path("site"),
    submissions: Folder = SUBMISSIONS,
) -> None:
    """Write the leaderboard as one HTML page."""
    from bench.files import check_folder, write_bytes
    from leaderboard.page import page as html
    from leaderboard.rank import leaderboard

    check_folder(out, "--out")
    write_bytes(out / "index.html", html(leaderboard(submissions)).encode())
    typer.echo(f"{out / 'index.html'}: written")


@app.command()
def rules() -> None:
    """Print the rules, with every limit as verification applies it."""
    from leaderboard.rules import rules as text

    typer.echo(text(), nl=False)


@app.command()
def schema() -> None:
    """Print the JSON Schema of submission.json and of a run's file."""
    import json

    from leaderboard.submission import schema as schemas

    typer.echo(json.dumps(schemas(), indent=1))


def _report(folder: Path, others: Path) -> bool:
    """Print what verification finds; whether the submission is accepted."""
    from leaderboard.verify import verify as verified

    found = verified(folder, others)
    for problem in found.problems:
        typer.echo(f"{folder}/{problem}" if not problem.warning else f"{folder}: {problem}")
    count = len(found.refusals)
    typer.echo(f"{folder}: {'accepted' if not count else f'refused ({count} problem{chr(115) if count > 1 else str()})'}")
    return not count
