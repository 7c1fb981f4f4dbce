"""Bounded concurrency with precedence: when all slots are taken, the highest priority goes next.

The other side may ask for a pause (a rate limit): until it is over nobody gets a slot, and who waits keeps his place.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple


class PausedError(Exception):
    """The pause is longer than this caller wants to wait.

    Attributes:
        left_s: seconds until the pause is over.
    """

    def __init__(self, left_s: float) -> None:
        super().__init__(left_s)
        self.left_s = left_s


class _Waiting(NamedTuple):
    precedence: int
    arrival: int
    until: float
    turn: asyncio.Future[None]


class PrioritySlots:
    """A fixed number of slots; among the waiting the highest priority goes first, then whoever came first.

    For one event loop, as all of asyncio's own locks.

    Args:
        size: slots, at least 1.
    """

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: list[_Waiting] = []
        self._arrivals = count()
        self._not_before = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def taken(self, priority: int, patience_s: float = float("inf")) -> AsyncIterator[None]:
        """Hold a slot for the length of the block.

        Args:
            priority: the higher goes first.
            patience_s: seconds that a pause may keep the caller waiting; slots that are taken are waited for as long
                as it takes.

        Raises:
            PausedError: the pause will not be over within `patience_s`.
        """
        await self._take(priority, patience_s)
        try:
            yield
        finally:
            self._give_back()

    def pause(self, seconds: float) -> None:
        """Give nobody a slot for so many seconds; a longer pause in force stays in force."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until <= self._not_before:
            return
        self._not_before = until
        self._send_away(loop.time())
        if self._alarm is None:
            self._alarm = loop.call_at(until, self._wake)

    def pause_left_s(self) -> float:
        """Seconds until the pause is over, 0 when there is none."""
        return max(0.0, self._not_before - asyncio.get_running_loop().time())

    async def _take(self, priority: int, patience_s: float) -> None:
        paused_s = self.pause_left_s()
        if paused_s > patience_s:
            raise PausedError(paused_s)
        if self._free and not self._waiting and not paused_s:
            self._free -= 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, _Waiting(-priority, next(self._arrivals), loop.time() + patience_s, turn))
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            # Cancelled between being given the slot and waking up: pass it on, or it is lost for ever.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_back()
            raise

    def _give_back(self) -> None:
        self._free += 1
        self._hand_out()

    def _hand_out(self) -> None:
        if self.pause_left_s():
            return
        while self._free and self._waiting:
            turn = heapq.heappop(self._waiting).turn
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    def _wake(self) -> None:
        # The pause may have become longer meanwhile, and a loop's alarms may ring a little early.
        self._alarm = None
        if left_s := self.pause_left_s():
            self._alarm = asyncio.get_running_loop().call_later(left_s, self._wake)
        else:
            self._hand_out()

    def _send_away(self, now: float) -> None:
        """Tell those whose patience ends before the pause does, at once: there is nothing to wait for."""
        for waiting in self._waiting:
            if waiting.until < self._not_before and not waiting.turn.done():
                waiting.turn.set_exception(PausedError(self._not_before - now))
        self._waiting = [waiting for waiting in self._waiting if not waiting.turn.done()]
        heapq.heapify(self._waiting)
