"""A model and those that stand in for it while it is not available."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from pointsman.errors import ConfigurationError, ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Fallback:
    """A model that stands in.

    Attributes:
        name: its name at its server; it replaces the name that the request asks for.
        model: the client of that server.
    """

    name: str
    model: ChatModel


class FallbackModel:
    """A `ChatModel` that asks the next one where the one before is not available.

    An answer of no use is an answer: the next model is not asked for it.

    Args:
        first: the model that is asked first, under the name that the request says.
        fallbacks: those that stand in, in this order.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(
        self, first: ChatModel, fallbacks: Sequence[Fallback], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._first = first
        self._fallbacks = tuple(fallbacks)
        self._monotonic = monotonic

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the first model that answers.

        Raises:
            ModelUnavailableError: none of them answered; it says when the first of them may be tried again.
            ModelAnswerError: an answer that breaks the schema, also after one repair.
            ModelRefusedError: the model or its content filter declined to answer.
            ConfigurationError: the key or the name of the first model is wrong.
        """
        started = self._monotonic()
        try:
            return await self._first.complete(request)
        except ModelUnavailableError as error:
            failures = [error]
        for fallback in self._fallbacks:
            try:
                answer = await fallback.model.complete(replace(request, model=fallback.name))
            except ModelUnavailableError as error:
                failures.append(error)
            except ConfigurationError as error:
                # Its mistake must not end a process that would go on well as soon as the first model is back.
                _log.error("a fallback model cannot be used", model=fallback.name, problem=str(error))
            else:
                return replace(answer, is_fallback=True, latency_ms=(self._monotonic() - started) * 1000)
        raise _summed_up(failures)

    async def close(self) -> None:
        """Give connections back."""
        for model in dict.fromkeys([self._first, *(fallback.model for fallback in self._fallbacks)]):
            await model.close()


def _summed_up(failures: Sequence[ModelUnavailableError]) -> ModelUnavailableError:
    waits = [error.retry_after_s for error in failures]
    known = [wait for wait in waits if wait is not None]
    soonest = min(known) if len(known) == len(waits) else None
    also = f"; neither did {len(failures) - 1} fallback models answer" if len(failures) > 1 else ""
    return ModelUnavailableError(f"{failures[0].what}{also}", soonest)
