"""A declarative agent whose model asks tools before it answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.catalog import Catalog, definition_json, digest, parse_definition
from pointsman.definitions import Accepts, AgentDefinition, Emits, Limits, ToolServer
from pointsman.envelope import Envelope
from pointsman.errors import BudgetSpentError, EffectsStoppedError
from pointsman.models import ChatModel, ChatRequest, ToolCall
from pointsman.models.factory import chat_model
from pointsman.models.offline.server import start
from pointsman.runtime import Agent, AgentContext
from pointsman.runtime.agent import Closing
from pointsman.runtime.declarative import build
from pointsman.runtime.following import Following
from pointsman.runtime.metering import MeteredModel, measured
from pointsman.settings import Settings
from pointsman.testing import InMemoryStore, ManualClock, ScriptedModel
from pointsman.usage import Budget

ANSWER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1, "description": "Answers the question."}},
}
CALL = (ToolCall(id="c1", name="stock__look_up_stock", arguments='{"article": "bolt"}'),)


def clerk(url: str, *allow: str, rounds: int = 4) -> AgentDefinition:
    return AgentDefinition(
        name="clerk",
        version="1.0.0",
        description="Answers questions about articles.",
        accepts=[Accepts(type="question.asked", contract={"type": "object"})],
        emits=[Emits(type="question.answered", contract=ANSWER)],
        instructions="Answer the question about the article.",
        limits=Limits(tool_rounds=rounds),
        tools=[ToolServer(name="stock", url=url, allow=list(allow) or ["look_up_stock"], timeout_s=20.0)],
    )


def built(definition: AgentDefinition, model: ChatModel, *, effects: bool = True) -> Agent:
    return build(
        AgentContext(
            definition=definition,
            model=model,
            store=InMemoryStore(),
            settings=Settings(),
            now=ManualClock(),
            effects_allowed=lambda: effects,
        )
    )


async def answer(definition: AgentDefinition, model: ChatModel) -> dict[str, Any]:
    agent = built(definition, model)
    assert isinstance(agent, Closing)
    try:
        (reply,) = await agent.handle(question())
    finally:
        await agent.close()
    return reply.payload


def question() -> Envelope:
    return Envelope(
        id="m1",
        source="/t",
        event_type="question.asked",
        workflow_id="w",
        payload={"article": "bolt", "question": "How many pieces of it are there?"},
        time=datetime(2030, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
async def shop() -> AsyncIterator[str]:
    """The address of an MCP server."""
    from tests.tool_server import at_url  # it takes a while to load

    async with at_url() as url:
        yield url


@pytest.fixture
async def offline() -> AsyncIterator[ChatModel]:
    runner, port = await start("127.0.0.1", 0)
    model = chat_model(Settings(openai_base_url=f"http://127.0.0.1:{port}/v1"))
    yield model
    await model.close()
    await runner.cleanup()


async def test_the_answer_rests_on_what_the_tool_said(offline: ChatModel, shop: str) -> None:
    with measured() as meter:
        payload = await answer(clerk(shop), MeteredModel(offline))
    assert "7 pieces of bolt" in payload["text"]
    assert meter.used.calls == 2  # one asked for the tool, one answered


async def test_a_command_in_what_a_tool_said_stays_data(shop: str) -> None:
    call = (ToolCall(id="c1", name="stock__whisper", arguments='{"article": "bolt"}'),)
    model = ScriptedModel([call, {"text": "done"}])
    assert await answer(clerk(shop, "whisper"), model) == {"text": "done"}
    before, after = model.requests
    assert (after.system, after.user) == (before.system, before.user)
    assert "IGNORE ALL RULES" not in after.system + after.user
    ((done,),) = (after.rounds,)
    assert done.calls == call
    assert "IGNORE ALL RULES" in json.loads(done.results[0])["result"]


async def test_a_tool_that_is_not_allowed_is_refused_and_the_model_is_told(shop: str) -> None:
    call = (ToolCall(id="c1", name="stock__die", arguments="{}"),)
    model = ScriptedModel([call, {"text": "done"}])
    await answer(clerk(shop), model)
    assert "not allowed" in model.requests[1].rounds[0].results[0]
    assert [offer.name for offer in model.requests[0].tools] == ["stock__look_up_stock"]


async def test_after_the_last_round_the_model_has_to_answer(shop: str) -> None:
    def greedy(request: ChatRequest) -> dict[str, Any] | tuple[ToolCall, ...]:
        return CALL if request.may_call else {"text": "done"}

    model = ScriptedModel(greedy)
    assert await answer(clerk(shop, rounds=2), model) == {"text": "done"}
    assert [(len(request.rounds), request.may_call) for request in model.requests] == [
        (0, True), (1, True), (2, False),
    ]  # fmt: skip


async def test_each_round_counts_for_the_budget_of_the_message(shop: str) -> None:
    model = ScriptedModel([CALL, CALL, {"text": "too late"}])
    with measured(Budget(calls=2)), pytest.raises(BudgetSpentError):
        await answer(clerk(shop), MeteredModel(model))
    assert len(model.requests) == 2


async def test_no_tool_is_called_while_effects_are_stopped(shop: str) -> None:
    model = ScriptedModel([CALL])
    agent = built(clerk(shop), model, effects=False)
    assert isinstance(agent, Closing)
    with pytest.raises(EffectsStoppedError):
        await agent.handle(question())
    await agent.close()
    assert len(model.requests) == 1


async def test_another_definition_ends_the_sessions_of_the_one_before(shop: str) -> None:
    model = ScriptedModel([CALL, {"text": "done"}])
    following = Following("clerk", lambda definition: built(definition, model))
    following.take(Catalog.of([clerk(shop)], 1))
    assert following.active is not None
    before = following.active.agent
    await before.handle(question())
    following.take(Catalog.of([clerk(shop, rounds=2)], 2))
    assert following.active.agent is not before
    await following.close()
    assert not following._closing


def test_a_definition_without_tools_has_the_digest_it_always_had() -> None:
    shop = "http://shop.example/mcp"
    plain = clerk(shop).model_copy(update={"tools": []})
    assert "tool" not in definition_json(plain)
    assert digest(parse_definition(definition_json(clerk(shop)).encode())) == digest(clerk(shop))
