"""The circuit breaker of one model: whoever fails again and again is left alone for a while.

Closed until `failures` attempts in a row have failed; then open: nobody asks. After `reset_s` one attempt may try, and
its outcome decides for all others. Own code (docs/adr/0005): the libraries read the wall clock themselves, and let
everybody through at once when the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_PROBE_LOOK_S: Final = 1.0
"""While one attempt tries, how long the others may reckon with."""


class Breaker:
    """Counts failures in a row. For one event loop.

    Each `begin` is followed by exactly one of `succeeded`, `failed` and `let_go`.

    Args:
        failures: failures in a row that open it, at least 1.
        reset_s: seconds until it is tried again.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, failures: int, reset_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._failures = failures
        self._reset_s = reset_s
        self._monotonic = monotonic
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether the last word was that it does not answer."""
        return self._opened_at is not None

    def refused_for_s(self) -> float:
        """Seconds for which no attempt may begin, 0 when one may."""
        if self._opened_at is None:
            return 0.0
        if self._is_probing:
            return _PROBE_LOOK_S
        return max(0.0, self._opened_at + self._reset_s - self._monotonic())

    def begin(self) -> bool:
        """Begin an attempt, which `refused_for_s` must allow; True when its outcome decides for all others."""
        self._is_probing = self.is_open
        return self._is_probing

    def succeeded(self) -> None:
        """The model answered, whatever it said."""
        self._in_a_row = 0
        self._opened_at = None
        self._is_probing = False

    def failed(self, *, is_probe: bool) -> None:
        """The model did not answer.

        Args:
            is_probe: what `begin` said.
        """
        decides = is_probe and self._is_probing
        # Those that began before it opened and fail only now are no news: they must not put off the next try.
        if self.is_open and not decides:
            return
        self._in_a_row += 1
        if decides or self._in_a_row >= self._failures:
            self._opened_at = self._monotonic()
            self._is_probing = False

    def let_go(self, *, is_probe: bool) -> None:
        """The attempt ended without telling anything about the model.

        Args:
            is_probe: what `begin` said.
        """
        if is_probe:
            self._is_probing = False
