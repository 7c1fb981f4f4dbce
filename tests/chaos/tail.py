"""Follows all topics while a test runs, and notes when each record became visible."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import itemgetter

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from tests.witness import Seen

_LOOK_FOR_TOPICS_EVERY_S = 3.0


class Tail:
    """Committed records of every topic as they come, read by another client than the one that is tested.

    Survives the broker: it reads on where it stood.

    Args:
        bootstrap: address of the broker.
        is_wanted: whether a topic is to be followed.
    """

    def __init__(self, bootstrap: str, is_wanted: Callable[[str], bool]) -> None:
        self._bootstrap = bootstrap
        self._is_wanted = is_wanted
        self._next: dict[TopicPartition, int] = {}
        self._records: list[tuple[float, Seen]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
        self._thread.start()

    def records(self, since: float = 0.0) -> list[Seen]:
        """Records that were seen after `since`, a monotonic time."""
        return [record for _, record in self.arrivals(since)]

    def arrivals(self, since: float = 0.0) -> list[tuple[float, Seen]]:
        """Records that were seen after `since`, each with the monotonic time at which it was."""
        return self._records[bisect_right(self._records, since, key=itemgetter(0)) :]

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(KafkaError, OSError, ValueError):
                self._follow()
            self._stop.wait(0.2)

    def _follow(self) -> None:
        consumer = KafkaConsumer(
            bootstrap_servers=self._bootstrap, isolation_level="read_committed", enable_auto_commit=False,
            group_id=None, auto_offset_reset="earliest", max_partition_fetch_bytes=8_000_000,
            metadata_max_age_ms=2000, reconnect_backoff_max_ms=500,
        )  # fmt: skip
        try:
            for record in self._read(consumer):
                self._records.append((time.monotonic(), record))
        finally:
            consumer.close()

    def _read(self, consumer: KafkaConsumer) -> Iterator[Seen]:
        looked = 0.0
        while not self._stop.is_set():
            if time.monotonic() - looked > _LOOK_FOR_TOPICS_EVERY_S:
                looked = time.monotonic()
                self._assign(consumer)
            for partition, records in consumer.poll(timeout_ms=100).items():
                for one in records:
                    yield Seen(one.topic, one.partition, one.offset, one.key, one.value, dict(one.headers))
                    self._next[partition] = one.offset + 1

    def _assign(self, consumer: KafkaConsumer) -> None:
        topics = [topic for topic in consumer.topics() if self._is_wanted(topic)]
        wanted = {TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()}
        if wanted <= consumer.assignment():
            return
        consumer.assign(list(wanted))
        for partition in wanted:
            consumer.seek(partition, self._next.get(partition, 0))
