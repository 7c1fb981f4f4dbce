"""How long one message is tried again: quick tries for what passes in seconds, long waits for an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from pointsman.backoff import BackOff
from pointsman.definitions import Limits
from pointsman.errors import (
    EffectUnavailableError,
    ModelUnavailableError,
    RegistryUnavailableError,
    StoreUnavailableError,
    ToolUnavailableError,
    TransientError,
)

OUTAGES: Final = (
    ModelUnavailableError, StoreUnavailableError, EffectUnavailableError, RegistryUnavailableError,
    ToolUnavailableError,
)  # fmt: skip
"""Somebody else is not there: no fault of the message, and the next one would fare no better."""

_QUICK: Final = BackOff(first_s=0.2, longest_s=10.0, spread=0.5)
_LONG: Final = BackOff(first_s=0.2, longest_s=30.0, spread=0.25)


class Patience:
    """The tries of one message. A hook for stamina: after a failure it says after how many seconds to try again.

    Args:
        limits: what the definition grants.
        now: the clock, UTC.
        dice: random numbers from 0 to 1.
        is_wanted: whether the answer still counts; once it does not, nothing is tried again.
        working: the time limit on the work; while an outage is waited out it stands still.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        now: Callable[[], datetime],
        dice: Callable[[], float],
        is_wanted: Callable[[], bool],
        working: asyncio.Timeout,
    ) -> None:
        self._limits = limits
        self._now = now
        self._dice = dice
        self._is_wanted = is_wanted
        self._working = working
        self._quick_tries = 0
        self._outage_tries = 0
        self._out_since: datetime | None = None

    def __call__(self, error: Exception) -> bool | float:
        """Seconds until the next try, or False to give up."""
        if not isinstance(error, TransientError) or not self._is_wanted():
            return False
        return self._after_outage(error) if isinstance(error, OUTAGES) else self._after_hiccup(error)

    def _after_hiccup(self, error: TransientError) -> bool | float:
        self._quick_tries += 1
        if self._quick_tries >= self._limits.attempts:
            return False
        return _QUICK.wait_s(self._quick_tries, self._dice(), error.retry_after_s)

    def _after_outage(self, error: TransientError) -> bool | float:
        now = self._now()
        self._out_since = self._out_since or now
        self._outage_tries += 1
        left_s = self._limits.retry_for_s - (now - self._out_since).total_seconds()
        if left_s <= 0:
            return False
        # What is asked for beyond the time that is left is not waited for in vain: one last try at its end.
        wait_s = min(_LONG.wait_s(self._outage_tries, self._dice(), error.retry_after_s), max(left_s, _QUICK.first_s))
        self._working.reschedule(asyncio.get_running_loop().time() + wait_s + self._limits.timeout_s)
        return wait_s
