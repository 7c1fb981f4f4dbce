"""Gives a candidate up when its rule says so: follows what it does and writes the end of the rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import structlog

from pointsman.catalog_history import Author
from pointsman.envelope import Record
from pointsman.errors import PermanentError, RefusedError
from pointsman.rollouts.acts import end
from pointsman.rollouts.counting import RolloutCounts, violated
from pointsman.rollouts.model import Rollout, Stage, read_rollout
from pointsman.rollouts.topic import RolloutTopic

BY = "rollout-watch"
"""In whose name it acts."""

_log = structlog.get_logger(__name__)


class RolloutWatch:
    """Counts, and says when the rollout under way is to be given up."""

    def __init__(self) -> None:
        self._counts = RolloutCounts()
        self._rollout: Rollout | None = None

    def feed(self, record: Record) -> tuple[Rollout, str] | None:
        """Take one record over; the rollout that is to end now, and why."""
        try:
            rollout = read_rollout(record)
        except PermanentError:
            return None  # the router's job makes a dead letter of it
        self._rollout = rollout or self._rollout
        # The topics are read side by side: a count may come before the rollout that it is about, or after.
        counted_for = self._counts.feed(record)
        if self._rollout is None or not (rollout or counted_for == self._rollout.id):
            return None
        reason = violated(self._rollout, self._counts.of(self._rollout.id))
        return (self._rollout, reason) if reason else None


def watch(topic: RolloutTopic, records: Iterable[Record], now: Callable[[], datetime]) -> Iterator[Rollout]:
    """Follow `records` and end what is to end; each rollout that was.

    Any number of these may run at the same time: who comes second finds the rollout ended.

    Args:
        topic: where rollouts live.
        records: those of `agent_definitions` and of `pointsman.rollouts.counting.FED_BY`, as they come.
        now: the clock, UTC.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
    """
    watching = RolloutWatch()
    for record in records:
        found = watching.feed(record)
        if found is None:
            continue
        rollout, reason = found
        try:
            ended = end(topic, rollout.id, Author(by=BY, at=now()), reason, Stage.ROLLED_BACK)
        except RefusedError:
            continue  # a person, or another watcher, was faster; the record of it is on its way
        _log.warning("rolled back", rollout=rollout.id, reason=reason)
        yield ended
