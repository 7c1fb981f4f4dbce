"""Results leave as soon as they are there; positions never pass what is unfinished; nothing is written for others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError
from pointsman.runtime.consuming import Consuming, Delivery
from pointsman.runtime.port import PartitionEnd, Position
from tests.memory_inbox import MemoryInbox


class Handlers:
    """Takes deliveries over and answers them when the test says so."""

    def __init__(self) -> None:
        self.deliveries: dict[int, Delivery] = {}

    def take(self, delivery: Delivery) -> None:
        self.deliveries[delivery.record.offset] = delivery


def record(offset: int, partition: int = 0) -> Record:
    return Record(topic="inbox", key=b"w", value=b"{}", headers={}, partition=partition, offset=offset)


def reply(name: str) -> Record:
    return Record(topic="messages", key=b"w", value=name.encode(), headers={})


@contextmanager
def consuming(inbox: MemoryInbox, handlers: Handlers, in_flight: int = 8) -> Iterator[Consuming]:
    stopping = threading.Event()
    loop = Consuming(inbox, handlers.take, lambda: in_flight, stopping)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            loop.run()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield loop
    finally:
        stopping.set()
        loop.end()
        thread.join(5)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def test_a_finished_message_is_written_while_an_earlier_one_is_still_at_work() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0), record(1))
        inbox.wait_until(lambda: len(handlers.deliveries) == 2)
        loop.finish(handlers.deliveries[1], [reply("second")])
        inbox.wait_until(lambda: inbox.written)
        assert inbox.position is not None
        assert inbox.position.offset == 0
        assert inbox.position.metadata
        loop.finish(handlers.deliveries[0], [reply("first")])
        inbox.wait_until(lambda: len(inbox.written) == 2)
    assert inbox.position == Position(partition=0, offset=2)


def test_answers_and_position_are_in_the_same_transaction() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0))
        inbox.wait_until(lambda: handlers.deliveries)
        loop.finish(handlers.deliveries[0], [reply("answer")])
        inbox.wait_until(lambda: inbox.written)
        assert inbox.commits == [([reply("answer")], [Position(partition=0, offset=1)])]


def test_a_restart_skips_exactly_what_is_done() -> None:
    before, handlers = MemoryInbox(), Handlers()
    with consuming(before, handlers) as loop:
        before.put(record(0), record(1), record(2))
        before.wait_until(lambda: len(handlers.deliveries) == 3)
        loop.finish(handlers.deliveries[1], [reply("second")])
        before.wait_until(lambda: before.written)
    assert before.position is not None
    after, again = MemoryInbox(before.position), Handlers()
    with consuming(after, again):
        after.put(record(0), record(1), record(2))
        after.wait_until(lambda: 2 in again.deliveries)
    assert sorted(again.deliveries) == [0, 2]


def test_an_aborted_transaction_is_tried_again_with_nothing_lost() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    inbox.aborts = 2
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0))
        inbox.wait_until(lambda: handlers.deliveries)
        loop.finish(handlers.deliveries[0], [reply("once")])
        inbox.wait_until(lambda: inbox.written)
    assert [one.value for one in inbox.written] == [b"once"]
    assert inbox.position == Position(partition=0, offset=1)


def test_what_is_done_is_written_before_a_partition_is_given_up() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0), record(1))
        inbox.wait_until(lambda: len(handlers.deliveries) == 2)
        loop.finish(handlers.deliveries[0], [reply("in time")])
        inbox.put(lambda listener: listener.revoked([0]))
        inbox.wait_until(lambda: not handlers.deliveries[1].is_ours)
        loop.finish(handlers.deliveries[1], [reply("too late")])
    assert [one.value for one in inbox.written] == [b"in time"]
    assert inbox.position == Position(partition=0, offset=1)


def test_results_of_a_lost_partition_are_void_and_those_of_others_count() -> None:
    inbox, handlers = MemoryInbox(Position(partition=0, offset=0), Position(partition=1, offset=0)), Handlers()
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0), record(7, partition=1))
        inbox.wait_until(lambda: len(handlers.deliveries) == 2)
        inbox.put(lambda listener: listener.lost([0]))
        inbox.wait_until(lambda: not handlers.deliveries[0].is_ours)
        loop.finish(handlers.deliveries[0], [reply("void")])
        loop.finish(handlers.deliveries[7], [reply("counts")])
        inbox.wait_until(lambda: inbox.written)
    assert [one.value for one in inbox.written] == [b"counts"]


def test_when_enough_is_in_flight_partitions_pause_and_polling_goes_on() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    with consuming(inbox, handlers, in_flight=2) as loop:
        inbox.put(*(record(offset) for offset in range(10)))
        inbox.wait_until(lambda: inbox.paused == {0})
        held = len(handlers.deliveries)
        assert 2 <= held <= 4
        for delivery in list(handlers.deliveries.values()):
            loop.finish(delivery, [])
        inbox.wait_until(lambda: len(handlers.deliveries) > held)


def test_control_records_at_the_end_are_committed_so_that_no_lag_remains() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0), PartitionEnd(partition=0, offset=4))
        inbox.wait_until(lambda: handlers.deliveries)
        loop.finish(handlers.deliveries[0], [])
        inbox.wait_until(lambda: inbox.position and inbox.position.offset == 4)


def test_what_answers_no_delivery_is_reported_once_it_is_committed() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    inbox.aborts = 1
    seen: list[int] = []
    with consuming(inbox, handlers) as loop:
        loop.emit([reply("due")], lambda: seen.append(len(inbox.commits)))
        inbox.wait_until(lambda: inbox.commits)
    assert seen == [1]


def test_a_clean_stop_writes_what_is_done_and_leaves() -> None:
    inbox, handlers = MemoryInbox(), Handlers()
    with consuming(inbox, handlers) as loop:
        inbox.put(record(0))
        inbox.wait_until(lambda: handlers.deliveries)
        loop.finish(handlers.deliveries[0], [reply("last")])
    assert inbox.closed
    assert [one.value for one in inbox.written] == [b"last"]


def test_a_useless_consumer_ends_the_loop_with_its_error() -> None:
    inbox = MemoryInbox()
    inbox.broken = BrokerUnavailableError("gone for good")
    with pytest.raises(BrokerUnavailableError), consuming(inbox, Handlers()):
        inbox.wait_until(lambda: inbox.closed)
