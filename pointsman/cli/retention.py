"""`pointsman retention`: how long each tier keeps what, and deleting what is older."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pointsman.archive.files import Archive
from pointsman.cli.leads import with_store
from pointsman.cli.options import DryRun, Yes, confirm, duration
from pointsman.cli.output import Output, OutputOption, print_rows
from pointsman.envelope import to_rfc3339
from pointsman.errors import TransientError
from pointsman.kafka import KafkaAdmin, load_catalog
from pointsman.retention import DOCUMENTS
from pointsman.retention_work import delete_overdue, differing, overdue, overdue_days, table, wanted
from pointsman.settings import settings
from pointsman.store import DocumentStore
from pointsman.topics import ALL, Topic, inbox_topic

app = typer.Typer(no_args_is_help=True)

_MOST = 1_000_000


@app.command("ls")
def list_kept(output: OutputOption = Output.TABLE) -> None:
    """List what each tier keeps, and for how long."""
    print_rows([asdict(one) for one in table(ALL)], ("tier", "what", "days"), output)


@app.command()
def apply(
    every: Annotated[str | None, typer.Option(help="Do it again and again, so long apart (1d); else once.")] = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Tell topics how long to keep records, and delete documents and archived days that are older than they may be."""
    if not dry_run:
        confirm("Delete for good what is older than `pointsman retention ls` allows?", yes=yes)
    if every is None:
        _apply(dry_run=dry_run)
        return
    pause_s = duration(every, "--every").total_seconds()
    while True:
        try:
            _apply(dry_run=dry_run)
        except TransientError as error:
            typer.echo(f"{to_rfc3339(datetime.now(UTC))} {error}; trying again", err=True)
        time.sleep(pause_s)


def _apply(*, dry_run: bool) -> None:
    told, now = settings(), datetime.now(UTC)
    admin = KafkaAdmin(told.kafka_bootstrap)
    wanted_topics = [*ALL, *(inbox_topic(name) for name in load_catalog(told.kafka_bootstrap).definitions)]
    for line in hot(admin, wanted_topics, dry_run=dry_run):
        typer.echo(line)
    for line in with_store(lambda store: warm(store, now, dry_run=dry_run)):
        typer.echo(line)
    for line in cold(told.archive_dir, now, dry_run=dry_run):
        typer.echo(line)


def hot(admin: KafkaAdmin, topics: Sequence[Topic], *, dry_run: bool) -> Iterator[str]:
    """Set what differs; a line for each topic that did."""
    for topic in differing(admin, topics):
        if not dry_run:
            admin.configure(topic.name, wanted(topic))
        settings_ = ", ".join(f"{name}={value}" for name, value in wanted(topic).items())
        yield f"hot   {topic.name}  {settings_}{' would be set' if dry_run else ''}"


async def warm(store: DocumentStore, now: datetime, *, dry_run: bool) -> list[str]:
    """Delete what is overdue; a line for each collection that had something."""
    lines = []
    for kept in DOCUMENTS:
        if dry_run:
            count = len(await overdue(store, kept, now, _MOST))
        else:
            count = await delete_overdue(store, kept, now)
        if count:
            lines.append(f"warm  {kept.collection}  {count} {'would be ' if dry_run else ''}deleted")
    return lines


def cold(folder: Path | None, now: datetime, *, dry_run: bool) -> Iterator[str]:
    """Delete days that are overdue; a line for each. No folder, no archive."""
    if folder is None or not folder.is_dir():
        return
    archive = Archive(folder)
    for day in overdue_days(archive, now):
        if not dry_run:
            archive.drop(day)
        yield f"cold  {day.topic} {day.day.isoformat()}  {'would be ' if dry_run else ''}deleted"
