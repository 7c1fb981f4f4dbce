"""Reading whole topics, and following them."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import stamina
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from pointsman.catalog import Catalog, CatalogReader
from pointsman.controls import is_about_effects
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, PermanentError
from pointsman.kafka.clients import REQUEST_TIMEOUT_S, kafka_error, reader_config, to_record, translated
from pointsman.kafka.login import KafkaLogin
from pointsman.shredding.values import closed, read_for_people
from pointsman.topics import CONTROLS, DEFINITIONS, READERS

_SILENT_FOR_S: Final = 30.0
_POLL_S: Final = 0.2
# To who may not see it, a topic does not exist.
_NO_SUCH_TOPIC: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED)
# A broker stops, comes back, or was not heard of for a while, and another leads its partitions in a moment.
_LEADER_MOVES: Final = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 (a public name of librdkafka)
)

_PartitionId = tuple[str, int]


class Reader(Protocol):
    """Puts catalogs together, as `pointsman.catalog.CatalogReader` does."""

    def accept(self, key: bytes | None, value: bytes | None) -> Catalog | None:
        """Take one record over; the new catalog if this record completes one, else None."""
        ...


def read_all(
    bootstrap: str, topic: str, *, since_ms: int | None = None, login: KafkaLogin | None = None
) -> Iterator[Record]:
    """Every committed record of `topic`, up to where its partitions end now.

    Records of a transaction that is still open, and what comes after them in that partition, are left out.

    Args:
        bootstrap: the broker's address.
        topic: the topic's name.
        since_ms: begin in each partition at the first record with this Kafka timestamp (milliseconds) or a later one.
        login: who reads; None logs in as the settings say.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        RegistryUnavailableError: a value is Avro, and its schema cannot be had now.
        StoreUnavailableError: a value is encrypted, and its key cannot be had now.
        ConfigurationError: there is no such topic.
    """
    return read_for_people(_committed(bootstrap, topic, since_ms, login))


def _committed(bootstrap: str, topic: str, since_ms: int | None, login: KafkaLogin | None) -> Iterator[Record]:
    with _consumer(bootstrap, login) as consumer, translated(f"reading {topic}", bootstrap):
        ends = _ends(consumer, topic)
        open_partitions = {partition for partition, (first, end) in ends.items() if end > first}
        starts = _starts(consumer, open_partitions, since_ms)
        open_partitions = {(start.topic, start.partition) for start in starts}
        consumer.assign(starts)
        for message in _polled(consumer, bootstrap, open_partitions):
            where = (message.topic() or "", message.partition() or 0)
            if message.error() is None and _offset(message) < ends[where][1]:
                yield to_record(message)
            # Aborted records and transaction markers are never delivered, so the last offset alone is no sign.
            if message.error() is not None or _offset(message) + 1 >= ends[where][1]:
                open_partitions.discard(where)


def tail(
    bootstrap: str,
    topics: Sequence[str],
    *,
    from_beginning: bool = False,
    stop: threading.Event | None = None,
    opens: bool = True,
) -> Iterator[Record]:
    r"""Follow `topics` as committed records arrive, for ever or until `stop` is set.

    Args:
        bootstrap: the broker's address.
        topics: names; one that begins with `^` is a regular expression, e.g. `^agents\..*\.inbox$`. Topics made later
            are taken in from their first record.
        from_beginning: start with what is there, instead of at the end.
        stop: looked at five times a second.
        opens: also read what is encrypted; otherwise it says only that it is, see `pointsman.shredding.values`.

    Raises:
        RegistryUnavailableError: a value is Avro, and its schema cannot be had now.
        StoreUnavailableError: a value is encrypted, and its key cannot be had now.
        ConfigurationError: not allowed.
    """
    stopped = stop or threading.Event()
    with _consumer(bootstrap) as consumer, translated(f"following {', '.join(topics)}", bootstrap):
        known = set() if from_beginning else set(consumer.list_topics(timeout=REQUEST_TIMEOUT_S).topics)
        consumer.subscribe(list(topics), on_assign=_start_at({} if from_beginning else dict.fromkeys(known, True)))
        while not stopped.is_set():
            message = consumer.poll(_POLL_S)
            if message is None or _is_passing(message):
                continue
            record = [to_record(message)]
            yield from read_for_people(record if opens else closed(record))


def load_catalog(bootstrap: str, login: KafkaLogin | None = None) -> Catalog:
    """The catalog in force, or the empty one when none was ever applied.

    Args:
        bootstrap: the broker's address.
        login: who reads; None logs in as the settings say.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
    """
    reader = CatalogReader()
    catalog = Catalog()
    if not _exists(bootstrap, DEFINITIONS, login):
        return catalog
    for record in read_all(bootstrap, DEFINITIONS, login=login):
        catalog = accepted(reader, record) or catalog
    return catalog


def load_effects_control(bootstrap: str) -> Record | None:
    """The kill switch as it stands; None when nobody has ever touched it.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
    """
    if not _exists(bootstrap, CONTROLS):
        return None
    found = None
    for record in read_all(bootstrap, CONTROLS):
        found = record if is_about_effects(record) else found
    return found


def accepted(reader: Reader, record: Record) -> Catalog | None:
    """The catalog that `record` completes, if it does; a record that is no definition changes nothing."""
    try:
        return reader.accept(record.key, record.value)
    except PermanentError:
        return None


def _exists(bootstrap: str, topic: str, login: KafkaLogin | None = None) -> bool:
    with _consumer(bootstrap, login) as consumer, translated("listing topics", bootstrap):
        error = consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].error
    return error is None or error.code() not in _NO_SUCH_TOPIC


@contextmanager
def _consumer(bootstrap: str, login: KafkaLogin | None = None) -> Iterator[Consumer]:
    # A group of its own that never commits leaves nothing behind on the broker.
    consumer = Consumer(reader_config(bootstrap, f"{READERS}{uuid.uuid4().hex[:12]}", login))
    try:
        yield consumer
    finally:
        consumer.close()


def _is_led_soon(error: Exception) -> bool:
    return isinstance(error, KafkaException) and kafka_error(error).code() in _LEADER_MOVES


_until_led: Final = stamina.retry(on=_is_led_soon, attempts=None, timeout=REQUEST_TIMEOUT_S)


@_until_led
def _ends(consumer: Consumer, topic: str) -> dict[_PartitionId, tuple[int, int]]:
    metadata = consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return {
        (topic, number): consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=REQUEST_TIMEOUT_S)
        for number in metadata.partitions
    }


@_until_led
def _starts(consumer: Consumer, partitions: set[_PartitionId], since_ms: int | None) -> list[TopicPartition]:
    """Where to begin; partitions that end before `since_ms` are left out."""
    if since_ms is None:
        return [TopicPartition(name, number, OFFSET_BEGINNING) for name, number in partitions]
    wanted = [TopicPartition(name, number, since_ms) for name, number in partitions]
    found = consumer.offsets_for_times(wanted, timeout=REQUEST_TIMEOUT_S) if wanted else []
    return [start for start in found if start.offset >= 0]


def _polled(consumer: Consumer, bootstrap: str, open_partitions: set[_PartitionId]) -> Iterator[Message]:
    """Messages and ends of partitions, until `open_partitions` is empty."""
    heard = time.monotonic()
    while open_partitions:
        message = consumer.poll(_POLL_S)
        if message is None or _is_passing(message, and_ends=False):
            if time.monotonic() - heard > _SILENT_FOR_S:
                raise BrokerUnavailableError(f"Kafka at {bootstrap} sent nothing for {_SILENT_FOR_S:g} s while reading")
            continue
        heard = time.monotonic()
        yield message


def _is_passing(message: Message, *, and_ends: bool = True) -> bool:
    """Whether `message` is an event that passes by itself.

    Raises:
        KafkaException: it is an error that does not.
    """
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (a public name of librdkafka)
        return and_ends
    if error.fatal() or "AUTH" in error.name():
        raise KafkaException(error)
    return True


def _offset(message: Message) -> int:
    offset = message.offset()
    return -1 if offset is None else offset


def _start_at(known: dict[str, bool]) -> Any:
    def assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            partition.offset = OFFSET_END if known.get(partition.topic) else OFFSET_BEGINNING
        consumer.assign(partitions)

    return assign
