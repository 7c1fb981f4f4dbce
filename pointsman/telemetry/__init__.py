"""Traces, metrics and log fields: what a process tells about its work. It never blocks or fails a message."""

from pointsman.telemetry.telemetry import Telemetry

__all__ = ["Telemetry"]
