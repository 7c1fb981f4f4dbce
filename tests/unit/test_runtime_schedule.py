"""What is due is written, and the agent learns of it only then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.envelope import Envelope, Record
from pointsman.errors import StoreUnavailableError
from pointsman.runtime import Reply
from pointsman.runtime.handling import ActiveAgent
from pointsman.runtime.schedule import speak_once

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DEFINITION = AgentDefinition(
    name="reminder",
    version="1.0.0",
    description="Reminds.",
    accepts=[Accepts(type="guest.arrived", contract={"type": "object"})],
    emits=[Emits(type="guest.reminded", contract={"type": "object", "required": ["text"]})],
)


class Reminder:
    def __init__(self, *due: Envelope, error: Exception | None = None) -> None:
        self.messages = list(due)
        self.told: list[str] = []
        self.error = error

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        return []

    async def due(self, now: datetime) -> Sequence[Envelope]:
        if self.error:
            raise self.error
        return self.messages

    async def emitted(self, message: Envelope) -> None:
        self.told.append(message.id)


def reminder(name: str, event_type: str = "guest.reminded") -> Envelope:
    return Envelope(
        id=name,
        source="/agents/reminder",
        event_type=event_type,
        workflow_id="w",
        payload={"text": name},
        time=NOW,
    )


async def spoken(agent: Reminder, broken: Exception | None = None) -> list[str]:
    written: list[str] = []

    async def emit(records: Sequence[Record]) -> None:
        assert not agent.told, "told before it was committed"
        if broken:
            raise broken
        written.extend(record.headers["ce_id"].decode() for record in records)

    await speak_once(ActiveAgent.of(DEFINITION, agent, "c"), agent, emit, NOW)
    return written


async def test_what_is_due_is_written_and_then_reported_to_the_agent() -> None:
    agent = Reminder(reminder("one"), reminder("two"))
    assert await spoken(agent) == ["one", "two"]
    assert agent.told == ["one", "two"]


async def test_an_undeclared_message_is_left_out_and_does_not_hold_back_the_others() -> None:
    agent = Reminder(reminder("one", "guest.robbed"), reminder("two"))
    assert await spoken(agent) == ["two"]


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("a bug")])
async def test_a_failing_schedule_is_survived(error: Exception) -> None:
    assert await spoken(Reminder(error=error)) == []


async def test_what_could_not_be_written_is_not_reported() -> None:
    agent = Reminder(reminder("one"))
    assert await spoken(agent, broken=StoreUnavailableError("away")) == []
    assert agent.told == []
