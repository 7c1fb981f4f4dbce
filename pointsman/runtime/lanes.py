"""Lanes: work of different keys side by side, work of one key one after the other and in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Work = TypeVar("Work")


class Lanes(Generic[Work]):
    """Runs work on the event loop that calls it.

    Args:
        run: does one piece of work; must not raise.
        limit: how many pieces may run at the same time; asked before each start.
    """

    def __init__(self, run: Callable[[Work], Coroutine[Any, Any, None]], limit: Callable[[], int]) -> None:
        self._run = run
        self._limit = limit
        self._waiting: dict[str, deque[Work]] = {}  # a key is here while it has a lane
        self._ready: deque[str] = deque()  # lanes whose first piece may start
        self._running: set[asyncio.Task[None]] = set()

    def submit(self, key: str, work: Work) -> None:
        """Put `work` at the end of the lane of `key`."""
        lane = self._waiting.get(key)
        if lane is None:
            self._waiting[key] = deque([work])
            self._ready.append(key)
        else:
            lane.append(work)
        self._start_ready()

    def drop_waiting(self) -> None:
        """Forget everything that has not begun."""
        self._ready.clear()
        for lane in self._waiting.values():
            lane.clear()

    async def finish(self, timeout_s: float) -> None:
        """Wait for what runs; cancel what is still running after `timeout_s`."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=timeout_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _start_ready(self) -> None:
        while self._ready and len(self._running) < self._limit():
            key = self._ready.popleft()
            task = asyncio.get_running_loop().create_task(self._run(self._waiting[key].popleft()))
            self._running.add(task)  # the loop itself keeps weak references only
            task.add_done_callback(lambda done, key=key: self._ended(key, done))  # type: ignore[misc]

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting[key]:
            self._ready.append(key)
        else:
            del self._waiting[key]
        self._start_ready()
