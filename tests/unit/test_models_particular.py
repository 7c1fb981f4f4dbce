"""Servers with ways of their own: one that takes no temperature, one whose filter declines the question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from pointsman.errors import ModelAnswerError, ModelRefusedError
from pointsman.models import ChatRequest
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
from pointsman.models.prices import PRICES, Price, cost_usd

REQUEST = ChatRequest(system="s", user="u", schema={"type": "object", "additionalProperties": False}, temperature=0.3)
Answer = Callable[[dict[str, Any]], web.Response]
Served = Callable[[Answer], Awaitable[tuple[OpenAIChatModel, list[dict[str, Any]]]]]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A model at a server that answers as a test says, and what the server was asked."""
    opened: list[Any] = []

    async def serve(answer: Answer) -> tuple[OpenAIChatModel, list[dict[str, Any]]]:
        asked: list[dict[str, Any]] = []

        async def handle(request: web.Request) -> web.Response:
            asked.append(await request.json())
            return answer(asked[-1])

        app = web.Application()
        app.router.add_post("/v1/chat/completions", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        options = OpenAIOptions(
            model="plain", base_url=url, prices={"dear": Price(input=10, cached_input=1, output=100)}
        )
        model = OpenAIChatModel("key", options)
        opened.append((model, runner))
        return model, asked

    yield serve
    for model, runner in opened:
        await model.close()
        await runner.cleanup()


def refusal(param: str | None, code: str | None) -> web.Response:
    error = {"message": "no", "type": "invalid_request_error", "param": param, "code": code}
    return web.json_response({"error": error}, status=400)


def answered(content: str = "{}", **fields: Any) -> web.Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", **fields}
    return web.json_response(
        {"model": "dear", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    )


@pytest.mark.parametrize("code", ["unsupported_value", "unsupported_parameter"])
async def test_a_model_that_takes_no_temperature_is_asked_without_from_then_on(served: Served, code: str) -> None:
    model, asked = await served(lambda body: refusal("temperature", code) if "temperature" in body else answered())
    for _ in range(2):
        assert (await model.complete(REQUEST)).content == {}
    assert ["temperature" in body for body in asked] == [True, False, False]


async def test_one_model_that_takes_no_temperature_changes_nothing_for_others(served: Served) -> None:
    def answer(body: dict[str, Any]) -> web.Response:
        return (
            refusal("temperature", "unsupported_value")
            if body["model"] == "odd" and "temperature" in body
            else answered()
        )

    model, asked = await served(answer)
    for name in ("odd", None):
        await model.complete(ChatRequest(system="s", user="u", schema=REQUEST.schema, model=name, temperature=0.3))
    assert [(body["model"], body.get("temperature")) for body in asked] == [("odd", 0.3), ("odd", None), ("plain", 0.3)]


async def test_a_server_that_blames_the_temperature_for_ever_is_not_asked_for_ever(served: Served) -> None:
    model, asked = await served(lambda _: refusal("temperature", "unsupported_value"))
    with pytest.raises(ModelAnswerError, match="400"):
        await model.complete(REQUEST)
    assert len(asked) == 2


async def test_another_parameter_that_is_not_taken_is_no_reason_to_try_without_temperature(served: Served) -> None:
    model, asked = await served(lambda _: refusal("response_format", "unsupported_parameter"))
    with pytest.raises(ModelAnswerError, match="unsupported_parameter"):
        await model.complete(REQUEST)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: refusal(None, "content_filter"),
        lambda _: answered("", finish_reason="content_filter"),
        lambda _: answered("", message={"role": "assistant", "content": None, "refusal": "I will not."}),
    ],
)
async def test_whoever_declines_is_not_asked_again(served: Served, answer: Answer) -> None:
    model, asked = await served(answer)
    with pytest.raises(ModelRefusedError):
        await model.complete(REQUEST)
    assert len(asked) == 1


async def test_an_answer_after_a_repair_says_what_both_cost(served: Served) -> None:
    model, asked = await served(lambda body: answered("{}" if len(body["messages"]) > 2 else "rubbish"))
    answer = await model.complete(REQUEST)
    assert (answer.completions, answer.attempts, len(asked)) == (2, 2, 2)
    assert answer.cost_usd == pytest.approx((14 * 10 + 4 * 100) / 1_000_000)


@pytest.mark.parametrize(("said", "counted"), [(6, 6), (9, 7), (-3, 0), ("6", 0), (None, 0)])
async def test_what_the_server_still_had_of_the_prompt_is_cheaper(served: Served, said: Any, counted: int) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "{}"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": said}}
    model, _ = await served(lambda _: web.json_response({"model": "dear", "choices": [choice], "usage": usage}))
    answer = await model.complete(REQUEST)
    assert answer.cost_usd == pytest.approx(((7 - counted) * 10 + counted * 1 + 2 * 100) / 1_000_000)


def test_every_list_price_is_lower_for_what_the_server_still_has() -> None:
    assert all(price.cached_input is not None and price.cached_input < price.input for price in PRICES.values())


def test_a_price_without_a_discount_gives_none() -> None:
    prices = {"m": Price(input=10, output=100)}
    assert cost_usd("m", input_tokens=10, output_tokens=0, cached_tokens=10, prices=prices) == 0.0001
