"""What an agent's process tells of one message: its spans, its metrics, and the ids that log lines carry."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
from opentelemetry import trace
from opentelemetry.trace import Span

from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.telemetry import names
from pointsman.telemetry.context import creation_of, trace_id_in, trace_id_of
from pointsman.telemetry.spans import Attributes, bound_ids, failed, safe_id
from pointsman.telemetry.telemetry import Telemetry
from pointsman.topics import ERRORS

_NO_ERROR: Final = ""


class AgentWork:
    """Tells of the messages that one agent works on.

    Args:
        telemetry: the process's.
        agent: the agent's name.
    """

    def __init__(self, telemetry: Telemetry, agent: str) -> None:
        self._telemetry = telemetry
        self._agent = agent
        self._in_flight = telemetry.metrics.in_flight.labels(agent)

    def due(self, records: Sequence[Record]) -> tuple[Work, list[Record]]:
        """`records` that nobody's message brought about but the clock: each goes on in the trace that it names."""
        work = Work(self._telemetry, self._agent, trace.INVALID_SPAN)
        return work, [sent for record in records for sent in work.sending([record], creation_of(record.headers))]

    @contextmanager
    def on(self, record: Record, definition: AgentDefinition) -> Iterator[Work]:
        """Around the work on `record`: `process <topic>` and in it `invoke_agent <name>`, and the log lines' ids."""
        spans = self._telemetry.spans
        began = time.monotonic()
        span = spans.process(record, f"agents.{self._agent}")
        work = Work(self._telemetry, self._agent, span)
        trace_id = trace_id_of(span) or trace_id_in(record.headers)
        self._in_flight.inc()
        try:
            with (
                structlog.contextvars.bound_contextvars(**bound_ids(record.headers, trace_id)),
                trace.use_span(span, record_exception=False, set_status_on_exception=False),
                spans.current(f"invoke_agent {definition.name}", trace.SpanKind.INTERNAL, _about(definition, record)),
            ):
                yield work
        except BaseException as error:
            work.error_type = type(error).__name__
            raise
        finally:
            self._in_flight.dec()
            work.end(time.monotonic() - began)


class Work:
    """One message's handling."""

    def __init__(self, telemetry: Telemetry, agent: str, span: Span) -> None:
        self._telemetry = telemetry
        self._agent = agent
        self._span = span
        self._sending: list[Span] = []
        self.error_type = _NO_ERROR

    def sending(self, records: Sequence[Record], parent: Span | None = None) -> list[Record]:
        """`records`, each with the span of its own sending as creation context; they are counted.

        Args:
            records: what is written.
            parent: the span below which they are sent; None: that of the message's handling.
        """
        for record in records:
            self._count(record)
        if not self._telemetry.spans.is_on:
            return list(records)
        sent = [self._telemetry.spans.send(record, parent or self._span) for record in records]
        self._sending += [span for _, span in sent]
        return [record for record, _ in sent]

    def committed(self) -> None:
        """The transaction with these records is committed, so sending them is over. From any thread."""
        for span in self._sending:
            span.end()

    def end(self, seconds: float) -> None:
        """The message is handled, after so many seconds."""
        if self.error_type:
            failed(self._span, self.error_type)
        self._span.end()
        self._telemetry.metrics.processed.labels(self._agent, self.error_type).observe(seconds)

    def _count(self, record: Record) -> None:
        metrics = self._telemetry.metrics
        if record.topic == ERRORS:
            self.error_type = record.headers["x_error_reason"].decode()
            metrics.dead_letters.labels(self._agent, self.error_type).inc()
        else:
            # Checked against the definition before it came here, so that it is one of a few.
            metrics.replies.labels(self._agent, record.headers["ce_type"].decode()).inc()


def _about(definition: AgentDefinition, record: Record) -> Attributes:
    return {
        names.GEN_AI_OPERATION: "invoke_agent",
        names.GEN_AI_AGENT_NAME: definition.name,
        names.GEN_AI_AGENT_VERSION: definition.version,
        names.GEN_AI_CONVERSATION: safe_id(record.headers.get("ce_workflowid")),
    }
