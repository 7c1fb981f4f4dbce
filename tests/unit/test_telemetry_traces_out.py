"""Spans on their way out: a receiver that hangs or is gone holds nobody up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.settings import Settings
from pointsman.telemetry import Telemetry
from tests.otlp import Receiver
from tests.witness import eventually


@pytest.fixture(autouse=True)
def _small_queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("pointsman.telemetry.telemetry._OUT_WITHIN_S", 0.3)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    before = delivering()
    yield
    # What still tries to deliver would disturb the tests that come after it.
    eventually(lambda: delivering() <= before, what="its end")


def delivering() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if "OtelBatch" in thread.name}


def write(telemetry: Telemetry, count: int) -> None:
    for number in range(count):
        with telemetry.spans.insert(f"c{number}"):
            pass


def test_what_is_queued_is_delivered_when_the_process_ends() -> None:
    with Receiver().running() as receiver:
        telemetry = Telemetry.of(Settings(otel_endpoint=receiver.endpoint), "cli")
        write(telemetry, 3)
        telemetry.close()
        assert {span.name for span in receiver.spans} == {"insert c0", "insert c1", "insert c2"}
        assert {span.service for span in receiver.spans} == {"cli"}


def test_a_receiver_that_hangs_neither_blocks_work_nor_the_end() -> None:
    with Receiver().running() as receiver:
        receiver.answers.clear()
        telemetry = Telemetry.of(Settings(otel_endpoint=receiver.endpoint), "x")
        write(telemetry, 5_000)  # many times the queue: the test's time-out is the bound
        telemetry.flush()
        telemetry.close()
        assert receiver.spans == []
        assert receiver.requests >= 1


def test_a_receiver_that_is_gone_costs_nothing_but_spans() -> None:
    telemetry = Telemetry.of(Settings(otel_endpoint="http://127.0.0.1:1"), "x")
    write(telemetry, 500)
    telemetry.close()


def test_without_an_endpoint_no_span_is_written() -> None:
    assert not Telemetry.of(Settings(), "x").spans.is_on
    assert Settings(otel_endpoint="http://h:4318/").traces_url == "http://h:4318/v1/traces"
    assert Settings(otel_endpoint="http://h", otel_traces_endpoint="http://t/p").traces_url == "http://t/p"
    assert Settings(otel_endpoint="http://h", otel_sdk_disabled=True).traces_url is None
    assert Settings(otel_endpoint="http://h", otel_traces_exporter="none").traces_url is None


@pytest.mark.parametrize(("value", "captures"), [("NO_CONTENT", False), ("EVENT_ONLY", False), ("SPAN_ONLY", True)])
def test_content_is_captured_only_when_asked_for(value: str, captures: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings().captures_content
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", value)
    assert Settings().captures_content is captures
