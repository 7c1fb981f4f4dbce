"""Reads a topic from the archive and from Kafka, each record once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pointsman.archive.files import Archive
from pointsman.envelope import Record
from pointsman.kafka import read_all
from pointsman.shredding.values import read_for_people


def together(archived: Iterable[Record], live: Iterable[Record]) -> Iterator[Record]:
    """The records of one topic, those of the archive first; what both hold, or one of them twice, comes once.

    Which record it is, partition and offset say, and the timestamp too: offsets begin anew when a topic is made anew.
    """
    seen: set[tuple[int, int, int]] = set()
    for record in archived:
        if _which(record) not in seen:
            seen.add(_which(record))
            yield record
    yield from (record for record in live if _which(record) not in seen)


def read_topic(
    bootstrap: str,
    topic: str,
    *,
    archive: Path | None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Record]:
    """Every committed record of `topic`, from Kafka and, where there is one, from the archive.

    Args:
        bootstrap: the broker's address.
        topic: the topic's name.
        archive: the archive's folder; None reads Kafka alone.
        since: begin with records that have this Kafka timestamp or a later one.
        until: leave archived records out that have this timestamp or a later one.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        StoreUnavailableError: a value is encrypted, and its key cannot be had now.
        ConfigurationError: there is no such topic, or no such archive.
    """
    live = read_all(bootstrap, topic, since_ms=None if since is None else int(since.timestamp() * 1000))
    if archive is None:
        return live
    return together(read_for_people(Archive(archive).records(topic, since, until)), live)


def _which(record: Record) -> tuple[int, int, int]:
    return record.partition, record.offset, record.timestamp_ms
