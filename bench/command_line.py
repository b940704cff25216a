"""What our command lines share: a command that fails says so in one line."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from bench.errors import UserError


def one_line_errors(program: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a command: what a user can put right, a full disk and Ctrl-C end it with one line that begins with the program's name."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                command(*args, **kwargs)
            except UserError as error:
                typer.echo(f"{program}: {error}", err=True)
                raise typer.Exit(2) from None
            except OSError as error:
                if error.errno == errno.EPIPE:  # whoever read our output has gone: click ends quietly
                    raise
                where = f"{error.filename}: " if error.filename else ""
                typer.echo(f"{program}: {where}{error.strerror or error}; free some space or choose another folder, then rerun", err=True)
                raise typer.Exit(2) from None
            except KeyboardInterrupt:
                typer.echo(f"{program}: stopped; rerun the same command to resume", err=True)
                raise typer.Exit(130) from None

        guarded.__annotations__ = command.__annotations__
        if hasattr(command, "__signature__"):
            guarded.__signature__ = command.__signature__  # type: ignore[attr-defined]
        return guarded

    return decorate
