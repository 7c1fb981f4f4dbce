"""Telemetry whose spans a test can look at as soon as they end."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pointsman.telemetry import Telemetry
from pointsman.telemetry.spans import Spans


class Recorded:
    """Spans and metrics in memory."""

    def __init__(self, *, captures_content: bool = False) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        spans = Spans(provider.get_tracer("test"))
        self.telemetry = Telemetry(spans=spans, captures_content=captures_content)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        """The spans that have ended, by name; the last of each."""
        return {span.name: span for span in self._exporter.get_finished_spans()}

    @property
    def text(self) -> str:
        """All of them, as they would be exported."""
        return "\n".join(span.to_json() for span in self._exporter.get_finished_spans())

    def sample(self, name: str, **labels: str) -> float:
        """A metric's value, 0 when it has none."""
        return self.telemetry.metrics.registry.get_sample_value(name, labels) or 0.0


def is_below(child: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether `parent` is the parent of `child`."""
    return child.parent is not None and parent.context is not None and child.parent.span_id == parent.context.span_id
