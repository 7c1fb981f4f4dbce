"""When to look at a shard again: each look costs a way from Java to Python, and each that is missing costs latency."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Final

from flink_jobs.operators.answer_times import AnswerTimes
from flink_jobs.operators.shard import Shard

TICK_MS: Final = 2
BUSY_TICK_MS: Final = 5
BUSY_FROM: Final = 16
"""Messages that wait in a shard. With many, a look at all of them costs more, and some answer is always there."""
MOST_LATE_MS: Final = 50
"""A look that comes later than that was held up by something else than messages."""


class Looks:
    """How soon an operator looks at its shards while a model answers. For one operator.

    Args:
        times: how long the model takes.
    """

    def __init__(self, times: AnswerTimes) -> None:
        self._times = times
        self._late_ms = 0

    def watch(self, answer: Future[Any]) -> float:
        """Learn from how long `answer`, whose question is being asked, takes; the monotonic time now, in seconds."""
        return self._times.watch(answer)

    def came(self, now_ms: int, due_ms: int) -> None:
        """A look that was due at `due_ms` comes now, in milliseconds of the clock."""
        self._late_ms = min(MOST_LATE_MS, max(0, now_ms - due_ms))

    def next_ms(self, shard: Shard, asked_at: Iterable[float]) -> int:
        """Milliseconds until the next look at `shard`, whose questions were asked at these monotonic times."""
        # Looks that come late have enough to do: more of them would only take time from messages.
        soonest = max(BUSY_TICK_MS if len(shard) >= BUSY_FROM else TICK_MS, 2 * self._late_ms)
        if not shard.is_settled:
            return soonest
        return max(soonest, int(self._times.next_look_s(asked_at) * 1000))
