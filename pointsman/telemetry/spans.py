"""The spans that a process writes. Codes, counts and ids only: no payload, no address, no text of an exception."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NoOpTracer, Span, SpanKind, Status, StatusCode, Tracer

from pointsman.envelope import Record
from pointsman.plaintext import without_addresses
from pointsman.telemetry import names
from pointsman.telemetry.context import headers_of, read_context, traceparent_of

Attributes = dict[str, str | int | float | bool | list[str]]
_LONGEST_ID: Final = 200
_KAFKA: Final = "kafka"


class Spans:
    """Starts spans.

    Args:
        tracer: of the process's provider; None writes none, and costs next to nothing.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        self.is_on = tracer is not None
        self._tracer = tracer or NoOpTracer()

    @contextmanager
    def current(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        context: Context | None = None,
        links: list[Link] | None = None,
    ) -> Iterator[Span]:
        """A span around the block, the parent of what begins inside; an exception marks it with its type only."""
        with self._tracer.start_as_current_span(
            name,
            context,
            kind,
            attributes,
            links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                failed(span, type(error).__name__)
                raise

    @contextmanager
    def insert(self, collection: str) -> Iterator[dict[str, str]]:
        """Around the insertion of a document that begins a workflow; gives the field with which the trace goes on."""
        attributes: Attributes = {
            names.DB_SYSTEM: "mongodb", names.DB_COLLECTION: collection, names.DB_OPERATION: "insert",
        }  # fmt: skip
        with self.current(f"insert {collection}", SpanKind.CLIENT, attributes) as span:
            traceparent = traceparent_of(span)
            yield {names.TRACEPARENT: traceparent} if traceparent else {}

    def process(self, record: Record, group: str) -> Span:
        """A consumer's span on `record`, not yet current: child of the context in which it was written, and linked."""
        context = read_context(record.headers)
        return self._tracer.start_span(
            f"process {record.topic}", context, SpanKind.CONSUMER, process_attributes(record, group), _link(context)
        )

    def start(self, name: str, parent: Span, attributes: Attributes) -> Span:
        """An internal span below `parent`, not yet current."""
        return self._tracer.start_span(name, trace.set_span_in_context(parent), SpanKind.INTERNAL, attributes)

    def send(self, record: Record, parent: Span) -> tuple[Record, Span]:
        """A producer's span below `parent`, and `record` with that span as its creation context."""
        span = self._tracer.start_span(
            f"send {record.topic}", trace.set_span_in_context(parent), SpanKind.PRODUCER, send_attributes(record)
        )
        return in_context_of(span, record), span


def in_context_of(span: Span, record: Record) -> Record:
    """`record` with `span` as its creation context; unchanged where there is no such span."""
    context = headers_of(span)
    return replace(record, headers={**record.headers, **context}) if context else record


def failed(span: Span, error_type: str) -> None:
    """Mark `span` as failed; `error_type` is a code or the name of a class, never an exception's text."""
    span.set_attribute(names.ERROR_TYPE, error_type)
    span.set_status(Status(StatusCode.ERROR))


def process_attributes(record: Record, group: str) -> Attributes:
    """What a consumer's span says of `record`."""
    attributes = {
        **_kafka("process", record),
        names.MESSAGING_GROUP: group,
        names.MESSAGING_PARTITION: str(record.partition),
        names.MESSAGING_OFFSET: record.offset,
    }
    return attributes | {names.MESSAGING_TOMBSTONE: True} if record.value is None else attributes


def send_attributes(record: Record) -> Attributes:
    """What a producer's span says of `record`."""
    return _kafka("send", record)


def safe_id(octets: bytes | None) -> str:
    """An id from outside as it may stand on a span or in a log: cut, and without addresses."""
    return without_addresses((octets or b"").decode(errors="replace")[:_LONGEST_ID])


def _kafka(operation: str, record: Record) -> Attributes:
    attributes: Attributes = {
        names.MESSAGING_SYSTEM: _KAFKA,
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_DESTINATION: record.topic,
    }
    ids = {
        names.MESSAGING_KEY: record.key,
        names.MESSAGING_MESSAGE_ID: record.headers.get("ce_id"),
        names.MESSAGING_CONVERSATION: record.headers.get("ce_workflowid"),
    }
    return attributes | {name: safe_id(octets) for name, octets in ids.items() if octets is not None}


def _link(context: Context) -> list[Link]:
    creation = trace.get_current_span(context).get_span_context()
    return [Link(creation)] if creation.is_valid else []


def bound_ids(headers: Mapping[str, bytes], trace_id: str | None) -> dict[str, str]:
    """The fields that log lines about a message carry."""
    found = {names.LOG_WORKFLOW: headers.get("ce_workflowid"), names.LOG_MESSAGE: headers.get("ce_id")}
    ids = {name: safe_id(octets) for name, octets in found.items() if octets}
    return ids | {names.LOG_TRACE: trace_id} if trace_id else ids
