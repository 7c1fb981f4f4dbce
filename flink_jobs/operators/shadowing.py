"""The candidate of a rollout decides on a copy of the traffic, beside it: bounded, and dropped while it is busy."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Final, Protocol

from flink_jobs.operators.records import Arrived
from pointsman.envelope import Envelope, Record, decode
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.rollouts.arms import Side
from pointsman.rollouts.shadowing import ShadowDecision
from pointsman.routing.decision import Decision, Method, Outcome
from pointsman.telemetry.metrics import Metrics

MOST_AT_ONCE: Final = 32
"""Messages that the candidate looks at at the same time, per operator instance; others are skipped and counted."""

_log: Final = logging.getLogger(__name__)


class Calls(Protocol):
    """Model calls of the candidate's own, so that they take no slot of the traffic's."""

    def submit(self, request: ChatRequest) -> Future[ChatAnswer]: ...


class Shadow:
    """Decides a second time, on a thread of its own, and keeps what comes of it until it is taken.

    Args:
        calls: asked once, when the candidate first needs a model.
        clock: the time, UTC.
        metrics: counts.
    """

    def __init__(self, calls: Callable[[], Calls], clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._calls = calls
        self._clock = clock
        self._metrics = metrics
        self._lock = threading.Lock()
        self._under_way = 0
        self._skipped = 0
        self._done: deque[Record] = deque()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shadow")

    @property
    def is_busy(self) -> bool:
        """Whether something will be there to take."""
        return self._under_way > 0 or bool(self._done)

    def offer(self, arrived: Arrived, live: Decision, release: str, candidate: Side) -> None:
        """Have the candidate decide on `arrived`, on which `live` was decided; costs the caller next to nothing."""
        if live.outcome is Outcome.PLANNED or live.how is Method.OVERRIDE:
            return  # a plan, or a person, decided: there is nothing to compare
        with self._lock:
            if self._under_way >= MOST_AT_ONCE:
                self._skipped += 1
                self._metrics.shadow_skipped.inc()
                return
            self._under_way += 1
        self._pool.submit(self._guarded, lambda: self._decide(arrived, live, release, candidate))

    def take(self) -> Iterator[Record]:
        """The shadow decisions that were made since the last time."""
        while self._done:
            yield self._done.popleft()

    def close(self) -> None:
        """Give up what is under way: nobody waits for it."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _decide(self, arrived: Arrived, live: Decision, release: str, candidate: Side) -> None:
        message, began_at = decode(arrived.record), self._clock()
        inputs = {**candidate.router.inputs(message, arrived.counters, began_at), "by_plan": False}

        def conclude(shadow: Decision) -> None:
            self._finish(message, arrived.record, live, shadow, release, inputs)

        prepared = candidate.router.prepare(message, arrived.counters, began_at)
        if isinstance(prepared, Decision):
            conclude(prepared)
            return

        def answered(answer: Future[ChatAnswer]) -> None:
            error = answer.exception()
            made = candidate.router
            if error is None:
                conclude(made.conclude(prepared, answer.result()))
            else:
                conclude(made.conclude_failure(prepared, error if isinstance(error, Exception) else RuntimeError()))

        self._calls().submit(prepared.request).add_done_callback(
            lambda answer: self._end() if answer.cancelled() else self._guarded(lambda: answered(answer))
        )

    def _finish(
        self,
        message: Envelope,
        record: Record,
        live: Decision,
        shadow: Decision,
        release: str,
        inputs: dict[str, object],
    ) -> None:
        with self._lock:
            skipped, self._skipped = self._skipped, 0
        made = ShadowDecision(
            release=release, message=message, record=record, live=live, shadow=shadow, inputs=inputs, skipped=skipped,
            at=self._clock(),
        )  # fmt: skip
        agrees = (live.outcome, live.agent) == (shadow.outcome, shadow.agent)
        self._metrics.shadow_decisions.labels("yes" if agrees else "no").inc()
        self._done.append(made.to_record())
        self._end()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            # Never the text: it may quote the message.
            _log.error("a shadow decision failed with %s", type(error).__name__)
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._under_way -= 1
