"""Commits never pass an unfinished message, and a restart skips exactly what is done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pointsman.runtime.offsets import METADATA_LIMIT, WINDOW, OffsetTracker


def metadata_for(*distances: int) -> str:
    """The metadata text that says: these distances from the position are done."""
    tracker = OffsetTracker(0)
    for offset in range(max(distances) + 1):
        tracker.deliver(offset)
    for offset in distances:
        tracker.complete(offset)
    return (tracker.position() or (0, ""))[1]


def test_the_position_is_the_first_offset_that_is_not_done() -> None:
    tracker = OffsetTracker(10)
    for offset in (10, 11, 12):
        tracker.deliver(offset)
    tracker.complete(11)
    assert tracker.position() == (10, metadata_for(1))
    tracker.complete(10)
    assert tracker.position() == (12, "")


def test_nothing_is_committed_before_anything_is_known() -> None:
    assert OffsetTracker().position() is None


def test_without_a_commit_the_first_delivery_sets_the_position() -> None:
    tracker = OffsetTracker()
    assert tracker.deliver(7)
    assert tracker.position() == (7, "")


def test_the_end_of_a_partition_covers_control_records() -> None:
    tracker = OffsetTracker(0)
    tracker.deliver(0)
    tracker.reached(5)
    assert tracker.position() == (0, "")
    tracker.complete(0)
    assert tracker.position() == (5, "")


def test_an_offset_delivered_twice_is_skipped_the_second_time() -> None:
    tracker = OffsetTracker(0)
    assert [tracker.deliver(0), tracker.deliver(0)] == [True, False]


def test_a_full_window_stops_deliveries_and_its_metadata_fits_the_broker() -> None:
    tracker = OffsetTracker(0)
    tracker.deliver(0)
    for offset in range(1, WINDOW):
        assert not tracker.is_full
        tracker.deliver(offset)
        tracker.complete(offset)
    assert tracker.is_full
    position = tracker.position()
    assert position is not None
    assert (position[0], len(position[1]) < METADATA_LIMIT) == (0, True)
    tracker.complete(0)
    assert (tracker.is_full, tracker.position()) == (False, (WINDOW, ""))


def test_what_lies_beyond_the_window_must_wait() -> None:
    tracker = OffsetTracker(0)
    tracker.deliver(0)
    tracker.deliver(WINDOW + 5)  # a wide gap of aborted records
    assert not tracker.may_complete(WINDOW + 5)
    tracker.complete(0)
    assert tracker.may_complete(WINDOW + 5)


@pytest.mark.parametrize("metadata", ["garbage", "pointsman/1:!!!", "pointsman/2:AAAA", "pointsman/1:"])
def test_foreign_metadata_counts_as_empty(metadata: str) -> None:
    assert OffsetTracker(3, metadata).position() == (3, "")


@given(st.text())
def test_no_metadata_makes_it_fail(metadata: str) -> None:
    assert OffsetTracker(3, metadata).deliver(3)


class Partition(RuleBasedStateMachine):
    """A partition with gaps, read by a process that is killed now and then."""

    @initialize(first=st.integers(0, 5))
    def start(self, first: int) -> None:
        self.tracker = OffsetTracker()
        self.next = first  # the consumer's position
        self.exists: set[int] = set()  # offsets that hold a message
        self.known_gaps: set[int] = set(range(first))
        self.end = first
        self.done: set[int] = set()
        self.in_flight: set[int] = set()
        self.committed: tuple[int, str] | None = None
        self.done_at_commit: set[int] = set()

    @rule(gap=st.integers(0, 3))
    def write(self, gap: int) -> None:
        self.known_gaps |= set(range(self.end, self.end + gap))
        self.exists.add(self.end + gap)
        self.end += gap + 1

    @rule()
    def read(self) -> None:
        offset = min((offset for offset in self.exists if offset >= self.next), default=None)
        if offset is None:
            self.tracker.reached(self.end)
            self.next = self.end
            return
        self.next = offset + 1
        assert self.tracker.deliver(offset) == (offset not in self.done)
        if offset not in self.done:
            self.in_flight.add(offset)

    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        if self.in_flight:
            offset = data.draw(st.sampled_from(sorted(self.in_flight)))
            self.in_flight.remove(offset)
            self.tracker.complete(offset)
            self.done.add(offset)

    @rule()
    def commit(self) -> None:
        self.committed = self.tracker.position()
        self.done_at_commit = set(self.done)

    @rule()
    def kill(self) -> None:
        self.tracker = OffsetTracker(*(self.committed or (None, "")))
        self.next = self.committed[0] if self.committed else 0
        self.done = set(self.done_at_commit) if self.committed else set()
        self.in_flight = set()

    @invariant()
    def commits_pass_nothing_unfinished(self) -> None:
        position = self.tracker.position()
        if position:
            assert all(offset in self.done for offset in self.exists if offset < position[0])
            assert self.tracker.in_flight == len(self.in_flight)


TestPartition = Partition.TestCase
