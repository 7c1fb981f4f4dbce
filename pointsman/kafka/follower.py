"""Follows topics in the background and hands records out in batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pointsman.envelope import Record
from pointsman.errors import PointsmanError
from pointsman.kafka.reading import tail


class KafkaFollower:
    """Reads `topics` from their first record on, until the block ends.

    Args:
        bootstrap: the broker's address.
        topics: names of topics.
    """

    def __init__(self, bootstrap: str, topics: Sequence[str]) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._arrived: queue.Queue[Record | PointsmanError] = queue.Queue(maxsize=10_000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        while self._thread.is_alive():
            # A full queue would hold the thread back from noticing.
            self.take(0.05)

    def take(self, wait_s: float) -> list[Record]:
        """What has arrived since the last call, after waiting at most `wait_s` seconds for something.

        Raises:
            PointsmanError: reading ended with it.
        """
        taken: list[Record] = []
        try:
            self._append(taken, self._arrived.get(timeout=wait_s))
            while True:
                self._append(taken, self._arrived.get_nowait())
        except queue.Empty:
            return taken

    def _append(self, taken: list[Record], item: Record | PointsmanError) -> None:
        if isinstance(item, PointsmanError) and not self._stop.is_set():
            raise item
        if isinstance(item, Record):
            taken.append(item)

    def _read(self) -> None:
        try:
            for record in tail(self._bootstrap, self._topics, from_beginning=True, stop=self._stop):
                self._arrived.put(record)
        except PointsmanError as error:
            self._arrived.put(error)
