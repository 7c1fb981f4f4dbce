"""`pointsman mail`: mails that came back, and what became of those that were sent."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from pointsman.bounce_work import Result, put_aside, read, waiting, work_off
from pointsman.cli.leads import with_store
from pointsman.cli.options import By, DryRun, operator
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, ErasedError, PointsmanError, RefusedError, TransientError
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
            trouble = _look(folder, dry_run=dry_run)
        except OSError as error:
            raise _of_file(folder, error) from None
        except TransientError as error:
            trouble = error
        if trouble and not watch:
            raise trouble
        if trouble:
            typer.echo(f"pointsman: {trouble}; trying again", err=True)
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
    # An erased person's mails share one name in the place of the lead's.
    if not found or "erased_at" in found[0]:
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


def _look(folder: Path, *, dry_run: bool) -> PointsmanError | None:
    """Deal with each file once; why some stay in the folder, if some do."""
    replies: list[tuple[Path, Result]] = []
    trouble: PointsmanError | None = None
    for file in waiting(folder):
        try:
            result = _work_off(file, dry_run=dry_run)
            if dry_run:
                typer.echo(f"would be: {line(result)}")
            elif result.record:
                # They need Kafka, and nobody's bounce is to wait for that.
                replies.append((file, result))
            else:
                _finish(folder, file, result)
        except OSError as error:
            trouble = _of_file(file, error)
    return _finish_replies(folder, replies) or trouble


def _of_file(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{path}: {error.strerror}", "let this process read and write the folder")


def _finish_replies(folder: Path, replies: Iterable[tuple[Path, Result]]) -> PointsmanError | None:
    trouble: PointsmanError | None = None
    for file, result in replies:
        try:
            _finish(folder, file, result)
        except ErasedError as error:
            trouble = error
        except OSError as error:
            trouble = _of_file(file, error)
        except PointsmanError as error:
            # Not this reply's fault: the next one would wait for Kafka as long, for nothing.
            return error
    return trouble


def _finish(folder: Path, file: Path, result: Result) -> None:
    if result.record:
        _note(result.record)
    typer.echo(line(result))
    put_aside(folder, file)


def _work_off(file: Path, *, dry_run: bool) -> Result:
    raw = read(file)
    return with_store(lambda store: work_off(file.name, raw, store, datetime.now(UTC), dry_run=dry_run))


def _note(record: Record) -> None:
    publish(settings().kafka_bootstrap, [record], f"pointsman.feedback.{uuid.uuid4()}")
