"""`pointsman leads`: put leads into MongoDB, and list them."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from pointsman import stores
from pointsman.cli import lead_erasure
from pointsman.cli.options import By, DryRun, Yes, confirm, duration, operator, per_second
from pointsman.cli.output import Output, OutputOption, print_rows
from pointsman.connect_rest import register, validate
from pointsman.envelope import to_rfc3339
from pointsman.errors import ConfigurationError, TransientError
from pointsman.kafka import publish, read_all
from pointsman.lead_sweep import COLLECTION, Window, as_record, lead_ids_in, leads_of, paced, unheard_of
from pointsman.local.connect import CONNECTOR, connector_config
from pointsman.logging import mask
from pointsman.plaintext import one_line
from pointsman.settings import settings
from pointsman.store import Document, DocumentStore
from pointsman.telemetry import Telemetry
from pointsman.telemetry.spans import Spans
from pointsman.topics import LEADS, WORKFLOW_STATE

app = typer.Typer(no_args_is_help=True)

_LARGEST_FILE_BYTES: Final = 20 * 1024 * 1024
_COLUMNS: Final = ("_id", "created_at", "email", "company", "source")
_CELL: Final = 40

Result = TypeVar("Result")


@app.command()
def add(
    file: Annotated[Path | None, typer.Option(help="JSON file with one lead, or a list of leads.")] = None,
    email: Annotated[str | None, typer.Option(help="Address of the one lead to add.")] = None,
    first_name: Annotated[str | None, typer.Option()] = None,
    last_name: Annotated[str | None, typer.Option()] = None,
    title: Annotated[str | None, typer.Option(help="Job title.")] = None,
    company: Annotated[str | None, typer.Option()] = None,
    website: Annotated[str | None, typer.Option(help="The company's site.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the lead comes from.")] = None,
    message: Annotated[str | None, typer.Option(help="What the lead wrote.")] = None,
    consent: Annotated[bool | None, typer.Option("--consent/--no-consent", help="May we write to them?")] = None,
    dry_run: DryRun = False,
) -> None:
    """Insert leads into MongoDB, as a form would; prints the id of each."""
    named = {
        "email": email, "first_name": first_name, "last_name": last_name, "title": title, "company": company,
        "website": website, "source": source, "message": message, "consent": consent,
    }  # fmt: skip
    one = {name: value for name, value in named.items() if value is not None}
    if (file is None) == (not one):
        raise ConfigurationError("either --file or the fields of one lead", "give --file FILE, or --email and others")
    if file is None and email is None:
        raise ConfigurationError("a lead needs an address", "give --email")
    leads = [one] if file is None else read_leads(file)
    if dry_run:
        typer.echo(f"would add {len(leads)} leads")
        return
    telemetry = Telemetry.of(settings().model_copy(update={"metrics_port": None}), "cli")
    try:
        lines = with_store(lambda store: insert(store, leads, datetime.now(UTC), telemetry.spans))
    finally:
        telemetry.close()
    for line in lines:
        typer.echo(line)


@app.command("ls")
def list_leads(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most that many, the newest first.")] = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the newest leads; addresses are shortened."""
    leads = with_store(lambda store: store.find(COLLECTION, {}, sort="-created_at", limit=limit))
    print_rows([{name: _cell(lead.get(name, "")) for name in _COLUMNS} for lead in leads], _COLUMNS, output)


@app.command()
def connect(
    connect_url: Annotated[str, typer.Option(help="REST address of a Kafka Connect worker.")],
    mongodb_uri: Annotated[
        str, typer.Option(help="Connection string as the worker sees it; better a reference, ${dir:/run/secrets:name}.")
    ],
    *,
    dry_run: DryRun = False,
) -> None:
    """Have Kafka Connect read new leads from MongoDB; repeating it changes nothing."""
    if dry_run:
        validate(connect_url, CONNECTOR, connector_config(mongodb_uri))
        typer.echo(f"would register connector {CONNECTOR}; Kafka Connect finds nothing wrong with it")
        return
    register(connect_url, CONNECTOR, connector_config(mongodb_uri))
    typer.echo(f"connector {CONNECTOR} is registered")


@app.command()
def sweep(
    older_than: Annotated[
        str | None, typer.Option(help="How long the connector has had; POINTSMAN_SWEEP_AFTER_S when left out.")
    ] = None,
    younger_than: Annotated[str, typer.Option(help="How far back to look: as far as the leads topic reaches.")] = "6d",
    rate: Annotated[str, typer.Option(help="At most that many in a second.")] = "20/s",
    limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="At most that many leads are looked at, the newest first.")
    ] = 100_000,
    every: Annotated[str | None, typer.Option(help="Do it again and again, so long apart; else once.")] = None,
    dry_run: DryRun = False,
) -> None:
    """Send leads on that the connector has not brought to Kafka; what it brings later is dropped as a repeat."""
    told = settings()
    window = Window(
        older_than=duration(older_than) if older_than else timedelta(seconds=told.sweep_after_s),
        younger_than=duration(younger_than, "--younger-than"),
        limit=limit,
    )
    per_s = per_second(rate)
    if every is None:
        _sweep(window, per_s, dry_run=dry_run)
        return
    pause_s = duration(every, "--every").total_seconds()
    while True:
        try:
            _sweep(window, per_s, dry_run=dry_run)
        except TransientError as error:
            typer.echo(f"{to_rfc3339(datetime.now(UTC))} {error}; trying again", err=True)
        time.sleep(pause_s)


