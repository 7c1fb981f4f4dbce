"""The way to one model: how many calls at once, not before when, and whether it is worth asking at all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import structlog

from pointsman.errors import ModelBusyError, ModelUnavailableError, PointsmanError
from pointsman.models.breaker import Breaker
from pointsman.models.slots import PausedError, PrioritySlots

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class AccessOptions:
    """What holds for each model.

    Attributes:
        concurrency: calls on their way at the same time.
        breaker_failures: attempts in a row without an answer, after which it is left alone.
        breaker_reset_s: seconds until it is tried again.
        patience_s: longest pause that a call waits for when the server asked for one.
    """

    concurrency: int = 256
    breaker_failures: int = 5
    breaker_reset_s: float = 30.0
    patience_s: float = 30.0


class ModelAccess:
    """What all calls of a process to one model share. For one event loop.

    Args:
        model: the model's name, for logs and errors.
        options: what holds for it.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, model: str, options: AccessOptions, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._patience_s = options.patience_s
        self._slots = PrioritySlots(options.concurrency)
        self._breaker = Breaker(options.breaker_failures, options.breaker_reset_s, monotonic)

    @property
    def is_broken(self) -> bool:
        """Whether the model is left alone because it did not answer."""
        return self._breaker.refused_for_s() > 0

    @asynccontextmanager
    async def attempt(self, priority: int) -> AsyncIterator[None]:
        """One attempt: the block asks the model, and how it ends is what the others learn from it.

        Args:
            priority: 0 to 9; the higher goes first.

        Raises:
            ModelUnavailableError: the model is left alone, or the pause it asked for is too long.
        """
        self._check()
        try:
            async with self._slots.taken(priority, self._patience_s):
                self._check()  # Much may have happened while this attempt waited for its slot.
                with self._observed():
                    yield
        except PausedError as error:
            raise ModelUnavailableError(f"the model {self._model} asked for a pause", error.left_s) from None

    def _check(self) -> None:
        refused_for_s = self._breaker.refused_for_s()
        if refused_for_s > 0:
            what = f"the model {self._model} is left alone after several calls without an answer"
            raise ModelUnavailableError(what, round(refused_for_s, 3))

    @contextmanager
    def _observed(self) -> Iterator[None]:
        was_open = self._breaker.is_open
        is_probe = self._breaker.begin()
        try:
            yield
        except ModelUnavailableError as error:
            self._learn(error, is_probe=is_probe)
            raise
        except PointsmanError:
            self._breaker.succeeded()  # It has answered; that the answer is of no use is not for waiting.
            raise
        except BaseException:
            self._breaker.let_go(is_probe=is_probe)
            raise
        self._breaker.succeeded()
        if was_open:
            _log.info("the model answers again", model=self._model)

    def _learn(self, error: ModelUnavailableError, *, is_probe: bool) -> None:
        if error.retry_after_s:
            self._slots.pause(error.retry_after_s)
            if isinstance(error, ModelBusyError):
                self._breaker.let_go(is_probe=is_probe)  # It lives and says when: no reason to think it gone.
                return
        was_open = self._breaker.is_open
        self._breaker.failed(is_probe=is_probe)
        if self._breaker.is_open and not was_open:
            _log.warning("the model does not answer and is left alone", model=self._model, problem=error.what)
