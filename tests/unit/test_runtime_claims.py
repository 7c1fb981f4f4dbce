"""A router in fast mode may write a message again: only the copy that was claimed first is acted on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import stamina

from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.envelope import MUST_CLAIM, Envelope, Record, TaskRef, decode
from pointsman.errors import StoreUnavailableError
from pointsman.runtime import Reply
from pointsman.runtime.claims import CLAIMS, ClaimedElsewhereError, Claims
from pointsman.runtime.handling import ActiveAgent, Handling
from pointsman.store import Document
from pointsman.testing import InMemoryStore, ManualClock

MESSAGE = Envelope(
    id="m1", source="/test", event_type="guest.arrived", workflow_id="w1", payload={},
    time=datetime(2030, 1, 1, tzinfo=UTC), must_claim=True,
)  # fmt: skip


class Greeter:
    """Counts what it acts on."""

    def __init__(self, name: str, store: InMemoryStore) -> None:
        definition = AgentDefinition(
            name=name, version="1.0.0", description="Greets.",
            accepts=[Accepts(type="guest.arrived", contract={"type": "object"})],
            emits=[Emits(type="guest.greeted", contract={"type": "object"})],
        )  # fmt: skip
        self.inbox = f"agents.{name}.inbox"
        self.acted = 0
        self._active = ActiveAgent.of(definition, self, "c1")
        self._handling = Handling(lambda: self._active, ManualClock(), Claims(store, ManualClock()))

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        self.acted += 1
        await asyncio.sleep(0)
        return [Reply(event_type="guest.greeted", payload={})]

    async def gets(self, offset: int, message: Envelope = MESSAGE) -> list[Record]:
        return await self._handling.answer(replace(message.to_record(self.inbox), partition=0, offset=offset))


async def test_the_first_copy_is_acted_on_and_no_other_neither_here_nor_by_another_agent() -> None:
    store = InMemoryStore()
    first, other = Greeter("first", store), Greeter("other", store)
    assert len(await first.gets(7)) == 1
    assert await first.gets(8) == []
    assert await other.gets(7) == []
    assert (first.acted, other.acted) == (1, 0)


async def test_a_copy_that_is_delivered_again_because_its_agent_crashed_is_acted_on_again() -> None:
    store = InMemoryStore()
    assert len(await Greeter("first", store).gets(7)) == 1
    assert len(await Greeter("first", store).gets(7)) == 1


async def test_of_copies_that_arrive_at_the_same_moment_one_is_acted_on() -> None:
    store = InMemoryStore()
    agents = [Greeter(name, store) for name in ("a", "b", "c")]
    written = await asyncio.gather(*(agent.gets(offset) for agent in agents for offset in (1, 2)))
    assert sorted(map(len, written)) == [0, 0, 0, 0, 0, 1]
    assert sum(agent.acted for agent in agents) == 1


async def test_what_a_person_sends_again_is_another_message_and_so_is_that_of_another_source() -> None:
    agent = Greeter("first", InMemoryStore())
    for offset, message in enumerate([MESSAGE, replace(MESSAGE, attempt=1), replace(MESSAGE, source="/other")]):
        assert len(await agent.gets(offset, message)) == 1


async def test_a_repeat_tells_no_plan_that_its_task_has_failed() -> None:
    agent = Greeter("first", InMemoryStore())
    task = replace(MESSAGE, task=TaskRef(plan_id="p", task_id="t"))
    await agent.gets(1, task)
    assert await agent.gets(2, task) == []


async def test_what_the_router_writes_once_is_not_claimed() -> None:
    store = InMemoryStore()
    agent = Greeter("first", store)
    for offset in (1, 2):
        assert len(await agent.gets(offset, replace(MESSAGE, must_claim=False))) == 1
    assert await store.count(CLAIMS, {}) == 0


async def test_a_claim_holds_ids_and_a_place_and_nothing_of_the_message() -> None:
    store = InMemoryStore()
    await Greeter("first", store).gets(7, replace(MESSAGE, payload={"mail": "kim@example.com"}))
    (claim,) = await store.find(CLAIMS, {})
    assert {name: claim[name] for name in sorted(claim) if name != "_id"} == {
        "claimed_at": ManualClock()(), "offset": 7, "partition": 0, "topic": "agents.first.inbox",
    }  # fmt: skip


async def test_nothing_is_done_before_the_claim_is_on_disk() -> None:
    class Away(InMemoryStore):
        failures = 2

        async def insert_once(self, collection: str, document: Document) -> Document:
            if self.failures:
                self.failures -= 1
                assert agent.acted == 0
                raise StoreUnavailableError("away")
            return await super().insert_once(collection, document)

    agent = Greeter("first", Away())
    with stamina.set_testing(True, attempts=10):
        assert len(await agent.gets(1)) == 1
    assert agent.acted == 1


async def test_an_answer_need_not_be_claimed_for_its_cause() -> None:
    agent = Greeter("first", InMemoryStore())
    (answer,) = await agent.gets(1)
    assert not decode(answer).must_claim


async def test_claims_are_refused_by_the_same_agent_under_another_place_only() -> None:
    claims = Claims(InMemoryStore(), ManualClock())
    record = replace(MESSAGE.to_record("agents.first.inbox"), partition=1, offset=2)
    assert record.headers["ce_claim"] == MUST_CLAIM
    await claims.take(MESSAGE, record)
    await claims.take(MESSAGE, record)
    for change in ({"partition": 0}, {"offset": 3}, {"topic": "agents.other.inbox"}):
        with pytest.raises(ClaimedElsewhereError):
            await claims.take(MESSAGE, replace(record, **change))
