"""The OpenAI adapter against a server that misbehaves as told, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import fields
from typing import Any

import pytest
from aiohttp import web

from pointsman.errors import ConfigurationError, ModelAnswerError, ModelRefusedError, ModelUnavailableError
from pointsman.models import ChatRequest
from pointsman.models.access import AccessOptions
from pointsman.models.offline.faults import GARBAGE, FaultPlan, Faults
from pointsman.models.offline.server import start
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions

SECRET = "kim@example.com asks for the moon"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}, "reason": {"type": "string", "maxLength": 80}},
    "required": ["mood", "reason"],
    "additionalProperties": False,
}
Opened = Callable[..., Awaitable[OpenAIChatModel]]


def request(**fields: Any) -> ChatRequest:
    return ChatRequest(**{"system": "Say the mood.", "user": f'{{"text": "{SECRET}"}}', "schema": SCHEMA, **fields})


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def opened(faults: Faults) -> AsyncIterator[Opened]:
    runner, port = await start("127.0.0.1", 0, faults)
    models: list[OpenAIChatModel] = []

    async def open_model(**options: Any) -> OpenAIChatModel:
        named = [each.name for each in fields(AccessOptions) if each.name in options]
        access = AccessOptions(**{name: options.pop(name) for name in named})
        quick = {"wait_initial_s": 0.01, "wait_max_s": 0.02, "wait_jitter_s": 0.0, "access": access, **options}
        models.append(OpenAIChatModel("key", OpenAIOptions(model="m", base_url=f"http://127.0.0.1:{port}/v1", **quick)))
        return models[-1]

    yield open_model
    for model in models:
        await model.close()
    await runner.cleanup()


async def test_an_answer_keeps_the_schema_and_says_what_it_cost(opened: Opened) -> None:
    answer = await (await opened()).complete(request())
    assert answer.content["mood"] in {"good", "bad"}
    assert answer.attempts == 1
    assert answer.input_tokens > 0
    assert answer.output_tokens > 0
    assert answer.latency_ms > 0
    assert "offline" in answer.model


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
async def test_a_passing_failure_is_tried_again(opened: Opened, faults: Faults, status: int) -> None:
    faults.plan(FaultPlan(fail_next=2, status=status))
    assert (await (await opened()).complete(request())).attempts == 3


async def test_a_failure_that_does_not_pass_is_unavailable(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=9, status=503))
    with pytest.raises(ModelUnavailableError, match="503"):
        await (await opened(attempts=2)).complete(request())
    assert faults.calls == 2


async def test_the_wait_that_the_server_asks_for_is_kept(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=1, status=429, retry_after_s=0.3))
    began = time.monotonic()
    assert (await (await opened()).complete(request())).attempts == 2
    assert time.monotonic() - began >= 0.3


async def test_a_wait_beyond_the_cap_fails_at_once_and_says_how_long(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=1, status=429, retry_after_s=600))
    with pytest.raises(ModelUnavailableError) as caught:
        await (await opened()).complete(request())
    assert caught.value.retry_after_s == 600
    assert faults.calls == 1


async def test_a_call_that_hangs_is_cut_off_and_tried_again(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(hang_next=1))
    assert (await (await opened(timeout_s=1.0)).complete(request())).attempts == 2


async def test_a_request_may_set_its_own_time_out(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(hang_next=1))
    with pytest.raises(ModelUnavailableError, match=r"0\.1 s"):
        await (await opened(timeout_s=60.0, attempts=1)).complete(request(timeout_s=0.1))


@pytest.mark.parametrize("kind", range(len(GARBAGE) + 1))
async def test_rubbish_is_repaired_once(opened: Opened, faults: Faults, kind: int) -> None:
    for _ in range(kind):
        next(faults._turn)
    faults.plan(FaultPlan(garbage_next=1))
    answer = await (await opened()).complete(request())
    assert answer.attempts == 2
    assert answer.content["mood"] in {"good", "bad"}


async def test_rubbish_twice_is_an_error_without_the_rubbish(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(garbage_next=2))
    with pytest.raises(ModelAnswerError, match="after one repair") as caught:
        await (await opened()).complete(request())
    assert "Sure!" not in str(caught.value)
    assert faults.calls == 2


async def test_a_refusal_is_not_argued_with(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(refuse_next=1))
    with pytest.raises(ModelRefusedError):
        await (await opened()).complete(request())
    assert faults.calls == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_key_or_model_is_for_a_person_to_mend(opened: Opened, faults: Faults, status: int) -> None:
    faults.plan(FaultPlan(fail_next=1, status=status))
    with pytest.raises(ConfigurationError) as caught:
        await (await opened()).complete(request())
    assert caught.value.remedy
    assert faults.calls == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_request_that_the_server_refuses_is_not_repeated(opened: Opened, faults: Faults, status: int) -> None:
    faults.plan(FaultPlan(fail_next=1, status=status))
    with pytest.raises(ModelAnswerError, match=str(status)):
        await (await opened()).complete(request())
    assert faults.calls == 1


async def test_a_question_whose_schema_is_none_is_an_answer_error(opened: Opened) -> None:
    with pytest.raises(ModelAnswerError, match="schema"):
        await (await opened()).complete(request(schema={"type": "no such type"}))


async def test_nobody_listening_is_unavailable() -> None:
    model = OpenAIChatModel("key", OpenAIOptions(model="m", base_url="http://127.0.0.1:9/v1", attempts=1))
    with pytest.raises(ModelUnavailableError, match="no connection"):
        await model.complete(request())
    await model.close()


async def test_no_more_calls_are_on_their_way_than_allowed(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(latency_ms=5.0))
    model = await opened(concurrency=3)
    await asyncio.gather(*(model.complete(request()) for _ in range(20)))
    assert faults.peak_in_flight == 3


async def test_the_higher_priority_goes_first_when_slots_are_taken(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(latency_ms=2.0))
    model = await opened(concurrency=1)
    order: list[int] = []

    async def call(priority: int) -> None:
        await model.complete(request(priority=priority))
        order.append(priority)

    await asyncio.gather(*(call(priority) for priority in (5, 1, 3, 9, 5)))
    assert order == [5, 9, 5, 3, 1]


async def test_a_server_that_is_down_is_left_alone_by_every_call_of_the_process(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_rate=1.0, status=503))
    model = await opened(breaker_failures=5, breaker_reset_s=60.0)
    for _ in range(4):
        with pytest.raises(ModelUnavailableError):
            await model.complete(request())
    assert faults.calls == 5


async def test_a_model_that_is_left_alone_keeps_no_other_model_waiting(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=1, status=503))
    model = await opened(breaker_failures=1)
    with pytest.raises(ModelUnavailableError):
        await model.complete(request())
    assert (await model.complete(request(model="another"))).attempts == 1


async def test_the_pause_that_a_server_asks_for_holds_for_all_calls(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=1, status=429, retry_after_s=0.3))
    model = await opened(attempts=1)
    with pytest.raises(ModelUnavailableError):
        await model.complete(request())
    began = time.monotonic()
    await asyncio.gather(*(model.complete(request()) for _ in range(5)))
    assert time.monotonic() - began >= 0.28
    assert faults.calls == 6


@pytest.mark.parametrize("header", ["inf", "nan", "1e400", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_pause_beyond_reason_is_cut_to_an_hour(header: str) -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.json_response({}, status=429, headers={"Retry-After": header})

    async with served(busy) as url:
        model = OpenAIChatModel("key", OpenAIOptions(model="m", base_url=url))
        with pytest.raises(ModelUnavailableError) as caught:
            await model.complete(request())
        assert caught.value.retry_after_s == 3600
        await model.close()


async def test_a_server_that_hangs_is_not_tried_beyond_two_time_outs(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(hang_next=9))
    with pytest.raises(ModelUnavailableError):
        await (await opened(timeout_s=0.4, attempts=9)).complete(request())
    assert faults.calls == 2


async def test_a_call_that_waits_to_try_again_holds_no_slot(opened: Opened, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=1, status=503))
    model = await opened(concurrency=1, wait_initial_s=0.3, wait_max_s=0.3)
    done: list[str] = []

    async def call(name: str) -> None:
        await model.complete(request())
        done.append(name)

    first = asyncio.create_task(call("failed first"))
    await asyncio.gather(first, call("other"))
    assert done == ["other", "failed first"]


async def test_neither_errors_nor_logs_quote_the_prompt(
    opened: Opened, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faults.plan(FaultPlan(fail_next=1, status=500, garbage_next=2))
    with pytest.raises(ModelAnswerError) as caught:
        await (await opened()).complete(request())
    assert "moon" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "moon" not in caplog.text


async def test_an_error_body_that_echoes_the_prompt_stays_out_of_the_error() -> None:
    async def echo(http: web.Request) -> web.Response:
        return web.json_response({"error": {"message": await http.text(), "code": "bad"}}, status=400)

    async with served(echo) as url:
        model = OpenAIChatModel("key", OpenAIOptions(model="m", base_url=url))
        with pytest.raises(ModelAnswerError, match="400, bad") as caught:
            await model.complete(request())
        assert "moon" not in repr(caught.value)
        assert caught.value.__suppress_context__
        await model.close()


@pytest.mark.parametrize(
    "body",
    [b"<html>busy</html>", b"", b"null", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": 7}}]}',
     b'{"choices": "x", "usage": [], "model": 3}', b"\xff\xfe", b"[" * 5000],
)  # fmt: skip
async def test_a_body_that_is_no_completion_is_an_empty_answer(body: bytes) -> None:
    async def odd(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async with served(odd) as url:
        model = OpenAIChatModel("key", OpenAIOptions(model="m", base_url=url))
        with pytest.raises(ModelAnswerError, match="empty"):
            await model.complete(request())
        await model.close()


async def test_what_the_model_left_out_comes_back_as_absent(opened: Opened) -> None:
    schema = {
        "type": "object",
        "properties": {"mood": {"type": "string"}, "note": {"type": "string", "minLength": 1}},
        "required": ["mood"],
    }
    sent: list[Any] = []

    async def answer(http: web.Request) -> web.Response:
        sent.append(await http.json())
        message = {"role": "assistant", "content": '{"mood": "good", "note": null}'}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}]})

    async with served(answer) as url:
        model = OpenAIChatModel("key", OpenAIOptions(model="m", base_url=url))
        assert (await model.complete(request(schema=schema))).content == {"mood": "good"}
        await model.close()
    assert sent[0]["response_format"]["json_schema"]["strict"] is True
    assert sent[0]["messages"][0] == {"role": "system", "content": "Say the mood."}


def test_it_works_on_a_loop_of_another_thread() -> None:
    results: list[str] = []

    async def one_call() -> None:
        runner, port = await start("127.0.0.1", 0)
        model = OpenAIChatModel("key", OpenAIOptions(model="m", base_url=f"http://127.0.0.1:{port}/v1"))
        results.append((await model.complete(request())).content["mood"])
        await model.close()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(one_call()))
    thread.start()
    thread.join(10)
    assert results[0] in {"good", "bad"}


class served:
    """A server with one handler for everything."""

    def __init__(self, handler: Callable[[web.Request], Awaitable[web.Response]]) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", handler)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
