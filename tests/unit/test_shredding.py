"""Values encrypted with a key per workflow: what opens, what does not, and what is left when a key is deleted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.avro.codec import PayloadCodec, subject_of
from pointsman.avro.framing import framed, schema_id
from pointsman.avro.schema import schema_of
from pointsman.envelope import AVRO, WORKFLOW_CANCELLED, Record, payload_of
from pointsman.errors import ConfigurationError, ErasedError, ErrorReason, InvalidEnvelopeError, StoreUnavailableError
from pointsman.settings import Settings
from pointsman.shredding import cache
from pointsman.shredding.cache import KEPT_FOR_S, Sealing
from pointsman.shredding.keys import Found
from pointsman.shredding.process import check_store_is_named, must_encrypt
from pointsman.shredding.sealing import Key, is_sealed, opened, random_key, sealed
from pointsman.shredding.values import CLOSED_PAYLOAD, ERASED_PAYLOAD, ValueCodec, closed, is_erased
from pointsman.shredding.wrapping import KeyRing, new_key
from pointsman.topics import AUDIT, ERRORS, LEADS, MESSAGES, inbox
from tests.memory_registry import MemoryRegistry

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY, OTHER = Key(random_key()), Key(random_key())


def record(
    value: bytes | None = b'{"a":1}', workflow: bytes = b"w", event_type: bytes = b"lead.scored", topic: str = MESSAGES
) -> Record:
    headers = {
        "ce_specversion": b"1.0", "ce_id": b"m", "ce_source": b"/agents/a", "ce_type": event_type,
        "ce_workflowid": workflow, "content-type": b"application/json",
    }  # fmt: skip
    return Record(topic=topic, key=workflow, value=value, headers=headers)


class MemoryKeys:
    """Keys of a process, without a store."""

    def __init__(self) -> None:
        self.known: dict[bytes, Found] = {}
        self.asked: list[list[bytes]] = []
        self.is_out = False

    def find(self, workflows: Iterable[bytes]) -> dict[bytes, Found]:
        wanted = list(workflows)
        self._answer(wanted)
        return {workflow: self.known.get(workflow, Found()) for workflow in wanted}

    def find_or_make(self, workflow: bytes) -> Found:
        self._answer([workflow])
        return self.known.setdefault(workflow, Found(key=Key(random_key())))

    def erase(self, workflow: bytes) -> None:
        self.known[workflow] = Found(is_erased=True)

    def _answer(self, workflows: list[bytes]) -> None:
        self.asked.append(workflows)
        if self.is_out:
            raise StoreUnavailableError("the store does not answer")


class Desk:
    def __init__(self, avro: PayloadCodec | None = None) -> None:
        self.keys, self.now = MemoryKeys(), 0.0
        self.sealing = Sealing(self.keys, lambda: self.now)
        self.codec = ValueCodec(avro, self.sealing)

    def reader(self) -> ValueCodec:
        """Another process with the same store."""
        return ValueCodec(None, Sealing(self.keys, lambda: self.now, is_writing=False))


@pytest.fixture
def desk() -> Desk:
    return Desk()


@given(st.binary(min_size=1).filter(lambda value: not is_sealed(value)), st.binary(min_size=1), st.binary())
def test_what_was_sealed_comes_back_and_is_the_same_bytes_each_time(value: bytes, workflow: bytes, kind: bytes) -> None:
    once = sealed(record(value, workflow, kind), KEY)
    assert is_sealed(once.value)
    assert opened(once, KEY) == value
    assert sealed(record(value, workflow, kind), KEY) == once
    assert sealed(once, KEY) is once


@given(st.binary(min_size=1).filter(lambda value: not is_sealed(value)), st.data())
def test_changed_bytes_another_key_workflow_or_type_open_nothing(value: bytes, data: st.DataObject) -> None:
    once = sealed(record(value), KEY)
    octets = bytearray(once.value or b"")
    octets[data.draw(st.integers(1, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    moved = [
        (replace(once, value=bytes(octets)), KEY),
        (once, OTHER),
        (replace(once, headers={**once.headers, "ce_workflowid": b"other"}), KEY),
        (replace(once, headers={**once.headers, "ce_type": b"other"}), KEY),
        (replace(once, value=(once.value or b"")[:5]), KEY),
    ]
    for one, key in moved:
        with pytest.raises(InvalidEnvelopeError) as caught:
            opened(one, key)
        assert caught.value.reason is ErrorReason.INVALID_ENCRYPTION


def test_a_data_key_is_unwrapped_by_every_key_of_the_settings_and_wrapped_by_the_first() -> None:
    first, second, octets = new_key("a"), new_key("b"), random_key()
    by_first = KeyRing(first).wrap(octets, "w")
    rotated = KeyRing(f"{second},\n{first}")
    assert rotated.unwrap(by_first, "w") == octets
    by_second = rotated.wrap(octets, "w")
    assert (by_first.by, by_second.by) == ("a", "b")
    for ring, wrapped, name in [(KeyRing(second), by_first, "w"), (rotated, by_first, "other")]:
        with pytest.raises(ConfigurationError, match="POINTSMAN_ENCRYPTION_KEYS"):
            ring.unwrap(wrapped, name)


@pytest.mark.parametrize(
    "text", ["", "hunter2", "a:hunter2", ":aHVudGVyMg==", "a:aHVudGVyMg==", f"a:{'aHVu' * 21}aA==,a:{'aHVu' * 21}aA=="]
)
def test_a_malformed_setting_is_refused_and_never_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        KeyRing(text)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


def test_a_job_must_be_told_where_its_keys_are() -> None:
    told = Settings(encryption_keys=new_key("a"))
    assert must_encrypt(told)
    assert not must_encrypt(Settings())
    assert not must_encrypt(Settings(encryption_keys=new_key("a"), encryption_writes=False))
    with pytest.raises(ConfigurationError, match="MONGODB_URI"):
        check_store_is_named(told)
    with pytest.raises(ConfigurationError, match="POINTSMAN_ENCRYPTION_KEYS"):
        check_store_is_named(Settings(mongodb_uri="mongodb://m"))
    check_store_is_named(Settings(encryption_keys=new_key("a"), mongodb_uri="mongodb://m"))


def test_a_message_is_sealed_once_and_read_by_another_process(desk: Desk) -> None:
    written = desk.codec.written(record())
    assert is_sealed(written.value)
    assert written.headers["content-type"] == b"application/json"
    assert written.headers["ce_encryption"] == b"aes-256-siv"
    assert payload_of(desk.reader().readable(written)) == {"a": 1}
    assert desk.codec.written(written) is written
    assert desk.codec.written(record()).value == written.value
    assert len(desk.keys.asked) == 2, "one for each process"


def test_copies_on_other_topics_open_with_the_same_key(desk: Desk) -> None:
    written = desk.codec.written(record())
    for topic in (inbox("a"), ERRORS):
        assert payload_of(desk.codec.readable(replace(written, topic=topic))) == {"a": 1}


@pytest.mark.parametrize("plain", [record(None), record(b""), record(topic=LEADS), record(topic=AUDIT)])
def test_what_is_no_message_stays_as_it_is(desk: Desk, plain: Record) -> None:
    assert desk.codec.written(plain) is plain
    assert desk.keys.asked == []


def test_reading_what_is_plain_makes_no_key(desk: Desk) -> None:
    plain = record()
    assert desk.codec.for_people([plain]) == [plain]
    assert desk.codec.readable(plain) is plain
    assert desk.keys.asked == []


def test_avro_lies_inside_the_encryption() -> None:
    registry = MemoryRegistry()
    contract = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}
    registry.register(subject_of("lead.scored"), json.dumps(schema_of("lead.scored", [contract])))
    desk = Desk(PayloadCodec(registry))
    written = desk.codec.written(record())
    assert is_sealed(written.value)
    assert written.headers["content-type"] == AVRO
    reader = ValueCodec(PayloadCodec(registry), Sealing(desk.keys))
    assert payload_of(reader.readable(written)) == {"a": 1}
    inside = desk.sealing.opened(written)
    assert isinstance(inside, bytes)
    assert schema_id(inside) == 1
    with pytest.raises(InvalidEnvelopeError, match="SCHEMA_REGISTRY"):
        payload_of(desk.reader().readable(written))


def test_what_was_sealed_and_is_no_payload_says_what_is_wrong_with_it(desk: Desk) -> None:
    for value, reason in [(b"no json", ErrorReason.INVALID_JSON), (framed(3, b"x"), ErrorReason.INVALID_AVRO)]:
        with pytest.raises(InvalidEnvelopeError) as caught:
            payload_of(desk.codec.readable(desk.codec.written(record(value))))
        assert caught.value.reason is reason


def test_an_erased_key_is_no_longer_used_after_a_bounded_time(desk: Desk) -> None:
    written = desk.codec.written(record())
    desk.keys.erase(b"w")
    desk.now += KEPT_FOR_S
    late = desk.codec.readable(written)
    assert is_erased(late)
    with pytest.raises(InvalidEnvelopeError) as caught:
        payload_of(late)
    assert caught.value.reason is ErrorReason.ERASED
    with pytest.raises(ErasedError):
        desk.codec.written(record())
    assert desk.codec.all_written([record(), record(workflow=b"other")])[0].key == b"other"
    (shown,) = desk.codec.for_people([written])
    assert payload_of(shown) == ERASED_PAYLOAD
    assert is_erased(shown)


def test_a_persons_cancellation_can_be_written_and_read_when_the_key_is_gone(desk: Desk) -> None:
    desk.keys.erase(b"w")
    said = record(event_type=WORKFLOW_CANCELLED.encode())
    by_person = replace(said, headers={**said.headers, "ce_source": b"/operators/ann"})
    assert desk.codec.written(by_person) is by_person
    with pytest.raises(ErasedError):
        desk.codec.written(said)


def test_a_value_without_a_key_is_unreadable_and_does_not_keep_others_from_making_one(desk: Desk) -> None:
    foreign = sealed(record(), OTHER)
    with pytest.raises(InvalidEnvelopeError) as caught:
        payload_of(desk.codec.readable(foreign))
    assert caught.value.reason is ErrorReason.INVALID_ENCRYPTION
    assert payload_of(desk.codec.readable(desk.codec.written(record()))) == {"a": 1}


def test_many_records_are_opened_with_one_question_to_the_store(desk: Desk) -> None:
    written = [desk.codec.written(record(workflow=str(number).encode())) for number in range(20)]
    desk.keys.asked.clear()
    assert [payload_of(one) for one in desk.reader().for_people(written)] == [{"a": 1}] * 20
    assert [len(wanted) for wanted in desk.keys.asked] == [20]


def test_without_keys_people_see_that_it_is_encrypted_and_a_program_is_told_what_to_set(desk: Desk) -> None:
    written = desk.codec.written(record())
    assert [one.decoded for one in closed([written, record()])] == [CLOSED_PAYLOAD, None]
    with pytest.raises(InvalidEnvelopeError, match="POINTSMAN_ENCRYPTION_KEYS"):
        payload_of(written)


def test_the_cache_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_KEPT", 10)
    for number in range(30):
        desk.codec.written(record(workflow=str(number).encode()))
    assert len(desk.sealing._kept) == 10
    desk.now += KEPT_FOR_S
    desk.codec.written(record())
    assert list(desk.sealing._kept) == [b"w"]


def test_a_store_that_is_away_is_an_error_that_passes(desk: Desk) -> None:
    written = desk.codec.written(record())
    desk.keys.is_out = True
    assert payload_of(desk.codec.readable(written)) == {"a": 1}
    desk.now += KEPT_FOR_S
    with pytest.raises(StoreUnavailableError):
        desk.codec.readable(written)
    desk.keys.is_out = False
    assert payload_of(desk.codec.readable(written)) == {"a": 1}
