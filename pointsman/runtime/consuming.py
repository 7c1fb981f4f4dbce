"""The consuming loop: owns the inbox, hands records over, writes results and positions in transactions.

It runs on a thread of its own, so that no handler, however slow, makes the consumer miss a poll. Handlers run on an
asyncio loop elsewhere and give results back through `finish`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.runtime.offsets import OffsetTracker
from pointsman.runtime.port import Inbox, PartitionEnd, Position, TransactionAbortedError

# While nothing is in flight only Kafka can wake the loop, and poll returns at once when it does.
_IDLE_POLL_S: Final = 0.1
# While handlers run, a result waits at most this long for its transaction.
_BUSY_POLL_S: Final = 0.004
_RECORDS_PER_TURN: Final = 64
_PAUSE_AFTER_ABORT_S: Final = 0.2
_PAUSE_BEFORE_OPEN_S: Final = 1.0
# Positions that moved without a result (control records, skipped messages) are not worth a transaction each.
_QUIET_POSITIONS_S: Final = 1.0

_log = structlog.get_logger(__name__)


class Partition:
    """One assigned partition.

    Attributes:
        number: its number.
        tracker: what is delivered and done in it.
        ours: False once it was revoked or lost: its results are void.
        written: the position that was committed last.
    """

    def __init__(self, position: Position) -> None:
        self.number = position.partition
        self.tracker = OffsetTracker(position.offset, position.metadata)
        self.ours = True
        self.written = self.tracker.position()


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A record on its way through a handler.

    Attributes:
        record: the record.
        partition: where it came from.
    """

    record: Record
    partition: Partition

    @property
    def is_ours(self) -> bool:
        """Whether its result still counts."""
        return self.partition.ours


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    records: Sequence[Record]
    delivery: Delivery | None = None
    written: Callable[[], None] | None = None

    @property
    def counts(self) -> bool:
        return self.delivery is None or self.delivery.is_ours

    @property
    def may_be_written(self) -> bool:
        delivery = self.delivery
        return delivery is None or delivery.partition.tracker.may_complete(delivery.record.offset)