def _sweep(window: Window, per_s: int, *, dry_run: bool) -> None:
    bootstrap, now = settings().kafka_bootstrap, datetime.now(UTC)
    lead_ids = with_store(lambda store: lead_ids_in(store, window, now))
    if len(lead_ids) == window.limit:
        typer.echo(f"{window.limit} leads were looked at, and no older ones: see --limit and --younger-than", err=True)
    if not lead_ids:
        return
    missing = unheard_of(lead_ids, read_all(bootstrap, LEADS), read_all(bootstrap, WORKFLOW_STATE))
    found = with_store(lambda store: leads_of(store, missing)) if missing else []
    for lead in found:
        typer.echo(f"{_cell(lead['_id'])} {'would be sent on' if dry_run else 'is sent on'}")
    if dry_run or not found:
        return
    records = [as_record(lead, now) for lead in found]
    for _ in paced(records, per_s, lambda some: publish(bootstrap, some, "pointsman.leads.sweep"), time.sleep):
        pass


@app.command()
def erase(
    lead_id: Annotated[str | None, typer.Option("--id", help="The lead's id.")] = None,
    email: Annotated[str | None, typer.Option(help="The person's address: every lead of that person.")] = None,
    *,
    by: By = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Erase a lead from the database, end its workflow, and write to that person no more."""
    found = with_store(lambda store: lead_erasure.look_for(store, lead_id, email))
    if dry_run:
        for one in found.lead_ids:
            typer.echo(f"{one}  would be erased")
        return
    confirm(f"Erase {len(found.lead_ids)} leads for good?", yes=yes)
    now = datetime.now(UTC)
    kafka = lead_erasure.KafkaCluster(bootstrap=settings().kafka_bootstrap)
    keys = lead_erasure.tell_kafka(kafka, found.lead_ids, operator(by), now)
    for line in with_store(lambda store: lead_erasure.erase(store, found, now, keys)):
        typer.echo(line)
    typer.echo(lead_erasure.AFTERWARDS, err=True)
    if (folder := settings().archive_dir) is not None:
        typer.echo(f"archive  {lead_erasure.erase_from_archive(folder, found.lead_ids)} records erased")
        typer.echo(lead_erasure.ARCHIVED_AFTERWARDS, err=True)


def read_leads(file: Path) -> list[Document]:
    """The leads in `file`.

    Raises:
        ConfigurationError: it cannot be read, or holds something else.
    """
    try:
        if file.stat().st_size > _LARGEST_FILE_BYTES:
            raise ConfigurationError(f"{file} is larger than {_LARGEST_FILE_BYTES} bytes", "split it")
        content: Any = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", "check the path") from None
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigurationError(f"{file}{where}: not JSON in UTF-8", "correct it") from None
    leads = content if isinstance(content, list) else [content]
    for number, lead in enumerate(leads, start=1):
        if not isinstance(lead, dict):
            raise ConfigurationError(f"{file}, lead {number}: not a JSON object", "write a list of objects")
        if not isinstance(lead.get("_id", ""), str):
            raise ConfigurationError(f"{file}, lead {number}: _id is no text", "put it in quotes, or leave it out")
    return leads


async def insert(
    store: DocumentStore, leads: Sequence[Document], now: datetime, spans: Spans | None = None
) -> list[str]:
    """Insert `leads`; a line for each, with its id. One whose `_id` is there already stays as it is.

    Args:
        store: where to.
        leads: the documents.
        now: the clock, UTC.
        spans: begin a trace per lead, which its field `traceparent` carries on; None begins none.
    """
    lines = []
    for lead in leads:
        with (spans or Spans()).insert(COLLECTION) as traced:
            document = {"_id": secrets.token_hex(12), "created_at": to_rfc3339(now), **traced, **lead}
            stored = await store.insert_once(COLLECTION, document)
        lines.append(f"{stored['_id']} {'added' if stored == document else 'was there already'}")
    return lines


def open_store() -> DocumentStore:
    """The store that the settings name."""
    return stores.open_store(settings())


def with_store(work: Callable[[DocumentStore], Awaitable[Result]]) -> Result:
    """What `work` gives for the store that the settings name."""

    async def run() -> Result:
        store = open_store()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _cell(value: object) -> str:
    return mask(one_line(str(value), _CELL))
