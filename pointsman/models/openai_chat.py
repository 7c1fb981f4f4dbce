"""The chat model over OpenAI's chat-completions API, for OpenAI and every server that speaks it.

One retry layer, ours: the SDK's own is off. Every attempt passes the model's `ModelAccess`, which all calls of the
process share: slots, the pause that the server asked for, the breaker. An attempt holds a slot only while it is on its
way; a call that waits to try again does not keep others out. Prompts and answers stand in no log and no error: an error
of the SDK may quote them, so it is translated into words of our own and not chained.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import openai
import stamina
from httpx2 import ConnectTimeout, Limits

from pointsman.errors import (
    ConfigurationError,
    ModelAnswerError,
    ModelBusyError,
    ModelRefusedError,
    ModelUnavailableError,
    PointsmanError,
)
from pointsman.models.access import AccessOptions, ModelAccess
from pointsman.models.answers import RawAnswer, Shape, UnusableAnswerError, read_completion, shape_of, usable_content
from pointsman.models.confidence import value_confidence
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.models.prices import PRICES, Price, cost_usd

_TRANSIENT_STATUS: Final = frozenset({408, 409, 425})
_UNSUPPORTED: Final = frozenset({"unsupported_value", "unsupported_parameter"})
_CONTENT_FILTER: Final = "content_filter"
_MAX_ECHO_CHARS: Final = 4000
_MOST_TIMEOUTS: Final = 2
"""After so many time-outs a call is given up: they are long, and whoever waits for it has a limit of his own."""
_LONGEST_PAUSE_S: Final = 3600.0
"""What a server may ask for; more is a broken clock or a hostile proxy, and would silence the model for ever."""
_Turns = list[dict[str, str]]


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


class OpenAIChatModel:
    """A `ChatModel` on the openai SDK. Belongs to the event loop that first calls it.

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
        self._client: openai.AsyncOpenAI | None = None

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the model; an answer of no use is sent back once with what is wrong with it.

        Raises:
            ModelUnavailableError: no answer within the attempts.
            ModelAnswerError: an answer that breaks the schema, also after one repair.
            ModelRefusedError: the model or its content filter declined to answer; nobody is asked again.
            ConfigurationError: the key or the model's name is wrong.
        """
        shape = shape_of(request.schema)
        tally = _Tally(started=self._monotonic())
        turns = [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}]
        raw = await self._ask(request, shape, turns, tally)
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
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _repair(
        self, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally
    ) -> tuple[RawAnswer, dict[str, Any]]:
        raw = await self._ask(request, shape, turns, tally)
        try:
            return raw, usable_content(raw, shape)
        except UnusableAnswerError as error:
            answer = self._answer(request, raw, tally, {})
            raise ModelAnswerError(f"also after one repair: {error.problem}", answer) from None

    def _answer(self, request: ChatRequest, raw: RawAnswer, tally: _Tally, content: dict[str, Any]) -> ChatAnswer:
        model = raw.model or request.model or self.options.model
        sent, got = tally.input_tokens, tally.output_tokens
        return ChatAnswer(
            content=content,
            raw=raw.text,
            model=model,
            input_tokens=sent,
            output_tokens=got,
            latency_ms=(self._monotonic() - tally.started) * 1000,
            attempts=tally.attempts,
            response_id=raw.id,
            finish_reason=raw.finish_reason,
            completions=tally.completions,
            confidence=value_confidence(raw.tokens, request.doubt.field) if request.doubt else None,
            cost_usd=cost_usd(model, input_tokens=sent, output_tokens=got, prices=self.options.prices),
        )

    async def _ask(self, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally) -> RawAnswer:
        """One completion, tried again while failures are transient."""
        raw = RawAnswer()
        async for attempt in stamina.retry_context(
            on=lambda error: self._wait_before_next(error, request, tally),
            attempts=self.options.attempts,
            timeout=None,
            wait_initial=self.options.wait_initial_s,
            wait_max=self.options.wait_max_s,
            wait_jitter=self.options.wait_jitter_s,
        ):
            with attempt:
                tally.attempts += 1
                raw = await self._attempt_as_the_model_takes_it(request, shape, turns, tally)
        tally.completions += 1
        tally.input_tokens += raw.input_tokens
        tally.output_tokens += raw.output_tokens
        if raw.refused:
            answer = self._answer(request, raw, tally, {})
            raise ModelRefusedError("the model or its content filter declined to answer", answer)
        return raw

    async def _attempt_as_the_model_takes_it(
        self, request: ChatRequest, shape: Shape, turns: _Turns, tally: _Tally
    ) -> RawAnswer:
        """One attempt; to a model that refuses a temperature once more without, and so from then on."""
        model = request.model or self.options.model
        try:
            return await self._attempt(self._arguments(request, shape, turns), request, tally)
        except _NoTemperatureError:
            if model in self._without_temperature:
                raise
            self._without_temperature.add(model)
        return await self._attempt(self._arguments(request, shape, turns), request, tally)

    async def _attempt(self, arguments: dict[str, Any], request: ChatRequest, tally: _Tally) -> RawAnswer:
        timeout_s = request.timeout_s or self.options.timeout_s
        async with self._access_to(request.model or self.options.model).attempt(request.priority):
            try:
                # The SDK's time-outs count silence; a server that drips bytes for ever is cut off here.
                async with asyncio.timeout(timeout_s):
                    create = self._opened().chat.completions.with_raw_response.create
                    response = await create(**arguments, timeout=timeout_s)
            except TimeoutError:
                tally.timeouts += 1
                raise ModelUnavailableError(f"the model did not answer within {timeout_s:g} s") from None
            except openai.OpenAIError as error:
                tally.timeouts += _is_silence(error)
                raise _translated(error, timeout_s) from None
        return read_completion(response.content)

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
        }

    def _wait_before_next(self, error: Exception, request: ChatRequest, tally: _Tally) -> bool | float:
        if not isinstance(error, ModelUnavailableError) or tally.timeouts >= _MOST_TIMEOUTS:
            return False
        if self._access_to(request.model or self.options.model).is_broken:
            return False
        if error.retry_after_s is None:
            return True
        return error.retry_after_s if error.retry_after_s <= self.options.access.patience_s else False

    def _access_to(self, model: str) -> ModelAccess:
        if model not in self._access:
            self._access[model] = ModelAccess(model, self.options.access, self._monotonic)
        return self._access[model]

    def _opened(self) -> openai.AsyncOpenAI:
        # Not in the constructor: the transport belongs to the running loop, and a constructor touches no network.
        if self._client is None:
            # Its debug lines quote prompts, and a prompt holds personal data.
            logging.getLogger("openai").setLevel(logging.INFO)
            most = self.options.access.concurrency
            limits = Limits(max_connections=most, max_keepalive_connections=most)
            self._client = openai.AsyncOpenAI(
                api_key=self._api_key,
                base_url=self.options.base_url,
                max_retries=0,
                timeout=self.options.timeout_s,
                http_client=openai.DefaultAioHttpClient(limits=limits),
            )
        return self._client


class _NoTemperatureError(ModelAnswerError):
    """The model takes no temperature of ours."""


def _repair_turns(raw: RawAnswer, problem: str) -> _Turns:
    again = f"That answer cannot be used: {problem}. Answer again, only with a JSON object that keeps the schema."
    return [{"role": "assistant", "content": raw.text[:_MAX_ECHO_CHARS]}, {"role": "user", "content": again}]


def _translated(error: openai.OpenAIError, timeout_s: float) -> PointsmanError:
    if _is_silence(error):
        return ModelUnavailableError(f"the model did not answer within {timeout_s:g} s")
    if not isinstance(error, openai.APIStatusError):
        return ModelUnavailableError(f"no connection to the model ({type(error.__cause__ or error).__name__})")
    status = error.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ModelBusyError("the model server answered 429", _retry_after_s(error))
    if status >= 500 or status in _TRANSIENT_STATUS:
        return ModelUnavailableError(f"the model server answered {status}", _retry_after_s(error))
    if status in {401, 403}:
        return ConfigurationError(f"the model server refuses the API key ({status})", "correct OPENAI_API_KEY")
    if status == 404:
        remedy = "correct POINTSMAN_MODEL, the definition's model name or OPENAI_BASE_URL"
        return ConfigurationError("the model server does not know the model or the address (404)", remedy)
    if error.code == _CONTENT_FILTER:
        return ModelRefusedError("the server's content filter declined the question")
    detail = f"the model server refused the request ({status}{_code(error)})"
    takes_none = error.param == "temperature" and error.code in _UNSUPPORTED
    return _NoTemperatureError(detail) if takes_none else ModelAnswerError(detail)


def _is_silence(error: openai.OpenAIError) -> bool:
    # The aiohttp transport calls every failure to connect, a refused one too, a time-out.
    return isinstance(error, openai.APITimeoutError) and not isinstance(error.__cause__, ConnectTimeout)


def _code(error: openai.APIStatusError) -> str:
    code = error.code
    return f", {code}" if isinstance(code, str) and code.isidentifier() and len(code) <= 64 else ""


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    """Seconds to wait, by the headers `retry-after-ms` or `Retry-After` (seconds or a date, RFC 9110 10.2.3)."""
    headers = error.response.headers
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return _within_reason(float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        until = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return _within_reason((until - datetime.now(UTC)).total_seconds())


def _within_reason(seconds: float) -> float:
    return min(max(0.0, seconds), _LONGEST_PAUSE_S) if math.isfinite(seconds) else _LONGEST_PAUSE_S
