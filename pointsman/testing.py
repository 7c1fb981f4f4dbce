"""Doubles that behave like the real thing behind our ports, for the tests of whoever writes an agent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.contracts import Contract
from pointsman.errors import ModelAnswerError
from pointsman.models.port import ChatAnswer, ChatRequest

ScriptedAnswer = dict[str, Any] | Exception


class ScriptedModel:
    """A `ChatModel` that answers from a script and records what it was asked.

    An answer that breaks the request's schema raises `ModelAnswerError`, as the real adapter does.

    Args:
        script: the answers in order, or a function from request to answer; an exception is raised instead.

    Attributes:
        requests: every request so far.
    """

    def __init__(self, script: Iterable[ScriptedAnswer] | Callable[[ChatRequest], ScriptedAnswer]) -> None:
        self.requests: list[ChatRequest] = []
        self._answer = script if callable(script) else _in_order(iter(script))

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """The next answer of the script.

        Raises:
            AssertionError: the script has no answer left.
            ModelAnswerError: the scripted answer breaks the request's schema.
        """
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        violation = Contract(request.schema).violation(answer)
        if violation:
            raise ModelAnswerError(f"the scripted answer does not keep the schema: {violation}")
        raw = json.dumps(answer, ensure_ascii=False)
        return ChatAnswer(
            content=answer,
            raw=raw,
            model="scripted",
            input_tokens=len(request.system + request.user) // 4,
            output_tokens=len(raw) // 4,
            latency_ms=0.0,
        )

    async def close(self) -> None:
        """Nothing to give back."""


class ManualClock:
    """A clock that moves when told to; pass the object itself where a `now` function is wanted.

    Args:
        start: its first time, with an offset from UTC.
    """

    def __init__(self, start: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move forward and say the new time."""
        self._now += timedelta(seconds=seconds)
        return self._now


def _in_order(answers: Iterator[ScriptedAnswer]) -> Callable[[ChatRequest], ScriptedAnswer]:
    def answer(request: ChatRequest) -> ScriptedAnswer:
        following = next(answers, None)
        if following is None:
            message = f"the script has no answer left for {request.schema_name}"
            raise AssertionError(message)
        return following

    return answer
