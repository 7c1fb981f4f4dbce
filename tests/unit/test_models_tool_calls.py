"""Tools over the chat-completions API: offered, asked for, answered; and how the offline stand-in asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from pointsman.models import ChatModel, ChatRequest, ToolOffer, ToolRound
from pointsman.models.answers import read_completion
from pointsman.models.factory import chat_model
from pointsman.models.offline.server import start
from pointsman.models.tool_turns import offer_arguments, round_turns
from pointsman.settings import Settings

STOCK = ToolOffer(
    name="shop__stock",
    description="How many pieces of an article are in stock.",
    parameters={
        "type": "object",
        "properties": {"article": {"type": "string"}, "warehouse_id": {"type": "integer"}},
        "required": ["article"],
    },
)
WEATHER = ToolOffer(name="shop__weather", description="The weather outside.", parameters={"type": "object"})
REQUEST = ChatRequest(
    system="Answer the question about the article.",
    user=json.dumps(
        {"event_type": "question.asked", "payload": {"article": "bolt", "question": "How many are there?"}}
    ),
    schema={
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    },
    tools=(WEATHER, STOCK),
)


@pytest.fixture
async def offline() -> AsyncIterator[ChatModel]:
    runner, port = await start("127.0.0.1", 0)
    model = chat_model(Settings(openai_base_url=f"http://127.0.0.1:{port}/v1"))
    yield model
    await model.close()
    await runner.cleanup()


async def test_the_stand_in_asks_once_for_the_tool_that_fits_and_answers_then(offline: ChatModel) -> None:
    first = await offline.complete(REQUEST)
    (call,) = first.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("shop__stock", {"article": "bolt"})
    assert (first.content, first.finish_reason, first.completions) == ({}, "tool_calls", 1)
    assert first.input_tokens > 0
    again = await offline.complete(REQUEST)
    assert again.tool_calls == first.tool_calls  # the same question, the same answer
    told = ToolRound(calls=first.tool_calls, results=('{"result": "There are 7 pieces in stock."}',))
    second = await offline.complete(replace(REQUEST, rounds=(told,)))
    assert second.tool_calls == ()
    assert "7 pieces" in second.content["text"]


async def test_whoever_may_not_call_has_to_answer(offline: ChatModel) -> None:
    answer = await offline.complete(replace(REQUEST, may_call=False))
    assert answer.tool_calls == ()
    assert answer.content["text"]


def test_without_tools_the_request_is_as_it_was() -> None:
    assert offer_arguments(replace(REQUEST, tools=())) == {}
    assert round_turns(()) == []


def test_tools_stay_in_the_request_when_they_may_no_longer_be_called() -> None:
    arguments = offer_arguments(replace(REQUEST, may_call=False))
    assert arguments["tool_choice"] == "none"
    assert [tool["function"]["name"] for tool in arguments["tools"]] == ["shop__weather", "shop__stock"]


@pytest.mark.parametrize(
    "calls",
    [None, "x", [None], [{}], [{"id": "1"}], [{"id": "1", "function": "f"}], [{"id": 1, "function": {"name": "f"}}],
     [{"id": "1", "function": {"name": None, "arguments": "{}"}}]],
)  # fmt: skip
def test_what_is_no_call_is_left_out(calls: Any) -> None:
    body = json.dumps({"choices": [{"message": {"content": None, "tool_calls": calls}}]}).encode()
    assert read_completion(body).tool_calls == ()


def test_more_calls_than_any_sane_model_makes_are_cut_off() -> None:
    calls = [{"id": str(number), "function": {"name": "f", "arguments": "{}"}} for number in range(1000)]
    body = json.dumps({"choices": [{"message": {"tool_calls": calls}}]}).encode()
    assert len(read_completion(body).tool_calls) == 16
