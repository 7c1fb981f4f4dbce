"""Delivers everything several times, out of order."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable
from itertools import count

from kafka import KafkaProducer

from tests.chaos.tail import Tail
from tests.witness import Seen

_LATEST_S = 5.0


class Repeater:
    """Writes every record that `tail` sees twice more, each at a random moment of the next five seconds.

    Args:
        tail: sees the records.
        bootstrap: the broker.
        dice: decides the moments.
        is_wanted: records to repeat.
    """

    def __init__(self, tail: Tail, bootstrap: str, dice: random.Random, is_wanted: Callable[[Seen], bool]) -> None:
        self.repeated = 0
        self._tail = tail
        self._dice = dice
        self._is_wanted = is_wanted
        self._producer = KafkaProducer(bootstrap_servers=bootstrap)
        self._due: list[tuple[float, int, Seen]] = []
        self._known: set[tuple[str, str, str]] = set()
        self._looked = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; what is due later is not written any more."""
        self._stop.set()
        self._thread.join(timeout=30)
        self._producer.close()

    def _run(self) -> None:
        numbers = count()
        while not self._stop.wait(0.02):
            for at, record in self._tail.arrivals(self._looked):
                self._plan(record, numbers)
                self._looked = at
            self._write_due()

    def _plan(self, record: Seen, numbers: count[int]) -> None:
        identity = (record.topic, record.header("ce_source"), record.header("ce_id"))
        if identity in self._known or not self._is_wanted(record):
            return
        self._known.add(identity)
        for _ in range(2):
            due = time.monotonic() + self._dice.uniform(0, _LATEST_S)
            heapq.heappush(self._due, (due, next(numbers), record))

    def _write_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic():
            record = heapq.heappop(self._due)[2]
            headers = list(record.headers.items())
            self._producer.send(record.topic, value=record.value, key=record.key, headers=headers)
            self.repeated += 1
        self._producer.flush()
