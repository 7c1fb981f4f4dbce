"""`pointsman effects`: stop and start all outgoing effects, look at the ledger, decide what it could not know."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer

from pointsman.audit import Action, AuditEntry
from pointsman.cli.letter_text import cell
from pointsman.cli.options import By, DryRun, Yes, confirm, operator
from pointsman.cli.output import Output, OutputOption, print_lines, print_rows
from pointsman.controls import EffectsControl, read_effects
from pointsman.envelope import Record
from pointsman.errors import RefusedError
from pointsman.kafka import KafkaAdmin, load_effects_control, publish
from pointsman.plaintext import one_line
from pointsman.runtime.ledger import EFFECTS, Effect, EffectLedger, EffectState
from pointsman.settings import settings
from pointsman.store import Document, DocumentStore
from pointsman.stores import open_store
from pointsman.topics import ALL, AUDIT, CONTROLS

app = typer.Typer(no_args_is_help=True)

_SHORTEST_ID: Final = 8
_LONGEST: Final = 200
_FACTS: Final = ("lead_id", "campaign_id", "step", "message_id")

Result = TypeVar("Result")


class Verdict(StrEnum):
    """What a person may find out about an effect."""

    SENT = "sent"
    REJECTED = "rejected"


@app.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why; shown by `status`.")] = "",
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Let no effect begin any more, in any process; what waits is kept. Never asks: it is for emergencies."""
    _switch(EffectsControl(is_allowed=False, by=operator(by), at=datetime.now(UTC), reason=reason), dry_run=dry_run)


@app.command()
def start(
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    *,
    by: By = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Let effects begin again; what waited begins first."""
    if not dry_run:
        confirm("Everything that waited is sent at once. Let effects begin again?", yes=yes)
    _switch(EffectsControl(is_allowed=True, by=operator(by), at=datetime.now(UTC), reason=reason), dry_run=dry_run)


@app.command()
def status(output: OutputOption = Output.TABLE) -> None:
    """Say whether effects may begin, and who said so."""
    control = read_effects(load_effects_control(settings().kafka_bootstrap))
    print_lines([status_line(control)], asdict(control), output)


@app.command("ls")
def list_effects(
    state: Annotated[EffectState | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most that many, the newest first.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """List what the ledger holds: a line for each effect, with its id."""
    rows = _with_store(lambda store: listed(store, state, limit))
    print_rows(rows, ("id", "state", "reserved_at", *_FACTS), output, right=("step",))


@app.command()
def resolve(
    effect: Annotated[str, typer.Argument(metavar="ID", help="The effect's id, or how it begins.")],
    verdict: Annotated[Verdict, typer.Option("--as", help="What really happened.")],
    *,
    by: By = None,
    dry_run: DryRun = False,
) -> None:
    """Say what became of an effect in state `unknown`; it is not carried out again either way."""
    person = operator(by)
    if dry_run:
        typer.echo(f"would note {_with_store(lambda store: named(store, effect))} as {verdict.value}")
        return
    resolved = _with_store(lambda store: decide(store, effect, verdict, person))
    entry = AuditEntry(
        action=Action.EFFECT_RESOLVED, subject=resolved.id, by=person, at=datetime.now(UTC),
        details={"as": verdict.value},
    )  # fmt: skip
    _publish([entry.to_record()])
    typer.echo(f"{resolved.id} {resolved.state.value}")


def status_line(control: EffectsControl) -> str:
    """What `status` prints."""
    state = "allowed" if control.is_allowed else "stopped"
    since = f" since {control.at:%Y-%m-%d %H:%M:%S} UTC by {cell(control.by)}" if control.by else ""
    return f"effects are {state}{since}{f': {cell(control.reason)}' if control.reason else ''}"


async def listed(store: DocumentStore, state: EffectState | None, limit: int) -> list[dict[str, Any]]:
    """The newest effects; ids only, nothing personal. A Message-ID is whole: it is what one looks for at a provider."""
    criteria = {} if state is None else {"state": state.value}
    found = await store.find(EFFECTS, criteria, sort="-reserved_at", limit=limit)
    return [_in_short(document) for document in found]


async def decide(store: DocumentStore, beginning: str, verdict: Verdict, by: str) -> Effect:
    """Resolve the one effect whose id begins so.

    Raises:
        RefusedError: none or several do, or its outcome is known.
    """
    ledger = EffectLedger(store, now=lambda: datetime.now(UTC), owner=f"operator.{by}")
    found = await named(store, beginning)
    if verdict is Verdict.SENT:
        return await ledger.resolve(found, EffectState.SENT, by)
    return await ledger.resolve(found, EffectState.REJECTED, by)


def _switch(control: EffectsControl, *, dry_run: bool) -> None:
    if dry_run:
        typer.echo(f"would say: {status_line(control)}")
        return
    _publish(control.records())
    typer.echo(status_line(control))


def _publish(records: Iterable[Record]) -> None:
    bootstrap = settings().kafka_bootstrap
    KafkaAdmin(bootstrap).ensure_topics([topic for topic in ALL if topic.name in (AUDIT, CONTROLS)])
    # An id of its own: nobody can fence out whoever stops effects, and the latest word counts.
    publish(bootstrap, records, f"pointsman.effects.{uuid.uuid4()}")


async def named(store: DocumentStore, beginning: str) -> str:
    """The id of the one effect whose id begins so.

    Raises:
        RefusedError: none or several do.
    """
    if len(beginning) < _SHORTEST_ID or not beginning.isalnum():
        raise RefusedError("that is no effect's id", f"give at least its first {_SHORTEST_ID} characters")
    # Ids are hexadecimal: nothing that begins so comes after this.
    found = await store.find(EFFECTS, {"_id": {"$gte": beginning, "$lt": f"{beginning}g"}}, limit=2)
    if len(found) != 1:
        what = "several effects begin" if found else "no effect begins"
        raise RefusedError(f"{what} with {beginning[:80]}", "`pointsman effects ls` names them")
    return str(found[0]["_id"])


def _in_short(document: Document) -> dict[str, Any]:
    facts: dict[str, Any] = document["facts"]
    about: dict[str, Any] = {name: one_line(str(facts[name]), _LONGEST) for name in _FACTS if name in facts}
    return {"id": document["_id"], "state": document["state"], "reserved_at": document["reserved_at"], **about}


def _with_store(work: Callable[[DocumentStore], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        store = open_store(settings())
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())
