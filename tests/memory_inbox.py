"""An inbox in memory, for tests of what stands between Kafka and an agent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from pointsman.envelope import Record
from pointsman.runtime.port import PartitionEnd, PartitionListener, Position, TransactionAbortedError

Event = Record | PartitionEnd | Callable[[PartitionListener], None]


class MemoryInbox:
    """Delivers what a test puts in; remembers what is committed.

    Attributes:
        commits: records and positions of each committed transaction.
        aborts: how many of the next commits are refused.
        broken: raised by the next poll.
    """

    def __init__(self, *positions: Position) -> None:
        self._positions = positions or (Position(partition=0, offset=0),)
        self._events: deque[Event] = deque()
        self._paused: set[int] = set()
        self._listener: PartitionListener | None = None
        self._changed = threading.Condition()
        self.commits: list[tuple[list[Record], list[Position]]] = []
        self.aborts = 0
        self.broken: Exception | None = None
        self.closed = False

    def put(self, *events: Event) -> None:
        with self._changed:
            self._events.extend(events)
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, timeout_s), "the condition did not come true"

    @property
    def written(self) -> list[Record]:
        return [record for records, _ in self.commits for record in records]

    @property
    def position(self) -> Position | None:
        """The position of partition 0 that was committed last."""
        positions = [position for _, batch in self.commits for position in batch if position.partition == 0]
        return positions[-1] if positions else None

    @property
    def paused(self) -> set[int]:
        return set(self._paused)

    def open(self, listener: PartitionListener) -> None:
        self._listener = listener
        listener.assigned(self._positions)

    def poll(self, timeout_s: float) -> Record | PartitionEnd | None:
        with self._changed:
            self._changed.wait_for(self._has_event, timeout_s)
            self._changed.notify_all()
            if self.broken:
                raise self.broken
            event = self._pop()
        if event is not None and not isinstance(event, Record | PartitionEnd):
            assert self._listener
            event(self._listener)
            return None
        return event

    def pause(self, partitions: Sequence[int]) -> None:
        self._set_paused(self._paused | set(partitions))

    def resume(self, partitions: Sequence[int]) -> None:
        self._set_paused(self._paused - set(partitions))

    def commit(self, records: Sequence[Record], positions: Sequence[Position]) -> None:
        with self._changed:
            if self.aborts:
                self.aborts -= 1
                raise TransactionAbortedError("refused by the test")
            self.commits.append((list(records), list(positions)))
            self._changed.notify_all()

    def close(self) -> None:
        assert self._listener
        self._listener.revoked([position.partition for position in self._positions])
        self.closed = True

    def _set_paused(self, partitions: set[int]) -> None:
        with self._changed:
            self._paused = partitions
            self._changed.notify_all()

    def _has_event(self) -> bool:
        return self.broken is not None or any(self._deliverable(event) for event in self._events)

    def _pop(self) -> Event | None:
        for event in self._events:
            if self._deliverable(event):
                self._events.remove(event)
                return event
        return None

    def _deliverable(self, event: Event) -> bool:
        return not isinstance(event, Record | PartitionEnd) or event.partition not in self._paused
