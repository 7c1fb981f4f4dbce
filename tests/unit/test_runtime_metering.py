"""What models use for one message, and the call that would go over its budget."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.definitions import Accepts, AgentDefinition, Emits, Limits
from pointsman.envelope import Envelope, Record, TaskRef, decode
from pointsman.errors import BudgetSpentError, ModelAnswerError, ModelRefusedError, ModelUnavailableError
from pointsman.models import ChatAnswer, ChatRequest
from pointsman.runtime import Reply
from pointsman.runtime.claims import Claims
from pointsman.runtime.handling import ActiveAgent, Handling
from pointsman.runtime.metering import MeteredModel, measured
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.topics import ESCALATIONS, MESSAGES
from pointsman.usage import Budget, Usage

REQUEST = ChatRequest(system="s", user="u", schema={"type": "object"})
PRICED = ChatAnswer(
    content={}, raw="{}", model="m", input_tokens=10, output_tokens=5, latency_ms=1.0, completions=2, cost_usd=0.001
)


class Model:
    def __init__(self, *script: ChatAnswer | Exception) -> None:
        self.script = list(script)
        self.calls = 0

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.calls += 1
        await asyncio.sleep(0)
        step = self.script.pop(0) if self.script else PRICED
        if isinstance(step, Exception):
            raise step
        return step

    async def close(self) -> None:
        pass


async def test_what_calls_use_is_summed_up_with_that_of_tasks_they_start() -> None:
    model = MeteredModel(Model())
    with measured() as meter:
        await asyncio.gather(model.complete(REQUEST), model.complete(REQUEST))
    assert meter.used == Usage(calls=4, input_tokens=20, output_tokens=10, cost_microusd=2000)


async def test_messages_that_are_handled_at_the_same_time_do_not_pay_for_each_other() -> None:
    model = MeteredModel(Model())

    async def handled(calls: int) -> Usage:
        with measured() as meter:
            for _ in range(calls):
                await model.complete(REQUEST)
        return meter.used

    used = await asyncio.gather(handled(1), handled(3))
    assert [each.calls for each in used] == [2, 6]


async def test_a_call_without_an_answer_costs_nothing_and_one_with_a_useless_answer_counts() -> None:
    model = MeteredModel(Model(ModelUnavailableError("down"), ModelAnswerError("rubbish")))
    with measured() as meter:
        for error in (ModelUnavailableError, ModelAnswerError):
            with pytest.raises(error):
                await model.complete(REQUEST)
    assert meter.used == Usage(calls=1)


@given(st.integers(0, 5), st.integers(0, 8))
@settings(deadline=None)  # each example has an event loop of its own
def test_of_calls_at_once_no_more_are_made_than_are_left(left: int, wanted: int) -> None:
    one_each = Model(*[replace(PRICED, completions=1)] * wanted)
    model = MeteredModel(one_each)

    async def all_at_once() -> list[Any]:
        with measured(Budget(calls=left)):
            return await asyncio.gather(*(model.complete(REQUEST) for _ in range(wanted)), return_exceptions=True)

    refused = [each for each in asyncio.run(all_at_once()) if isinstance(each, BudgetSpentError)]
    assert one_each.calls == min(left, wanted)
    assert len(refused) == wanted - one_each.calls


async def test_money_goes_over_by_one_call_at_most() -> None:
    asked = Model()
    model = MeteredModel(asked)
    with measured(Budget(cost_microusd=1500)):
        await model.complete(REQUEST)
        await model.complete(REQUEST)
        with pytest.raises(BudgetSpentError, match="cost_limit"):
            await model.complete(REQUEST)
    assert asked.calls == 2


DEFINITION = AgentDefinition(
    name="greeter",
    version="1.0.0",
    description="Greets.",
    accepts=[Accepts(type="guest.arrived", contract={"type": "object"})],
    emits=[Emits(type="guest.greeted", contract={"type": "object"})],
    limits=Limits(model_calls=4),
)
ARRIVAL = Envelope(
    id="m1", source="/t", event_type="guest.arrived", workflow_id="w", payload={}, time=ManualClock()(),
    routing_usage=Usage(calls=1, input_tokens=7),
)  # fmt: skip


class Agent:
    """Asks its model so many times, then greets twice."""

    def __init__(self, model: MeteredModel, times: int) -> None:
        self.model = model
        self.times = times

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        for _ in range(self.times):
            await self.model.complete(REQUEST)
        return [Reply(event_type="guest.greeted", payload={})] * 2


class Failing(Agent):
    """Asks its model, and then it fails."""

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        await super().handle(message)
        raise KeyError


async def answers(
    message: Envelope, times: int, *script: ChatAnswer | Exception, kind: type[Agent] = Agent
) -> list[Record]:
    agent = kind(MeteredModel(Model(*script)), times)
    active = ActiveAgent.of(DEFINITION, agent, "c9")
    record = replace(message.to_record("agents.greeter.inbox"), partition=2, offset=41)
    return await Handling(lambda: active, ManualClock(), Claims(InMemoryStore(), ManualClock())).answer(record)


async def test_the_first_answer_says_what_was_used_and_the_others_say_nothing() -> None:
    first, second = map(decode, await answers(replace(ARRIVAL, budget=Budget(calls=9)), 2))
    assert first.usage == Usage(calls=4, input_tokens=20, output_tokens=10, cost_microusd=2000)
    assert first.routing_usage == Usage(calls=1, input_tokens=7)
    assert (second.usage, second.routing_usage) == (Usage(), Usage())
    assert (first.budget, second.budget) == (Budget(), Budget())


async def test_a_task_that_fails_has_used_what_it_used() -> None:
    task = TaskRef(plan_id="p", task_id="site", number=1)
    _, news = map(decode, await answers(replace(ARRIVAL, task=task, budget=Budget(calls=9)), 2, kind=Failing))
    assert news.event_type == "task.failed"
    assert news.usage == Usage(calls=4, input_tokens=20, output_tokens=10, cost_microusd=2000)
    assert news.routing_usage == Usage(calls=1, input_tokens=7)


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        (Budget(calls=2), "model_call_limit"),
        (Budget(), "model_call_limit"),
        (Budget(tokens=15), "token_limit"),
        (Budget(cost_microusd=1), "cost_limit"),
    ],
)
async def test_the_call_that_would_go_over_is_not_made_and_a_person_is_asked(budget: Budget, code: str) -> None:
    (question,) = await answers(replace(ARRIVAL, budget=budget), 3)
    assert (question.topic, question.key, question.headers["ce_id"]) == (ESCALATIONS, b"w", b"m1")
    assert question.headers["x_escalation_reason"] == code.encode()
    assert question.headers["x_escalation_stage"] == b"agent/greeter"
    assert question.headers["x_escalation_candidates"] == b"greeter"
    assert (question.headers["x_escalation_topic"], question.headers["x_escalation_offset"]) == (
        b"agents.greeter.inbox",
        b"41",
    )


async def test_a_refusal_goes_to_a_person_at_once() -> None:
    (question,) = await answers(ARRIVAL, 1, ModelRefusedError("the model declined"))
    assert (question.topic, question.headers["x_escalation_reason"]) == (ESCALATIONS, b"model_refused")


async def test_an_agent_that_uses_no_model_says_so_by_saying_nothing() -> None:
    plain = replace(ARRIVAL, routing_usage=Usage(), budget=Budget(calls=0))
    written = await answers(plain, 0)
    assert [record.topic for record in written] == [MESSAGES, MESSAGES]
    assert not any(name.startswith(("ce_model", "ce_budget", "ce_routing")) for name in written[0].headers)
