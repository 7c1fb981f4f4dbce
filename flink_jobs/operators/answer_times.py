"""How long model calls take, so that answers are looked for when they may be there and not all the time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final

_REMEMBERED: Final = 64
_QUICK_SHARE: Final = 0.1
_OVERDUE_SHARE: Final = 0.05
LONGEST_WAIT_S: Final = 0.1


class AnswerTimes:
    """When to look for the answer to a question again, given how long the latest answers took.

    No answer is looked for before the quickest tenth of them would be there; from then on the looks become rarer as the
    answer becomes late, so that waiting for the next look adds a twentieth of that lateness at most.

    Args:
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._latest: deque[float] = deque(maxlen=_REMEMBERED)  # filled by the thread of the model calls

    def watch(self, answer: Future[Any]) -> float:
        """Measure how long `answer`, whose question is being asked, takes; the time now."""
        asked_at = self._monotonic()
        answer.add_done_callback(lambda _: self._latest.append(self._monotonic() - asked_at))
        return asked_at

    def next_look_s(self, asked_at: Iterable[float]) -> float:
        """Seconds until it is worth looking for one of the answers to questions that were asked at these times."""
        now, quick_s = self._monotonic(), self._quick_s()
        return min((_wait_s(now - each, quick_s) for each in asked_at), default=LONGEST_WAIT_S)

    def _quick_s(self) -> float:
        latest = sorted(self._latest)
        return latest[int(len(latest) * _QUICK_SHARE)] if latest else 0.0


def _wait_s(age_s: float, quick_s: float) -> float:
    wait_s = quick_s - age_s if age_s < quick_s else (age_s - quick_s) * _OVERDUE_SHARE
    return min(wait_s, LONGEST_WAIT_S)
