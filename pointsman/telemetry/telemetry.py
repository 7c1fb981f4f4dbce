"""What one process tells about its work: spans and metrics, handed to whoever has something to tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import stamina.instrumentation

from pointsman.settings import Settings
from pointsman.telemetry.endpoint import MetricsEndpoint
from pointsman.telemetry.metrics import Metrics
from pointsman.telemetry.spans import Spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_SCOPE: Final = "pointsman"
_OUT_WITHIN_S: Final = 2.0


def _nothing() -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Spans and metrics of one process; the default writes no span and shows its metrics to nobody.

    Attributes:
        spans: starts spans.
        metrics: what is counted.
        captures_content: write prompts and answers onto spans; they hold personal data.
        flush: delivers the spans that are queued, for at most two seconds.
        close: the same, and stops.
    """

    spans: Spans = field(default_factory=Spans)
    metrics: Metrics = field(default_factory=Metrics)
    captures_content: bool = False
    flush: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing

    @staticmethod
    def of(settings: Settings, service: str) -> Telemetry:
        """What the settings want of this process, started.

        Args:
            settings: the process's settings.
            service: what this process is, e.g. `agent/lead_scoring`.
        """
        metrics = Metrics()
        endpoint = MetricsEndpoint.of(settings, metrics.registry, service)
        provider = _provider(settings, service)
        count_retries(metrics)
        return Telemetry(
            spans=Spans(provider.get_tracer(_SCOPE) if provider else None),
            metrics=metrics,
            captures_content=settings.captures_content,
            flush=lambda: _within_seconds(provider.force_flush) if provider else None,
            close=lambda: _close(endpoint, provider),
        )


def count_retries(metrics: Metrics) -> None:
    """Have stamina count each try that follows a failure, by the kind of failure, beside logging it."""

    def count(details: stamina.instrumentation.RetryDetails) -> None:
        metrics.retried(type(details.caused_by).__name__)

    stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.StructlogOnRetryHook, count])


def _provider(settings: Settings, service: str) -> TracerProvider | None:
    if settings.traces_url is None:
        return None
    # Only now: the exporter's libraries take a quarter of a second to import, and most processes have no endpoint.
    from pointsman.telemetry.provider import tracer_provider

    return tracer_provider(settings, service)


def _close(endpoint: MetricsEndpoint | None, provider: TracerProvider | None) -> None:
    if endpoint:
        endpoint.close()
    if provider:
        _within_seconds(provider.shutdown)


def _within_seconds(work: Callable[[], object]) -> None:
    """Do `work`, and go on without it after two seconds: an endpoint that hangs holds no process back."""
    thread = threading.Thread(target=work, name="traces-out", daemon=True)
    thread.start()
    thread.join(_OUT_WITHIN_S)
