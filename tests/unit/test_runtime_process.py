"""A whole agent process but for Kafka: from a record in the inbox to the records written, and to a clean stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pointsman.catalog import Catalog
from pointsman.controls import EffectsControl
from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.envelope import Envelope, Record, decode
from pointsman.errors import BrokerUnavailableError, ConfigurationError, EffectsStoppedError
from pointsman.runtime import Agent, Reply
from pointsman.runtime.claims import Claims
from pointsman.runtime.effects_switch import EffectsSwitch
from pointsman.runtime.port import Position
from pointsman.runtime.process import AgentProcess
from pointsman.runtime.sole import sole_instance
from pointsman.testing import InMemoryStore, ManualClock
from tests.memory_inbox import MemoryInbox

DEFINITION = AgentDefinition(
    name="greeter",
    version="1.0.0",
    description="Greets.",
    accepts=[Accepts(type="guest.arrived", contract={"type": "object"})],
    emits=[Emits(type="guest.greeted", contract={"type": "object"})],
)
CATALOG = Catalog.of([DEFINITION], 1)
WITHIN_S = 5


class Greeter:
    """Greets, and reminds once of somebody."""

    def __init__(self, version: str, effects_allowed: Callable[[], bool], hang_on: str | None = None) -> None:
        self.version = version
        self.effects_allowed = effects_allowed
        self.hang_on = hang_on
        self.reminders = ["reminder"]
        self.closed = 0

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        if message.id == self.hang_on:
            await asyncio.Event().wait()
        if message.id == "effect" and not self.effects_allowed():
            raise EffectsStoppedError("stopped")
        if message.id == "misconfigured":
            raise ConfigurationError("no key")
        return [Reply(event_type="guest.greeted", payload={"by": self.version})]

    async def due(self, now: datetime) -> Sequence[Envelope]:
        return [arrival(name, "guest.greeted") for name in self.reminders]

    async def emitted(self, message: Envelope) -> None:
        self.reminders.remove(message.id)

    async def close(self) -> None:
        self.closed += 1


def arrival(name: str, event_type: str = "guest.arrived") -> Envelope:
    return Envelope(
        id=name,
        source="/t",
        event_type=event_type,
        workflow_id=f"workflow of {name}",
        payload={},
        time=datetime(2030, 1, 1, tzinfo=UTC),
    )


def record(offset: int, name: str) -> Record:
    of = arrival(name).to_record("agents.greeter.inbox")
    return Record(topic=of.topic, key=of.key, value=of.value, headers=of.headers, partition=0, offset=offset)


def switched(offset: int, *, is_allowed: bool) -> Record:
    """The kill switch as it is read from `controls`."""
    return replace(EffectsControl(is_allowed=is_allowed).records()[0], partition=0, offset=offset)


def greetings(inbox: MemoryInbox) -> dict[str, str]:
    """Who was greeted by which version."""
    messages = [decode(one) for one in inbox.written]
    return {str(message.causation_id): message.payload["by"] for message in messages if message.causation_id}


class Running:
    """A process under test."""

    def __init__(self, inbox: MemoryInbox, hang_on: str | None = None) -> None:
        self.inbox = inbox
        self.effects = EffectsSwitch()
        self.built: list[Greeter] = []
        self.process = AgentProcess(
            "greeter",
            inbox,
            lambda definition: self._build(definition, hang_on),
            self.effects,
            Claims(InMemoryStore(), ManualClock()),
        )
        self.task = asyncio.create_task(self.process.serve())

    async def until(self, condition: Callable[[], object]) -> None:
        await asyncio.to_thread(self.inbox.wait_until, condition)

    async def stop(self) -> None:
        self.process.stop()
        await asyncio.wait_for(self.task, WITHIN_S)

    def _build(self, definition: AgentDefinition, hang_on: str | None) -> Agent:
        self.built.append(Greeter(definition.version, self.effects.is_allowed, hang_on))
        return self.built[-1]


async def test_messages_are_answered_and_what_is_due_is_said() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    running.process.catalog_applied(CATALOG)
    inbox.put(record(0, "ann"), record(1, "bob"))
    await running.until(lambda: len(inbox.written) == 3)
    await running.stop()
    assert greetings(inbox) == {"ann": "1.0.0", "bob": "1.0.0"}
    assert [one.headers["ce_id"] for one in inbox.written].count(b"reminder") == 1
    assert (inbox.position, inbox.closed) == (Position(partition=0, offset=2), True)


async def test_nothing_is_read_before_the_catalog_names_the_agent() -> None:
    inbox = MemoryInbox()
    inbox.put(record(0, "ann"))
    running = Running(inbox)
    running.process.catalog_applied(Catalog())
    await running.stop()
    assert inbox.written == []


async def greeted_by(running: Running, inbox: MemoryInbox, version: int, name: str) -> None:
    """Put this version in force, and have it greet `name`."""
    definition = DEFINITION.model_copy(update={"version": f"{version}.0.0"})
    running.process.catalog_applied(Catalog.of([definition], version))
    inbox.put(record(version - 1, name))
    await running.until(lambda: name in greetings(inbox))


async def test_a_new_version_answers_the_messages_after_it_without_a_restart() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    await greeted_by(running, inbox, 1, "ann")
    await greeted_by(running, inbox, 2, "bob")
    await running.stop()
    assert greetings(inbox) == {"ann": "1.0.0", "bob": "2.0.0"}


async def test_each_agent_is_closed_once_when_another_takes_over_or_the_process_ends() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    await greeted_by(running, inbox, 1, "ann")
    await greeted_by(running, inbox, 2, "bob")
    # The one before still answers what a rollout has routed to it.
    assert [one.closed for one in running.built] == [0, 0]
    await greeted_by(running, inbox, 3, "cay")
    assert [one.closed for one in running.built] == [1, 0, 0]
    await running.stop()
    assert [one.closed for one in running.built] == [1, 1, 1]


async def test_a_stop_abandons_what_takes_too_long_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.runtime.process._FINISH_WITHIN_S", 0.05)
    inbox = MemoryInbox()
    running = Running(inbox, hang_on="ann")
    running.process.catalog_applied(CATALOG)
    inbox.put(record(0, "ann"), record(1, "bob"))
    await running.until(lambda: "bob" in greetings(inbox))
    await running.stop()
    assert set(greetings(inbox)) == {"bob"}
    assert inbox.position is not None
    assert inbox.position.offset == 0


async def test_a_wrong_configuration_ends_the_process_and_the_message_stays_queued() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    running.process.catalog_applied(CATALOG)
    inbox.put(record(0, "misconfigured"))
    with pytest.raises(ConfigurationError, match="no key"):
        await asyncio.wait_for(running.task, WITHIN_S)
    assert (greetings(inbox), inbox.closed) == ({}, True)


async def test_a_useless_client_ends_the_process_with_its_error() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    running.process.catalog_applied(CATALOG)
    inbox.broken = BrokerUnavailableError("fenced")
    with pytest.raises(BrokerUnavailableError):
        await asyncio.wait_for(running.task, WITHIN_S)


async def test_while_effects_are_stopped_their_messages_wait_and_others_pass() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    running.process.catalog_applied(CATALOG)
    inbox.put(record(0, "effect"), record(1, "ann"))
    await running.until(lambda: "ann" in greetings(inbox))
    assert "effect" not in greetings(inbox)
    running.process.effects_read(switched(0, is_allowed=True))
    await running.until(lambda: "effect" in greetings(inbox))
    await running.stop()
    assert [one.topic for one in inbox.written].count("agent_errors") == 0
    assert inbox.position == Position(partition=0, offset=2)


async def test_a_process_that_is_stopped_meanwhile_leaves_the_message_queued_and_ends_at_once() -> None:
    inbox = MemoryInbox()
    running = Running(inbox)
    running.process.catalog_applied(CATALOG)
    inbox.put(record(0, "effect"), record(1, "ann"))
    await running.until(lambda: "ann" in greetings(inbox))
    await asyncio.wait_for(running.stop(), 2)
    assert "effect" not in greetings(inbox)
    assert inbox.position is not None
    assert inbox.position.offset == 0


def test_a_second_process_of_the_same_instance_is_refused(tmp_path: Path) -> None:
    with (
        sole_instance(tmp_path, "kafka:9092", "greeter", "1"),
        pytest.raises(ConfigurationError, match="--instance"),
        sole_instance(tmp_path, "kafka:9092", "greeter", "1"),
    ):
        pass
    with sole_instance(tmp_path, "kafka:9092", "greeter", "1"), sole_instance(tmp_path, "kafka:9092", "greeter", "2"):
        pass


def test_where_no_lock_can_be_kept_the_process_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with sole_instance(tmp_path / "file", "kafka:9092", "greeter", "1"):
        pass
