"""Leads that nobody has heard of: in the database, old enough, and in no topic.

The connector may have been down for longer than the database keeps its log. Such a lead is written where the connector
would have written it, so that it becomes the same message with the same id: if the connector brings it after all, the
router's guard drops the repeat.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pointsman.envelope import Record, to_rfc3339
from pointsman.store import Document, DocumentStore, id_made_at
from pointsman.topics import LEADS

COLLECTION: Final = "leads"
SOURCE_HEADER: Final = "x_swept_at"
"""Header of a lead that the sweep has written, for whoever wonders where it came from; no message carries it on."""
_LARGEST_BYTES: Final = 800_000
"""As in `connectors/leads_source.json`: of a larger document only the id goes on, and it becomes a dead letter."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which leads are looked at.

    Attributes:
        older_than: how long the connector has had.
        younger_than: how far back to look; not further than the leads topic reaches.
        limit: at most that many leads are looked at, the newest first.
    """

    older_than: timedelta
    younger_than: timedelta
    limit: int


async def lead_ids_in(store: DocumentStore, window: Window, now: datetime) -> list[Any]:
    """Ids, as the database has them, of leads in `window`: by `created_at`, or by the time in an id of its making."""
    first, last = now - window.younger_than, now - window.older_than
    criteria: dict[str, dict[str, Any]] = {
        "created_at": {"$gte": to_rfc3339(first), "$lt": to_rfc3339(last)},
        "_id": {"$gte": id_made_at(first), "$lt": id_made_at(last)},
    }
    found = [
        lead["_id"]
        for name, range_ in criteria.items()
        for lead in await store.find(COLLECTION, {name: range_}, sort=f"-{name}", limit=window.limit, ids_only=True)
    ]
    return list({str(lead_id): lead_id for lead_id in found}.values())[: window.limit]


async def leads_of(store: DocumentStore, lead_ids: Sequence[Any]) -> list[Document]:
    """The leads of these ids that are still there, the oldest id first."""
    return await store.find(COLLECTION, {"_id": {"$in": list(lead_ids)}}, sort="_id", limit=len(lead_ids) or 1)


def unheard_of(lead_ids: Iterable[Any], delivered: Iterable[Record], states: Iterable[Record]) -> list[Any]:
    """Those of `lead_ids` that have come nowhere; what else is on Kafka is read past and not kept.

    Args:
        lead_ids: as the database has them.
        delivered: the records of the leads topic.
        states: the records of `workflow_state`; a lead's workflow has its id.
    """
    missing = {str(lead_id): lead_id for lead_id in lead_ids}
    for record in delivered:
        missing.pop(_id_in(record.value), None)
    for record in states:
        missing.pop((record.key or b"").decode(errors="replace"), None)
    return list(missing.values())


def as_record(lead: Document, now: datetime) -> Record:
    """`lead` as the connector would have written it."""
    lead_id = str(lead["_id"])
    value = json.dumps({**lead, "_id": lead_id}, ensure_ascii=False, default=_plain).encode(errors="replace")
    if len(value) > _LARGEST_BYTES:
        value = json.dumps({"_id": lead_id, "omitted_bytes": len(value)}).encode()
    headers = {SOURCE_HEADER: to_rfc3339(now).encode()}
    return Record(topic=LEADS, key=lead_id.encode(), value=value, headers=headers)


def paced(
    records: Sequence[Record],
    per_s: int,
    publish: Callable[[Sequence[Record]], None],
    pause: Callable[[float], None],
) -> Iterator[int]:
    """Write `records`, at most `per_s` in a second; after each second's share, how many are written."""
    for start in range(0, len(records), per_s):
        if start:
            pause(1.0)
        publish(records[start : start + per_s])
        yield min(start + per_s, len(records))


def _id_in(value: bytes | None) -> str:
    try:
        lead = json.loads(value or b"")
    except (ValueError, RecursionError):
        return ""
    return str(lead.get("_id", "")) if isinstance(lead, dict) else ""


def _plain(value: Any) -> str:
    return to_rfc3339(value) if isinstance(value, datetime) else str(value)
