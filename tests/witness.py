"""An independent witness: kafka-python reads what our confluent-kafka and Flink wrote, and counts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """One committed record, as another client implementation saw it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]

    def header(self, name: str) -> str:
        return self.headers.get(name, b"").decode(errors="replace")

    @property
    def workflow(self) -> str:
        return self.header("ce_workflowid")

    @property
    def type(self) -> str:
        return self.header("ce_type")

    def json(self) -> Any:
        return json.loads(self.value or b"null")


class Witness:
    """Reads topics from beginning to end with `read_committed`, and writes raw records."""

    def __init__(self, bootstrap: str, login: Mapping[str, Any] | None = None) -> None:
        self.bootstrap = bootstrap
        self._login = dict(login or {})

    def topics(self) -> set[str]:
        with self._consumer() as consumer:
            return set(consumer.topics())

    def read(self, *topics: str, since_ms: int = 0) -> list[Seen]:
        """Every committed record of `topics` up to their ends as of now, or those written since `since_ms`."""
        with self._consumer() as consumer:
            partitions = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
            if not partitions:
                return []
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            consumer.seek_to_beginning(*partitions)
            if since_ms:
                for partition, begin in consumer.offsets_for_times(dict.fromkeys(partitions, since_ms)).items():
                    consumer.seek(partition, begin.offset if begin else ends[partition])
            return list(_until(consumer, ends))

    def events(self, workflow: str) -> list[str]:
        """Event types of one workflow on `agent_messages`, in order."""
        return [seen.type for seen in self.read("agent_messages") if seen.workflow == workflow]

    def decisions(self, workflow: str) -> list[dict[str, Any]]:
        """Decisions on one workflow's messages, as JSON objects."""
        found = [seen.json() for seen in self.read("agent_decisions")]
        return [decision for decision in found if decision["workflow_id"] == workflow]

    def write(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: dict[str, bytes] | None = None,
    ) -> None:
        """One raw record, garbage included."""
        self.write_many(topic, [(key, value, headers or {})])

    def write_many(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None, dict[str, bytes]]]) -> None:
        """Raw records (key, value, headers), one right after the other."""
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, max_request_size=6_000_000, **self._login)
        try:
            sent = [
                producer.send(topic, value=value, key=key, headers=[*named.items()]) for key, value, named in records
            ]
            for one in sent:
                one.get(timeout=60)
        finally:
            producer.close()

    @contextmanager
    def _consumer(self) -> Iterator[KafkaConsumer]:
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level="read_committed", enable_auto_commit=False,
            group_id=None, auto_offset_reset="earliest", max_partition_fetch_bytes=8_000_000,
            **self._login,
        )  # fmt: skip
        try:
            yield consumer
        finally:
            consumer.close()


def _until(consumer: KafkaConsumer, ends: dict[TopicPartition, int]) -> Iterator[Seen]:
    deadline = time.monotonic() + 30
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        if time.monotonic() > deadline:
            raise TimeoutError("the topics did not reach their ends; an open transaction holds readers back")
        for records in consumer.poll(timeout_ms=200).values():
            # Only standing still is a sign: there may be much to read, on a busy machine.
            deadline = time.monotonic() + 30
            for record in records:
                yield Seen(
                    record.topic, record.partition, record.offset, record.key, record.value, dict(record.headers)
                )


def eventually(
    probe: Callable[[], T], *, within_s: float = 60, every_s: float = 0.25, what: str = "the condition"
) -> T:
    """The first truthy answer of `probe`; fails with its last answer when none comes in time."""
    deadline = time.monotonic() + within_s
    while not (answer := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not hold within {within_s} s; last seen: {answer!r}")
        time.sleep(every_s)
    return answer
