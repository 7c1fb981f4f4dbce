"""The model process's work: each question becomes a task, and whatever becomes of it is an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from opentelemetry import context

from flink_jobs.model_process.wire import Answered, Ask, Retried, Stop, framed
from pointsman.errors import PointsmanError
from pointsman.logging import raised_at
from pointsman.models.port import ChatAnswer, ChatModel
from pointsman.telemetry.context import read_context
from pointsman.telemetry.metrics import Metrics, ModelCalled

CALL_LIMIT_S: Final = 120.0
"""Seconds after which a call is given up whatever the adapter does; far above its own attempts and time-outs."""
_WRITE_EVERY_S: Final = 0.002

_log: Final = logging.getLogger(__name__)


class Outbox:
    """What is to be told, written at once after a silence and else together: each write wakes the operator's process.

    For one event loop.

    Args:
        write: writes without blocking.
    """

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._frames: list[bytes] = []
        self._written_at = 0.0

    def put(self, message: object) -> None:
        """Tell `message` within two milliseconds; raises what `framed` raises."""
        self._frames.append(framed(message))
        if len(self._frames) > 1:
            return
        wait_s = self._written_at + _WRITE_EVERY_S - self._loop.time()
        if wait_s <= 0:
            self.flush()
        else:
            self._loop.call_later(wait_s, self.flush)

    def flush(self) -> None:
        """Write what there is."""
        self._written_at = self._loop.time()
        self._write(b"".join(self._frames))
        self._frames.clear()


class SentMetrics(Metrics):
    """Metrics whose model calls are counted at the other end.

    Args:
        send: sends.
    """

    def __init__(self, send: Callable[[object], None]) -> None:
        super().__init__()
        self._send = send

    def model_called(self, called: ModelCalled) -> None:
        """Have it counted."""
        self._send(called)

    def retried(self, error_type: str) -> None:
        """Have it counted."""
        self._send(Retried(error_type))


class Serving:
    """Asks a model. For one event loop.

    Args:
        make_model: called with the first question, and again as long as it raises.
        send: sends answers.
        limit_s: seconds after which a call is given up.
    """

    def __init__(
        self, make_model: Callable[[], ChatModel], send: Callable[[object], None], limit_s: float = CALL_LIMIT_S
    ) -> None:
        self._make_model = make_model
        self._model: ChatModel | None = None
        self._send = send
        self._limit_s = limit_s
        # The loop itself refers to its tasks only weakly: without this a call could be garbage-collected under way.
        self._running: dict[int, asyncio.Task[None]] = {}

    def take(self, message: object) -> None:
        """Ask, or stop asking."""
        if isinstance(message, Ask):
            self._running[message.number] = task = asyncio.create_task(self._answer(message))
            # Not at the end of `_answer`, which a task that is stopped before its first step never comes to.
            task.add_done_callback(lambda _: self._running.pop(message.number))
        elif isinstance(message, Stop) and message.number in self._running:
            self._running[message.number].cancel()

    async def end(self) -> None:
        """Stop; calls under way are cancelled."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._model is not None:
            await self._model.close()

    async def _answer(self, ask: Ask) -> None:
        self._send(Answered(ask.number, await self._outcome(ask)))

    async def _outcome(self, ask: Ask) -> ChatAnswer | Exception:
        try:
            if ask.trace:
                context.attach(read_context(ask.trace))  # of this task only
            async with asyncio.timeout(self._limit_s):
                return await self._the_model().complete(ask.request)
        except (PointsmanError, TimeoutError) as error:
            return error
        except Exception as error:
            # Not every error can be pickled and read again, and its text may quote the question.
            _log.error("a model call failed with %s at %s", type(error).__name__, raised_at(error))
            return RuntimeError(f"{type(error).__name__} in the model process")

    def _the_model(self) -> ChatModel:
        if self._model is None:
            self._model = self._make_model()
        return self._model
