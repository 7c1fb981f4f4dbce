"""While the model is out, questions wait in state and are asked again, instead of each becoming a person's work."""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final

from flink_jobs.operators.shard import Waiting
from pointsman.backoff import BackOff
from pointsman.errors import ModelUnavailableError, PointsmanError
from pointsman.settings import Settings, settings

BACK_OFF: Final = BackOff(first_s=0.5, longest_s=30.0, spread=0.25)


class AskingAgain:
    """When a question is asked again that the model was not there to answer. For the operator's own thread.

    Args:
        limit_s: seconds after the first failure, after which a message is given up.
        monotonic: a clock in seconds that never goes back.
        dice: random numbers from 0 to 1.
    """

    def __init__(
        self,
        limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._limit_s = limit_s
        self._monotonic = monotonic
        self._dice = dice
        self._answered: deque[Waiting] = deque()  # filled by the thread of the model calls
        self._later: list[tuple[float, int, Waiting]] = []
        self._arrivals = count()

    def __bool__(self) -> bool:
        return bool(self._later)

    def watch(self, waiting: Waiting) -> None:
        """Look after the question that was just asked."""
        if waiting.answer is not None:
            waiting.answer.add_done_callback(lambda _: self._answered.append(waiting))

    def take_due(self) -> list[Waiting]:
        """Those that are to be asked again now; the caller asks and has them watched."""
        while self._answered:
            self._look_at(self._answered.popleft())
        now, due = self._monotonic(), []
        while self._later and self._later[0][0] <= now:
            due.append(heapq.heappop(self._later)[2])
        return due

    def _look_at(self, waiting: Waiting) -> None:
        outage = waiting.outage
        if outage is None or waiting.stand_in():
            return
        now = self._monotonic()
        waiting.failures += 1
        waiting.failed_since = now if waiting.failed_since is None else waiting.failed_since
        left_s = waiting.failed_since + self._limit_s - now
        if left_s <= 0:
            waiting.give_up()
            return
        asked_s = outage.retry_after_s if isinstance(outage, ModelUnavailableError) else None
        # What is asked for beyond the time that is left is not waited for in vain: one last try at its end.
        wait_s = min(BACK_OFF.wait_s(waiting.failures, self._dice(), asked_s), max(left_s, BACK_OFF.first_s))
        waiting.forget_answer()
        heapq.heappush(self._later, (now + wait_s, next(self._arrivals), waiting))


def outage_limit_s() -> float:
    """Seconds of outage that a message waits out, by the worker's own environment."""
    try:
        return settings().model_outage_s
    except PointsmanError:
        # Every model call reports what is wrong with the environment; the operator itself must start all the same.
        return float(Settings.model_fields["model_outage_s"].default)
