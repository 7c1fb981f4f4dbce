"""Records with Avro values, on a registry in memory; an agent's answers and what is published on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import stamina

from pointsman.avro.codec import LATEST_FOR_S, LEFT_ALONE_FOR_S, UNKNOWN_FOR_S, PayloadCodec, process_codec, subject_of
from pointsman.avro.framing import framed
from pointsman.avro.subjects import register
from pointsman.deadletters import dead_letter
from pointsman.definitions import Accepts, AgentDefinition, Emits, Limits
from pointsman.envelope import AVRO, JSON, MAX_PAYLOAD_BYTES, Envelope, Record, decode, payload_of
from pointsman.errors import ErrorReason, InvalidEnvelopeError, RegistryUnavailableError
from pointsman.runtime import Reply
from pointsman.runtime.claims import Claims
from pointsman.runtime.handling import ActiveAgent, Handling
from pointsman.runtime.task_news import task_failed
from pointsman.settings import settings
from pointsman.shredding.values import ValueCodec
from pointsman.testing import InMemoryStore, ManualClock
from pointsman.topics import ERRORS, MESSAGES
from pointsman.usage import Usage
from tests.memory_registry import MemoryRegistry

SUBJECT = subject_of("guest.greeted")
DEFINITION = AgentDefinition(
    name="greeter",
    version="1.0.0",
    description="Greets.",
    accepts=[
        Accepts(
            type="guest.arrived",
            contract={"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        )
    ],
    emits=[
        Emits(
            type="guest.greeted",
            contract={"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
        )
    ],
    limits=Limits(attempts=3, timeout_s=5, retry_for_s=60),
)


class Moments:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def registry() -> MemoryRegistry:
    registry = MemoryRegistry()
    register(registry, [DEFINITION])
    registry.asked = 0
    return registry


@pytest.fixture
def clock() -> Moments:
    return Moments()


@pytest.fixture
def codec(registry: MemoryRegistry, clock: Moments) -> PayloadCodec:
    return PayloadCodec(registry, clock)


def message(event_type: str = "guest.greeted", **payload: Any) -> Record:
    time = datetime(2030, 1, 1, tzinfo=UTC)
    said = Envelope(
        id="m", source="/test", event_type=event_type, workflow_id="w", payload=payload or {"text": "hello"}, time=time
    )
    return said.to_record(MESSAGES)


def test_a_message_is_written_as_avro_and_says_so_and_is_read_back(codec: PayloadCodec) -> None:
    record = codec.written(message(text="hello", more=1))
    assert record.value is not None
    assert record.value.startswith(b"\x00\x00\x00\x00")
    assert record.headers["content-type"] == AVRO
    assert decode(codec.readable(record)).payload == {"text": "hello", "more": 1}
    assert codec.readable(record).value == record.value


def test_json_is_read_as_before_and_costs_no_question(codec: PayloadCodec, registry: MemoryRegistry) -> None:
    record = message()
    assert codec.readable(record) is record
    assert registry.asked == 0


def test_each_schema_is_asked_for_once(codec: PayloadCodec, registry: MemoryRegistry) -> None:
    for _ in range(5):
        codec.readable(codec.written(message()))
    assert registry.asked == 2


@pytest.mark.parametrize(
    "record",
    [
        message("nobody.knows"),
        message(other="the required field is missing"),
        replace(message(), topic=ERRORS),
        replace(message(), value=None),
        replace(message(), value=framed(1, b"x")),
        replace(message(), value=b"no JSON"),
    ],
    ids=["no schema", "unfit", "another topic", "tombstone", "Avro already", "garbage"],
)
def test_what_is_not_to_be_written_as_avro_stays_as_it_is(codec: PayloadCodec, record: Record) -> None:
    assert codec.written(record) == record


def test_a_new_schema_is_used_after_a_minute(codec: PayloadCodec, registry: MemoryRegistry, clock: Moments) -> None:
    before = codec.written(message()).value
    schema = json.loads(registry.by_subject[SUBJECT][-1])
    schema["fields"].append({"name": "more", "type": ["null", "string"], "default": None})
    registry.register(SUBJECT, json.dumps(schema))
    assert codec.written(message()).value == before
    clock.now += LATEST_FOR_S
    assert codec.written(message()).value != before


def test_while_the_registry_is_out_what_is_known_goes_on(
    codec: PayloadCodec, registry: MemoryRegistry, clock: Moments
) -> None:
    record = codec.written(message())
    codec.readable(record)
    registry.is_out = True
    clock.now += LATEST_FOR_S
    asked = registry.asked
    assert codec.written(message()) == record
    assert codec.written(message()) == record
    assert registry.asked == asked + 1, "it is left alone for a while"
    clock.now += LEFT_ALONE_FOR_S
    assert codec.written(message()) == record
    assert decode(codec.readable(record)).payload == {"text": "hello"}


def test_what_is_not_known_is_a_reason_to_try_again(codec: PayloadCodec, registry: MemoryRegistry) -> None:
    registry.is_out = True
    assert codec.written_now(message()) is None
    assert codec.readable_now(replace(message(), value=framed(1, b""))) is None
    with pytest.raises(RegistryUnavailableError):
        codec.written(message())
    with pytest.raises(RegistryUnavailableError):
        codec.readable(replace(message(), value=framed(1, b"")))


def test_a_schema_that_nobody_knows_makes_a_dead_letter_until_the_registry_knows_it(
    codec: PayloadCodec, registry: MemoryRegistry, clock: Moments
) -> None:
    record = replace(message(), value=framed(4, b"\x02a\x00"))
    for _ in range(3):
        with pytest.raises(InvalidEnvelopeError, match="id 4, is unknown") as caught:
            decode(codec.readable(record))
        assert caught.value.reason is ErrorReason.INVALID_AVRO
    assert registry.asked == 1
    registry.register("other", registry.schemas[0])
    registry.register("other", '{"type": "record", "name": "x", "fields": []}')
    registry.register("other", json.dumps({"type": "record", "name": "y", "fields": [{"name": "z", "type": "long"}]}))
    clock.now += UNKNOWN_FOR_S + 1
    assert payload_of(codec.readable(replace(record, value=framed(4, b"\x02")))) == {"z": 1}


@pytest.mark.parametrize("text", ["", "{", '{"type": "array", "items": "string"}'])
def test_a_schema_that_is_of_no_use_makes_a_dead_letter_and_is_not_written_with(text: str) -> None:
    registry = MemoryRegistry()
    registry.register(SUBJECT, text)
    codec = PayloadCodec(registry)
    assert codec.written(message()) == message()
    with pytest.raises(InvalidEnvelopeError, match="id 1"):
        decode(codec.readable(replace(message(), value=framed(1, b""))))


def test_a_value_that_is_too_large_is_not_read(codec: PayloadCodec) -> None:
    record = replace(message(), value=framed(1, bytes(MAX_PAYLOAD_BYTES)))
    with pytest.raises(InvalidEnvelopeError) as caught:
        payload_of(codec.readable(record))
    assert caught.value.reason is ErrorReason.TOO_LARGE


def test_who_only_reads_avro_writes_json(codec: PayloadCodec, registry: MemoryRegistry) -> None:
    reading = PayloadCodec(registry, is_writing=False)
    assert reading.written(message()) == message()
    assert decode(reading.readable(codec.written(message()))).payload == {"text": "hello"}


def test_without_a_registry_avro_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POINTSMAN_SCHEMA_REGISTRY_URL", raising=False)
    settings.cache_clear()
    assert process_codec() is None
    with pytest.raises(InvalidEnvelopeError, match="POINTSMAN_SCHEMA_REGISTRY_URL") as caught:
        decode(replace(message(), value=framed(1, b"")))
    assert caught.value.reason is ErrorReason.INVALID_AVRO


def test_a_dead_letter_keeps_the_bytes_and_its_payload_can_be_shown(codec: PayloadCodec) -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    record = codec.readable(replace(codec.written(message()), partition=1, offset=2))
    letter = dead_letter(
        record,
        reason=ErrorReason.AGENT_FAULT,
        stage="router",
        detail="d",
        attempts=1,
        first_at=now,
        now=now,
        catalog="c",
    )
    assert letter.value == record.value
    assert payload_of(letter) == {"text": "hello"}


class Greeter:
    def __init__(self) -> None:
        self.seen: list[Envelope] = []

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        self.seen.append(message)
        return [Reply(event_type="guest.greeted", payload={"text": "hello"})]


def handling(agent: Greeter, codec: PayloadCodec) -> Handling:
    active = ActiveAgent.of(DEFINITION, agent, "c")
    return Handling(
        lambda: active, ManualClock(), Claims(InMemoryStore(), ManualClock()), codec=ValueCodec(codec, None)
    )


async def test_an_agent_reads_avro_and_answers_in_avro(codec: PayloadCodec) -> None:
    agent = Greeter()
    asked = codec.written(message("guest.arrived", name="Ann"))
    [record] = await handling(agent, codec).answer(asked)
    assert asked.headers["content-type"] == record.headers["content-type"] == AVRO
    assert [seen.payload for seen in agent.seen] == [{"name": "Ann"}]
    assert decode(codec.readable(record)).payload == {"text": "hello"}


async def test_an_agent_reads_json_and_answers_in_avro(codec: PayloadCodec) -> None:
    asked = message("guest.arrived", name="Ann")
    [record] = await handling(Greeter(), codec).answer(asked)
    assert (asked.headers["content-type"], record.headers["content-type"]) == (JSON, AVRO)


class Returning(MemoryRegistry):
    """Answers again after a few questions."""

    def __init__(self, schemas: MemoryRegistry, silent_for: int) -> None:
        super().__init__()
        self.schemas, self.by_subject, self.left = schemas.schemas, schemas.by_subject, silent_for

    def _answer(self) -> None:
        self.left -= 1
        self.is_out = self.left >= 0
        super()._answer()


async def test_an_outage_of_the_registry_is_waited_out_and_the_work_is_done_once(registry: MemoryRegistry) -> None:
    asked = PayloadCodec(registry).written(message("guest.arrived", name="Ann"))
    agent = Greeter()
    with stamina.set_testing(True, attempts=1000):
        [record] = await handling(agent, PayloadCodec(Returning(registry, 3))).answer(asked)
    assert record.headers["content-type"] == AVRO
    fresh = PayloadCodec(Returning(registry, 0))
    fresh.readable(asked)
    fresh._registry.left = 3  # type: ignore[attr-defined]
    with stamina.set_testing(True, attempts=1000):
        [record] = await handling(agent, fresh).answer(asked)
    assert record.headers["content-type"] == AVRO
    assert len(agent.seen) == 2


async def test_what_the_registry_does_not_tell_in_time_is_a_dead_letter_with_its_bytes(
    registry: MemoryRegistry,
) -> None:
    asked = PayloadCodec(registry).written(message("guest.arrived", name="Ann"))
    registry.is_out = True
    limits = DEFINITION.limits.model_copy(update={"retry_for_s": 0.0})
    active = ActiveAgent.of(DEFINITION.model_copy(update={"limits": limits}), Greeter(), "c")
    [letter] = await Handling(
        lambda: active,
        ManualClock(),
        Claims(InMemoryStore(), ManualClock()),
        codec=ValueCodec(PayloadCodec(registry), None),
    ).answer(asked)
    assert (letter.topic, letter.value) == (ERRORS, asked.value)
    assert letter.headers["x_error_reason"] == b"attempts_exhausted"


def test_a_plan_hears_of_a_task_whose_payload_nobody_could_read() -> None:
    headers = {**message().headers, "ce_planid": b"p", "ce_taskid": b"t"}
    unread = replace(message(), value=framed(9, b""), headers=headers)
    [news] = task_failed(unread, "attempts_exhausted", DEFINITION, datetime(2030, 1, 1, tzinfo=UTC), Usage())
    assert decode(news).payload["reason_code"] == "attempts_exhausted"
