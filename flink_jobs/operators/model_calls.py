"""Model calls beside Flink's own thread: one asyncio loop per process, shared by every operator in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

from flink_jobs.operators.telling import SHARED
from pointsman.errors import ConfigurationError, PointsmanError
from pointsman.models.factory import chat_model
from pointsman.models.opinions import OpinionsModel
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest
from pointsman.settings import settings

CALL_LIMIT_S: Final = 120.0
"""Seconds after which a call is given up whatever the adapter does; far above its own attempts and time-outs."""

SHADOW_CONCURRENCY: Final = 8
"""Calls in flight per process for a rollout's candidate in shadow."""


@dataclass(frozen=True, kw_only=True)
class ModelAddress:
    """Which model to call; the key comes from the worker's own environment.

    Attributes:
        base_url: address of the API, ending in `/v1`; None leaves it to the environment.
        model: model name; None leaves it to the environment.
        concurrency: calls in flight per process; None leaves it to the environment.
        timeout_s: seconds for one attempt; None leaves it to the environment.
        is_shadow: for what nobody waits for: connections, slots and breaker of its own.
    """

    base_url: str | None = None
    model: str | None = None
    concurrency: int | None = None
    timeout_s: float | None = None
    is_shadow: bool = False


class ModelCalls:
    """Starts calls on a loop of its own and hands out their answers as futures.

    Args:
        model: called once, on the loop's thread, for the model to call.
        limit_s: seconds after which a call is given up.
    """

    def __init__(self, model: Callable[[], ChatModel], limit_s: float = CALL_LIMIT_S) -> None:
        self._make = model
        self._model: ChatModel | None = None
        self._limit_s = limit_s
        self._loop = asyncio.new_event_loop()
        # The loop itself refers to its tasks only weakly: without this a call could be garbage-collected under way.
        self._running: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="model-calls", daemon=True)
        self._thread.start()

    def submit(self, request: ChatRequest) -> Future[ChatAnswer]:
        """Start a call. Cancelling the future stops it."""
        answer: Future[ChatAnswer] = Future()
        self._loop.call_soon_threadsafe(self._start, request, answer)
        return answer

    def close(self) -> None:
        """Stop; calls under way are cancelled."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._model is not None:
            await self._model.close()

    def _start(self, request: ChatRequest, answer: Future[ChatAnswer]) -> None:
        if answer.cancelled():
            return
        task = self._loop.create_task(self._complete(request, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        answer.add_done_callback(lambda done: self._stop(task) if done.cancelled() else None)

    def _stop(self, task: asyncio.Task[None]) -> None:
        self._loop.call_soon_threadsafe(task.cancel)

    async def _complete(self, request: ChatRequest, answer: Future[ChatAnswer]) -> None:
        try:
            async with asyncio.timeout(self._limit_s):
                result = await self._the_model().complete(request)
        except Exception as error:
            _settle(answer, error)
        else:
            _settle(answer, result)

    def _the_model(self) -> ChatModel:
        if self._model is None:
            self._model = self._make()
        return self._model


_lock: Final = threading.Lock()
_shared: Final[dict[ModelAddress, ModelCalls]] = {}


def shared_model_calls(address: ModelAddress) -> ModelCalls:
    """The process's calls to that model: operators that share a process share connections and the concurrency limit."""
    with _lock:
        if address not in _shared:
            _shared[address] = ModelCalls(lambda: _model_at(address))
        return _shared[address]


def _model_at(address: ModelAddress) -> ChatModel:
    told = {
        "openai_base_url": address.base_url,
        "model": address.model,
        "model_concurrency": SHADOW_CONCURRENCY if address.is_shadow else address.concurrency,
        "model_timeout_s": address.timeout_s,
    }
    try:
        known = settings().model_copy(update={k: v for k, v in told.items() if v is not None})
        return OpinionsModel(chat_model(known, SHARED.telemetry))
    except PointsmanError:
        raise
    except Exception as error:
        # A validation error would quote what the environment holds.
        raise ConfigurationError(f"the chat model cannot be made ({type(error).__name__})") from None


def _settle(answer: Future[ChatAnswer], result: ChatAnswer | Exception) -> None:
    # `set_running_or_notify_cancel` is False when the operator has cancelled the call meanwhile.
    if not answer.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
