"""Rows of Flink and bytes of state against our records: nothing gets lost on the way."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyflink.common import Row

from flink_jobs.operators.records import Arrived, from_state, place_of, read_message, read_record, to_state, write_row
from pointsman.envelope import Record
from pointsman.routing import Counters

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

    arrived = read_message(sql_row(record, 9, 2, 1), "t")

    assert arrived == Arrived(record, 9, 2, is_cancelled=True)
    assert arrived.counters == Counters(step=9, visits=2, is_cancelled=True)


@given(records, st.integers(1, 10**6), st.integers(1, 10**6), st.booleans())
def test_state_gives_back_what_was_put_in(record: Record, step: int, visits: int, is_cancelled: bool) -> None:
    arrived = Arrived(record, step, visits, is_cancelled)

    assert from_state(to_state(arrived)) == arrived


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
