"""`python -m pointsman.telemetry`: shows the figures of the system that belong to no single process."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from pointsman.errors import ConfigurationError
from pointsman.logging import configure_logging
from pointsman.settings import settings
from pointsman.telemetry.endpoint import MetricsEndpoint
from pointsman.telemetry.system_metrics import SystemMetrics
from pointsman.telemetry.watching import watch

_EXIT_CONFIGURATION: Final = 3
_SERVICE: Final = "system"


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        known = settings()
        configure_logging(known.log_level)
        if known.metrics_port is None:
            raise ConfigurationError("there is no port to show metrics at", "set POINTSMAN_METRICS_PORT")
        system, registry = SystemMetrics(), CollectorRegistry()
        registry.register(system)
        ProcessCollector(registry=registry)
        endpoint = MetricsEndpoint.of(known, registry, _SERVICE)
        asyncio.run(watch(known, system, stopping))
    except ConfigurationError as error:
        sys.stderr.write(f"pointsman.telemetry: {error}\n")
        return _EXIT_CONFIGURATION
    if endpoint:
        endpoint.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
