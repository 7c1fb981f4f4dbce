"""The chat model over OpenAI's chat-completions API, for OpenAI and every server that speaks it.

One retry layer. Every attempt passes the model's `ModelAccess`, which all calls of the process share: slots, the pause
that the server asked for, the breaker. An attempt holds a slot only while it is on its way; a call that waits to try
again does not keep others out. Prompts and answers stand in no log and no error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import stamina

from pointsman.errors import ModelAnswerError, ModelRefusedError, ModelUnavailableError
from pointsman.models.access import AccessOptions, ModelAccess
from pointsman.models.answers import RawAnswer, Shape, UnusableAnswerError, read_completion, shape_of, usable_content
from pointsman.models.completions_http import OPENAI, CompletionsHttp
from pointsman.models.confidence import value_confidence
from pointsman.models.http_errors import TemperatureRefusedError
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.models.prices import PRICES, Price, cost_usd
from pointsman.models.tool_turns import offer_arguments, round_turns

_MAX_ECHO_CHARS: Final = 4000
_MOST_TIMEOUTS: Final = 2
"""After so many time-outs a call is given up: they are long, and whoever waits for it has a limit of his own."""
_Turns = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class OpenAIOptions:
    """How to call the server.

    Attributes:
        model: model name where a request names none.
        base_url: address of the API, ending in `/v1`; None is OpenAI.
        timeout_s: seconds for one attempt where a request says nothing.
        attempts: tries per call while failures are transient.
        prices: prices by model; a model that is not among them costs an unknown sum.
        access: what holds for each model: concurrency, breaker, patience. A server that asks for a longer wait than the
            patience makes the call fail at once, and the error says how long to wait.
        wait_initial_s: seconds before the second try; doubles from try to try.
        wait_max_s: longest wait between two tries, in seconds.
        wait_jitter_s: up to so many random seconds are added to each wait.
    """

    model: str
    base_url: str | None = None
    timeout_s: float = 5.0
    attempts: int = 3
    prices: Mapping[str, Price] = field(default_factory=lambda: PRICES)
    access: AccessOptions = field(default=AccessOptions())
    wait_initial_s: float = 0.2
    wait_max_s: float = 5.0
    wait_jitter_s: float = 0.5


@dataclass(kw_only=True)
class _Tally:
    """What a call has used so far."""

    started: float
    attempts: int = 0
    timeouts: int = 0
    completions: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class OpenAIChatModel:
    """A `ChatModel` over HTTP. Belongs to the event loop that first calls it.

    Args:
        api_key: the key; servers of one's own mostly take any.
        options: how to call.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(
        self, api_key: str, options: OpenAIOptions, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.options = options
        self._api_key = api_key
        self._monotonic = monotonic
        self._access: dict[str, ModelAccess] = {}
        self._without_temperature: set[str] = set()
        self._http = CompletionsHttp(api_key, options.base_url or OPENAI)
        self._latest_shape: tuple[dict[str, Any], Shape] | None = None

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the model; an answer of no use is sent back once with what is wrong with it.

        Where tools are offered, the answer may be the tools that it asks for.

        Raises:
            ModelUnavailableError: no answer within the attempts.
            ModelAnswerError: an answer that breaks the schema, also after one repair.
            ModelRefusedError: the model or its content filter declined to answer; nobody is asked again.
            ConfigurationError: the key or the model's name is wrong.
        """
        shape = self._shape_of(request.schema)
        tally = _Tally(started=self._monotonic())
        turns = [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}]
        turns += round_turns(request.rounds)
        raw = await self._ask(request, shape, turns, tally)
        if raw.tool_calls and request.tools and request.may_call:
            return replace(self._answer(request, raw, tally, {}), tool_calls=raw.tool_calls)
        try:
            content = usable_content(raw, shape)
        except UnusableAnswerError as error:
            raw, content = await self._repair(request, shape, turns + _repair_turns(raw, error.problem), tally)
        return self._answer(request, raw, tally, content)

    def is_left_alone(self, model: str) -> bool:
        """Whether the breaker of `model` is open."""
        return model in self._access and self._access[model].is_broken

    async def close(self) -> None:
        """Give connections back."""
        await self._http.close()

    async def _repair(
        self, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally
    ) -> tuple[RawAnswer, dict[str, Any]]:
        raw = await self._ask(replace(request, may_call=False), shape, turns, tally)
        try:
            return raw, usable_content(raw, shape)
        except UnusableAnswerError as error:
            answer = self._answer(request, raw, tally, {})
            raise ModelAnswerError(f"also after one repair: {error.problem}", answer) from None

    def _answer(self, request: ChatRequest, raw: RawAnswer, tally: _Tally, content: dict[str, Any]) -> ChatAnswer:
        model = raw.model or request.model or self.options.model
        sent, got, cached = tally.input_tokens, tally.output_tokens, tally.cached_tokens
        prices = self.options.prices
        return ChatAnswer(
            content=content,
            raw=raw.text,
            model=model,
            input_tokens=sent,
            output_tokens=got,
            cached_tokens=cached,
            latency_ms=(self._monotonic() - tally.started) * 1000,
            attempts=tally.attempts,
            response_id=raw.id,
            finish_reason=raw.finish_reason,
            completions=tally.completions,
            confidence=value_confidence(raw.tokens, request.doubt.field) if request.doubt else None,
            cost_usd=cost_usd(model, input_tokens=sent, output_tokens=got, cached_tokens=cached, prices=prices),
        )

    async def _ask(self, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally) -> RawAnswer:
        """One completion, tried again while failures are transient."""
        try:
            raw = await self._try(request, shape, turns, tally)
        except ModelUnavailableError as error:
            raw = await self._try_again(error, request, shape, turns, tally)
        tally.completions += 1
        tally.input_tokens += raw.input_tokens
        tally.output_tokens += raw.output_tokens
        tally.cached_tokens += raw.cached_tokens
        if raw.refused:
            answer = self._answer(request, raw, tally, {})
            raise ModelRefusedError("the model or its content filter declined to answer", answer)
        return raw

    async def _try_again(
        self, failure: ModelUnavailableError, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally
    ) -> RawAnswer:
        # Only now: to set the tries up costs more than the whole of a call that succeeds.
        async for attempt in stamina.retry_context(
            on=lambda error: self._wait_before_next(error, request, tally),
            attempts=self.options.attempts,
            timeout=None,
            wait_initial=self.options.wait_initial_s,
            wait_max=self.options.wait_max_s,
            wait_jitter=self.options.wait_jitter_s,
        ):
            with attempt:
                if attempt.num == 1:
                    raise failure
                return await self._try(request, shape, turns, tally)
        raise failure  # pragma: no cover (stamina raises the last failure itself)

    async def _try(self, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally) -> RawAnswer:
        """One attempt; to a model that refuses a temperature once more without, and so from then on."""
        tally.attempts += 1
        model = request.model or self.options.model
        try:
            return await self._attempt(self._arguments(request, shape, turns), request, tally)
        except TemperatureRefusedError:
            if model in self._without_temperature:
                raise
            self._without_temperature.add(model)
        return await self._attempt(self._arguments(request, shape, turns), request, tally)

    async def _attempt(self, arguments: dict[str, Any], request: ChatRequest, tally: _Tally) -> RawAnswer:
        timeout_s = request.timeout_s or self.options.timeout_s
        async with self._access_to(request.model or self.options.model).attempt(request.priority):
            try:
                async with asyncio.timeout(timeout_s):
                    body = await self._http.post(arguments)
            except TimeoutError:
                tally.timeouts += 1
                raise ModelUnavailableError(f"the model did not answer within {timeout_s:g} s") from None
        return read_completion(body)

    def _arguments(self, request: ChatRequest, shape: Shape, turns: _Turns) -> dict[str, Any]:
        json_schema = {"name": request.schema_name, "schema": shape.sent.schema, "strict": shape.sent.strict}
        model = request.model or self.options.model
        # Reasoning models refuse it.
        temperature = {} if model in self._without_temperature else {"temperature": request.temperature}
        return {
            "model": model,
            "messages": turns,
            **temperature,
            **({"logprobs": True} if request.doubt else {}),
            "max_completion_tokens": request.max_output_tokens,
            "response_format": {"type": "json_schema", "json_schema": json_schema},
            **offer_arguments(request),
        }

    def _wait_before_next(self, error: Exception, request: ChatRequest, tally: _Tally) -> bool | float:
        if not isinstance(error, ModelUnavailableError) or tally.timeouts >= _MOST_TIMEOUTS:
            return False
        if self._access_to(request.model or self.options.model).is_broken:
            return False
        if error.retry_after_s is None:
            return True
        return error.retry_after_s if error.retry_after_s <= self.options.access.patience_s else False

    def _shape_of(self, schema: dict[str, Any]) -> Shape:
        # Most questions of a process have the same schema, and it is the same object.
        if self._latest_shape is None or self._latest_shape[0] is not schema:
            self._latest_shape = schema, shape_of(schema)
        return self._latest_shape[1]

    def _access_to(self, model: str) -> ModelAccess:
        if model not in self._access:
            self._access[model] = ModelAccess(model, self.options.access, self._monotonic)
        return self._access[model]


def _repair_turns(raw: RawAnswer, problem: str) -> _Turns:
    again = f"That answer cannot be used: {problem}. Answer again, only with a JSON object that keeps the schema."
    return [{"role": "assistant", "content": raw.text[:_MAX_ECHO_CHARS]}, {"role": "user", "content": again}]
