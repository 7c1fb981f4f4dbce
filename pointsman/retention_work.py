"""Finds and deletes what is kept longer than `pointsman.retention` says; topics delete by themselves, once told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pointsman.archive.files import Archive, Day
from pointsman.envelope import to_rfc3339
from pointsman.kafka import KafkaAdmin
from pointsman.retention import ARCHIVE_DAYS, DOCUMENTS, Documents
from pointsman.store import DocumentStore, id_made_at
from pointsman.topics import DAY_MS, Topic

FOR_EVER: Final = "for ever"
_AT_ONCE: Final = 500
_RETENTION: Final = ("cleanup.policy", "retention.ms", "max.compaction.lag.ms")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A row of the table of what is kept.

    Attributes:
        tier: `hot`, `warm` or `cold`.
        what: a topic, a collection, or the archive.
        days: how long, in words.
    """

    tier: str
    what: str
    days: str


def table(topics: Sequence[Topic]) -> list[Kept]:
    """What each tier keeps, and for how long.

    Args:
        topics: the topics of the hot tier.
    """
    hot = [Kept(tier="hot", what=topic.name, days=_topic_days(topic)) for topic in topics]
    warm = [Kept(tier="warm", what=one.collection, days=_in_words(one.days)) for one in DOCUMENTS]
    return [*hot, *warm, Kept(tier="cold", what="archive", days=_in_words(ARCHIVE_DAYS))]


def differing(admin: KafkaAdmin, topics: Sequence[Topic]) -> list[Topic]:
    """Those of the `topics` that exist and are kept for another time than they should be.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
    """
    found = admin.describe([topic.name for topic in topics])
    return [
        topic
        for topic in topics
        if topic.name in found and any(found[topic.name][1].get(key) != value for key, value in wanted(topic).items())
    ]


def wanted(topic: Topic) -> dict[str, str]:
    """The part of a topic's configuration that says how long it is kept."""
    return {name: topic.config[name] for name in _RETENTION if name in topic.config}


async def overdue(store: DocumentStore, kept: Documents, now: datetime, limit: int) -> list[str]:
    """Ids of documents that are older than they may be, at most `limit`.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    found: dict[str, None] = {}
    for criteria in _older(kept, now):
        found |= {str(one["_id"]): None for one in await store.find(kept.collection, criteria, limit=limit)}
    return list(found)[:limit]


async def delete_overdue(store: DocumentStore, kept: Documents, now: datetime) -> int:
    """Delete the documents that are older than they may be; how many that were.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    if kept.days is None:
        return 0
    await store.ensure_index(kept.collection, [kept.field])
    count = 0
    while ids := await overdue(store, kept, now, _AT_ONCE):
        deleted = sum([await store.delete(kept.collection, key) for key in ids])
        count += deleted
        if not deleted:
            break  # somebody else was faster
    return count


def overdue_days(archive: Archive, now: datetime) -> list[Day]:
    """The days of the archive that are older than they may be."""
    return archive.overdue(now.date(), ARCHIVE_DAYS)


def _older(kept: Documents, now: datetime) -> Iterator[dict[str, Any]]:
    """What finds documents from before the limit: their time may be a time or a text, or stand in their id."""
    if kept.days is None:
        return
    last = now - timedelta(days=kept.days)
    yield {kept.field: {"$lt": last}}
    yield {kept.field: {"$lt": to_rfc3339(last)}}
    if kept.collection == "leads":
        yield {kept.field: {"$exists": False}, "_id": {"$lt": id_made_at(last)}}


def _topic_days(topic: Topic) -> str:
    return "latest of each key" if topic.compacted else _in_words(topic.retention_ms // DAY_MS)


def _in_words(days: int | None) -> str:
    return FOR_EVER if days is None else f"{days} days"
