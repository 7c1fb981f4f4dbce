"""Counts what models use for one message, and refuses the call that would go over what is left for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from pointsman.errors import BudgetSpentError, ModelAnswerError, ModelRefusedError
from pointsman.models import ChatAnswer, ChatModel, ChatRequest
from pointsman.usage import Budget, Usage, microusd

_WHAT: Final = {"model_call_limit": "model calls", "token_limit": "tokens", "cost_limit": "money"}


class Meter:
    """What models have used so far, and what they may use.

    Args:
        budget: what they may use.

    Attributes:
        used: what they have used.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._under_way = 0
        self.used = Usage()

    def begin(self) -> None:
        """A call is about to be made.

        Raises:
            BudgetSpentError: it would go over the budget.
        """
        left = self._budget.less(self.used)
        spent = left.less(Usage(calls=self._under_way)).spent()
        if spent:
            raise BudgetSpentError(spent, f"no {_WHAT[spent]} left for models: the call was not made")
        self._under_way += 1

    def end(self, used: Usage) -> None:
        """A call that was begun has used so much; nothing when there was no answer."""
        self._under_way -= 1
        self.used = self.used + used


_current: Final[ContextVar[Meter | None]] = ContextVar("meter", default=None)


@contextmanager
def measured(budget: Budget | None = None) -> Iterator[Meter]:
    """Count what model calls inside the block use, those of tasks that it starts among them.

    Args:
        budget: what they may use; None: no bound.
    """
    meter = Meter(budget or Budget())
    before = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(before)


class MeteredModel:
    """A `ChatModel` whose calls count for the message that is being handled.

    Args:
        model: the model to ask.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the model.

        Raises:
            BudgetSpentError: the call would go over what is left; it was not made.
            PointsmanError: as the model itself.
        """
        meter = _current.get()
        if meter is None:
            return await self._model.complete(request)
        meter.begin()
        used = Usage()
        try:
            answer = await self._model.complete(request)
            used = _used(answer)
        except (ModelAnswerError, ModelRefusedError) as error:
            # Of no use, and paid for all the same.
            used = _used(error.answer) if error.answer else Usage(calls=1)
            raise
        finally:
            meter.end(used)
        return answer

    async def close(self) -> None:
        """Give connections back."""
        await self._model.close()


def _used(answer: ChatAnswer) -> Usage:
    return Usage(
        calls=answer.completions,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_microusd=microusd(answer.cost_usd or 0.0),
    )
