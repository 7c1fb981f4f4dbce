"""Trace context in Kafka headers: what is malformed counts as none and never fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.envelope import Record
from pointsman.telemetry.context import read_context, trace_id_in
from pointsman.telemetry.spans import Spans, in_context_of, process_attributes, safe_id
from tests.recorded import Recorded

TRACE = "0af7651916cd43dd8448eb211c80319c"
VALID = f"00-{TRACE}-b7ad6b7169203331-01".encode()


def test_a_valid_context_is_read() -> None:
    assert trace_id_in({"traceparent": VALID}) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        b"", b"garbage", b"\xff\xfe", VALID[:-1], b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01".encode(), b"ff" + VALID[2:], VALID + b"-more",
    ],
)  # fmt: skip
def test_a_malformed_context_is_none(value: bytes) -> None:
    assert trace_id_in({"traceparent": value}) is None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_fail_the_reader(parent: bytes, state: bytes) -> None:
    assert read_context({"traceparent": parent, "tracestate": state}) is not None


def test_a_record_carries_the_span_that_made_it() -> None:
    recorded = Recorded()
    record = Record(topic="t", key=b"k", value=b"{}", headers={"traceparent": VALID, "x": b"1"})
    span = recorded.telemetry.spans.process(record, "g")

    sent = in_context_of(span, record)

    assert trace_id_in(sent.headers) == TRACE
    assert sent.headers["x"] == b"1"
    assert sent.headers["traceparent"] != VALID


def test_without_tracing_a_record_keeps_the_context_it_has() -> None:
    record = Record(topic="t", key=b"k", value=b"{}", headers={"traceparent": VALID})
    sent, _ = Spans().send(record, Spans().process(record, "g"))
    assert sent.headers["traceparent"] == VALID


def test_ids_of_strangers_are_cut_and_hold_no_address() -> None:
    assert "@" not in safe_id(b"sdr.leads/ann.lee@customer.example")
    assert len(safe_id(b"x" * 10_000)) == 200
    record = Record(topic="t", key=b"ann.lee@customer.example", value=None, headers={"ce_id": b"\xff"})
    attributes = process_attributes(record, "g")
    assert "ann.lee" not in str(attributes)
    assert attributes["messaging.kafka.message.tombstone"] is True
