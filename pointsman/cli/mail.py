"""`pointsman mail`: mails that came back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from pointsman.bounce_work import Result, put_aside, read, waiting, work_off
from pointsman.cli.leads import with_store
from pointsman.errors import ConfigurationError, TransientError

app = typer.Typer(no_args_is_help=True)

_LOOK_AGAIN_S: Final = 10.0


@app.callback()
def _noun() -> None:
    """Mails that came back."""


@app.command()
def bounces(
    folder: Annotated[Path, typer.Option(help="Folder with one returned mail per file, or a Maildir.")],
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and look again every ten seconds.")] = False,
) -> None:
    """Put people whose mailbox returned a mail for good, or who complained, on the suppression list."""
    while True:
        try:
            for file in waiting(folder):
                typer.echo(line(_work_off(file.name, read(file))))
                put_aside(folder, file)
        except OSError as error:
            remedy = "let this process read and write the folder"
            raise ConfigurationError(f"{folder}: {error.strerror}", remedy) from None
        except TransientError as error:
            if not watch:
                raise
            typer.echo(f"pointsman: {error}; trying again", err=True)
        if not watch:
            return
        time.sleep(_LOOK_AGAIN_S)


def line(result: Result) -> str:
    """What became of one file; names nobody."""
    return f"{result.file}  {result.outcome}{'  suppressed' if result.is_suppressed else ''}"


def _work_off(name: str, raw: bytes) -> Result:
    return with_store(lambda store: work_off(name, raw, store, datetime.now(UTC)))
