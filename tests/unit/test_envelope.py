"""The message keeps lineage and unknown headers; no bytes make the codec raise anything but its own error."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.envelope import (
    MAX_PAYLOAD_BYTES,
    Envelope,
    Record,
    TaskRef,
    decode,
    decode_payload,
    derived_id,
    from_rfc3339,
)
from pointsman.errors import ErrorReason, InvalidEnvelopeError

NOW = datetime(2030, 1, 2, 3, 4, 5, 678000, UTC)


def message(**changes: object) -> Envelope:
    values: dict[str, object] = {
        "id": "m-1", "source": "/agents/a", "event_type": "lead.scored", "workflow_id": "w-1", "payload": {"x": 1},
        "time": NOW, **changes,
    }  # fmt: skip
    return Envelope(**values)  # type: ignore[arg-type]


def record(value: bytes | None = b"{}", **headers: bytes | None) -> Record:
    complete = {
        "ce_specversion": b"1.0", "ce_id": b"i", "ce_source": b"/s", "ce_type": b"a.b", "ce_workflowid": b"w",
        **headers,
    }  # fmt: skip
    kept = {name: text for name, text in complete.items() if text is not None}
    return Record(topic="agent_messages", key=b"w", value=value, headers=kept, timestamp_ms=1_000)


# Printable from the start: to filter most of all texts out is what hypothesis gives up at, with some seeds.
printable = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
names = st.text(printable, min_size=1, max_size=20).filter(lambda text: text.strip() == text and text.isprintable())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@given(
    id=names,
    workflow_id=names,
    payload=st.dictionaries(names, json_values, max_size=5),
    hop=st.integers(0, 1000),
    priority=st.integers(0, 9),
    release=st.sampled_from([None, "cheaper-20300102030405/candidate"]),
    target_version=st.sampled_from([None, "1.1.0"]),
    task=st.none() | st.builds(TaskRef, plan_id=names, task_id=names, number=st.integers(1, 9)),
    extra=st.dictionaries(st.sampled_from(["traceparent", "x_tenant", "ce_future"]), st.binary(max_size=30)),
    deadline=st.none()
    | st.datetimes(min_value=datetime(1990, 1, 1)).map(lambda time: time.replace(microsecond=0, tzinfo=UTC)),  # noqa: DTZ001
)
def test_a_message_survives_the_wire(**values: object) -> None:
    sent = message(**values)
    assert decode(sent.to_record("agent_messages")) == sent


@given(
    value=st.none() | st.binary(max_size=200),
    headers=st.dictionaries(st.sampled_from(sorted(message().headers())), st.binary(max_size=40)),
)
def test_any_bytes_are_a_message_or_a_typed_error(value: bytes | None, headers: dict[str, bytes]) -> None:
    with suppress(InvalidEnvelopeError):
        decode(Record(topic="t", key=None, value=value, headers=headers))


@pytest.mark.parametrize(
    ("given_record", "reason"),
    [
        (record(None), ErrorReason.TOMBSTONE),
        (record(b"\xff\xfe"), ErrorReason.INVALID_JSON),
        (record(b"[1]"), ErrorReason.INVALID_JSON),
        (record(b'{"a": NaN}'), ErrorReason.INVALID_JSON),
        (record(b'{"a": 1, "a": 2}'), ErrorReason.INVALID_JSON),
        (record(b'{"a": "\\ud800"}'), ErrorReason.INVALID_JSON),
        (record(b'{"a":' * 100_000), ErrorReason.INVALID_JSON),
        (record(b" " * (MAX_PAYLOAD_BYTES + 1)), ErrorReason.TOO_LARGE),
        (record(ce_specversion=None), ErrorReason.NOT_A_MESSAGE),
        (record(ce_specversion=b"0.3"), ErrorReason.NOT_A_MESSAGE),
        (record(ce_id=None), ErrorReason.NOT_A_MESSAGE),
        (record(ce_id=b""), ErrorReason.NOT_A_MESSAGE),
        (record(ce_workflowid=None), ErrorReason.NOT_A_MESSAGE),
        (record(ce_type=b"\xff"), ErrorReason.NOT_A_MESSAGE),
        (record(ce_hop=b"-1"), ErrorReason.NOT_A_MESSAGE),
        (record(ce_hop="²".encode()), ErrorReason.NOT_A_MESSAGE),
        (record(ce_priority=b"10"), ErrorReason.NOT_A_MESSAGE),
        (record(ce_time=b"yesterday"), ErrorReason.NOT_A_MESSAGE),
        (record(ce_time=b"2030-01-01T00:00:00"), ErrorReason.NOT_A_MESSAGE),
    ],
)
def test_a_bad_record_gets_the_reason_that_fits(given_record: Record, reason: ErrorReason) -> None:
    with pytest.raises(InvalidEnvelopeError) as caught:
        decode(given_record)
    assert caught.value.reason is reason


def test_an_error_never_repeats_what_the_record_held() -> None:
    with pytest.raises(InvalidEnvelopeError) as caught:
        decode(record(b'{"email": "secret@x.example"', ce_hop=b"7"))
    assert "secret" not in str(caught.value)


def test_redelivery_gives_the_same_reply_id() -> None:
    first, again = (
        message().reply(agent="a", agent_version="1.0.0", index=0, event_type="x.y", payload={}, time=time)
        for time in (NOW, datetime.now(UTC))
    )
    assert first.id == again.id


def test_replies_of_one_message_have_different_ids() -> None:
    ids = {
        message().reply(agent=agent, agent_version="1.0.0", index=index, event_type="x.y", payload={}, time=NOW).id
        for agent in ("a", "b")
        for index in range(3)
    }
    assert len(ids) == 6


def test_a_reply_keeps_lineage_and_unknown_headers_but_no_override() -> None:
    cause = message(extra={"traceparent": b"00-1"}, hop=3, priority=8, target_agent="b")
    reply = cause.reply(agent="b", agent_version="2.0.0", index=0, event_type="x.y", payload={"y": 2}, time=NOW)
    assert (reply.causation_id, reply.workflow_id, reply.hop, reply.priority) == ("m-1", "w-1", 3, 8)
    assert reply.extra == {"traceparent": b"00-1"}
    assert reply.target_agent is None


def test_derived_ids_do_not_depend_on_where_parts_are_cut() -> None:
    assert derived_id("ab", "c") != derived_id("a", "bc")


def test_missing_time_is_the_time_of_the_record() -> None:
    assert decode(record(ce_time=None)).time == datetime.fromtimestamp(1, UTC)


def test_times_keep_their_instant() -> None:
    assert from_rfc3339("2030-01-01T02:00:00+02:00") == datetime(2030, 1, 1, tzinfo=UTC)


def test_the_largest_payload_is_read() -> None:
    body = json.dumps({"a": "x" * (MAX_PAYLOAD_BYTES - 20)}).encode()
    assert decode_payload(body)
