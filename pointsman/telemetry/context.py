"""W3C trace context in Kafka headers: read from a record, written onto one. Malformed context reads as none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pointsman.telemetry.names import TRACEPARENT, TRACESTATE

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_NOWHERE: Final = Context()
_HEADERS: Final = (TRACEPARENT, TRACESTATE)


def read_context(headers: Mapping[str, bytes]) -> Context:
    """The trace context in which a record was written; an empty one where it has none that can be used."""
    if TRACEPARENT not in headers:
        return _NOWHERE
    carrier = {name: headers[name].decode("ascii", errors="replace") for name in _HEADERS if name in headers}
    return _PROPAGATOR.extract(carrier, _NOWHERE)


def creation_of(headers: Mapping[str, bytes]) -> trace.Span:
    """The span in which a record was written, as its headers name it; an invalid one where they name none."""
    return trace.get_current_span(read_context(headers))


def trace_headers(headers: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of `headers` that name a trace: what a message that is written later goes on with."""
    return {name: headers[name] for name in _HEADERS if name in headers}


def headers_of(span: trace.Span) -> dict[str, bytes]:
    """The headers that make `span` the creation context of a record; empty for a span of nobody."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, _NOWHERE))
    return {name: text.encode() for name, text in carrier.items()}


def traceparent_of(span: trace.Span) -> str | None:
    """`span` as the value of a `traceparent` field, or None when there is nothing to continue."""
    found = headers_of(span).get(TRACEPARENT)
    return found.decode() if found else None


def trace_id_in(headers: Mapping[str, bytes]) -> str | None:
    """The trace id that a record's headers name, as 32 hexadecimal digits, or None."""
    return trace_id_of(creation_of(headers))


def trace_id_of(span: trace.Span) -> str | None:
    """The trace that `span` belongs to, as 32 hexadecimal digits, or None."""
    context = span.get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None
