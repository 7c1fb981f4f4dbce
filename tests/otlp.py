"""A real receiver of OTLP over HTTP: decodes what arrives with OpenTelemetry's own protocol buffers and keeps it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


@dataclass(frozen=True)
class SeenSpan:
    """One span as it arrived."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    failed: bool
    attributes: dict[str, Any]
    text: str

    @staticmethod
    def of(span: Span, service: str) -> SeenSpan:
        return SeenSpan(
            service=service,
            name=span.name,
            kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            links=tuple(link.span_id.hex() for link in span.links),
            failed=span.status.code == Status.STATUS_CODE_ERROR,
            attributes={each.key: _value(each.value) for each in span.attributes},
            text=str(span),
        )


class Receiver:
    """Listens on a port that the system chose.

    Attributes:
        answers: cleared, requests hang until it is set.
    """

    def __init__(self) -> None:
        self._spans: list[SeenSpan] = []
        self._lock = threading.Lock()
        self.requests = 0
        self.answers = threading.Event()
        self.answers.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Receiver]:
        self._thread.start()
        try:
            yield self
        finally:
            self.answers.set()
            self._server.shutdown()
            self._server.server_close()

    @property
    def spans(self) -> list[SeenSpan]:
        with self._lock:
            return list(self._spans)

    def trace(self, trace: str) -> list[SeenSpan]:
        return [span for span in self.spans if span.trace == trace]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests += 1
                receiver.answers.wait()
                receiver._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                return

        return Handler

    def _take(self, request: ExportTraceServiceRequest) -> None:
        for group in request.resource_spans:
            about = {each.key: _value(each.value) for each in group.resource.attributes}
            found = [SeenSpan.of(span, about["service.name"]) for scope in group.scope_spans for span in scope.spans]
            with self._lock:
                self._spans += found


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
