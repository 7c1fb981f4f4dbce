"""Model calls in their process: every one of them ends, whatever happens to it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry import trace

from flink_jobs.model_process.serving import Outbox, SentMetrics, Serving
from flink_jobs.model_process.wire import Answered, Ask, Retried, Stop, framed, next_of, pickled
from pointsman.errors import ConfigurationError, ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest
from pointsman.telemetry.metrics import ModelCalled

ANSWER = ChatAnswer(content={}, raw="", model="m", input_tokens=0, output_tokens=0, latency_ms=0)
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def ask(number: int = 1, **more: Any) -> Ask:
    schema = more.pop("schema", {})
    traced = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()} if more.pop("traced", False) else {}
    return Ask.of(number, ChatRequest(system="", user="u", schema=schema, **more), pickled(schema), traced)


async def until(probe: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not probe():  # noqa: ASYNC110 - what is under test tells nobody
            await asyncio.sleep(0)


class Model:
    """Answers when its gate opens; without one at once."""

    def __init__(self, error: Exception | None = None, gate: asyncio.Event | None = None) -> None:
        self.error, self.gate = error, gate
        self.asked: list[ChatRequest] = []
        self.traces: list[str] = []
        self.is_cancelled = False

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.asked.append(request)
        self.traces.append(f"{trace.get_current_span().get_span_context().trace_id:032x}")
        try:
            while self.gate and not self.gate.is_set():
                # Nobody but this coroutine refers to this future: only the caller's own reference keeps the call alive.
                await asyncio.wait_for(asyncio.shield(asyncio.sleep(0.005)), 30)
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
        if self.error:
            raise self.error
        return ANSWER

    async def close(self) -> None:
        return None


class Sent(list[Any]):
    """What was sent, and a wait for it."""

    def __call__(self, message: object) -> None:
        framed(message)
        self.append(message)

    async def first(self, count: int) -> list[Any]:
        await until(lambda: len(self) >= count)
        return self[:count]


@asynccontextmanager
async def serving(model: ChatModel, limit_s: float = 20) -> AsyncIterator[tuple[Serving, Sent]]:
    sent = Sent()
    served = Serving(lambda: model, sent, limit_s)
    try:
        yield served, sent
    finally:
        await served.end()


async def test_an_answer_is_sent_under_the_number_of_its_question() -> None:
    async with serving(Model()) as (served, sent):
        served.take(ask(7))
        assert await sent.first(1) == [Answered(7, ANSWER)]


async def test_an_error_of_the_model_is_sent_as_it_is() -> None:
    error = ModelUnavailableError("down")
    async with serving(Model(error)) as (served, sent):
        served.take(ask())
        assert await sent.first(1) == [Answered(1, error)]


async def test_a_defect_is_an_answer_too_and_tells_no_text(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Model(KeyError("kim@example.com"))) as (served, sent):
        served.take(ask())
        [answered] = await sent.first(1)
    assert repr(answered.outcome) == repr(RuntimeError("KeyError in the model process"))
    assert "KeyError" in caplog.text
    assert "kim" not in caplog.text


async def test_a_model_that_cannot_be_made_is_an_error_of_each_call() -> None:
    def no_model() -> ChatModel:
        raise ConfigurationError("no key")

    sent = Sent()
    served = Serving(no_model, sent)
    for number in (1, 2):
        served.take(ask(number))
    assert [type(one.outcome) for one in await sent.first(2)] == [ConfigurationError] * 2


async def test_a_call_that_hangs_is_given_up() -> None:
    async with serving(Model(gate=asyncio.Event()), limit_s=0.05) as (served, sent):
        served.take(ask())
        [answered] = await sent.first(1)
    assert isinstance(answered.outcome, TimeoutError)


async def test_calls_under_way_survive_the_garbage_collector() -> None:
    gate = asyncio.Event()
    async with serving(Model(gate=gate)) as (served, sent):
        for number in range(200):
            served.take(ask(number))
        await asyncio.sleep(0)
        for _ in range(3):
            gc.collect()
        gate.set()
        assert {one.number for one in await sent.first(200)} == set(range(200))


async def test_a_call_that_nobody_waits_for_is_stopped_and_not_answered() -> None:
    model = Model(gate=asyncio.Event())
    async with serving(model) as (served, sent):
        served.take(ask(1))
        await asyncio.sleep(0)
        served.take(Stop(1))
        served.take(Stop(2))
        await until(lambda: model.is_cancelled)
        assert sent == []


async def test_a_call_that_is_stopped_before_its_first_step_leaves_nothing_behind() -> None:
    async with serving(Model()) as (served, sent):
        served.take(ask(1))
        served.take(Stop(1))
        await until(lambda: not served._running)
        assert sent == []


async def test_a_question_keeps_its_trace_and_equal_schemas_are_one_object() -> None:
    model = Model()
    async with serving(model) as (served, sent):
        served.take(ask(1, schema={"type": "object"}, priority=7, traced=True))
        served.take(ask(2, schema={"type": "object"}))
        await sent.first(2)
    assert model.traces == [TRACE_ID, "0" * 32]
    assert model.asked[0] == ChatRequest(system="", user="u", schema={"type": "object"}, priority=7)
    assert model.asked[0].schema is model.asked[1].schema


def test_metrics_of_model_calls_are_sent_and_not_kept() -> None:
    sent = Sent()
    metrics = SentMetrics(sent)
    called = ModelCalled(model="m", seconds=0.1, is_left_alone=False)
    metrics.model_called(called)
    metrics.retried("TimeoutError")
    assert sent == [called, Retried("TimeoutError")]
    assert metrics.registry.get_sample_value("pointsman_model_attempts_total", {"model": "m"}) is None


async def test_what_comes_after_a_silence_is_written_at_once_and_the_rest_together() -> None:
    writes: list[bytes] = []
    outbox = Outbox(writes.append)
    for number in range(5):
        outbox.put(Answered(number, ANSWER))
    assert len(writes) == 1
    await until(lambda: len(writes) == 2)
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(writes))
    reader.feed_eof()
    assert [await next_of(reader) for _ in range(6)] == [*(Answered(number, ANSWER) for number in range(5)), None]


async def test_a_message_cut_off_by_the_end_of_the_other_side_is_none() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(framed(Stop(1))[:-1])
    reader.feed_eof()
    assert await next_of(reader) is None
