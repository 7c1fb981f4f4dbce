"""`pointsman costs`: what models cost, by day, by agent, and per mail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import chain
from typing import Any, Final

import typer

from pointsman.cli.decisions import load, records_between
from pointsman.cli.options import FromArchive, Since, Until, span
from pointsman.cli.output import Output, OutputOption, counted, print_data, print_rows
from pointsman.costs import Costs, Spending, Spent, added, costs, spent_by_agents, spent_by_router
from pointsman.runtime.ledger import EFFECTS, EffectState
from pointsman.settings import settings
from pointsman.store import Document, DocumentStore
from pointsman.stores import open_store
from pointsman.topics import MESSAGES

_MOST_MAILS: Final = 1_000_000
_NUMBERS: Final = ("calls", "input_tokens", "output_tokens", "cost_usd", "unpriced_calls", "mails", "usd_per_mail")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command("costs")(show_costs)


def show_costs(
    since: Since = "7d", until: Until = None, archive: FromArchive = None, output: OutputOption = Output.TABLE
) -> None:
    """What models cost: by day and agent, and what that was for each mail that was sent. Days are UTC."""
    first, last = span(since, until)
    within = _Range(first, last)
    read = counted(records_between(MESSAGES, first, last, archive), f"reading {MESSAGES}")
    spent = chain(spent_by_router(load(since, until, None, archive)), spent_by_agents(read))
    found = costs((one for one in spent if within.holds(one)), _with_store(within))
    rows = list(table(found))
    if output is not Output.TABLE:
        print_data({"rows": rows, "total": _total(found)}, output)
        return
    print_rows([*rows, _total(found)], ("day", "agent", *_NUMBERS), output, right=_NUMBERS)
    if any(row["unpriced_calls"] for row in rows):
        typer.echo("some calls were made to models whose price is unknown; cost_usd does not hold them", err=True)


def table(found: Costs) -> Iterator[dict[str, Any]]:
    """A row for each day and agent, and one for the whole day, which also counts mails."""
    for day in found.days:
        for (one, agent), spending in sorted(found.by_agent.items()):
            if one == day:
                yield {"day": day.isoformat(), "agent": agent, **_told(spending)}
        yield {"day": day.isoformat(), "agent": "all", **_told(found.of_day(day)), **_mails(found, [day])}


class _Range:
    """A range of time; a bound that is None is none."""

    def __init__(self, first: datetime | None, last: datetime | None) -> None:
        self.first = first
        self.last = last

    def holds(self, spent: Spent) -> bool:
        return (self.first is None or spent.at >= self.first) and (self.last is None or spent.at < self.last)

    def criteria(self) -> dict[str, Any]:
        """The same for the ledger's `finished_at`."""
        bounds: dict[str, Any] = {"$gte": self.first or datetime(1970, 1, 1, tzinfo=UTC)}
        return {"finished_at": {**bounds, **({"$lt": self.last} if self.last else {})}}


def _total(found: Costs) -> dict[str, Any]:
    total = added(found.by_agent.values())
    return {"day": "total", "agent": "all", **_told(total), **_mails(found, list(found.days))}


def _told(spending: Spending) -> dict[str, Any]:
    # What nobody knows the price of is not for nothing.
    nothing_known = spending.calls > 0 and spending.unpriced_calls == spending.calls
    return {**vars(spending), "cost_usd": None if nothing_known else round(spending.cost_usd, 6)}


def _mails(found: Costs, days: list[date]) -> dict[str, Any]:
    count = sum(found.mails.get(day, 0) for day in days)
    spent = added(found.of_day(day) for day in days)
    is_known = count > 0 and not spent.unpriced_calls
    return {"mails": count, "usd_per_mail": round(spent.cost_usd / count, 6) if is_known else None}


def _with_store(within: _Range) -> list[Document]:
    async def run() -> list[Document]:
        store = open_store(settings())
        try:
            return await sent_mails(store, within.criteria())
        finally:
            await store.close()

    return asyncio.run(run())


async def sent_mails(store: DocumentStore, criteria: dict[str, Any]) -> list[Document]:
    """The ledger's documents of effects that were carried out."""
    return await store.find(EFFECTS, {"state": EffectState.SENT.value, **criteria}, limit=_MOST_MAILS)
