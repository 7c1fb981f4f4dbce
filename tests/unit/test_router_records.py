"""Rows of Flink and bytes of state against our records: nothing gets lost on the way."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyflink.common import Row

from flink_jobs.operators.records import Arrived, from_state, place_of, read_message, read_record, to_state, write_row
from pointsman.envelope import Record

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
records = st.builds(
    Record,
    topic=st.just("agent_messages"),
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=200),
    headers=st.dictionaries(names, st.binary(max_size=20), max_size=5),
    partition=st.integers(0, 99_999),
    offset=st.integers(0, 2**63 - 1),
    timestamp_ms=st.integers(0, 2**42),
)


def sql_hex(octets: bytes | None) -> str | None:
    """What `HEX(DECODE(x, 'ISO-8859-1'))` makes."""
    return None if octets is None else octets.decode("latin-1").encode().hex().upper()


def sql_row(record: Record, *more: Any, headers: dict[str, bytes | None] | None = None) -> Row:
    named = record.headers if headers is None else headers
    texts = {name: None if value is None else base64.b64encode(value).decode() for name, value in named.items()}
    as_json = json.dumps(texts, ensure_ascii=False).encode().hex().upper()
    place = (record.partition, record.offset, record.timestamp_ms)
    return Row(sql_hex(record.key), sql_hex(record.value), as_json, *place, *more)  # type: ignore[no-untyped-call]


@given(records)
def test_a_row_of_sql_is_the_record_that_kafka_held(record: Record) -> None:
    assert read_record(sql_row(record), "agent_messages") == record


def test_a_header_without_a_value_is_left_out() -> None:
    record = Record(topic="t", key=None, value=None, headers={})

    assert read_record(sql_row(record, headers={"none": None, "some": b"1"}), "t").headers == {"some": b"1"}


def test_a_message_row_ends_with_what_its_workflow_has_come_to() -> None:
    record = Record(topic="t", key=b"k", value=b"v", headers={}, partition=0, offset=0)

    arrived = read_message(sql_row(record, 9, 2, 1, 3, 4, 500, 60, "lead.received", 7, 5), "t")

    assert arrived == Arrived(record, 9, 2, True, 3, 4, 500, 60, "lead.received", 7, 5)
    counters = arrived.counters
    assert (counters.step, counters.visits, counters.is_cancelled, counters.fan_out) == (9, 2, True, 3)
    assert (counters.used.calls, counters.used.tokens, counters.used.cost_microusd) == (4, 500, 60)
    assert (counters.workflow_type, counters.began_ms) == ("lead.received", 7)
    assert counters.chain == 5


counts = st.integers(0, 2**40)


@given(
    st.builds(
        Arrived,
        record=records, step=counts, visits=counts, is_cancelled=st.booleans(), fan_out=counts, model_calls=counts,
        model_tokens=counts, model_microusd=counts, workflow_type=st.text(max_size=20), began_ms=counts,
        chain=counts,
    )
)  # fmt: skip
def test_state_gives_back_what_was_put_in(arrived: Arrived) -> None:
    assert from_state(to_state(arrived)) == arrived


def test_state_of_an_earlier_version_lacks_counts_that_are_zero_then() -> None:
    record = Record(topic="t", key=b"k", value=b"v", headers={}, partition=0, offset=0)
    line, value = to_state(Arrived(record, 9, 2)).split(b"\n", 1)
    about = {name: told for name, told in json.loads(line).items() if name not in {"fan_out", "model_calls"}}

    assert from_state(json.dumps(about).encode() + b"\n" + value) == Arrived(record, 9, 2)


@given(st.lists(st.tuples(st.integers(0, 99_999), st.integers(0, 2**63 - 1)), max_size=20))
def test_places_sort_as_the_topic_does(places: list[tuple[int, int]]) -> None:
    def as_text(place: tuple[int, int]) -> str:
        return place_of(Record(topic="t", key=None, value=None, headers={}, partition=place[0], offset=place[1]))

    assert sorted(map(as_text, places)) == list(map(as_text, sorted(places)))


@given(records)
def test_a_written_row_holds_only_plain_ascii_text_beside_header_values(record: Record) -> None:
    topic, key, value, headers = write_row(record)

    assert topic == record.topic
    assert [text if text is None else bytes.fromhex(text) for text in (key, value)] == [record.key, record.value]
    assert all(name.isascii() and name.isprintable() for name in headers)
    assert sorted(headers.values()) == sorted(record.headers.values())