class Consuming:
    """Moves records between the inbox and the handlers.

    Args:
        inbox: the inbox.
        deliver: takes one delivery over; called on the loop's thread, must not block.
        in_flight: how many messages may be worked on at the same time; asked again and again.
        stopping: once set, nothing new is delivered.

    Attributes:
        commit_began: monotonic time at which the transaction under way began, in seconds; None when there is none.
    """

    def __init__(
        self, inbox: Inbox, deliver: Callable[[Delivery], None], in_flight: Callable[[], int], stopping: threading.Event
    ) -> None:
        self._inbox = inbox
        self._deliver = deliver
        self._in_flight = in_flight
        self._stopping = stopping
        self._ended = threading.Event()
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._unwritten: list[_Result] = []
        self._partitions: dict[int, Partition] = {}
        self._paused: set[int] = set()
        self._is_holding_back = False
        self._not_before = 0.0
        self._last_write = 0.0
        self.commit_began: float | None = None

    def finish(self, delivery: Delivery, records: Sequence[Record], written: Callable[[], None] | None = None) -> None:
        """`delivery` is handled: write `records`, and that it is done; `written` is called then. From any thread."""
        self._results.put(_Result(records=records, delivery=delivery, written=written))

    def emit(self, records: Sequence[Record], written: Callable[[], None]) -> None:
        """Write `records` that answer no delivery; `written` is called once they are committed. From any thread."""
        self._results.put(_Result(records=records, written=written))

    def end(self) -> None:
        """Write what is finished, leave the group and return from `run`. From any thread."""
        self._ended.set()

    def run(self) -> None:
        """Work until `end`.

        Raises:
            PointsmanError: consumer or producer is of no use any more.
        """
        self._open()
        try:
            while not self._ended.is_set():
                self._receive()
                self._hold_back()
                self._write()
            self._write()
        finally:
            self._inbox.close()

    def assigned(self, positions: Sequence[Position]) -> None:
        """Start tracking these partitions."""
        for position in positions:
            self._partitions[position.partition] = Partition(position)
            self._paused.discard(position.partition)
        _log.info("partitions assigned", partitions=[position.partition for position in positions])

    def revoked(self, partitions: Sequence[int]) -> None:
        """Write what is done in time; void the rest."""
        try:
            self._write(at_once=True)
        finally:
            self._forget(partitions)
        _log.info("partitions revoked", partitions=list(partitions))

    def lost(self, partitions: Sequence[int]) -> None:
        """Void everything of these partitions."""
        self._forget(partitions)
        _log.warning("partitions lost", partitions=list(partitions))

    def _open(self) -> None:
        while not self._ended.is_set():
            try:
                return self._inbox.open(self)
            except BrokerUnavailableError as error:
                _log.warning("waiting for Kafka", problem=str(error))
                self._ended.wait(_PAUSE_BEFORE_OPEN_S)

    def _receive(self) -> None:
        timeout_s = self._poll_timeout_s()
        for _ in range(_RECORDS_PER_TURN):
            event = self._inbox.poll(timeout_s)
            if event is None:
                return
            self._take(event)
            if self._wants_to_hold_back():
                return
            timeout_s = 0.0

    def _poll_timeout_s(self) -> float:
        if not self._results.empty():
            return 0.0
        return _BUSY_POLL_S if self._held() or self._unwritten else _IDLE_POLL_S

    def _take(self, event: Record | PartitionEnd) -> None:
        partition = self._partitions.get(event.partition)
        if partition is None or self._stopping.is_set():
            return
        if isinstance(event, PartitionEnd):
            partition.tracker.reached(event.offset)
        elif partition.tracker.deliver(event.offset):
            self._deliver(Delivery(record=event, partition=partition))

    def _held(self) -> int:
        return sum(partition.tracker.in_flight for partition in self._partitions.values())

    def _wants_to_hold_back(self) -> bool:
        """Whether enough is held for now; a gap between the two bounds spares pausing for every message."""
        held, limit = self._held(), self._in_flight()
        self._is_holding_back = held >= 2 * limit or (self._is_holding_back and held > limit)
        return self._is_holding_back or any(partition.tracker.is_full for partition in self._partitions.values())

    def _hold_back(self) -> None:
        """Pause and resume partitions, so that polling goes on while nothing more fits."""
        self._wants_to_hold_back()
        everything = self._is_holding_back or self._stopping.is_set()
        wanted = {number for number, partition in self._partitions.items() if everything or partition.tracker.is_full}
        if pause := wanted - self._paused:
            self._inbox.pause(sorted(pause))
        if resume := self._paused - wanted:
            self._inbox.resume(sorted(resume))
        self._paused = wanted

    def _write(self, *, at_once: bool = False) -> None:
        self._collect()
        now = time.monotonic()
        if now < self._not_before and not at_once:
            return
        batch = [result for result in self._unwritten if result.may_be_written]
        for result in batch:
            if result.delivery:
                result.delivery.partition.tracker.complete(result.delivery.record.offset)
        moved = [
            partition for partition in self._partitions.values() if partition.tracker.position() != partition.written
        ]
        is_due = at_once or self._ended.is_set() or now - self._last_write > _QUIET_POSITIONS_S
        if batch or (moved and is_due):
            self._commit(batch, moved)

    def _collect(self) -> None:
        while not self._results.empty():
            self._unwritten.append(self._results.get())
        self._unwritten = [result for result in self._unwritten if result.counts]

    def _commit(self, batch: list[_Result], moved: list[Partition]) -> None:
        records = [record for result in batch for record in result.records]
        positions = [(partition, partition.tracker.position()) for partition in moved]
        self.commit_began = time.monotonic()
        try:
            self._inbox.commit(records, [_to_commit(partition) for partition in moved])
        except TransactionAbortedError as error:
            # The results stay in `_unwritten`; those of a partition that is revoked meanwhile fall out there.
            _log.warning("transaction aborted, trying again", problem=str(error), results=len(batch))
            self._not_before = time.monotonic() + _PAUSE_AFTER_ABORT_S
            return
        finally:
            self.commit_began = None
        written = set(map(id, batch))
        self._unwritten = [result for result in self._unwritten if id(result) not in written]
        for partition, position in positions:
            partition.written = position
        self._last_write = time.monotonic()
        for result in batch:
            if result.written:
                result.written()

    def _forget(self, partitions: Sequence[int]) -> None:
        for number in partitions:
            partition = self._partitions.pop(number, None)
            if partition:
                partition.ours = False
            self._paused.discard(number)


def _to_commit(partition: Partition) -> Position:
    offset, metadata = partition.tracker.position() or (None, "")
    return Position(partition=partition.number, offset=offset, metadata=metadata)
