"""One record in, replies or one dead letter out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import stamina

from pointsman.definitions import Accepts, AgentDefinition, Emits, Limits
from pointsman.envelope import MAX_PAYLOAD_BYTES, Envelope, Record, TaskRef, decode
from pointsman.errors import (
    ConfigurationError,
    ErrorReason,
    InvalidPayloadError,
    ModelAnswerError,
    ModelUnavailableError,
    PermanentError,
    StoreUnavailableError,
    TransientError,
)
from pointsman.runtime import Reply
from pointsman.runtime.claims import Claims
from pointsman.runtime.handling import ActiveAgent, Handling
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.topics import ERRORS, MESSAGES

DEFINITION = AgentDefinition(
    name="greeter",
    version="1.2.3",
    description="Greets.",
    accepts=[Accepts(type="guest.arrived", contract={"type": "object", "required": ["name"]})],
    emits=[
        Emits(type="guest.greeted", contract={"type": "object", "required": ["text"]}),
        Emits(type="guest.ignored", contract={"type": "object"}, terminal=True),
    ],
    limits=Limits(attempts=3, timeout_s=5),
)
GREETING = Reply(event_type="guest.greeted", payload={"text": "hello"})

Handle = Callable[[Envelope], Awaitable[Sequence[Reply]]]


@pytest.fixture(autouse=True)
def _no_back_off() -> Any:
    """Attempts as declared, without waiting between them."""
    with stamina.set_testing(True, attempts=1000):
        yield


class Agent:
    def __init__(self, *script: Sequence[Reply] | BaseException) -> None:
        self.script = list(script)
        self.calls = 0

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        self.calls += 1
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step


class Endless:
    async def handle(self, message: Envelope) -> Sequence[Reply]:
        await asyncio.Event().wait()
        raise AssertionError


def arrival(**changes: Any) -> Envelope:
    message = Envelope(
        id="m1",
        source="/test",
        event_type="guest.arrived",
        workflow_id="w1",
        payload={"name": "Ann"},
        time=datetime(2030, 1, 1, tzinfo=UTC),
        hop=3,
        priority=7,
        catalog="c1",
        extra={"traceparent": b"00-x"},
    )
    return replace(message, **changes)


def as_read(message: Envelope) -> Record:
    return replace(message.to_record("agents.greeter.inbox"), partition=2, offset=41)


async def answer(agent: Any, record: Record, definition: AgentDefinition = DEFINITION) -> list[Record]:
    active = ActiveAgent.of(definition, agent, "c9")
    return await Handling(lambda: active, ManualClock(), Claims(InMemoryStore(), ManualClock())).answer(record)


async def dead(agent: Any, record: Record, definition: AgentDefinition = DEFINITION) -> tuple[str, str, str]:
    """Reason, detail and attempts of the one dead letter that must come."""
    (letter,) = await answer(agent, record, definition)
    assert (letter.topic, letter.value, letter.key) == (ERRORS, record.value, record.key)
    assert letter.headers["x_error_stage"] == b"agent/greeter"
    assert (letter.headers["x_error_partition"], letter.headers["x_error_offset"]) == (b"2", b"41")
    texts = (letter.headers[f"x_error_{name}"].decode() for name in ("reason", "message", "attempts"))
    reason, detail, attempts = texts
    return reason, detail, attempts


async def test_replies_carry_lineage_and_whatever_else_came_along() -> None:
    cause = arrival()
    first, second = await answer(Agent([GREETING, GREETING]), as_read(cause))
    reply = decode(first)
    assert (first.topic, first.key, reply.payload) == (MESSAGES, b"w1", {"text": "hello"})
    assert (reply.causation_id, reply.source, reply.agent_version) == ("m1", "/agents/greeter", "1.2.3")
    assert (reply.hop, reply.priority, reply.catalog, reply.extra) == (3, 7, "c1", {"traceparent": b"00-x"})
    assert reply.id != decode(second).id
    again = cause.reply(
        agent="greeter", agent_version="9.9.9", index=0, event_type="guest.greeted", payload={}, time=cause.time
    )
    assert reply.id == again.id


async def test_no_reply_is_an_answer_too() -> None:
    assert await answer(Agent([]), as_read(arrival())) == []


async def test_a_passing_failure_is_tried_again() -> None:
    agent = Agent(ModelUnavailableError("503"), ModelUnavailableError("503"), [GREETING])
    (record,) = await answer(agent, as_read(arrival()))
    assert (record.topic, agent.calls) == (MESSAGES, 3)


async def test_a_failure_that_does_not_pass_is_a_dead_letter_after_the_declared_attempts() -> None:
    agent = Agent(*[TransientError("busy")] * 9)
    assert (await dead(agent, as_read(arrival())))[::2] == ("attempts_exhausted", "3")


async def test_an_outage_is_waited_out_beyond_the_attempts() -> None:
    agent = Agent(*[ModelUnavailableError("503")] * 20, [GREETING])
    (record,) = await answer(agent, as_read(arrival()))
    assert (record.topic, agent.calls) == (MESSAGES, 21)


async def test_an_outage_that_outlasts_the_limit_is_a_dead_letter() -> None:
    hasty = DEFINITION.model_copy(update={"limits": Limits(attempts=3, retry_for_s=0)})
    reason, detail, attempts = await dead(Agent(StoreUnavailableError("gone")), as_read(arrival()), hasty)
    assert (reason, attempts) == ("attempts_exhausted", "1")
    assert "StoreUnavailableError" in detail


async def test_an_answer_that_no_longer_counts_is_not_waited_for_and_leaves_no_dead_letter() -> None:
    active = ActiveAgent.of(DEFINITION, Agent(ModelUnavailableError("503")), "c9")
    assert (
        await Handling(lambda: active, ManualClock(), Claims(InMemoryStore(), ManualClock())).answer(
            as_read(arrival()), lambda: False
        )
        == []
    )


async def test_a_message_that_takes_too_long_is_a_dead_letter() -> None:
    hasty = DEFINITION.model_copy(update={"limits": Limits(timeout_s=0.02)})
    reason, detail, _ = await dead(Endless(), as_read(arrival()), hasty)
    assert (reason, detail) == ("attempts_exhausted", "no answer within 0.02 s, in try 1")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermanentError(ErrorReason.CONTRACT_VIOLATION, "why"), "contract_violation"),
        (InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, "why"), "contract_violation"),
        (ModelAnswerError("why"), "model_answer"),
    ],
)
async def test_a_lasting_failure_is_a_dead_letter_at_once(error: PermanentError, reason: str) -> None:
    assert await dead(Agent(error), as_read(arrival())) == (reason, "why", "1")


@pytest.mark.parametrize("error", [RuntimeError("of Ann"), KeyError("Ann"), TimeoutError("Ann"), RecursionError("Ann")])
async def test_a_bug_of_the_agent_costs_one_message_and_its_text_is_not_kept(error: Exception) -> None:
    expected = ("agent_fault", f"the agent raised {type(error).__name__}", "1")
    assert await dead(Agent(error), as_read(arrival())) == expected


async def test_a_wrong_configuration_ends_the_process_and_handles_nothing() -> None:
    with pytest.raises(ConfigurationError):
        await answer(Agent(ConfigurationError("no key")), as_read(arrival()))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (as_read(arrival(event_type="guest.left")), "unknown_event_type"),
        (as_read(arrival(payload={})), "contract_violation"),
        (replace(as_read(arrival()), headers={}), "not_a_message"),
        (replace(as_read(arrival()), value=None), "tombstone"),
        (replace(as_read(arrival()), value=b"\xff\x00"), "invalid_json"),
        (replace(as_read(arrival()), value=b"x" * (MAX_PAYLOAD_BYTES + 1)), "too_large"),
        (replace(as_read(arrival()), key=None, value=b"[]"), "invalid_json"),
    ],
)
async def test_what_is_no_message_for_this_agent_never_reaches_it(record: Record, reason: str) -> None:
    agent = Agent()
    assert (await dead(agent, record))[0] == reason
    assert agent.calls == 0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(event_type="guest.insulted", payload={}), "undeclared_event"),
        (Reply(event_type="guest.greeted", payload={"txt": "hello"}), "contract_violation"),
        (Reply(event_type="guest.ignored", payload={"x": float("nan")}), "agent_fault"),
        (Reply(event_type="guest.ignored", payload={"x": datetime(2030, 1, 1, tzinfo=UTC)}), "agent_fault"),
        (Reply(event_type="guest.ignored", payload={"x": "\ud800"}), "agent_fault"),
        (Reply(event_type="guest.ignored", payload={"x": "y" * MAX_PAYLOAD_BYTES}), "too_large"),
    ],
)
async def test_an_answer_that_the_definition_does_not_declare_is_a_dead_letter_and_none_of_it_is_written(
    reply: Reply, reason: str
) -> None:
    assert (await dead(Agent([GREETING, reply]), as_read(arrival())))[0] == reason


async def test_no_dead_letter_says_what_the_payload_held() -> None:
    record = as_read(arrival(payload={"nome": "Ann Secret"}))
    (letter,) = await answer(Agent(), record)
    why = {name: value.decode() for name, value in letter.headers.items() if name.startswith("x_error_")}
    assert "Secret" not in json.dumps(why)


async def test_more_answers_than_allowed_are_cut_off_with_one_dead_letter() -> None:
    flood = Agent([GREETING] * 1000)

    *replies, letter = await answer(flood, as_read(arrival()))

    assert [reply.topic for reply in replies] == [MESSAGES] * 10
    assert letter.topic == ERRORS
    assert letter.headers["x_error_reason"] == ErrorReason.FAN_OUT.value.encode()
    assert letter.headers["x_error_message"].startswith(b"the agent gave 1000 answers, at most 10")


async def test_of_a_thousand_answers_ten_are_written_and_one_dead_letter_holds_the_message() -> None:
    *written, letter = await answer(Agent([GREETING] * 1000), as_read(arrival()))

    assert [record.topic for record in written] == [MESSAGES] * 10
    assert (letter.topic, letter.headers["x_error_reason"]) == (ERRORS, b"fan_out")
    assert (letter.value, letter.headers["ce_id"]) == (as_read(arrival()).value, b"m1")


async def test_a_definition_says_how_many_answers_its_agent_may_give() -> None:
    modest = DEFINITION.model_copy(update={"limits": Limits(max_replies=2)})

    assert len(await answer(Agent([GREETING] * 2), as_read(arrival()), modest)) == 2
    assert [record.topic for record in await answer(Agent([GREETING] * 3), as_read(arrival()), modest)] == [
        MESSAGES, MESSAGES, ERRORS,
    ]  # fmt: skip


TASK = TaskRef(plan_id="p", task_id="site", number=2)


async def test_an_answer_within_a_task_belongs_to_the_task() -> None:
    answers = await answer(Agent([GREETING]), as_read(arrival(task=TASK)))
    assert [decode(record).task for record in answers] == [TASK]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (PermanentError(ErrorReason.CONTRACT_VIOLATION, "d"), "contract_violation"),
        (KeyError("ann@example.com"), "agent_fault"),
        (TransientError("t"), "attempts_exhausted"),
    ],
)
async def test_a_dead_letter_of_a_task_is_news_for_its_plan(script: BaseException, reason: str) -> None:
    letter, news = await answer(Agent(*[script] * 3), as_read(arrival(task=TASK)))
    assert letter.topic == ERRORS
    said = decode(news)
    assert (said.event_type, said.task, said.causation_id) == ("task.failed", TASK, "m1")
    assert said.payload == {"reason_code": reason, "agent": "greeter"}


async def test_a_task_that_fails_again_after_a_person_sent_it_again_is_news_again() -> None:
    error = PermanentError(ErrorReason.AGENT_FAULT, "d")
    _, first = await answer(Agent(error), as_read(arrival(task=TASK)))
    _, second = await answer(Agent(error), as_read(arrival(task=TASK, attempt=1)))
    assert decode(first).id != decode(second).id


async def test_a_task_that_gets_no_answer_is_news_for_its_plan() -> None:
    (news,) = await answer(Agent([]), as_read(arrival(task=TASK)))
    assert decode(news).payload["reason_code"] == "no_answer"


async def test_silence_outside_of_a_plan_says_nothing() -> None:
    assert await answer(Agent([]), as_read(arrival())) == []
