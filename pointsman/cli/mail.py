"""`pointsman mail`: mails that came back, and what became of those that were sent."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from pointsman.bounce_work import Result, put_aside, read, waiting, work_off
from pointsman.cli.leads import with_store
from pointsman.cli.options import By, DryRun, operator
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, RefusedError, TransientError
from pointsman.evaluation.feedback import MailOutcome, outcome_record
from pointsman.kafka import publish
from pointsman.runtime.ledger import EFFECTS
from pointsman.settings import settings

app = typer.Typer(no_args_is_help=True)

_LOOK_AGAIN_S: Final = 10.0


@app.callback()
def _noun() -> None:
    """Mails that came back, and what became of those that did not."""


@app.command()
def bounces(
    folder: Annotated[Path, typer.Option(help="Folder with one mail per file, or a Maildir.")],
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and look again every ten seconds.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Put people whose mailbox returned a mail for good, or who complained, on the suppression list; note replies."""
    while True:
        try:
            for file in waiting(folder):
                typer.echo(("would be: " if dry_run else "") + line(_work_off(file, dry_run=dry_run)))
                if not dry_run:
                    put_aside(folder, file)
        except OSError as error:
            remedy = "let this process read and write the folder"
            raise ConfigurationError(f"{folder}: {error.strerror}", remedy) from None
        except TransientError as error:
            if not watch:
                raise
            typer.echo(f"pointsman: {error}; trying again", err=True)
        if not watch or dry_run:
            return
        time.sleep(_LOOK_AGAIN_S)


@app.command()
def outcome(
    lead_id: Annotated[str, typer.Argument(help="The lead whose latest mail it is about.")],
    became: Annotated[MailOutcome, typer.Option("--as", help="What became of it.")],
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Say what became of a lead's latest mail; `eval examples` makes a label of it."""
    sent = {"facts.lead_id": lead_id, "state": "sent"}
    found = with_store(lambda store: store.find(EFFECTS, sent, sort="-finished_at", limit=1))
    if not found:
        raise RefusedError("no mail was sent to that lead", "`pointsman effects ls` shows which were")
    record = outcome_record(found[0], became, operator(by), datetime.now(UTC))
    told = f"{str(found[0]['_id'])[:12]}  {became.value}"
    if dry_run:
        typer.echo(f"would note: {told}")
        return
    _note(record)
    typer.echo(told)


def line(result: Result) -> str:
    """What became of one file; names nobody."""
    return f"{result.file}  {result.outcome}{'  suppressed' if result.is_suppressed else ''}"


def _work_off(file: Path, *, dry_run: bool) -> Result:
    raw = read(file)
    result = with_store(lambda store: work_off(file.name, raw, store, datetime.now(UTC), dry_run=dry_run))
    if result.record and not dry_run:
        _note(result.record)
    return result


def _note(record: Record) -> None:
    publish(settings().kafka_bootstrap, [record], f"pointsman.feedback.{uuid.uuid4()}")
