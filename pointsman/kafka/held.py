"""Transactions that are open, and so hold back who reads what is committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from pointsman.kafka.clients import REQUEST_TIMEOUT_S, client_config, translated
from pointsman.kafka.login import KafkaLogin

_RECORD_WITHIN_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class OpenTransaction:
    """The oldest transaction of a partition that has not ended.

    Attributes:
        topic: the topic.
        partition: number of the partition.
        offset: its first record: nobody who reads what is committed gets further.
        since: when that record was written; None when it could not be read.
    """

    topic: str
    partition: int
    offset: int
    since: datetime | None


def open_transactions(
    bootstrap: str, topics: Iterable[str], login: KafkaLogin | None = None
) -> Sequence[OpenTransaction]:
    """The oldest open transaction of each partition that has one.

    Args:
        bootstrap: the broker's address.
        topics: existing topics to look at.
        login: who asks; None logs in as the settings say.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        ConfigurationError: forbidden, or there is no such topic.
    """
    with translated("looking for open transactions", bootstrap):
        admin = AdminClient(client_config(bootstrap, login))
        known = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
        partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        stable = _ends(admin, partitions, IsolationLevel.READ_COMMITTED)
        last = _ends(admin, partitions, IsolationLevel.READ_UNCOMMITTED)
        held = [TopicPartition(*one, offset) for one, offset in stable.items() if offset < last[one]]
        return [_open(bootstrap, login, partition) for partition in held]


def _ends(
    admin: AdminClient, partitions: Sequence[TopicPartition], level: IsolationLevel
) -> dict[tuple[str, int], int]:
    if not partitions:
        return {}
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked = admin.list_offsets(
        dict.fromkeys(partitions, latest), isolation_level=level, request_timeout=REQUEST_TIMEOUT_S
    )
    return {(one.topic, one.partition): future.result().offset for one, future in asked.items()}


def _open(bootstrap: str, login: KafkaLogin | None, at: TopicPartition) -> OpenTransaction:
    settings: dict[str, Any] = {
        **client_config(bootstrap, login),
        "group.id": "pointsman.doctor",
        "isolation.level": "read_uncommitted",
        "enable.auto.commit": False,
    }
    with closing(Consumer(settings)) as consumer:
        consumer.assign([at])
        message = consumer.poll(_RECORD_WITHIN_S)
    milliseconds = message.timestamp()[1] if message is not None and message.error() is None else 0
    since = datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None
    return OpenTransaction(topic=at.topic, partition=at.partition, offset=at.offset, since=since)
