"""Model calls on a thread of their own: every one of them ends, whatever happens to it."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

import pytest

from flink_jobs.operators.model_calls import ModelCalls
from pointsman.errors import ConfigurationError, ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest

REQUEST = ChatRequest(system="", user="u", schema={})
ANSWER = ChatAnswer(content={}, raw="", model="m", input_tokens=0, output_tokens=0, latency_ms=0)


class Model:
    """Answers when its gate opens; without one at once."""

    def __init__(self, error: Exception | None = None, gate: threading.Event | None = None) -> None:
        self.error, self.gate = error, gate
        self.cancelled = threading.Event()
        self.entered = threading.Event()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.entered.set()
        try:
            while self.gate and not self.gate.is_set():
                # Nobody but this coroutine refers to this future: only the caller's own reference keeps the call alive.
                await asyncio.wait_for(asyncio.shield(asyncio.sleep(0.005)), 30)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.error:
            raise self.error
        return ANSWER

    async def close(self) -> None:
        return None


@contextmanager
def calls_to(model: ChatModel, limit_s: float = 20) -> Iterator[ModelCalls]:
    calls = ModelCalls(lambda: model, limit_s)
    try:
        yield calls
    finally:
        calls.close()


def test_an_answer_arrives() -> None:
    with calls_to(Model()) as calls:
        assert calls.submit(REQUEST).result(5) == ANSWER


def test_an_error_of_the_model_arrives_as_it_is() -> None:
    with calls_to(Model(ModelUnavailableError("down"))) as calls, pytest.raises(ModelUnavailableError):
        calls.submit(REQUEST).result(5)


def test_a_model_that_cannot_be_made_is_an_error_of_each_call() -> None:
    def no_model() -> ChatModel:
        raise ConfigurationError("no key")

    calls = ModelCalls(no_model)
    try:
        for _ in range(2):
            with pytest.raises(ConfigurationError):
                calls.submit(REQUEST).result(5)
    finally:
        calls.close()


def test_a_call_that_hangs_is_given_up() -> None:
    with calls_to(Model(gate=threading.Event()), limit_s=0.05) as calls, pytest.raises(TimeoutError):
        calls.submit(REQUEST).result(5)


def test_calls_under_way_survive_the_garbage_collector() -> None:
    gate = threading.Event()
    model = Model(gate=gate)
    with calls_to(model) as calls:
        answers: list[Future[ChatAnswer]] = [calls.submit(REQUEST) for _ in range(200)]
        assert model.entered.wait(5)
        for _ in range(3):
            gc.collect()
        gate.set()
        assert len(wait(answers, timeout=10).done) == 200
        assert all(answer.result() == ANSWER for answer in answers)


def test_a_cancelled_answer_stops_its_call() -> None:
    model = Model(gate=threading.Event())
    with calls_to(model) as calls:
        answer = calls.submit(REQUEST)
        assert model.entered.wait(5)
        answer.cancel()
        assert model.cancelled.wait(5)
