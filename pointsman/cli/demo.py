"""`pointsman demo`: a stack of its own, some leads, what happened to each and why, the mails; then all stops."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pointsman.cli.demo_report import LiveWays, print_mails, print_ways
from pointsman.cli.stack import OFFLINE_NOTICE
from pointsman.cli.steps import shown_steps
from pointsman.errors import ConfigurationError, PointsmanError
from pointsman.journeys import Journeys
from pointsman.kafka import KafkaFollower
from pointsman.local import LocalStack, StackOptions
from pointsman.local.choices import options_from_settings
from pointsman.store import MongoStore
from pointsman.topics import DECISIONS, MESSAGES

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples" / "leads.json"
DAY_S: Final = 0.15
"""A campaign's day in the demo: a series of three weeks is over in three seconds."""
QUIET_S: Final = 3.0
"""When nothing has moved for so long and every way is over, no later step is to come."""
_LOOK_AGAIN_S: Final = 0.1
_BETWEEN_LEADS_S: Final = 0.4
"""Leads come one after the other, as they do: of two leads of one person, the first is the one that counts."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(demo)


def demo(
    leads: Annotated[Path, typer.Option(help="JSON list of leads to insert.")] = EXAMPLES,
    within_s: Annotated[float, typer.Option(min=1, help="Seconds the leads may take.")] = 120,
) -> None:
    """Show the whole loop: leads in, decisions with their reasons, mails out. Stops everything at the end."""
    documents = _read_leads(leads)
    options = _options()
    stack = LocalStack(options)
    with _own_stack(stack):
        if not options.own_model:
            typer.echo(OFFLINE_NOTICE[0].upper() + OFFLINE_NOTICE[1:] + ".")
        typer.echo(f"Inserting {len(documents)} leads into MongoDB.\n")
        leads_by_id = {uuid.uuid4().hex[:12]: document for document in documents}
        names = {lead_id: _name(document) for lead_id, document in leads_by_id.items()}
        with ThreadPoolExecutor(max_workers=1) as beside:
            inserted = beside.submit(asyncio.run, _insert(stack.addresses.mongodb_uri, leads_by_id))
            journeys, is_complete = _follow(stack.addresses.kafka_bootstrap, names, within_s)
        inserted.result()
        print_ways(names, journeys)
        print_mails(options.data_dir / "mailbox")
    if not is_complete:
        raise PointsmanError(f"some leads were not done within {within_s:g} s; logs are in {options.data_dir / 'logs'}")


def _read_leads(path: Path) -> list[dict[str, Any]]:
    try:
        documents = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read as JSON ({type(error).__name__})", "see --leads") from None
    if not isinstance(documents, list) or not all(isinstance(one, dict) for one in documents):
        raise ConfigurationError(f"{path} is no list of objects", "see --leads")
    return documents


def _options() -> StackOptions:
    """A data folder of the demo's own beside the daily one, with the same jars."""
    daily = options_from_settings()
    return replace(
        daily,
        data_dir=daily.data_dir / "demo",
        jars_dir=daily.jars_dir or daily.data_dir / "jars",
        ports={},
        free_ports=True,
        nurture_day_s=DAY_S,
    )


@contextmanager
def _own_stack(stack: LocalStack) -> Iterator[None]:
    """A fresh stack, stopped whatever happens."""
    stack.down()  # what an interrupted demo left
    shutil.rmtree(stack.options.data_dir, ignore_errors=True)
    try:
        with shown_steps() as progress:
            stack.up(progress)
        yield
    finally:
        stack.down()


async def _insert(uri: str, leads_by_id: Mapping[str, dict[str, Any]]) -> None:
    store = MongoStore(uri, "sdr")
    try:
        for lead_id, document in leads_by_id.items():
            await store.insert_once("leads", {**document, "_id": lead_id})
            await asyncio.sleep(_BETWEEN_LEADS_S)
    finally:
        await store.close()


def _name(lead: Mapping[str, Any]) -> str:
    person = " ".join(str(lead[part]) for part in ("first_name", "last_name") if lead.get(part))
    return ", ".join(part for part in (person, str(lead.get("company") or "")) if part) or str(lead.get("email"))


def _follow(bootstrap: str, names: Mapping[str, str], within_s: float) -> tuple[Journeys, bool]:
    """Watch until every lead's way is over; what was seen, and whether all are over."""
    journeys = Journeys()
    deadline = time.monotonic() + within_s
    moved_at = time.monotonic()
    with KafkaFollower(bootstrap, (MESSAGES, DECISIONS)) as follower, LiveWays(names) as shown:
        while (now := time.monotonic()) < deadline:
            records = follower.take(_LOOK_AGAIN_S)
            for record in records:
                journeys.feed(record)
            if records:
                moved_at = now
                shown.update(journeys)
            elif now - moved_at > QUIET_S and _are_over(journeys, names):
                return journeys, True
    return journeys, _are_over(journeys, names)


def _are_over(journeys: Journeys, names: Mapping[str, str]) -> bool:
    found = [journeys.get(workflow) for workflow in names]
    return all(journey is not None and journey.is_over for journey in found)
