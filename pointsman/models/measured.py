"""A chat model whose calls are told: a `chat` span each, after the GenAI conventions, and metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind

from pointsman.models.completions_http import OPENAI
from pointsman.models.openai_chat import OpenAIChatModel
from pointsman.models.port import ChatAnswer, ChatRequest, ToolCall, ToolRound
from pointsman.telemetry import Telemetry, names
from pointsman.telemetry.metrics import ModelCalled
from pointsman.telemetry.spans import Attributes

_PORTS: Final = {"https": 443, "http": 80}


class MeasuredModel:
    """A `ChatModel` that asks another one and tells of it.

    Args:
        model: the model that is asked.
        telemetry: the process's.
        monotonic: a clock in seconds that never goes back.

    Attributes:
        model: the model that is asked.
    """

    def __init__(
        self, model: OpenAIChatModel, telemetry: Telemetry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.model = model
        self._telemetry = telemetry
        self._monotonic = monotonic
        self._server = _server(model.options.base_url or OPENAI)

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the model; raises what it raises."""
        name = request.model or self.model.options.model
        began = self._monotonic()
        try:
            answer = await self._asked(request, name)
        except BaseException as error:
            self._count(name, began, error_type=type(error).__name__)
            raise
        self._count(
            name,
            began,
            attempts=answer.attempts,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cost_usd=answer.cost_usd,
        )
        return answer

    async def close(self) -> None:
        """Give connections back."""
        await self.model.close()

    async def _asked(self, request: ChatRequest, name: str) -> ChatAnswer:
        if not self._telemetry.spans.is_on:
            return await self.model.complete(request)
        with self._telemetry.spans.current(f"chat {name}", SpanKind.CLIENT, self._question(request, name)) as span:
            answer = await self.model.complete(request)
            self._tell_answer(span, request, answer)
            return answer

    def _question(self, request: ChatRequest, name: str) -> Attributes:
        asked: Attributes = {
            names.GEN_AI_OPERATION: "chat",
            names.GEN_AI_PROVIDER: "openai",
            names.GEN_AI_REQUEST_MODEL: name,
            names.GEN_AI_REQUEST_TEMPERATURE: request.temperature,
            names.GEN_AI_REQUEST_MAX_TOKENS: request.max_output_tokens,
            names.GEN_AI_OUTPUT_TYPE: "json",
            **self._server,
        }
        if not self._telemetry.captures_content:
            return asked
        return asked | {
            names.GEN_AI_SYSTEM_INSTRUCTIONS: json.dumps([_part(request.system)]),
            names.GEN_AI_INPUT_MESSAGES: json.dumps(
                [{"role": "user", "parts": [_part(request.user)]}, *_told_rounds(request.rounds)]
            ),
        }

    def _tell_answer(self, span: Span, request: ChatRequest, answer: ChatAnswer) -> None:
        told: Attributes = {
            names.GEN_AI_RESPONSE_MODEL: answer.model,
            names.GEN_AI_INPUT_TOKENS: answer.input_tokens,
            names.GEN_AI_OUTPUT_TOKENS: answer.output_tokens,
            names.GEN_AI_CACHED_TOKENS: answer.cached_tokens,
            names.APP_ATTEMPTS: answer.attempts,
        }
        if answer.response_id:
            told[names.GEN_AI_RESPONSE_ID] = answer.response_id
        if answer.finish_reason:
            told[names.GEN_AI_FINISH_REASONS] = [answer.finish_reason]
        if self._telemetry.captures_content:
            parts = [_asked(call) for call in answer.tool_calls] or [_part(answer.raw)]
            message = {"role": "assistant", "parts": parts, "finish_reason": answer.finish_reason}
            told[names.GEN_AI_OUTPUT_MESSAGES] = json.dumps([message])
        span.set_attributes(told)

    def _count(self, name: str, began: float, **outcome: Any) -> None:
        seconds, is_left_alone = self._monotonic() - began, self.model.is_left_alone(name)
        called = ModelCalled(model=name, seconds=seconds, is_left_alone=is_left_alone, **outcome)
        self._telemetry.metrics.model_called(called)


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _asked(call: ToolCall) -> dict[str, str]:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}


def _told_rounds(rounds: Sequence[ToolRound]) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for one in rounds:
        told.append({"role": "assistant", "parts": [_asked(call) for call in one.calls]})
        responses = [
            {"type": "tool_call_response", "id": call.id, "response": result}
            for call, result in zip(one.calls, one.results, strict=True)
        ]
        told.append({"role": "tool", "parts": responses})
    return told


def _server(base_url: str) -> Attributes:
    address = urlsplit(base_url)
    port = address.port or _PORTS.get(address.scheme, 0)
    return {names.SERVER_ADDRESS: address.hostname or "", names.SERVER_PORT: port}
