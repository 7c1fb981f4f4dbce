"""Encryption at the edges: agents, dead letters, erasure, publishing."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.cli import lead_erasure
from pointsman.deadletter_queue import DeadLetter, sent_again
from pointsman.deadletters import dead_letter
from pointsman.envelope import Record, decode, payload_of
from pointsman.errors import ErrorReason, RefusedError
from pointsman.runtime.agent import Reply
from pointsman.runtime.claims import Claims
from pointsman.runtime.handling import ActiveAgent, Handling
from pointsman.shredding.cache import KEPT_FOR_S, Sealing
from pointsman.shredding.keys import DataKeys, erase_keys
from pointsman.shredding.sealing import is_sealed
from pointsman.shredding.values import ERASED_PAYLOAD, ValueCodec
from pointsman.shredding.wrapping import KeyRing, new_key
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.timeline import timeline
from pointsman.topics import AUDIT, ERRORS, LEADS, MESSAGES
from tests.unit.test_runtime_handling import DEFINITION, GREETING, Agent, arrival, as_read
from tests.unit.test_shredding import Desk

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def answer(desk: Desk, agent: Any, record: Record) -> list[Record]:
    active = ActiveAgent.of(DEFINITION, agent, "c9")
    claims = Claims(InMemoryStore(), ManualClock())
    return await Handling(lambda: active, ManualClock(), claims, codec=desk.codec).answer(record)


def sealed(desk: Desk) -> Record:
    return replace(desk.codec.written(replace(arrival().to_record(MESSAGES))), topic="agents.greeter.inbox", offset=1)


def letter(desk: Desk, record: Record, topic: str = MESSAGES) -> Record:
    made = dead_letter(
        replace(record, topic=topic), reason=ErrorReason.INVALID_JSON, stage="router", detail="d", attempts=1,
        first_at=NOW, now=NOW, catalog=None,
    )  # fmt: skip
    return replace(desk.codec.written(made), partition=0, offset=3)


async def test_an_agent_reads_and_answers_encrypted(desk: Desk) -> None:
    agent = Agent([GREETING])
    (reply,) = await answer(desk, agent, sealed(desk))
    assert (reply.topic, is_sealed(reply.value)) == (MESSAGES, True)
    assert decode(desk.reader().readable(reply)).payload == {"text": "hello"}
    assert reply.headers["content-type"] == b"application/json"


async def test_a_dead_letter_of_an_agent_holds_the_encrypted_bytes(desk: Desk) -> None:
    record = sealed(desk)
    (dead,) = await answer(desk, Agent(ValueError("boom")), record)
    assert (dead.topic, dead.value) == (ERRORS, record.value)


async def test_an_agent_leaves_what_is_erased_alone_and_says_nothing_of_it(desk: Desk) -> None:
    record, agent = sealed(desk), Agent([GREETING])
    desk.keys.erase(b"w1")
    desk.now += KEPT_FOR_S
    assert await answer(desk, agent, record) == []
    assert agent.calls == 0


async def test_what_an_agent_says_after_the_erasure_is_not_written(desk: Desk) -> None:
    class Slow(Agent):
        async def handle(self, message: Any) -> Any:
            desk.keys.erase(b"w1")
            desk.now += KEPT_FOR_S
            return await super().handle(message)

    agent = Slow([GREETING, Reply(event_type="guest.ignored", payload={})])
    assert await answer(desk, agent, sealed(desk)) == []
    assert agent.calls == 1


def test_an_encrypted_dead_letter_goes_back_as_it_is_and_an_erased_one_is_refused(desk: Desk) -> None:
    dead = letter(desk, arrival().to_record(MESSAGES))
    (read,) = desk.codec.for_people([dead])
    again = sent_again(DeadLetter(record=read))
    assert (again.topic, again.value) == (MESSAGES, dead.value)
    mended = sent_again(DeadLetter(record=read), value=b'{"name":"Bo"}')
    assert "ce_encryption" not in mended.headers
    assert payload_of(desk.codec.readable(desk.codec.written(mended))) == {"name": "Bo"}
    desk.keys.erase(b"w1")
    desk.now += KEPT_FOR_S
    (erased,) = desk.codec.for_people([dead])
    with pytest.raises(RefusedError, match="erased"):
        sent_again(DeadLetter(record=erased))


def test_a_lead_goes_back_to_its_topic_plain(desk: Desk) -> None:
    lead = Record(topic=LEADS, key=b'{"_id": "l"}', value=b'{"_id":5}', headers={})
    for value, fits in [(b'{"_id":5}', True), (b"hello {", False)]:
        dead = letter(desk, replace(lead, value=value), LEADS)
        assert is_sealed(dead.value)
        (read,) = desk.codec.for_people([dead])
        if fits:
            assert sent_again(DeadLetter(record=read)).value == value
        else:
            with pytest.raises(RefusedError, match="dlq edit"):
                sent_again(DeadLetter(record=read))


def test_a_timeline_says_that_a_message_was_erased(desk: Desk) -> None:
    record = replace(desk.codec.written(arrival().to_record(MESSAGES)), partition=0, offset=1)
    desk.keys.erase(b"w1")
    desk.now += KEPT_FOR_S
    (row,) = timeline("w1", desk.codec.for_people([record])).rows
    assert (row.title, row.content) == ("guest.arrived", ERASED_PAYLOAD)


class Kafka:
    """The leads topic, and what is published."""

    def __init__(self, leads: Iterable[Record]) -> None:
        self.leads = list(leads)
        self.published: list[Record] = []

    def lead_keys(self, lead_ids: Collection[str]) -> dict[str, set[bytes]]:
        return lead_erasure.keys_in(self.leads, lead_ids)

    def publish(self, records: Iterable[Record]) -> None:
        self.published += records


def lead(lead_id: str, key: bytes | None) -> Record:
    return Record(topic=LEADS, key=key, value=json.dumps({"_id": lead_id, "email": "a@b.example"}).encode(), headers={})


async def test_erasing_a_lead_deletes_it_from_its_topic_under_every_key_and_deletes_its_data_keys() -> None:
    store, connector = InMemoryStore(), b'{"_id": "lead-1"}'
    keys = DataKeys(store, KeyRing(new_key("a")), lambda: NOW)
    for workflow in (b"lead-1", connector, b"lead-2"):
        await keys.find_or_make(workflow)
    kafka = Kafka(
        [lead("lead-1", connector), lead("lead-1", b"lead-1"), lead("lead-1", None), lead("lead-2", b"lead-2"),
         Record(topic=LEADS, key=b"x", value=None, headers={})]
    )  # fmt: skip
    found = lead_erasure.Found(lead_ids=["lead-1"], people=frozenset())
    record_keys = lead_erasure.tell_kafka(kafka, found.lead_ids, "ann", NOW)
    lines = await lead_erasure.erase(store, found, NOW, record_keys)
    assert [(one.topic, one.key) for one in kafka.published if one.value is None] == [
        (LEADS, b"lead-1"),
        (LEADS, connector),
    ]
    assert [one.topic for one in kafka.published if one.value] == [MESSAGES, AUDIT]
    assert lines == ["lead-1  2 in data_keys"]
    known = await keys.find([b"lead-1", connector, b"lead-2"])
    assert [each.is_erased for each in known.values()] == [True, True, False]


async def test_a_codec_on_a_store_hears_of_an_erasure(desk: Desk) -> None:
    store = InMemoryStore()
    keys = DataKeys(store, KeyRing(new_key("a")), lambda: NOW)
    made = await keys.find_or_make(b"w1")
    desk.keys.known[b"w1"] = made
    written = ValueCodec(None, Sealing(desk.keys, lambda: desk.now)).written(arrival().to_record(MESSAGES))
    await erase_keys(store, [b"w1"], NOW)
    desk.keys.known |= await keys.find([b"w1"])
    assert payload_of(desk.codec.for_people([written])[0]) == ERASED_PAYLOAD


def test_plain_messages_are_still_read(desk: Desk) -> None:
    assert decode(desk.codec.readable(as_read(arrival()))).payload == {"name": "Ann"}
