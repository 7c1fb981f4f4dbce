"""What the router tells of its work, in each of its processes."""

from __future__ import annotations

import logging
from typing import Final

from pointsman.errors import PointsmanError
from pointsman.settings import settings
from pointsman.telemetry import Telemetry

SERVICE: Final = "router"

_log: Final = logging.getLogger(__name__)


def router_telemetry() -> Telemetry:
    """Telemetry as the environment says, without an endpoint; what is wrong with the environment stops no message."""
    try:
        return Telemetry.of(settings().model_copy(update={"metrics_port": None}), SERVICE)
    except (PointsmanError, ValueError) as error:
        # Every model call reports what is wrong with the environment; messages are routed all the same.
        _log.error("traces cannot be set up (%s): check the variables OTEL_*", type(error).__name__)
        return Telemetry()
