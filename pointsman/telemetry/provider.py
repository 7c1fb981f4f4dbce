"""OpenTelemetry, set up from the standard `OTEL_*` variables; nothing is set up where no endpoint is named.

Spans go into a bounded queue that a thread of its own empties: while the endpoint is slow or down the queue drops the
oldest, and nobody waits. The SDK reads its own variables (headers, sampler, batch sizes, resource attributes) itself.
"""

from __future__ import annotations

import logging
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from pointsman import __version__
from pointsman.settings import Settings

SCOPE: Final = "pointsman"


def tracer_provider(settings: Settings, service: str, exporter: SpanExporter | None = None) -> TracerProvider | None:
    """The provider that the settings describe, or None when traces go nowhere.

    Args:
        settings: the process's settings.
        service: what this process is, e.g. `agent/lead_scoring`; `OTEL_SERVICE_NAME` wins over it.
        exporter: where spans go instead of the endpoint of the settings.
    """
    if exporter is None and settings.traces_url is None:
        return None
    resource = Resource.create(
        {
            SERVICE_NAME: settings.otel_service_name or service,
            SERVICE_NAMESPACE: SCOPE,
            SERVICE_VERSION: __version__,
            SERVICE_INSTANCE_ID: settings.instance,
        }
    )
    # They warn of every span that is dropped and of every try to deliver; that a batch is lost is an error, and said.
    for library in ("opentelemetry.sdk._shared_internal", "opentelemetry.exporter.otlp"):
        logging.getLogger(library).setLevel(logging.ERROR)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(endpoint=settings.traces_url)))
    return provider
